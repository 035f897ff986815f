// Lineage, who is here, tokens, audit, search.
import type { Ref } from "./common.ts";

export interface LineageNode {
  ref: Ref;
  kind: string;
  label: string;
  href: string;
}

export interface LineageEdge {
  from: Ref;
  to: Ref;
  kind: string;
  at_us: number;
}

export interface Lineage {
  nodes: LineageNode[];
  edges: LineageEdge[];
  truncated?: boolean;
}

export interface Me {
  id: string;
  name: string;
  role: string;
}

export interface Token {
  id: string;
  name: string;
  role: string;
  endpoints?: string[] | null;
  created_us: number;
  created_by?: string;
  expires_us?: number | null;
  revoked_us?: number | null;
  last_used_us?: number | null;
}

export interface CreatedToken extends Token {
  token: string;
}

export interface AuditEntry {
  seq: number;
  at_us: number;
  actor: string;
  action: string;
  subject: Ref;
  detail: Record<string, unknown>;
  hash: string;
}

export interface AuditCheck {
  ok: boolean;
  checked: number;
  first_bad_seq: number | null;
  head: string;
}

export interface SearchHit {
  kind: string;
  label: string;
  ref: Ref;
  href: string;
}
