// Where the bars of a waterfall begin and how long they are, in percent of the whole trace.
import type { Span } from "../../api/types.ts";

export interface Bar {
  left: number;
  width: number;
}

/** The length of a trace: from the first start to the last end; spans that are open reach to the end. */
export const lengthOf = (spans: Span[]): number => Math.max(1, ...spans.map((span) => span.offset_us + (span.duration_us ?? 0)));

export function barOf(span: Span, length: number): Bar {
  const left = Math.min(100, (span.offset_us / length) * 100);
  const width = span.duration_us === null ? 100 - left : (span.duration_us / length) * 100;
  return { left, width: Math.max(0, Math.min(width, 100 - left)) };
}

/** The ids of spans that are hidden because one above them is folded. `spans` are in depth-first order. */
export function hiddenBelow(spans: Span[], folded: ReadonlySet<string>): Set<string> {
  const hidden = new Set<string>();
  for (const span of spans) if (span.parent_id !== null && (folded.has(span.parent_id) || hidden.has(span.parent_id))) hidden.add(span.id);
  return hidden;
}
