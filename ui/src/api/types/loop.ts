// The loop: overview, timeline, episodes, live events.
import type { Ref } from "./common.ts";

export type StageName =
  "data" | "features" | "training" | "evaluation" | "registry" | "rollout" | "serving" | "monitoring" | "alerting" | "retraining";

export type StageState = "ok" | "active" | "waiting" | "alarm" | "empty";

export interface Stage {
  name: StageName;
  state: StageState;
  headline: string;
  detail: string;
  href: string;
}

export interface Overview {
  stages: Stage[];
}

export type TimelineKind =
  "alarm" | "retraining" | "gate" | "canary" | "promotion" | "rollback" | "deploy" | "data" | "manual" | "decision";

export type TimelineState = "started" | "passed" | "failed" | "done" | "info";

export interface TimelineItem {
  id: string;
  at_us: number;
  event_us: number | null;
  kind: TimelineKind;
  state: TimelineState;
  title: string;
  detail: string;
  subject: Ref;
  episode_id: string | null;
  cause_id: string | null;
  actor: string;
  data: Record<string, unknown>;
}

export type EpisodeState =
  "waiting" | "suggested" | "retraining" | "gating" | "warming" | "canary" | "promoted" | "kept" | "rolled-back" | "failed";

export interface Episode {
  id: string;
  endpoint: string;
  model: string;
  trigger: "alarm" | "release";
  state: EpisodeState;
  title: string;
  event_us: number;
  not_before_us: number;
  champion: string | null;
  candidate: string | null;
  started_us: number;
  updated_us: number;
  ended_us: number | null;
}

export interface StreamEvent {
  seq: number;
  kind: string;
  at_us: number;
  subject: Ref;
  actor: string;
  data: Record<string, unknown>;
}

/** What happens by itself when an endpoint's monitor alarms. */
export interface LoopPolicy {
  endpoint: string;
  model: string;
  pipeline: string;
  params: Record<string, unknown>;
  mode: "auto" | "suggest";
  on: ("drift" | "performance")[];
  cooldown_us: number;
  gate: {
    label: string;
    key: string | null;
    group_by: string | null;
    min_auc: number;
    auc_margin: number;
    brier_margin: number;
    must_improve: boolean;
  };
  canary: { weight: number; judge: Record<string, unknown>; steps: number[]; bake_us: number };
}
