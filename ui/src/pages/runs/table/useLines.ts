// The lines for a question (filter, order, grouping): made when the question changes, shown when their first rows are there,
// so that the table never goes blank; asked again with other columns in place.
import { useEffect, useMemo, useRef, useState, useSyncExternalStore } from "react";
import { get } from "../../../api/client.ts";
import type { Page, Run } from "../../../api/types.ts";
import { Lines, type GroupHead } from "./lines.ts";
import type { Load } from "./window.ts";

interface Question {
  experiment: string;
  filter: string;
  order: string;
  wanted: string[];
  total: number | null;
  groups: { heads: GroupHead[]; clauseOf: (group: GroupHead) => string } | null;
  /** Raised to read everything anew. */
  epoch: number;
}

const LIGHT = ["tags.mlflow.parentRunId"];

export function useLines(question: Question): { lines: Lines; waiting: boolean; version: number } {
  const { experiment, filter, order, wanted, total, groups, epoch } = question;
  const wantedKey = wanted.join("\n");
  const groupKey = groups ? JSON.stringify(groups.heads) : "";
  const wantedNow = useRef(wanted);
  wantedNow.current = wanted;
  const lines = useMemo(() => {
    const loadFor =
      (extra: string): Load<Run> =>
      ({ cursor, limit, light, signal }) =>
        get<Page<Run>>(
          "/runs",
          {
            experiment_id: experiment,
            filter: [filter, extra].filter(Boolean).join(" AND "),
            order_by: order,
            limit,
            cursor,
            columns: light ? LIGHT : wantedNow.current,
          },
          signal,
        );
    return new Lines({ question: [experiment, filter, order, groupKey].join("|"), loadFor, total, ...(groups ? { groups } : {}) });
    // The heads stand for the groups; the total only sets the height and is passed on below.
  }, [experiment, filter, order, groupKey, epoch]);
  useEffect(() => () => lines.stop(), [lines]);
  useEffect(() => lines.setTotal(total), [lines, total]);

  const askedFor = useRef({ lines, wantedKey });
  useEffect(() => {
    const before = askedFor.current;
    askedFor.current = { lines, wantedKey };
    if (before.lines === lines && before.wantedKey !== wantedKey) lines.renew();
  }, [lines, wantedKey]);

  const [shown, setShown] = useState(lines);
  const nextVersion = useSyncExternalStore(lines.subscribe, lines.snapshot);
  const version = useSyncExternalStore(shown.subscribe, shown.snapshot);
  useEffect(() => {
    if (shown === lines) return;
    lines.need(0, 60);
    if (!lines.fresh || lines.error !== null) setShown(lines);
  }, [lines, shown, nextVersion]);
  return { lines: shown, waiting: shown !== lines, version };
}
