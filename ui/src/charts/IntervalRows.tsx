// Evidence as rows: an estimate with its interval against its limits, each on a scale of its own, and the verdict.
import type { ReactNode } from "react";
import { number, signed } from "../format/number.ts";
import "./charts.css";
import { placed } from "./intervals.ts";

export interface Limit {
  value: number;
  label: string;
  harm?: boolean;
}
export interface Evidence {
  key: string;
  name: string;
  detail: ReactNode;
  value: number | null;
  low: number | null;
  high: number | null;
  limits: Limit[];
  tone: "good" | "bad" | "open";
  verdict: ReactNode;
  /** Whether the value is a difference, so that its sign is written. */
  difference?: boolean;
}

function Plot({ row }: { row: Evidence }) {
  const at = placed({ ...row, marks: row.limits.map((limit) => limit.value) });
  if (!at) return null;
  return (
    <>
      <span className="interval-axis" />
      {row.limits.map((limit, i) => {
        const left = at.marks[i] ?? 0;
        return (
          <span
            key={limit.label}
            className={`interval-limit ${limit.harm ? "is-harm" : ""} ${i % 2 ? "is-top" : ""}`}
            style={{ left: `${left}%` }}
          >
            <span className={left > 55 ? "is-left" : ""}>{limit.label}</span>
          </span>
        );
      })}
      {(at.low !== null || at.high !== null) && (
        <span className="interval-bar" style={{ left: `${at.low ?? 0}%`, width: `${(at.high ?? 100) - (at.low ?? 0)}%` }} />
      )}
      {at.value !== null && <span className="interval-point" style={{ left: `${at.value}%` }} />}
    </>
  );
}

export function IntervalRows({ rows, label }: { rows: Evidence[]; label: string }) {
  return (
    <div className="intervals" role="table" aria-label={label}>
      {rows.map((row) => {
        const text = row.difference ? signed : number;
        return (
          <div key={row.key} role="row" className={`interval is-${row.tone}`}>
            <div role="rowheader" className="interval-name">
              <span className="truncate" title={row.name}>
                {row.name}
              </span>
              <span className="faint small">{row.detail}</span>
            </div>
            <div role="cell" className="interval-plot">
              <Plot row={row} />
            </div>
            <div role="cell" className="interval-value">
              <b>{text(row.value)}</b>
              {(row.low !== null || row.high !== null) && (
                <span className="faint small">
                  {row.low === null ? "\u2212∞" : text(row.low)} to {row.high === null ? "∞" : text(row.high)}
                </span>
              )}
            </div>
            <div role="cell" className="interval-verdict">
              {row.verdict}
            </div>
          </div>
        );
      })}
    </div>
  );
}
