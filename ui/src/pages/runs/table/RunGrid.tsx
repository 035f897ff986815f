// The run table itself: only the rows and columns in view are in the page, pinned columns stay, and the keyboard reaches
// everything: arrows or j/k move, Shift extends the selection, x or Space selects, Enter opens, left and right fold.
import { useRouter } from "@tanstack/react-router";
import { useCallback, useEffect, useLayoutEffect, useMemo, useRef, useState, type KeyboardEvent, type ReactNode } from "react";
import { paths } from "../../../paths.ts";
import { useNow } from "../../../ui/Time.tsx";
import type { RunColumn } from "./columns.ts";
import { GridHead, type HeadActs } from "./GridHead.tsx";
import { Row } from "./Row.tsx";
import type { Line, Lines } from "./lines.ts";
import "../../../ui/grid.css";
import "./table.css";

export const ROW_PX = 32;
const HEAD_PX = 34;
const OVERSCAN = 6;
const CHECK_PX = 36;
/** Browsers stop laying out at some tens of millions of pixels. */
const MOST_LINES = 900_000;

interface Props {
  label: string;
  lines: Lines;
  count: number;
  columns: RunColumn[];
  pins: number;
  acts: HeadActs;
  selected: Set<string>;
  onSelect: (next: Set<string>) => void;
  childrenOf: (id: string) => number | null;
  onView: (visible: Line[]) => void;
  foot: (first: number, last: number) => ReactNode;
}

interface Span {
  first: number;
  last: number;
  left: number;
  right: number;
}

export function RunGrid({ label, lines, count, columns, pins, acts, selected, onSelect, childrenOf, onView, foot }: Props) {
  const box = useRef<HTMLDivElement>(null);
  const router = useRouter();
  const nowMs = useNow();
  const [span, setSpan] = useState<Span>({ first: 0, last: 30, left: 0, right: 1600 });
  const [room, setRoom] = useState(520);
  const [active, setActive] = useState(-1);
  const anchor = useRef(-1);
  const shownCount = Math.min(count, MOST_LINES);

  const places = useMemo(() => {
    let at = CHECK_PX;
    return columns.map((column) => {
      const left = at;
      at += column.width;
      return left;
    });
  }, [columns]);
  const width = (places.at(-1) ?? CHECK_PX) + (columns.at(-1)?.width ?? 0);
  const pinnedWidth = (places[pins] ?? width) || width;

  useLayoutEffect(() => {
    const measure = (): void => {
      const top = (box.current?.getBoundingClientRect().top ?? 0) + scrollY;
      setRoom(Math.max(360, innerHeight - top - 58));
    };
    measure();
    addEventListener("resize", measure);
    return () => removeEventListener("resize", measure);
  }, []);

  const look = useCallback(() => {
    const element = box.current;
    if (!element) return;
    const first = Math.max(0, Math.floor(element.scrollTop / ROW_PX));
    const last = Math.ceil((element.scrollTop + element.clientHeight - HEAD_PX) / ROW_PX);
    const left = Math.floor(element.scrollLeft / 120) * 120;
    setSpan((before) => {
      const next = { first, last, left, right: left + element.clientWidth + 120 };
      return before.first === next.first && before.last === next.last && before.left === left && before.right === next.right
        ? before
        : next;
    });
  }, []);
  useEffect(() => {
    const element = box.current;
    if (!element) return undefined;
    let asked = 0;
    const onScroll = (): void => {
      asked ||= requestAnimationFrame(() => {
        asked = 0;
        look();
      });
    };
    element.addEventListener("scroll", onScroll, { passive: true });
    const observer = new ResizeObserver(look);
    observer.observe(element);
    return () => {
      cancelAnimationFrame(asked);
      element.removeEventListener("scroll", onScroll);
      observer.disconnect();
    };
  }, [look]);

  const from = Math.max(0, Math.min(span.first - OVERSCAN, shownCount - 1));
  const to = Math.min(shownCount - 1, span.last + OVERSCAN);
  useEffect(() => {
    if (shownCount > 0) lines.need(from, Math.max(from, to));
  }, [lines, from, to, shownCount]);
  useEffect(() => {
    const visible: Line[] = [];
    for (let i = span.first; i <= Math.min(span.last, shownCount - 1); i += 1) visible.push(lines.at(i));
    onView(visible);
  });

  const cells = useMemo(() => {
    const inView: number[] = [];
    for (let i = pins; i < columns.length; i += 1) {
      const left = places[i] ?? 0;
      if (left + (columns[i]?.width ?? 0) >= span.left && left <= span.right) inView.push(i);
    }
    return inView;
  }, [columns, places, pins, span.left, span.right]);

  const idAt = (line: number): string | null => {
    const at = lines.at(line);
    return at.kind === "run" ? (at.run?.id ?? null) : null;
  };
  const selectRange = (a: number, b: number, base: Set<string>): void => {
    const next = new Set(base);
    for (let i = Math.min(a, b); i <= Math.max(a, b); i += 1) {
      const id = idAt(i);
      if (id) next.add(id);
    }
    onSelect(next);
  };
  const toggle = useCallback(
    (line: number, range: boolean): void => {
      setActive(line);
      if (range && anchor.current >= 0) {
        selectRange(anchor.current, line, selected);
        return;
      }
      anchor.current = line;
      const id = idAt(line);
      if (!id) return;
      const next = new Set(selected);
      if (!next.delete(id)) next.add(id);
      onSelect(next);
    },
    // Both are made anew with the selection alone.
    [lines, selected, onSelect],
  );
  const fold = useCallback(
    (line: number): void => {
      const at = lines.at(line);
      if (at.kind === "group") lines.toggleGroup(at.place);
      else if (at.run && (at.open || childrenOf(at.run.id) !== 0)) lines.toggleRun(at, childrenOf(at.run.id));
    },
    [lines, childrenOf],
  );
  const show = (line: number): void => {
    const element = box.current;
    if (!element) return;
    const top = line * ROW_PX;
    if (top < element.scrollTop) element.scrollTop = top;
    else if (top + ROW_PX * 2 + HEAD_PX > element.scrollTop + element.clientHeight)
      element.scrollTop = top + ROW_PX * 2 + HEAD_PX - element.clientHeight;
    look();
  };

  const onKey = (event: KeyboardEvent): void => {
    if (event.target instanceof HTMLElement && event.target.closest(".rg-head, .menu")) return;
    if (event.altKey || ((event.metaKey || event.ctrlKey) && event.key !== "a")) return;
    const page = Math.max(1, span.last - span.first - 2);
    const steps: Record<string, number> = { ArrowDown: 1, j: 1, J: 1, ArrowUp: -1, k: -1, K: -1, PageDown: page, PageUp: -page };
    const step = steps[event.key];
    if (step !== undefined || event.key === "Home" || event.key === "End") {
      const start = Math.max(0, active);
      const next =
        event.key === "Home" ? 0 : event.key === "End" ? shownCount - 1 : Math.max(0, Math.min(shownCount - 1, start + (step ?? 0)));
      if (event.shiftKey) {
        if (anchor.current < 0) anchor.current = Math.max(0, active);
        selectRange(anchor.current, next, selected);
      } else anchor.current = next;
      setActive(next);
      show(next);
    } else if ((event.key === "x" || event.key === " ") && active >= 0) toggle(active, false);
    else if (event.key === "a" && (event.ctrlKey || event.metaKey)) selectRange(0, Math.min(shownCount - 1, 999), selected);
    else if (event.key === "Enter" && active >= 0) {
      if (event.target instanceof HTMLElement && event.target.closest("a, button")) return;
      const at = lines.at(active);
      if (at.kind === "group") fold(active);
      else if (at.run) router.history.push(paths.run(at.run.id));
    } else if ((event.key === "ArrowRight" || event.key === "ArrowLeft") && active >= 0) {
      const at = lines.at(active);
      if (at.open !== (event.key === "ArrowRight")) fold(active);
      else box.current?.scrollBy({ left: event.key === "ArrowRight" ? 160 : -160 });
    } else if (event.key === "Escape" && selected.size > 0) onSelect(new Set());
    else return;
    event.preventDefault();
    event.stopPropagation();
  };

  const pool = Math.max(32, Math.ceil((to - from + 1) / 16) * 16);
  const rows: ReactNode[] = [];
  for (let i = from; i <= to; i += 1) {
    const line = lines.at(i);
    const id = line.kind === "run" ? line.run?.id : undefined;
    rows.push(
      <Row
        key={i % pool}
        at={i}
        run={line.kind === "run" ? line.run : undefined}
        group={line.kind === "group" ? line.group : undefined}
        stale={line.kind === "run" && line.branch.window.isStale(line.index)}
        open={line.open}
        depth={line.kind === "run" ? line.depth : 0}
        columns={columns}
        places={places}
        cells={cells}
        pins={pins}
        pinnedWidth={pinnedWidth}
        width={width}
        nowMs={nowMs}
        active={i === active}
        selected={id !== undefined && selected.has(id)}
        kids={id === undefined ? 0 : childrenOf(id)}
        onToggle={toggle}
        onFold={fold}
        onActive={setActive}
      />,
    );
  }
  return (
    <div className="grid-box">
      <div
        className="rg"
        ref={box}
        style={{ height: Math.min(room, shownCount * ROW_PX + HEAD_PX + 18) }}
        role="treegrid"
        aria-label={label}
        aria-rowcount={shownCount + 1}
        aria-colcount={columns.length + 1}
        aria-multiselectable
        tabIndex={0}
        data-nav=""
        aria-activedescendant={active >= from && active <= to ? `run-line-${active}` : undefined}
        onKeyDown={onKey}
        onFocus={(event) => {
          if (event.target === box.current && active < 0) setActive(span.first);
        }}
      >
        <GridHead columns={columns} places={places} cells={cells} pins={pins} pinnedWidth={pinnedWidth} width={width} acts={acts} />
        <div role="rowgroup" className="rg-body" style={{ height: shownCount * ROW_PX, width }}>
          {rows}
        </div>
      </div>
      <div className="grid-foot">{foot(Math.min(span.first + 1, shownCount), Math.min(span.last, shownCount))}</div>
    </div>
  );
}
