// Models, versions, aliases, gates.
import type { Ref } from "./common.ts";

export interface Model {
  name: string;
  description: string;
  latest_version: number | null;
  aliases: Record<string, number>;
  updated_us: number;
}

export interface SignatureColumn {
  name?: string;
  type: string;
  required?: boolean;
}

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
  verdict?: SafetyVerdict;
  strangers?: string[];
}

/** What the scan of a version's files found: plain data, allowed names only, other names, or nothing certain. */
export type SafetyVerdict = "safe" | "allowed" | "suspicious" | "unknown";

export interface FileScan {
  verdict: SafetyVerdict;
  at_us: number;
  strangers: string[];
  problems: string[];
  findings: { path: string; kind: string; names: string[]; problem: string | null }[];
}

/** Whether a version was compiled: the verdict with its evidence, that of before while another is under way. */
export interface Compilation {
  state: "none" | "pending" | "compiled" | "differs" | "unsupported" | "failed";
  at_us: number;
  size_bytes: number;
  verdict: {
    state: string;
    message: string;
    runtime: string;
    rows: Record<string, number>;
    refused: number;
    ties: number;
    /** `share` is the largest difference as a multiple of what is tolerated. */
    largest: { output: string; share: number; kind: string } | null;
    tolerance: { absolute: number; relative: number };
    timings: { rows: number; native_us: number; compiled_us: number }[];
    versions: Record<string, string>;
    took_s: number;
  } | null;
}

/** In which Python a version is loaded; `took` has the seconds of each step. */
export interface PythonEnvironment {
  state: "own" | "ready" | "failed" | "pending";
  message: string;
  asked: string[];
  python: string;
  key: string;
  lock: string;
  trial: "none" | "passed" | "failed" | "skipped";
  took: Record<string, number>;
  took_s: number;
  size_bytes: number;
  allowed: { sources: boolean; pickle: boolean; own: boolean; by: string };
  updated_us: number;
  updated_by: string;
}

/** A metric with its interval at `level`, null where none is known. */
export interface MetricEstimate {
  key: string;
  estimate: number;
  low: number | null;
  high: number | null;
  level: number;
  method: string;
  rows: number | null;
  data: string;
}

/** One line of a comparison: a value for each version. */
export interface ComparedRow<V = string | number | boolean | null> {
  key: string;
  values: V[];
  differs: boolean;
}

export interface VersionComparison {
  name: string;
  versions: ModelVersion[];
  params: ComparedRow[];
  metrics: ComparedRow<MetricEstimate | null>[];
  signature: ComparedRow[];
  data: ComparedRow[];
  environment: ComparedRow[];
  facts: ComparedRow[];
  gates: (Gate | null)[];
}

/** A place such as production: an alias with rules, and the version that is in it. */
export interface EnvironmentState {
  environment: { name: string; role: string; after: string | null; needs_gate: boolean; verdicts: SafetyVerdict[] };
  version: number | null;
  since_us: number | null;
  by: string | null;
  reason: string;
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
