// The head of the run table: sort by a click, drag the edge for the width, drag the head for the place, and a menu for the rest.
import { useState, type DragEvent, type KeyboardEvent, type PointerEvent } from "react";
import { Icon } from "../../../ui/Icon.tsx";
import { Menu, type MenuItem } from "../../../ui/Menu.tsx";
import type { RunColumn } from "./columns.ts";

export interface HeadActs {
  sort: { id: string; desc: boolean } | null;
  onSort: (id: string, desc: boolean | null) => void;
  onWidth: (id: string, width: number) => void;
  onMove: (id: string, before: string) => void;
  onPin: (id: string, pinned: boolean) => void;
  onHide: (id: string) => void;
  onGroup: (id: string) => void;
}
interface Props {
  columns: RunColumn[];
  places: number[];
  cells: number[];
  pins: number;
  pinnedWidth: number;
  width: number;
  acts: HeadActs;
}

const KIND_WORD: Record<string, string> = { metric: "metric", param: "parameter", tag: "tag", run: "attribute" };

export function GridHead({ columns, places, cells, pins, pinnedWidth, width, acts }: Props) {
  const [menu, setMenu] = useState<{ column: RunColumn; at: DOMRect } | null>(null);
  const [over, setOver] = useState<string | null>(null);

  const resize = (event: PointerEvent<HTMLElement>, column: RunColumn): void => {
    event.preventDefault();
    event.stopPropagation();
    const start = event.clientX;
    const handle = event.currentTarget;
    handle.setPointerCapture(event.pointerId);
    const move = (now: globalThis.PointerEvent): void => acts.onWidth(column.id, column.width + now.clientX - start);
    const end = (): void => {
      handle.removeEventListener("pointermove", move);
      handle.removeEventListener("pointerup", end);
      handle.removeEventListener("pointercancel", end);
    };
    handle.addEventListener("pointermove", move);
    handle.addEventListener("pointerup", end);
    handle.addEventListener("pointercancel", end);
  };
  const resizeByKey = (event: KeyboardEvent, column: RunColumn): void => {
    const step = event.key === "ArrowRight" ? 16 : event.key === "ArrowLeft" ? -16 : 0;
    if (!step) return;
    event.preventDefault();
    event.stopPropagation();
    acts.onWidth(column.id, column.width + step);
  };
  const drop = (event: DragEvent, column: RunColumn): void => {
    event.preventDefault();
    setOver(null);
    const moved = event.dataTransfer.getData("text/x-trimtab-column");
    if (moved && moved !== column.id) acts.onMove(moved, column.id);
  };
  const itemsOf = (column: RunColumn): MenuItem[] => {
    const i = columns.indexOf(column);
    const left = columns[i - 1];
    const right = columns[i + 2];
    return [
      ...(column.order
        ? ([
            { label: "Sort, least first", icon: "promote", act: () => acts.onSort(column.id, false) },
            { label: "Sort, greatest first", icon: "down", act: () => acts.onSort(column.id, true) },
            ...(acts.sort?.id === column.id ? [{ label: "Newest first again", act: () => acts.onSort(column.id, null) } as const] : []),
            "line",
          ] as MenuItem[])
        : []),
      ...(column.kind === "param" || column.kind === "tag" || column.id === "status"
        ? ([{ label: `Group by ${column.name}`, icon: "split", act: () => acts.onGroup(column.id) }, "line"] as MenuItem[])
        : []),
      ...(column.id !== "name"
        ? ([
            { label: i < pins ? "Unpin" : "Pin to the left", icon: "columns", act: () => acts.onPin(column.id, i >= pins) },
            ...(left && left.id !== "name" ? [{ label: "Move left", act: () => acts.onMove(column.id, left.id) } as const] : []),
            ...(i < columns.length - 1 ? [{ label: "Move right", act: () => acts.onMove(column.id, right?.id ?? "") } as const] : []),
            { label: "Hide", icon: "close", act: () => acts.onHide(column.id) },
          ] as MenuItem[])
        : []),
    ];
  };
  const head = (i: number, pinned: boolean) => {
    const column = columns[i];
    if (!column) return null;
    const on = acts.sort?.id === column.id ? acts.sort : null;
    return (
      <span
        key={column.id}
        role="columnheader"
        aria-colindex={i + 2}
        aria-sort={on ? (on.desc ? "descending" : "ascending") : undefined}
        className={`rg-cell rg-th ${column.numeric ? "num" : ""} ${pinned ? "" : "rg-free"} ${over === column.id ? "is-over" : ""}`}
        style={pinned ? { width: column.width } : { left: places[i], width: column.width }}
        title={`${KIND_WORD[column.kind]} ${column.name}`}
        draggable={column.id !== "name"}
        onDragStart={(event) => event.dataTransfer.setData("text/x-trimtab-column", column.id)}
        onDragOver={(event) => {
          event.preventDefault();
          setOver(column.id);
        }}
        onDragLeave={() => setOver(null)}
        onDrop={(event) => drop(event, column)}
      >
        {column.order ? (
          <button type="button" className="rg-sort" onClick={() => acts.onSort(column.id, on ? (on.desc ? false : null) : true)}>
            <span className="truncate">{column.name}</span>
            {on && (
              <span className={on.desc ? "" : "th-up"}>
                <Icon name="down" size={11} />
              </span>
            )}
          </button>
        ) : (
          <span className="truncate rg-sort">{column.name}</span>
        )}
        <button
          type="button"
          className="rg-more"
          aria-label={`Menu of ${column.name}`}
          aria-haspopup="menu"
          onClick={(event) => setMenu({ column, at: event.currentTarget.getBoundingClientRect() })}
        >
          <svg width="12" height="12" viewBox="0 0 12 12" fill="currentColor" aria-hidden>
            <circle cx="2" cy="6" r="1.1" />
            <circle cx="6" cy="6" r="1.1" />
            <circle cx="10" cy="6" r="1.1" />
          </svg>
        </button>
        <span
          className="rg-edge"
          role="separator"
          aria-orientation="vertical"
          aria-label={`Width of ${column.name}`}
          aria-valuenow={column.width}
          aria-valuemin={60}
          aria-valuemax={800}
          tabIndex={0}
          onPointerDown={(event) => resize(event, column)}
          onKeyDown={(event) => resizeByKey(event, column)}
          onDoubleClick={() => acts.onWidth(column.id, 0)}
        />
      </span>
    );
  };
  return (
    <div role="rowgroup" className="rg-head" style={{ width }}>
      <div role="row" aria-rowindex={1} className="rg-row-head">
        <div className="rg-pinned" style={{ width: pinnedWidth }}>
          <span role="columnheader" className="rg-check">
            <span className="sr-only">Selected</span>
          </span>
          {columns.slice(0, pins).map((_, i) => head(i, true))}
        </div>
        {cells.map((i) => head(i, false))}
      </div>
      {menu && <Menu label={`Column ${menu.column.name}`} at={menu.at} items={itemsOf(menu.column)} onClose={() => setMenu(null)} />}
    </div>
  );
}
