// The resources of /api/v1 as the pages read them; times are microseconds since the epoch.

export type Ref = string;
export interface Page<T> { items: T[]; next_cursor: string | null }

export type StageName =
  | "data" | "features" | "training" | "evaluation" | "registry"
  | "rollout" | "serving" | "monitoring" | "alerting" | "retraining";
export type StageState = "ok" | "active" | "waiting" | "alarm" | "empty";
export interface Stage { name: StageName; state: StageState; headline: string; detail: string; href: string }
export interface Overview { stages: Stage[] }

export type TimelineKind =
  | "alarm" | "retraining" | "gate" | "canary" | "promotion" | "rollback" | "deploy" | "data" | "manual" | "decision";
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
export type EpisodeState = "waiting" | "suggested" | "retraining" | "gating" | "warming" | "canary" | "promoted" | "kept" | "rolled-back" | "failed";
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
export interface StreamEvent { seq: number; kind: string; at_us: number; subject: Ref; actor: string; data: Record<string, unknown> }

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
export interface LatestMetric { value: number | null; step: number; at_us: number }
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
export interface Artifact { path: string; is_dir: boolean; size_bytes: number | null }

export interface Model {
  name: string;
  description: string;
  latest_version: number | null;
  aliases: Record<string, number>;
  updated_us: number;
}
export interface SignatureColumn { name?: string; type: string; required?: boolean }
export interface ModelVersion {
  name: string;
  version: number;
  created_us: number;
  status: string;
  run_id: string | null;
  source: string;
  description: string;
  tags: Record<string, string>;
  aliases: string[];
  created_by?: string;
  signature: { inputs?: SignatureColumn[] | string | null; outputs?: SignatureColumn[] | string | null } | null;
  flavor: string | null;
  unsafe_because?: string[];
  metrics: Record<string, number | null>;
  data: Ref[];
  size_bytes: number;
  digest: string;
  format: string;
  safe: boolean;
}
export interface AliasChange {
  at_us: number;
  alias: string;
  version: number | null;
  previous: number | null;
  actor: string;
  reason: string;
}
export interface GateCheck {
  name: string;
  passed: boolean;
  value: number | null;
  threshold: number | null;
  low: number | null;
  high: number | null;
  detail: string;
}
export interface Gate {
  id: string;
  at_us: number;
  verdict: "passed" | "failed";
  champion: number | null;
  checks: GateCheck[];
}

export interface Dataset {
  name: string;
  latest_version: number;
  versions: number;
  rows: number | null;
  size_bytes: number;
  validation_state: ValidationState;
  updated_us: number;
}
export interface DataVersion {
  name: string;
  version: number;
  message: string;
  file_count: number;
  derived_from: Ref[];
  rows: number | null;
  size_bytes: number;
  digest: string;
  created_us: number;
  created_by: string;
  validation: { state: ValidationState };
}
export type ValidationState = "passed" | "failed" | "pending" | "none";
export interface ColumnProfile {
  name: string;
  type: string;
  count: number;
  nulls: number;
  distinct: number | null;
  distinct_exact?: boolean;
  min: number | null;
  max: number | null;
  mean: number | null;
  std: number | null;
  quantiles: Record<string, number>;
  histogram?: { edges: number[]; counts: number[] } | null;
  top?: { value: string; count: number }[];
}
export interface ExpectationResult {
  expectation: string;
  column: string | null;
  passed: boolean;
  observed: unknown;
  expected: unknown;
  message: string;
  severity?: "error" | "warning";
  table?: string | null;
}
export interface ColumnChange { name: string; change: string; psi: number | null; level: string | null }
export interface DataComparison { from_version: number; to_version: number; tables: { table: string; rows_from: number | null; rows_to: number | null; columns: ColumnChange[] }[] }
export interface DataVersionDetail extends DataVersion {
  files: { path: string; size_bytes: number; blob: string }[];
  schema: { name: string; type: string }[];
  profile: { columns: ColumnProfile[]; tables: { name: string; rows: number; columns: ColumnProfile[] }[]; unreadable: { path: string; error: string }[] } | null;
  validation: { state: ValidationState; checks: ExpectationResult[]; problem: string | null };
}

export interface Pipeline { name: string; description: string; runs: number; cron: string | null; last_run: PipelineRun | null; updated_us: number }
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

export type EndpointState = "ready" | "starting" | "degraded" | "stopped";
export type Role = "champion" | "challenger" | "shadow" | "warm";
export interface Minute { requests: number; errors: number; p50_ms: number | null; p99_ms: number | null }
export interface EndpointVersion {
  version: string;
  model: string;
  weight: number;
  role: Role;
  state: string;
  replicas: number;
  pid: number | null;
  error: string | null;
  last_minute?: Minute;
}
export interface Endpoint {
  name: string;
  model: string;
  state: EndpointState;
  versions: EndpointVersion[];
  url: string;
  invocations_url?: string;
  requests_1m: number;
  errors_1m: number;
  p50_ms: number | null;
  p99_ms: number | null;
  updated_us: number;
}
export interface TrafficChange {
  at_us: number;
  actor: string;
  reason: string;
  action: string;
  before: Record<string, number>;
  after: Record<string, number>;
  champion_before: string | null;
  champion_after: string | null;
}
export interface JudgeResult {
  name: string;
  verdict: "harm" | "safe" | "open";
  harm: number | null;
  margin: number | null;
  e_needed: number | null;
  value: number | null;
  low: number | null;
  high: number | null;
  e_value: number | null;
  n_champion: number;
  n_challenger: number;
}
export interface Rollout {
  id: string;
  state: "running" | "promoted" | "rolled-back" | "aborted";
  champion: string;
  challenger: string;
  weight: number;
  steps: { weight: number; at_us: number; seconds: number; requests?: number }[];
  judge: JudgeResult[];
  judged_us?: number | null;
  started_us: number;
  ended_us: number | null;
  reason: string;
}

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
export interface FeatureDrift { psi: number | null; statistic: number | null; p_value: number | null; threshold: number | null; alarm: boolean; noise_floor?: number | null; missing?: number | null }
export interface MetricBand { value: number | null; low: number | null; high: number | null; reference: number | null }
export interface MonitorWindow {
  start_us: number;
  end_us: number;
  rows: number;
  errors?: number;
  labelled: number;
  provisional: boolean;
  drift: { score: number | null; alarm: boolean; enough?: boolean; features: Record<string, FeatureDrift>; evidence?: number | null; evidence_needed?: number | null } | null;
  performance: { metrics: Record<string, MetricBand> } | null;
  version_counts: Record<string, number>;
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

export interface Prediction {
  id: string;
  endpoint: string;
  version: string;
  role: Role;
  at_us: number;
  event_us: number;
  latency_us: number;
  rows: { row: number; inputs: Record<string, unknown>; output: unknown; score: number | null; label: unknown }[];
}
export interface RecentPrediction { id: string; row: number; version: string; role: Role; event_us: number; at_us: number; latency_us: number; score: number | null }

export type AlertState = "open" | "acknowledged" | "resolved";
export type Severity = "info" | "warning" | "critical";
export interface Alert {
  id: string;
  rule: string;
  severity: Severity;
  state: AlertState;
  title: string;
  detail: string;
  subject: Ref;
  opened_us: number;
  updated_us: number;
  count: number;
  episode_id: string | null;
  acknowledged_us?: number | null;
  acknowledged_by?: string | null;
  resolved_us?: number | null;
  resolved_by?: string | null;
  note?: string;
}
export interface Condition { event: string; where?: { field: string; op: string; value: unknown }[] }
export interface AlertRule {
  name: string;
  condition: Condition | null;
  clear: Condition | null;
  severity: Severity | null;
  title: string;
  detail: string;
  key: string;
  channels: string[] | null;
  enabled: boolean;
  resolve_after_us: number | null;
  built_in: boolean;
}
export interface AlertChannel { name: string; kind: string; url: string; min_severity: Severity; enabled: boolean; created_us: number; created_by: string; secret?: string | null }
export interface Outcome { ok: boolean; status_code: number | null; error: string | null; seconds: number }

export interface LineageNode { ref: Ref; kind: string; label: string; href: string }
export interface LineageEdge { from: Ref; to: Ref; kind: string; at_us: number }
export interface Lineage { nodes: LineageNode[]; edges: LineageEdge[]; truncated?: boolean }

export interface Me { id: string; name: string; role: string }
export interface Token { id: string; name: string; role: string; created_us: number; created_by?: string; expires_us?: number | null; revoked_us?: number | null; last_used_us?: number | null }
export interface CreatedToken extends Token { token: string }
export interface AuditEntry { seq: number; at_us: number; actor: string; action: string; subject: Ref; detail: Record<string, unknown>; hash: string }
export interface AuditCheck { ok: boolean; checked: number; first_bad_seq: number | null; head: string }
export interface SearchHit { kind: string; label: string; ref: Ref; href: string }
