// How values and states of traces read as text.
import type { Assessment, TraceState } from "../../api/types.ts";
import type { Tone } from "../../ui/Badge.tsx";
import type { IconName } from "../../ui/Icon.tsx";

/** Any JSON value on one line. */
export const short = (value: unknown): string => (typeof value === "string" ? value : (JSON.stringify(value) ?? ""));

/** Any JSON value over as many lines as it needs. */
export const long = (value: unknown): string => (typeof value === "string" ? value : (JSON.stringify(value, null, 2) ?? ""));

/** What an assessment says, in a word. */
export function verdict(one: Assessment): string {
  if (one.error !== null) return one.error;
  if (one.kind === "issue" && typeof one.value === "object" && one.value !== null && "issue_name" in one.value)
    return short(one.value.issue_name);
  return short(one.value);
}

export const STATES: Record<TraceState, { text: string; tone: Tone; icon?: IconName }> = {
  OK: { text: "OK", tone: "neutral", icon: "check" },
  ERROR: { text: "Error", tone: "failed", icon: "cross" },
  IN_PROGRESS: { text: "Running", tone: "active" },
  STATE_UNSPECIFIED: { text: "Unknown", tone: "quiet", icon: "minus" },
};

export const SOURCES: Record<Assessment["source_type"], string> = {
  HUMAN: "Person",
  LLM_JUDGE: "Language model",
  CODE: "Code",
  SOURCE_TYPE_UNSPECIFIED: "Unknown",
};
