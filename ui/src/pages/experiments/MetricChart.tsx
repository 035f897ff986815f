// One metric over steps or time, one curve a run, down-sampled by the server to the pixels there are.
import { useQueries } from "@tanstack/react-query";
import { useEffect, useMemo, useRef, useState } from "react";
import { q } from "../../api/queries.ts";
import type { Run } from "../../api/types.ts";
import { Figure } from "../../charts/Figure.tsx";
import { joined, smoothed } from "../../charts/series.ts";
import { SeriesChart } from "../../charts/SeriesChart.tsx";
import { SERIES } from "../../design/theme.ts";
import { plural } from "../../format/number.ts";
import { SingleValues } from "./SingleValues.tsx";
import { Failed, Skeleton } from "../../ui/States.tsx";

const HEIGHT = 200;

function useInView(): [React.RefObject<HTMLDivElement | null>, boolean] {
  const ref = useRef<HTMLDivElement>(null);
  const [seen, setSeen] = useState(false);
  useEffect(() => {
    if (!ref.current || seen) return undefined;
    const observer = new IntersectionObserver(
      (entries) => {
        if (entries.some((entry) => entry.isIntersecting)) setSeen(true);
      },
      { rootMargin: "300px" },
    );
    observer.observe(ref.current);
    return () => observer.disconnect();
  }, [seen]);
  return [ref, seen];
}

interface Props {
  metric: string;
  runs: Run[];
  smooth: number;
  byTime: boolean;
  log: boolean;
}

export function MetricChart({ metric, runs, smooth, byTime, log }: Props) {
  const [ref, seen] = useInView();
  const histories = useQueries({ queries: runs.map((run) => ({ ...q.metric(run.id, metric, 640), enabled: seen })) });
  const ready = histories.every((history) => history.data);
  const failed = histories.find((history) => history.error)?.error;
  const stamp = histories.map((history) => history.dataUpdatedAt).join();
  const { xs, series, total, downsampled } = useMemo(() => {
    const curves = histories.map((history) => {
      const points = history.data?.points ?? [];
      const start = byTime && runs.length > 1 ? (points[0]?.[1] ?? 0) : 0;
      return {
        xs: points.map(([step, at]) => (byTime ? (at - start) / 1e6 : step)),
        ys: smoothed(
          points.map(([, , value]) => value),
          smooth,
        ),
      };
    });
    const common = joined(curves);
    return {
      xs: common.xs,
      series: runs.map((run, i) => ({
        label: runs.length > 1 ? run.name : metric,
        color: SERIES[i % SERIES.length] as string,
        values: common.columns[i] ?? [],
        ...(i >= SERIES.length ? { dash: [6, 3] } : {}),
      })),
      total: histories.reduce((sum, history) => sum + (history.data?.total ?? 0), 0),
      downsampled: histories.some((history) => history.data?.downsampled),
    };
    // The stamp stands for the histories, whose array is new on every render.
  }, [stamp, runs, byTime, smooth, metric]);
  const sheet = () => ({
    head: ["run", "metric", "step", "time", "value"],
    rows: histories.flatMap((history, i) =>
      (history.data?.points ?? []).map(([step, at, value]): (string | number | null)[] => [
        runs[i]?.name ?? "",
        metric,
        step,
        new Date(at / 1000).toISOString(),
        value,
      ]),
    ),
  });
  const once = ready && histories.every((history) => (history.data?.total ?? 0) <= 1);
  const clockTime = byTime && runs.length === 1;
  return (
    <div ref={ref} className="metric-cell">
      <Figure
        title={metric}
        note={ready ? `${plural(total, "point")}${downsampled ? ", thinned to the pixels" : ""}${smooth > 0 ? ", smoothed" : ""}` : ""}
        name={metric}
        sheet={sheet}
      >
        {failed ? (
          <Failed error={failed} />
        ) : ready && seen ? (
          once ? (
            <SingleValues
              values={histories.map((history, i) => ({ run: runs[i]?.name ?? "", value: history.data?.points[0]?.[2] ?? null }))}
            />
          ) : (
            <SeriesChart
              label={metric}
              xs={xs}
              series={series}
              height={HEIGHT}
              log={log}
              time={clockTime}
              xLabel={byTime && !clockTime ? "seconds" : "step"}
              sync="metrics"
            />
          )
        ) : (
          <Skeleton height={HEIGHT} />
        )}
      </Figure>
    </div>
  );
}
