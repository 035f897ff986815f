// The spans of a trace over its time: a row each, indented below what began it; rows with others below fold.
import { useState } from "react";
import type { Span } from "../../api/types.ts";
import { duration } from "../../format/time.ts";
import { Icon } from "../../ui/Icon.tsx";
import { barOf, hiddenBelow, lengthOf } from "./waterfall.ts";

interface Props {
  spans: Span[];
  chosen: string;
  choose: (id: string) => void;
}

export function Waterfall({ spans, chosen, choose }: Props) {
  const [folded, setFolded] = useState<ReadonlySet<string>>(new Set());
  const length = lengthOf(spans);
  const hidden = hiddenBelow(spans, folded);
  const parents = new Set(spans.map((span) => span.parent_id));
  const fold = (id: string): void =>
    setFolded((before) => {
      const after = new Set(before);
      if (!after.delete(id)) after.add(id);
      return after;
    });
  return (
    <ol className="waterfall" aria-label="Spans">
      {spans
        .filter((span) => !hidden.has(span.id))
        .map((span) => {
          const bar = barOf(span, length);
          return (
            <li key={span.id} className={`wf-row ${span.id === chosen ? "is-chosen" : ""}`}>
              <span className="wf-name" style={{ paddingInlineStart: Math.min(span.depth, 12) * 14 }}>
                {parents.has(span.id) ? (
                  <button
                    type="button"
                    className={`wf-toggle ${folded.has(span.id) ? "" : "is-open"}`}
                    aria-expanded={!folded.has(span.id)}
                    aria-label={`Spans below ${span.name}`}
                    onClick={() => fold(span.id)}
                  >
                    <Icon name="right" size={12} />
                  </button>
                ) : (
                  <i className="wf-leaf" />
                )}
                {span.status === "ERROR" && <Icon name="cross" size={12} label="Error" />}
                <button type="button" className="wf-span truncate" aria-pressed={span.id === chosen} onClick={() => choose(span.id)}>
                  {span.name}
                  {span.type && <span className="wf-type"> {span.type.toLowerCase().replaceAll("_", " ")}</span>}
                </button>
              </span>
              <span className="wf-track" aria-hidden>
                <i className={span.status === "ERROR" ? "is-error" : ""} style={{ left: `${bar.left}%`, width: `${bar.width}%` }} />
              </span>
              <span className="wf-time">{span.duration_us === null ? "open" : duration(span.duration_us)}</span>
            </li>
          );
        })}
    </ol>
  );
}
