// Batch predictions: a model over a whole data version.
import type { ColumnProfile } from "./data.ts";
import type { RunState } from "./pipelines.ts";

export interface BatchPrediction {
  id: string;
  model: string;
  model_version: number;
  data: string;
  data_version: number;
  path: string;
  output: string;
  options: {
    columns: string[];
    keep: boolean;
    inputs: string[];
    probabilities: boolean;
    on_error: "fail" | "skip";
    rows_at_once: number;
    part_rows: number;
    workers: number;
    allow_pickle: boolean;
    native: boolean;
  };
  state: RunState;
  rows_total: number | null;
  rows_done: number;
  rows_refused: number;
  rows_per_s: number;
  output_version: number | null;
  refused_version: number | null;
  summary: {
    counts: { rows: number; refused: number };
    resumed: number;
    seconds: number;
    rows_per_s: number;
    distribution: ColumnProfile[];
  } | null;
  error: string | null;
  reason: string;
  created_us: number;
  created_by: string;
  started_us: number | null;
  ended_us: number | null;
}
