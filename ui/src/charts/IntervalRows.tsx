// Evidence as rows: an estimate with its interval against a threshold, each on a scale of its own, and the verdict.
import type { ReactNode } from "react";
import { number } from "../format/number.ts";
import "./charts.css";
import { placed, type Interval } from "./intervals.ts";

export interface Evidence extends Interval { key: string; name: string; detail: ReactNode; tone: "good" | "bad" | "open"; verdict: ReactNode; thresholdLabel: string }

export function IntervalRows({ rows, label, signedValues = false }: { rows: Evidence[]; label: string; signedValues?: boolean }) {
  const text = (value: number | null): string => (signedValues && value !== null && value > 0 ? "+" : "") + number(value);
  return (
    <div className="intervals" role="table" aria-label={label}>
      {rows.map((row) => {
        const at = placed(row);
        return (
          <div key={row.key} role="row" className={`interval is-${row.tone}`}>
            <div role="rowheader" className="interval-name">
              <span className="truncate" title={row.name}>{row.name}</span>
              <span className="faint small">{row.detail}</span>
            </div>
            <div role="cell" className="interval-plot">
              {at && (
                <>
                  <span className="interval-axis" />
                  {at.threshold !== null && <span className="interval-threshold" style={{ left: `${at.threshold}%` }}><span className={at.threshold > 60 ? "is-left" : ""}>{row.thresholdLabel}</span></span>}
                  {at.low !== null && at.high !== null && <span className="interval-bar" style={{ left: `${at.low}%`, width: `${at.high - at.low}%` }} />}
                  {at.value !== null && <span className="interval-point" style={{ left: `${at.value}%` }} />}
                </>
              )}
            </div>
            <div role="cell" className="interval-value">
              <b>{text(row.value)}</b>
              {row.low !== null && row.high !== null && <span className="faint small">{text(row.low)} to {text(row.high)}</span>}
            </div>
            <div role="cell" className="interval-verdict">{row.verdict}</div>
          </div>
        );
      })}
    </div>
  );
}
