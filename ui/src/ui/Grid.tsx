// A virtualised table for long lists: only the rows in view exist, more pages load as the end comes near,
// the header and the first column stay, columns come and go, rows can be selected.
import { columnVisibilityFeature, tableFeatures, useTable, type ColumnDef } from "@tanstack/react-table";
import { useVirtualizer } from "@tanstack/react-virtual";
import { useEffect, useLayoutEffect, useMemo, useRef, useState, type ReactNode, type RefObject } from "react";
import { A } from "./A.tsx";
import { Icon } from "./Icon.tsx";
import "./grid.css";

export interface GridColumn<T> { id: string; head: ReactNode; cell: (row: T) => ReactNode; width: number; num?: boolean; sortable?: boolean; title?: string }
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

const ROW = 36;
const CHECK = 40;
const features = tableFeatures({ columnVisibilityFeature });

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

export function Grid<T extends object>({ label, rows, columns, shown, rowKey, href, sort, onSort, selected, onToggle, more, foot }: Props<T>) {
  const box = useRef<HTMLDivElement>(null);
  const room = useRoom(box);
  const byId = useMemo(() => new Map(columns.map((column) => [column.id, column])), [columns]);
  const defs = useMemo<ColumnDef<typeof features, T>[]>(() => columns.map((column) => ({ id: column.id, header: () => column.head, cell: (context) => column.cell(context.row.original) })), [columns]);
  const columnVisibility = useMemo(() => Object.fromEntries(columns.map((column) => [column.id, !shown || shown.includes(column.id)])), [columns, shown]);
  const table = useTable({ features, columns: defs, data: rows, getRowId: rowKey, state: { columnVisibility } });
  const model = table.getRowModel().rows;
  const virtual = useVirtualizer({ count: model.length, getScrollElement: () => box.current, estimateSize: () => ROW, overscan: 14 });
  const items = virtual.getVirtualItems();
  const last = items.at(-1)?.index ?? 0;
  const near = more?.has && !more.busy && last > model.length - 60;
  const load = more?.load;
  useEffect(() => { if (near) load?.(); }, [near, load]);

  const headers = table.getHeaderGroups()[0]?.headers ?? [];
  const widths = headers.map((header) => byId.get(header.id)?.width ?? 120);
  const template = `${onToggle ? `${CHECK}px ` : ""}${widths.map((width, i) => (i === 0 ? `minmax(${width}px, 1.4fr)` : `minmax(${width}px, 1fr)`)).join(" ")}`;
  const minWidth = widths.reduce((sum, width) => sum + width, onToggle ? CHECK : 0);
  return (
    <div className="grid-box">
      <div className="grid-scroll" ref={box} style={{ maxHeight: room }} role="table" aria-label={label} aria-rowcount={more?.has ? -1 : rows.length + 1} tabIndex={0}>
        <div className="grid-head" role="rowgroup" style={{ minWidth }}>
          <div className="grid-row" role="row" style={{ gridTemplateColumns: template }}>
            {onToggle && <span role="columnheader" className="grid-check"><span className="sr-only">Select</span></span>}
            {headers.map((header, i) => {
              const column = byId.get(header.id);
              const on = sort?.id === header.id;
              return (
                <span key={header.id} role="columnheader" className={`grid-cell ${column?.num ? "num" : ""} ${i === 0 ? "grid-first" : ""}`} title={column?.title ?? undefined} aria-sort={on ? (sort.desc ? "descending" : "ascending") : undefined}>
                  {column?.sortable && onSort
                    ? <button type="button" className="th-sort truncate" onClick={() => onSort(header.id)}><span className="truncate">{column.head}</span><span className={`th-arrow ${on ? "" : "th-off"} ${on && !sort.desc ? "th-up" : ""}`}><Icon name="down" size={11} /></span></button>
                    : <span className="truncate">{column?.head}</span>}
                </span>
              );
            })}
          </div>
        </div>
        <div role="rowgroup" style={{ height: virtual.getTotalSize(), minWidth, position: "relative" }}>
          {items.map((item) => {
            const row = model[item.index];
            if (!row) return null;
            const target = href(row.original);
            const checked = selected?.has(row.id) ?? false;
            return (
              <div key={row.id} role="row" aria-rowindex={item.index + 2} className={`grid-row grid-data row-link ${checked ? "is-selected" : ""}`} style={{ gridTemplateColumns: template, transform: `translateY(${item.start}px)`, height: ROW }}>
                {onToggle && <span role="cell" className="grid-check"><label><span className="sr-only">Select {row.id}</span><input type="checkbox" checked={checked} onChange={() => undefined} onClick={(event) => onToggle(row.id, event.shiftKey)} /></label></span>}
                {row.getVisibleCells().map((cell, i) => (
                  <span key={cell.id} role="cell" className={`grid-cell ${byId.get(cell.column.id)?.num ? "num" : ""} ${i === 0 ? "grid-first" : ""}`}>
                    {i === 0 && target ? <A href={target} className="row-target truncate" data-nav=""><table.FlexRender cell={cell} /></A> : <table.FlexRender cell={cell} />}
                  </span>
                ))}
              </div>
            );
          })}
        </div>
      </div>
      <div className="grid-foot"><span>{foot}</span>{more?.busy && <span>loading more…</span>}</div>
    </div>
  );
}
