// One feature in one window: the current distribution in front of the reference, and the test behind the colour.
import { useQuery } from "@tanstack/react-query";
import { q } from "../../api/queries.ts";
import type { MonitorWindow } from "../../api/types.ts";
import { Figure } from "../../charts/Figure.tsx";
import { Histogram } from "../../charts/Histogram.tsx";
import { count, number } from "../../format/number.ts";
import { dayClock } from "../../format/time.ts";
import { Facts } from "../../ui/Facts.tsx";
import { QueryView } from "../../ui/QueryView.tsx";
import { Skeleton } from "../../ui/States.tsx";
import { cells } from "./cells.ts";
import "./monitors.css";

export function FeatureDetail({ monitor, feature, window }: { monitor: string; feature: string; window: MonitorWindow }) {
  const query = useQuery(q.feature(monitor, feature, { from_us: window.start_us, to_us: window.end_us }));
  const drift = window.drift?.features[feature];
  const sheet = () => {
    const data = query.data;
    return {
      head: ["cell", "reference", "current"],
      rows: data ? cells(data).map((cell, i) => [cell.name, data.reference[i] ?? null, data.current[i] ?? null]) : [],
    };
  };
  return (
    <Figure title={feature} note={dayClock(window.end_us)} name={`${monitor}-${feature}`} sheet={sheet}>
      <div className="stack stack-s">
        <div className="series-legend">
          <span className="series-key">
            <span className="detail-now" aria-hidden />
            this window
          </span>
          <span className="series-key">
            <span className="series-swatch is-dashed detail-reference" aria-hidden />
            reference
          </span>
        </div>
        <QueryView query={query} skeleton={<Skeleton height={170} />}>
          {(data) => (
            <Histogram
              label={`${feature}: this window against the reference`}
              cells={cells(data)}
              counts={data.current}
              reference={data.reference}
              height={180}
            />
          )}
        </QueryView>
        {drift && (
          <Facts
            items={[
              drift.psi !== null && ["PSI", number(drift.psi)],
              drift.statistic !== null && ["Statistic", number(drift.statistic)],
              ["Threshold", number(drift.threshold)],
              drift.p_value !== null && ["p-value", number(drift.p_value)],
              ["Rows", count(window.rows)],
              [
                "Alarm",
                drift.alarm ? (
                  <b key="a" className="is-alarm-text">
                    yes
                  </b>
                ) : (
                  "no"
                ),
              ],
            ]}
          />
        )}
      </div>
    </Figure>
  );
}
