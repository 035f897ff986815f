// The columns of the run table by their ids: "status", "m:loss", "p:depth", "t:team". An id is enough to draw, ask and sort.
import type { Run, RunColumns } from "../../../api/types.ts";
import { exact, figure } from "../../../format/number.ts";
import { duration, exactTime, relative } from "../../../format/time.ts";
import { writtenName } from "../filter/grammar.ts";

export type ColumnKind = "run" | "metric" | "param" | "tag";
export interface RunColumn {
  id: string;
  kind: ColumnKind;
  name: string;
  numeric: boolean;
  width: number;
  /** What the server sorts by, or null where it cannot. */
  order: string | null;
}

const FIXED: Record<string, [name: string, width: number, numeric: boolean, order: string | null]> = {
  name: ["Run", 260, false, "attributes.run_name"],
  status: ["Status", 104, false, "attributes.status"],
  started: ["Started", 108, true, "attributes.start_time"],
  took: ["Took", 100, true, null],
  owner: ["Owner", 110, false, "attributes.user_id"],
  source: ["Source", 150, false, null],
  commit: ["Commit", 92, false, null],
  data: ["Data", 150, false, null],
  id: ["Run id", 130, false, "attributes.run_id"],
};
export const FIXED_IDS = Object.keys(FIXED);
const KINDS: Record<string, { kind: ColumnKind; entity: string }> = {
  m: { kind: "metric", entity: "metrics" },
  p: { kind: "param", entity: "params" },
  t: { kind: "tag", entity: "tags" },
};

export function columnOf(id: string): RunColumn {
  const fixed = FIXED[id];
  if (fixed) return { id, kind: "run", name: fixed[0], width: fixed[1], numeric: fixed[2], order: fixed[3] };
  const { kind, entity } = KINDS[id.slice(0, 1)] ?? { kind: "tag" as const, entity: "tags" };
  const name = id.slice(2);
  return {
    id,
    kind,
    name,
    numeric: kind === "metric",
    width: Math.round(Math.min(210, Math.max(96, name.length * 7.4 + 44))),
    order: writtenName(entity, name),
  };
}

/** The ids of what a filter may name: every metric, parameter and tag that runs of the experiment have. */
export function idsOf(catalogue: RunColumns | undefined): string[] {
  if (!catalogue) return FIXED_IDS;
  return [
    ...FIXED_IDS,
    ...catalogue.metrics.map((each) => `m:${each.name}`),
    ...catalogue.params.map((each) => `p:${each.name}`),
    ...catalogue.tags.filter((each) => !each.name.startsWith("mlflow.")).map((each) => `t:${each.name}`),
  ];
}

/** A catalogue from some runs, for the moment until the server has counted those of all. */
export function sampled(runs: Run[]): RunColumns {
  const tally = (keysOf: (run: Run) => object): { name: string; runs: number }[] => {
    const seen = new Map<string, number>();
    for (const run of runs) for (const key of Object.keys(keysOf(run))) seen.set(key, (seen.get(key) ?? 0) + 1);
    return [...seen].map(([name, count]) => ({ name, runs: count }));
  };
  return { metrics: tally((run) => run.metrics), params: tally((run) => run.params), tags: tally((run) => run.tags), attributes: [] };
}

/** What is shown until someone chooses: the metrics and parameters that most runs have. */
export function usual(catalogue: RunColumns | undefined): string[] {
  const most = (list: { name: string; runs: number }[], n: number): string[] =>
    [...list]
      .filter((each) => !each.name.startsWith("system/"))
      .sort((a, b) => b.runs - a.runs || a.name.localeCompare(b.name))
      .slice(0, n)
      .map((each) => each.name);
  return [
    "name",
    "status",
    "started",
    "took",
    "owner",
    ...most(catalogue?.metrics ?? [], 5).map((name) => `m:${name}`),
    ...most(catalogue?.params ?? [], 6).map((name) => `p:${name}`),
  ];
}

const PARENT = "mlflow.parentRunId";

/** The `columns` that the server is asked for, so that a page of a thousand metrics carries only those on show. */
export function wantedOf(ids: string[]): string[] {
  const wanted = ids.flatMap((id) => {
    const entity = id[1] === ":" ? KINDS[id.slice(0, 1)]?.entity : undefined;
    return entity ? [`${entity}.${id.slice(2)}`] : [];
  });
  return [...wanted, `tags.${PARENT}`];
}

/** Text and full text of a cell; "" where a run has no value. */
export function cellOf(id: string, run: Run, nowMs: number): [text: string, full: string] {
  switch (id) {
    case "started":
      return [relative(run.started_us, nowMs), exactTime(run.started_us)];
    case "took": {
      const text = duration(Math.max(0, (run.ended_us ?? nowMs * 1000) - run.started_us));
      return [text, run.ended_us ? `ended ${exactTime(run.ended_us)}` : "still going"];
    }
    case "owner":
      return [run.owner, run.owner];
    case "source": {
      const name = run.source["name"] ?? "";
      return [name.split("/").pop() ?? "", name];
    }
    case "commit":
      return [run.source["commit"]?.slice(0, 8) ?? "", run.source["commit"] ?? ""];
    case "data":
      return [run.datasets.map((each) => each.name).join(", "), run.datasets.map((each) => `${each.name} ${each.digest}`).join(", ")];
    case "id":
      return [run.id.slice(0, 12), run.id];
    case "name":
      return [run.name || run.id.slice(0, 8), run.name];
    case "status":
      return [run.status, run.status];
  }
  const key = id.slice(2);
  if (id[0] === "m") {
    const metric = run.metrics[key];
    return metric === undefined ? ["", ""] : [figure(metric.value), `${exact(metric.value)} at step ${metric.step}`];
  }
  const text = (id[0] === "p" ? run.params[key] : run.tags[key]) ?? "";
  return [text, text];
}

export const parentOf = (run: Run): string | undefined => run.tags[PARENT];
export const packIds = (ids: string[]): string => ids.map(encodeURIComponent).join(",");
export const unpackIds = (text: string | undefined): string[] => (text ? text.split(",").map(decodeURIComponent) : []);
