// From a flat timeline to episodes: lines in the order they happened, each tied to its cause, with an outcome.
import type { Episode as Story, EpisodeState, TimelineItem } from "../../api/types.ts";

export type Outcome = "promoted" | "kept" | "rolled back" | "failed" | "stopped at the gate" | "under way" | "suggested" | "noted";
export interface Episode {
  key: string;
  id: string | null;
  items: TimelineItem[];
  startUs: number;
  endUs: number;
  outcome: Outcome;
  decisive: TimelineItem;
}
export interface Link {
  from: number;
  to: number;
  lane: number;
}

const DECISIVE = ["retraining", "gate", "canary", "promotion", "rollback", "deploy", "decision"];

const OUTCOMES: Record<EpisodeState, Outcome> = {
  waiting: "suggested",
  suggested: "suggested",
  retraining: "under way",
  gating: "under way",
  warming: "under way",
  canary: "under way",
  promoted: "promoted",
  kept: "kept",
  "rolled-back": "rolled back",
  failed: "failed",
};

/** Groups by episode, newest first; lines without an episode stand together between their neighbours in time. */
export function episodes(items: TimelineItem[], stories: Story[] = []): Episode[] {
  const states = new Map(stories.map((story) => [story.id, story.state]));
  const groups = new Map<string, TimelineItem[]>();
  let loose = 0;
  let lastLoose = false;
  for (const item of [...items].sort((a, b) => b.at_us - a.at_us)) {
    if (!item.episode_id && !lastLoose) loose += 1;
    lastLoose = !item.episode_id;
    const key = item.episode_id ?? `loose-${loose}`;
    const group = groups.get(key);
    if (group) group.push(item);
    else groups.set(key, [item]);
  }
  return [...groups].map(([key, group]) => {
    const ordered = [...group].sort((a, b) => a.at_us - b.at_us);
    const first = ordered[0] as TimelineItem;
    const last = ordered[ordered.length - 1] as TimelineItem;
    const decisive = ordered.filter((item) => DECISIVE.includes(item.kind)).at(-1) ?? first;
    return {
      key,
      id: first.episode_id,
      items: ordered,
      startUs: first.at_us,
      endUs: last.at_us,
      outcome: outcomeOf(first.episode_id, ordered, states),
      decisive,
    };
  });
}

function outcomeOf(id: string | null, items: TimelineItem[], states: Map<string, EpisodeState>): Outcome {
  if (!id) return "noted";
  const state = states.get(id);
  return state ? OUTCOMES[state] : outcome(items);
}

/** What the lines alone say, for an episode that is not among the newest. */
function outcome(items: TimelineItem[]): Outcome {
  const last = (kind: string): TimelineItem | undefined => items.filter((item) => item.kind === kind).at(-1);
  if (last("rollback")) return "rolled back";
  if (last("promotion")) return "promoted";
  const gate = last("gate");
  const later = gate && items.some((item) => item.at_us > gate.at_us && (item.kind === "canary" || item.kind === "retraining"));
  return gate?.state === "failed" && !later ? "stopped at the gate" : "under way";
}

/** Cause-to-effect links between lines; links that skip lines get a lane of their own (0 is the straight one). */
export function links(items: TimelineItem[]): Link[] {
  const index = new Map(items.map((item, i) => [item.id, i]));
  const result: Link[] = [];
  const busyUntil: number[] = [];
  items.forEach((item, to) => {
    const from = item.cause_id === null ? undefined : index.get(item.cause_id);
    if (from === undefined || from >= to) return;
    if (to === from + 1) {
      result.push({ from, to, lane: 0 });
      return;
    }
    let lane = 1;
    while ((busyUntil[lane] ?? -1) > from) lane += 1;
    busyUntil[lane] = to;
    result.push({ from, to, lane });
  });
  return result;
}

/** The ids of everything that led to `id` and everything it led to, itself included. */
export function chain(items: TimelineItem[], id: string): Set<string> {
  const byId = new Map(items.map((item) => [item.id, item]));
  const found = new Set<string>([id]);
  for (let at = byId.get(id); at?.cause_id && !found.has(at.cause_id); at = byId.get(at.cause_id)) found.add(at.cause_id);
  const down = new Set([id]);
  for (let grew = true; grew;) {
    grew = false;
    for (const item of items) {
      if (item.cause_id && down.has(item.cause_id) && !down.has(item.id)) {
        down.add(item.id);
        grew = true;
      }
    }
  }
  return new Set([...found, ...down]);
}
