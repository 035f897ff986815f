// One monitor: the last window in figures, performance over time, drift by feature and window, one distribution in detail.
import { useQuery } from "@tanstack/react-query";
import { useMemo } from "react";
import { q } from "../../api/queries.ts";
import type { Monitor, MonitorWindow } from "../../api/types.ts";
import type { Marker } from "../../charts/markers.ts";
import { count, number } from "../../format/number.ts";
import { clock, day, exactTime } from "../../format/time.ts";
import { Card } from "../../ui/Card.tsx";
import { Page } from "../../ui/Page.tsx";
import { QueryView } from "../../ui/QueryView.tsx";
import { ChipChain } from "../../ui/RefChip.tsx";
import { Empty, Skeleton } from "../../ui/States.tsx";
import { Stat } from "../../ui/Stat.tsx";
import { State } from "../../ui/Badge.tsx";
import { usePart, useUrl } from "../../ui/useUrl.ts";
import { DriftEvidence } from "./DriftEvidence.tsx";
import { Drift } from "./Drift.tsx";
import { LoopCard } from "./LoopCard.tsx";
import { Performance } from "./Performance.tsx";
import { Policy } from "./Policy.tsx";
import { firstProvisional } from "./windows.ts";
import { Volume } from "./Volume.tsx";

const SPANS: [days: number, label: string][] = [
  [7, "7 d"],
  [30, "30 d"],
  [90, "90 d"],
  [0, "All"],
];

function LastWindow({ windows }: { windows: MonitorWindow[] }) {
  const last = windows.at(-1);
  const scored = windows.filter((window) => window.performance).at(-1);
  const [metric, value] = Object.entries(scored?.performance?.metrics ?? {})[0] ?? [];
  const drifted = Object.entries(last?.drift?.features ?? {})
    .filter(([, feature]) => feature.alarm)
    .map(([name]) => name);
  if (!last) return null;
  return (
    <div className="stats">
      <Stat
        label="Last window ended"
        value={<span title={exactTime(last.end_us)}>{day(last.end_us)}</span>}
        note={`${clock(last.end_us)}, ${count(last.rows)} rows`}
      />
      {last.drift?.enough === false || !last.drift ? (
        <Stat label="Features in drift" value="–" note="too few rows for a verdict" />
      ) : (
        <Stat
          label="Features in drift"
          value={`${drifted.length} of ${Object.keys(last.drift.features).length}`}
          note={drifted.join(", ") || "none"}
          {...(drifted.length ? { tone: "alarm" as const } : {})}
        />
      )}
      {metric && value && (
        <Stat
          label={`${metric}${scored && windows.indexOf(scored) >= firstProvisional(windows) ? ", provisional" : ""}`}
          value={number(value.value)}
          note={
            value.value === null
              ? "too few labels"
              : `${number(value.low)} to ${number(value.high)}${value.reference === null ? "" : `, reference ${number(value.reference)}`}`
          }
        />
      )}
      <Stat
        label="Labelled"
        value={`${last.rows ? Math.round((last.labelled / last.rows) * 100) : 0} %`}
        note={`${count(last.labelled)} of ${count(last.rows)} rows`}
      />
    </div>
  );
}

function Windows({ monitor }: { monitor: Monitor }) {
  const [search, setSearch] = useUrl();
  const days = SPANS.find(([each]) => String(each) === search["span"])?.[0] ?? 90;
  const query = useQuery(q.windows(monitor.name));
  const timeline = useQuery(q.timeline({ subject: `monitor:${monitor.name}`, limit: 200 }));
  const alarms = useMemo(
    () =>
      (timeline.data?.items ?? [])
        .filter((item) => item.kind === "alarm")
        .map((item): Marker => ({ x: (item.event_us ?? item.at_us) / 1e6, label: item.title, kind: "alarm" })),
    [timeline.data],
  );
  return (
    <QueryView
      query={query}
      skeleton={<Skeleton height={320} />}
      empty={(data) =>
        data.items.length ? null : (
          <Card>
            <Empty title="No window has closed yet" code={`trimtab monitors show ${monitor.name}`}>
              A window closes when its time is over and enough rows have come. Until then there is nothing to compare.
            </Empty>
          </Card>
        )
      }
    >
      {(data) => {
        const ordered = [...data.items].sort((a, b) => a.start_us - b.start_us);
        const newest = ordered.at(-1)?.end_us ?? 0;
        const windows = days ? ordered.filter((window) => window.end_us > newest - days * 86_400e6) : ordered;
        return (
          <>
            <LastWindow windows={ordered} />
            <div className="row spread row-wrap">
              <div className="segments" role="group" aria-label="Span">
                {SPANS.map(([each, label]) => (
                  <button
                    key={each}
                    type="button"
                    aria-pressed={each === days}
                    onClick={() => setSearch({ span: each === 90 ? undefined : String(each) })}
                  >
                    {label}
                  </button>
                ))}
              </div>
              <span className="faint small">
                {count(windows.length)} windows, {count(windows.reduce((sum, window) => sum + window.rows, 0))} rows
              </span>
            </div>
            <Performance windows={windows} name={monitor.name} alarms={alarms} />
            <Drift windows={windows} monitor={monitor} />
            <div className="grid-2">
              <DriftEvidence windows={windows} name={monitor.name} alarms={alarms} />
              <Volume windows={windows} name={monitor.name} />
            </div>
          </>
        );
      }}
    </QueryView>
  );
}

export function MonitorPage() {
  const name = usePart("name");
  const query = useQuery(q.monitor(name));
  const monitor = query.data;
  return (
    <Page
      title={name}
      crumbs={[{ label: "Monitors", href: "/monitors" }]}
      state={monitor && <State of={monitor.state} />}
      meta={monitor?.problem && <span className="is-alarm-text">{monitor.problem}</span>}
      chips={
        monitor && (
          <ChipChain groups={[[{ ref: monitor.reference }], [{ ref: `endpoint:${monitor.endpoint}` }], [{ ref: `monitor:${name}` }]]} />
        )
      }
    >
      <QueryView query={query}>
        {(data) => (
          <>
            <Windows monitor={data} />
            <LoopCard endpoint={data.endpoint} />
            <Policy monitor={data} />
          </>
        )}
      </QueryView>
    </Page>
  );
}
