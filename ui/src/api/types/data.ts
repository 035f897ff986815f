// Datasets, versions, profiles, expectations.
import type { Ref } from "./common.ts";

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

export interface ColumnChange {
  name: string;
  change: string;
  psi: number | null;
  level: string | null;
}

export interface DataComparison {
  from_version: number;
  to_version: number;
  tables: { table: string; rows_from: number | null; rows_to: number | null; columns: ColumnChange[] }[];
}

export interface DataVersionDetail extends DataVersion {
  files: { path: string; size_bytes: number; blob: string }[];
  schema: { name: string; type: string }[];
  profile: {
    columns: ColumnProfile[];
    tables: { name: string; rows: number; columns: ColumnProfile[] }[];
    unreadable: { path: string; error: string }[];
  } | null;
  validation: { state: ValidationState; checks: ExpectationResult[]; problem: string | null };
}
