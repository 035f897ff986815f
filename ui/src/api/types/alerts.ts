// Alerts, rules, channels.
import type { Ref } from "./common.ts";

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

export interface Condition {
  event: string;
  where?: { field: string; op: string; value: unknown }[];
}

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
  /** Null for a built-in rule that nobody has changed. */
  updated_us: number | null;
}

export interface AlertChannel {
  name: string;
  kind: string;
  url: string;
  min_severity: Severity;
  enabled: boolean;
  created_us: number;
  created_by: string;
  secret?: string | null;
}

export interface Outcome {
  ok: boolean;
  status_code: number | null;
  error: string | null;
  seconds: number;
}
