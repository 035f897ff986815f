// Endpoints, traffic, rollouts and the judge.

export type EndpointState = "ready" | "starting" | "degraded" | "stopped";

export type Role = "champion" | "challenger" | "shadow" | "warm";

export interface Minute {
  requests: number;
  errors: number;
  p50_ms: number | null;
  p99_ms: number | null;
}

export interface EndpointVersion {
  version: string;
  model: string;
  weight: number;
  role: Role;
  state: string;
  replicas: number;
  runtime?: "compiled" | "process" | null;
  pid: number | null;
  error: string | null;
  /** `own` is the server's own Python, else the name of the version's environment. */
  environment?: string | null;
  network?: "none" | "allowed" | "not-isolated" | null;
  network_note?: string;
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
  /** The largest so far, like the other two e-values. */
  e_value: number | null;
  safe_e_value?: number | null;
  safe_e_needed?: number | null;
  better_e_value?: number | null;
  better_e_needed?: number | null;
  n_champion: number;
  n_challenger: number;
}

export type Strategy = "canary" | "linear" | "blue-green" | "shadow" | "ab" | "bandit";

export interface Rollout {
  id: string;
  endpoint: string;
  state: "running" | "promoted" | "rolled-back" | "aborted" | "passed";
  phase: "warming" | "approval" | "step";
  strategy: Strategy;
  champion: string;
  challenger: string;
  weight: number;
  copies: number;
  plan: { steps: number[]; bake_us: number; finish: "judge" | "time" | "person" | null; environment: string; approval: boolean };
  steps: { weight: number; at_us: number; seconds: number; requests?: number }[];
  judge: JudgeResult[];
  verdict: { action: "continue" | "promote" | "rollback"; reason: string };
  judged_us?: number | null;
  started_us: number;
  ended_us: number | null;
  next_us: number | null;
  requests_needed: number | null;
  reason: string;
  actor: string;
  approved_by: string | null;
}

/** What of an endpoint's OpenAPI document its form is made of. */
export interface EndpointDocument {
  paths: Record<
    string,
    Record<string, { requestBody?: { content?: Record<string, { example?: { dataframe_records?: Record<string, unknown>[] } }> } }>
  >;
  components: {
    schemas: { Row: { properties?: Record<string, { type?: string | string[]; format?: string }>; required?: string[] } };
  };
}
