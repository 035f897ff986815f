// One line of the run table: a run, a group's head, or the place of a run that is on its way. Drawn again only when it changes.
import { memo, type MouseEvent } from "react";
import type { Run } from "../../../api/types.ts";
import { count, plural } from "../../../format/number.ts";
import { paths } from "../../../paths.ts";
import { A } from "../../../ui/A.tsx";
import { State } from "../../../ui/Badge.tsx";
import { Icon } from "../../../ui/Icon.tsx";
import { cellOf, type RunColumn } from "./columns.ts";
import type { GroupHead } from "./lines.ts";

interface Props {
  at: number;
  run: Run | undefined;
  group: GroupHead | undefined;
  /** Whether columns that were not asked for before are still on their way. */
  stale: boolean;
  open: boolean;
  depth: number;
  columns: RunColumn[];
  places: number[];
  cells: number[];
  pins: number;
  pinnedWidth: number;
  width: number;
  nowMs: number;
  active: boolean;
  selected: boolean;
  kids: number | null;
  onToggle: (line: number, range: boolean) => void;
  onFold: (line: number) => void;
  onActive: (line: number) => void;
}

function Cell({ column, run, nowMs, stale }: { column: RunColumn; run: Run; nowMs: number; stale: boolean }) {
  if (column.id === "status") return <State of={run.status} />;
  const [text, full] = cellOf(column.id, run, nowMs);
  if (text === "") return stale ? null : <span className="faint">–</span>;
  return <span title={full === text && text.length < 18 ? undefined : full}>{text}</span>;
}

function Drawn({ at, run, group, stale, open, depth, columns, places, cells, pins, pinnedWidth, width, nowMs, ...rest }: Props) {
  const { active, selected, kids, onToggle, onFold, onActive } = rest;
  const style = { transform: `translateY(${at * 32}px)`, width };
  const base = `rg-row ${selected ? "is-selected" : ""} ${active ? "is-active" : ""}`;
  if (group)
    return (
      <div
        id={`run-line-${at}`}
        role="row"
        aria-rowindex={at + 2}
        aria-level={1}
        aria-expanded={open}
        className={`${base} rg-group`}
        style={style}
      >
        <div className="rg-group-cell" role="gridcell">
          <button type="button" tabIndex={-1} onClick={() => onFold(at)}>
            <span className={`rg-caret ${open ? "is-open" : ""}`}>
              <Icon name="right" size={12} />
            </span>
            <b className="truncate">{group.value ?? "no value"}</b>
            <span className="faint">{plural(group.runs, "run")}</span>
          </button>
        </div>
      </div>
    );
  const click = (event: MouseEvent): void => {
    if ((event.target as HTMLElement).closest("a, button, input, label")) return;
    if (event.shiftKey || event.ctrlKey || event.metaKey) onToggle(at, event.shiftKey);
    else onActive(at);
  };
  return (
    <div
      id={`run-line-${at}`}
      role="row"
      aria-rowindex={at + 2}
      aria-level={depth + 1}
      aria-selected={selected}
      aria-expanded={kids === 0 ? undefined : open}
      className={base}
      style={style}
      onClick={click}
    >
      <div className="rg-pinned" style={{ width: pinnedWidth }}>
        <span role="gridcell" className="rg-check">
          <label>
            <span className="sr-only">Select {run?.name ?? "run"}</span>
            <input
              type="checkbox"
              tabIndex={-1}
              checked={selected}
              disabled={!run}
              onChange={() => undefined}
              onClick={(event) => onToggle(at, event.shiftKey)}
            />
          </label>
        </span>
        {columns.slice(0, pins).map((column, i) => (
          <span
            key={column.id}
            role="gridcell"
            aria-colindex={i + 2}
            className={`rg-cell ${column.numeric ? "num" : ""}`}
            style={{ width: column.width }}
          >
            {i > 0 ? (
              run ? (
                <Cell column={column} run={run} nowMs={nowMs} stale={stale} />
              ) : null
            ) : (
              <span className="rg-name" style={{ paddingLeft: depth * 16 }}>
                {kids !== 0 && run ? (
                  <button
                    type="button"
                    tabIndex={-1}
                    className={`rg-caret ${open ? "is-open" : ""}`}
                    aria-label={open ? "Fold the nested runs" : "Show the nested runs"}
                    onClick={() => onFold(at)}
                  >
                    <Icon name="right" size={12} />
                  </button>
                ) : null}
                {run ? (
                  <A href={paths.run(run.id)} className="rg-link truncate" tabIndex={-1} title={run.name}>
                    {run.name || run.id.slice(0, 8)}
                  </A>
                ) : (
                  <span className="rg-wait" />
                )}
                {kids !== null && kids > 0 && <span className="rg-kids">{count(kids)}</span>}
              </span>
            )}
          </span>
        ))}
      </div>
      {run &&
        cells.map((i) => {
          const column = columns[i];
          return (
            column && (
              <span
                key={column.id}
                role="gridcell"
                aria-colindex={i + 2}
                className={`rg-cell rg-free ${column.numeric ? "num" : ""}`}
                style={{ left: places[i], width: column.width }}
              >
                <Cell column={column} run={run} nowMs={nowMs} stale={stale} />
              </span>
            )
          );
        })}
    </div>
  );
}

export const Row = memo(Drawn);
