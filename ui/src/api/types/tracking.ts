// Experiments and runs.

export interface Experiment {
  id: string;
  name: string;
  created_us: number;
  updated_us: number;
  runs: number;
  state: "active" | "deleted";
  tags: Record<string, string>;
}

export type RunStatus = "RUNNING" | "FINISHED" | "FAILED" | "KILLED" | "SCHEDULED";

export interface LatestMetric {
  value: number | null;
  step: number;
  at_us: number;
}

export interface Run {
  id: string;
  name: string;
  experiment_id: string;
  status: RunStatus;
  started_us: number;
  ended_us: number | null;
  owner: string;
  params: Record<string, string>;
  metrics: Record<string, LatestMetric>;
  tags: Record<string, string>;
  source: Record<string, string>;
  state: "active" | "deleted";
  datasets: { name: string; digest: string; source: string; context: string | null }[];
  models: string[];
}

export interface MetricHistory {
  key: string;
  points: [step: number, at_us: number, value: number | null][];
  total: number;
  downsampled: boolean;
}

export interface Artifact {
  path: string;
  is_dir: boolean;
  size_bytes: number | null;
}
