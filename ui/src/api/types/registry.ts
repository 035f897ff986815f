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
