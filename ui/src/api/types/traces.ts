// Traces, what is said of them, and evaluation data sets.

export type TraceState = "STATE_UNSPECIFIED" | "OK" | "ERROR" | "IN_PROGRESS";

export interface Assessment {
  id: string;
  name: string;
  kind: "feedback" | "expectation" | "issue";
  value: unknown;
  error: string | null;
  source_type: "SOURCE_TYPE_UNSPECIFIED" | "HUMAN" | "LLM_JUDGE" | "CODE";
  source_id: string | null;
  span_id: string | null;
  rationale: string | null;
  valid: boolean;
  metadata: Record<string, string>;
  created_us: number;
  updated_us: number;
}

export interface Trace {
  id: string;
  name: string;
  experiment_id: string;
  state: TraceState;
  started_us: number;
  duration_us: number | null;
  spans: number;
  request: string | null;
  response: string | null;
  session: string | null;
  user: string | null;
  tokens: number | null;
  cost: number | null;
  tags: Record<string, string>;
  metadata: Record<string, string>;
  assessments: Assessment[];
}

export interface SpanEvent {
  name: string;
  offset_us: number;
  attributes: Record<string, unknown>;
}

export interface Span {
  id: string;
  parent_id: string | null;
  depth: number;
  name: string;
  type: string | null;
  status: "UNSET" | "OK" | "ERROR";
  message: string | null;
  offset_us: number;
  duration_us: number | null;
  inputs: unknown;
  outputs: unknown;
  attributes: Record<string, unknown>;
  events: SpanEvent[];
}

export interface TraceDetail {
  info: Trace;
  spans: Span[];
}
