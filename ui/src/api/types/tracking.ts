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

export interface ColumnCount {
  name: string;
  runs: number;
}
export interface RunColumns {
  metrics: ColumnCount[];
  params: ColumnCount[];
  tags: ColumnCount[];
  attributes: string[];
}

export interface Facet {
  by: string;
  values: { value: string | null; runs: number }[];
  others: number;
}
export interface Facets {
  total: number;
  facets: Facet[];
}

export interface Curve {
  run_id: string;
  key: string;
  points: [step: number, at_us: number, value: number | null][];
  total: number;
  downsampled: boolean;
}

export interface ViewState {
  filter?: string;
  sort?: string;
  cols?: string[];
  pins?: number;
  widths?: Record<string, number>;
  group?: string;
  nested?: boolean;
  facets?: string[];
}
export interface SavedView {
  id: string;
  name: string;
  page: string;
  experiment_id: string;
  state: ViewState;
  owner: string;
  mine: boolean;
  shared: boolean;
  updated_us: number;
}

export interface Importance {
  metric: string;
  runs: number;
  explained: number;
  parameters: { name: string; importance: number; correlation: number | null; kind: "number" | "category" }[];
}

export interface TrashItem {
  ref: string;
  kind: string;
  name: string;
  deleted_us: number;
  deleted_by: string;
  purge_us: number | null;
  held: boolean;
  size_bytes: number | null;
}
