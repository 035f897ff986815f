// One monitor: the last window in figures, performance over time, drift by feature and window, one distribution in detail.
import { useQuery } from "@tanstack/react-query";
import { q } from "../../api/queries.ts";
import type { Monitor, MonitorWindow } from "../../api/types.ts";
import { count, number } from "../../format/number.ts";
import { Card } from "../../ui/Card.tsx";
import { Page } from "../../ui/Page.tsx";
import { QueryView } from "../../ui/QueryView.tsx";
import { ChipChain } from "../../ui/RefChip.tsx";
import { Empty, Skeleton } from "../../ui/States.tsx";
import { Stat } from "../../ui/Stat.tsx";
import { State } from "../../ui/Badge.tsx";
import { Time } from "../../ui/Time.tsx";
import { usePart, useUrl } from "../../ui/useUrl.ts";
import { Drift } from "./Drift.tsx";
import { Performance } from "./Performance.tsx";
import { Policy } from "./Policy.tsx";
import { Volume } from "./Volume.tsx";

const SPANS: [days: number, label: string][] = [[7, "7 d"], [30, "30 d"], [90, "90 d"], [0, "All"]];

function LastWindow({ windows }: { windows: MonitorWindow[] }) {
  const last = windows.at(-1);
  const scored = windows.filter((window) => window.performance).at(-1);
  const [metric, value] = Object.entries(scored?.performance?.metrics ?? {})[0] ?? [];
  const drifted = Object.entries(last?.drift?.features ?? {}).filter(([, feature]) => feature.alarm).map(([name]) => name);
  if (!last) return null;
  return (
    <div className="stats">
      <Stat label="Last window ended" value={<Time us={last.end_us} />} note={`${count(last.rows)} rows`} />
      <Stat label="Features in drift" value={`${drifted.length} of ${Object.keys(last.drift?.features ?? {}).length}`} note={drifted.join(", ") || "none"} {...(drifted.length ? { tone: "alarm" as const } : {})} />
      {metric && value && <Stat label={`${metric}${scored?.performance?.provisional ? ", provisional" : ""}`} value={number(value.value)} note={`${number(value.low)} to ${number(value.high)}, reference ${number(value.reference)}`} {...(scored?.performance?.alarm ? { tone: "alarm" as const } : {})} />}
      <Stat label="Labelled" value={`${last.rows ? Math.round((last.labelled / last.rows) * 100) : 0} %`} note={`${count(last.labelled)} of ${count(last.rows)} rows`} />
    </div>
  );
}

function Windows({ monitor }: { monitor: Monitor }) {
  const [search, setSearch] = useUrl();
  const days = SPANS.find(([each]) => String(each) === search["span"])?.[0] ?? 90;
  const query = useQuery(q.windows(monitor.name));
  return (
    <QueryView query={query} skeleton={<Skeleton height={320} />} empty={(data) => (data.items.length ? null : <Card><Empty title="No window has closed yet" code={`trimtab monitors show ${monitor.name}`}>A window closes when its time is over and enough rows have come. Until then there is nothing to compare.</Empty></Card>)}>
      {(data) => {
        const ordered = [...data.items].sort((a, b) => a.start_us - b.start_us);
        const newest = ordered.at(-1)?.end_us ?? 0;
        const windows = days ? ordered.filter((window) => window.end_us > newest - days * 86_400e6) : ordered;
        return (
          <>
            <LastWindow windows={ordered} />
            <div className="row spread row-wrap">
              <div className="segments" role="group" aria-label="Span">
                {SPANS.map(([each, label]) => <button key={each} type="button" aria-pressed={each === days} onClick={() => setSearch({ span: each === 90 ? undefined : String(each) })}>{label}</button>)}
              </div>
              <span className="faint small">{count(windows.length)} windows, {count(windows.reduce((sum, window) => sum + window.rows, 0))} rows</span>
            </div>
            <Performance windows={windows} name={monitor.name} />
            <Drift windows={windows} monitor={monitor} />
            <div className="grid-2">
              <Volume windows={windows} name={monitor.name} />
              <Policy monitor={monitor} />
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
    <Page title={name} crumbs={[{ label: "Monitors", href: "/monitors" }]} state={monitor && <State of={monitor.state} />}
      chips={monitor && <ChipChain refs={[{ ref: monitor.reference }, { ref: `endpoint:${monitor.endpoint}` }]} />}>
      <QueryView query={query}>{(data) => <Windows monitor={data} />}</QueryView>
    </Page>
  );
}
