// Signatures as MLflow writes them: a list of columns, or that list as JSON text.
import type { SignatureColumn } from "../../api/types.ts";

export function signatureColumns(part: SignatureColumn[] | string | null | undefined): SignatureColumn[] {
  if (!part) return [];
  if (typeof part !== "string") return part;
  try {
    const parsed: unknown = JSON.parse(part);
    return Array.isArray(parsed) ? (parsed as SignatureColumn[]) : [];
  } catch {
    return [];
  }
}
