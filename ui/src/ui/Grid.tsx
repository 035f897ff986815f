// A virtualised table for long lists: only the rows in view exist, more pages load as the end comes near,
// the header and the first column stay, columns come and go, rows can be selected.
import { useVirtualizer } from "@tanstack/react-virtual";
import { useCallback, useEffect, useLayoutEffect, useMemo, useRef, useState, type ReactNode, type RefObject } from "react";
import { GridRow, ROW_PX, type GridColumn } from "./GridRow.tsx";
import { Icon } from "./Icon.tsx";
import "./grid.css";

export type { GridColumn } from "./GridRow.tsx";

interface Props<T> {
  label: string;
  rows: T[];
  columns: GridColumn<T>[];
  shown?: string[];
  rowKey: (row: T) => string;
  href: (row: T) => string | null;
  sort?: { id: string; desc: boolean } | null;
  onSort?: (id: string) => void;
  selected?: Set<string>;
  onToggle?: (key: string, range: boolean) => void;
  more?: { has: boolean; busy: boolean; load: () => void };
  foot?: ReactNode;
}

const CHECK_PX = 40;
const NEAR_THE_END = 120;

/** The height from the top of the table to the foot of the window, followed as the window changes. */
function useRoom(box: RefObject<HTMLDivElement | null>): number {
  const [room, setRoom] = useState(480);
  useLayoutEffect(() => {
    const measure = (): void => {
      const top = (box.current?.getBoundingClientRect().top ?? 0) + scrollY;
      setRoom(Math.max(380, innerHeight - top - 64));
    };
    measure();
    addEventListener("resize", measure);
    return () => removeEventListener("resize", measure);
  }, [box]);
  return room;
}

function Head<T>({ columns, sort, onSort }: { columns: GridColumn<T>[]; sort: Props<T>["sort"]; onSort: Props<T>["onSort"] }) {
  return columns.map((column, i) => {
    const on = sort?.id === column.id;
    return (
      <span
        key={column.id}
        role="columnheader"
        className={`grid-cell ${column.num ? "num" : ""} ${i === 0 ? "grid-first" : ""}`}
        title={column.title}
        aria-sort={on ? (sort.desc ? "descending" : "ascending") : undefined}
      >
        {column.sortable && onSort ? (
          <button type="button" className="th-sort truncate" onClick={() => onSort(column.id)}>
            <span className="truncate">{column.head}</span>
            <span className={`th-arrow ${on ? "" : "th-off"} ${on && !sort.desc ? "th-up" : ""}`}>
              <Icon name="down" size={11} />
            </span>
          </button>
        ) : (
          <span className="truncate">{column.head}</span>
        )}
      </span>
    );
  });
}

export function Grid<T extends object>({
  label,
  rows,
  columns,
  shown,
  rowKey,
  href,
  sort,
  onSort,
  selected,
  onToggle,
  more,
  foot,
}: Props<T>) {
  const box = useRef<HTMLDivElement>(null);
  const room = useRoom(box);
  const shownIds = shown?.join("\n");
  const visible = useMemo(
    () => (shownIds === undefined ? columns : columns.filter((column) => shownIds.split("\n").includes(column.id))),
    [columns, shownIds],
  );
  const latest = useRef(onToggle);
  useEffect(() => {
    latest.current = onToggle;
  });
  const toggle = useCallback((key: string, range: boolean) => latest.current?.(key, range), []);
  const virtual = useVirtualizer({ count: rows.length, getScrollElement: () => box.current, estimateSize: () => ROW_PX, overscan: 10 });
  const items = virtual.getVirtualItems();
  const last = items.at(-1)?.index ?? 0;
  const near = more?.has && !more.busy && last > rows.length - NEAR_THE_END;
  const load = more?.load;
  useEffect(() => {
    if (near) load?.();
  }, [near, load]);

  const selectable = Boolean(onToggle);
  const template = `${selectable ? `${CHECK_PX}px ` : ""}${visible.map((column, i) => `minmax(${column.width}px, ${i === 0 ? 1.4 : 1}fr)`).join(" ")}`;
  const minWidth = visible.reduce((sum, column) => sum + column.width, selectable ? CHECK_PX : 0);
  return (
    <div className="grid-box">
      <div
        className="grid-scroll"
        ref={box}
        style={{ maxHeight: room }}
        role="table"
        aria-label={label}
        aria-rowcount={more?.has ? -1 : rows.length + 1}
        tabIndex={0}
      >
        <div className="grid-head" role="rowgroup" style={{ minWidth }}>
          <div className="grid-row" role="row" style={{ gridTemplateColumns: template }}>
            {selectable && (
              <span role="columnheader" className="grid-check">
                <span className="sr-only">Select</span>
              </span>
            )}
            <Head columns={visible} sort={sort} onSort={onSort} />
          </div>
        </div>
        <div role="rowgroup" style={{ height: virtual.getTotalSize(), minWidth, position: "relative" }}>
          {items.map((item) => {
            const row = rows[item.index];
            if (!row) return null;
            const key = rowKey(row);
            return (
              <GridRow
                key={key}
                row={row}
                id={key}
                index={item.index}
                startPx={item.start}
                columns={visible}
                template={template}
                href={href(row)}
                checked={selected?.has(key) ?? false}
                onToggle={selectable ? toggle : null}
              />
            );
          })}
        </div>
      </div>
      <div className="grid-foot">
        <span>{foot}</span>
        {more?.busy && <span>loading more…</span>}
      </div>
    </div>
  );
}
