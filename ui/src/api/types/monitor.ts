// Monitors, windows, features, predictions.
import type { Ref } from "./common.ts";
import type { Role } from "./deploy.ts";

export interface Monitor {
  name: string;
  endpoint: string;
  reference: Ref;
  reference_rows?: number;
  features: string[];
  state: "pending" | "watching" | "alarm" | "failed";
  problem?: string | null;
  champion?: string | null;
  policy: Record<string, unknown>;
  created_us: number;
  updated_us: number;
}

export interface FeatureDrift {
  psi: number | null;
  statistic: number | null;
  p_value: number | null;
  threshold: number | null;
  alarm: boolean;
  noise_floor?: number | null;
  missing?: number | null;
}

export interface MetricBand {
  value: number | null;
  low: number | null;
  high: number | null;
  reference: number | null;
}

export interface MonitorWindow {
  start_us: number;
  end_us: number;
  rows: number;
  errors?: number;
  labelled: number;
  provisional: boolean;
  drift: {
    score: number | null;
    alarm: boolean;
    enough?: boolean;
    features: Record<string, FeatureDrift>;
    evidence?: number | null;
    evidence_needed?: number | null;
  } | null;
  performance: { metrics: Record<string, MetricBand> } | null;
  version_counts: Record<string, number>;
  route_counts?: Record<string, number>;
}

/** Cells between `edges` (one more than edges) or of `values` (then the others); the last cell counts missing values. */
export interface FeatureDetail {
  name: string;
  kind: string;
  edges: number[];
  values: string[];
  reference: number[];
  current: number[];
  rows: number;
  reference_rows: number;
}

/** How a request came to the version that answered it; empty where that was not recorded. */
export type Route = "split" | "key" | "pinned" | "cached" | "repeat" | "rerouted" | "device" | "";

export interface Prediction {
  id: string;
  endpoint: string;
  version: string;
  role: Role;
  route: Route;
  at_us: number;
  event_us: number;
  latency_us: number;
  rows: { row: number; inputs: Record<string, unknown>; output: unknown; score: number | null; label: unknown }[];
}

export interface RecentPrediction {
  id: string;
  row: number;
  version: string;
  role: Role;
  route: Route;
  event_us: number;
  at_us: number;
  latency_us: number;
  score: number | null;
}
