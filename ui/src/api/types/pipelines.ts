// Pipelines, runs, steps.

export interface Pipeline {
  name: string;
  description: string;
  runs: number;
  cron: string | null;
  last_run: PipelineRun | null;
  updated_us: number;
}

export type RunState = "queued" | "running" | "succeeded" | "failed" | "cancelled";

export interface PipelineStep {
  name: string;
  state: RunState | "skipped" | "waiting";
  cached: boolean;
  attempt: number;
  started_us: number | null;
  ended_us: number | null;
  needs: string[];
  error: string | null;
  outputs: Record<string, unknown>;
  log_tail: string;
}

export interface PipelineRun {
  id: string;
  pipeline: string;
  state: RunState;
  created_us: number;
  started_us: number | null;
  ended_us: number | null;
  params: Record<string, unknown>;
  trigger: string;
  submitted_by: string;
  error: string | null;
  steps: PipelineStep[];
}
