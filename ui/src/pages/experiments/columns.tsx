// The columns of a run table: fixed ones, then one for every parameter, metric and tag seen so far.
import type { Run } from "../../api/types.ts";
import { State } from "../../ui/Badge.tsx";
import type { GridColumn } from "../../ui/Grid.tsx";
import { Num } from "../../ui/Num.tsx";
import { Elapsed, Time } from "../../ui/Time.tsx";

export type ColumnKind = "run" | "metric" | "param" | "tag";
export interface RunColumn extends GridColumn<Run> {
  kind: ColumnKind;
  name: string;
}

const FIXED: RunColumn[] = [
  { id: "name", kind: "run", name: "Name", head: "Name", cell: (run) => run.name || run.id.slice(0, 8), width: 200, sortable: true },
  { id: "status", kind: "run", name: "Status", head: "Status", cell: (run) => <State of={run.status} />, width: 118 },
  {
    id: "started",
    kind: "run",
    name: "Started",
    head: "Started",
    cell: (run) => <Time us={run.started_us} />,
    width: 104,
    num: true,
    sortable: true,
  },
  {
    id: "took",
    kind: "run",
    name: "Took",
    head: "Took",
    cell: (run) => <Elapsed from={run.started_us} to={run.ended_us} />,
    width: 108,
    num: true,
  },
  { id: "owner", kind: "run", name: "Owner", head: "Owner", cell: (run) => run.owner, width: 100 },
];

/** All columns: the metrics of the whole experiment, the parameters and tags of these runs, in a stable order. */
export function catalogue(runs: Run[], metrics: string[]): RunColumn[] {
  const seen = { metric: new Set(metrics), param: new Set<string>(), tag: new Set<string>() };
  for (const run of runs) {
    for (const key of Object.keys(run.metrics)) seen.metric.add(key);
    for (const key of Object.keys(run.params)) seen.param.add(key);
    for (const key of Object.keys(run.tags)) if (!key.startsWith("mlflow.")) seen.tag.add(key);
  }
  const width = (key: string): number => Math.min(220, Math.max(104, key.length * 7.6 + 40));
  return [
    ...FIXED,
    ...[...seen.metric].sort().map((key): RunColumn => ({
      id: `m:${key}`,
      kind: "metric",
      name: key,
      head: key,
      title: `metric ${key}`,
      cell: (run) => <Num value={run.metrics[key]?.value} />,
      width: width(key),
      num: true,
      sortable: true,
    })),
    ...[...seen.param].sort().map((key): RunColumn => ({
      id: `p:${key}`,
      kind: "param",
      name: key,
      head: key,
      title: `parameter ${key}`,
      cell: (run) => run.params[key] ?? <span className="faint">–</span>,
      width: width(key),
      sortable: true,
    })),
    ...[...seen.tag].sort().map((key): RunColumn => ({
      id: `t:${key}`,
      kind: "tag",
      name: key,
      head: key,
      title: `tag ${key}`,
      cell: (run) => run.tags[key] ?? <span className="faint">–</span>,
      width: width(key),
      sortable: true,
    })),
  ];
}

/** What is shown until someone chooses: the fixed columns, four metrics, four parameters. */
export function usual(columns: RunColumn[]): string[] {
  const first = (kind: ColumnKind, n: number): string[] =>
    columns
      .filter((column) => column.kind === kind)
      .slice(0, n)
      .map((column) => column.id);
  return [...first("run", 9), ...first("metric", 4), ...first("param", 4)];
}

export const packIds = (ids: string[]): string => ids.map(encodeURIComponent).join(",");
export const unpackIds = (text: string | undefined): string[] => (text ? text.split(",").map(decodeURIComponent) : []);
