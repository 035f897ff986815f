// One row of the virtualised table; drawn again only when its own row, its columns or its selection change.
import { memo, type ReactNode } from "react";
import { A } from "./A.tsx";

export interface GridColumn<T> {
  id: string;
  head: ReactNode;
  cell: (row: T) => ReactNode;
  width: number;
  num?: boolean;
  sortable?: boolean;
  title?: string;
}

export const ROW_PX = 36;

interface Props<T> {
  row: T;
  id: string;
  index: number;
  startPx: number;
  columns: GridColumn<T>[];
  template: string;
  href: string | null;
  checked: boolean;
  onToggle: ((key: string, range: boolean) => void) | null;
}

function Row<T>({ row, id, index, startPx, columns, template, href, checked, onToggle }: Props<T>) {
  return (
    <div
      role="row"
      aria-rowindex={index + 2}
      className={`grid-row grid-data row-link ${checked ? "is-selected" : ""}`}
      style={{ gridTemplateColumns: template, transform: `translateY(${startPx}px)`, height: ROW_PX }}
    >
      {onToggle && (
        <span role="cell" className="grid-check">
          <label>
            <span className="sr-only">Select {id}</span>
            <input type="checkbox" checked={checked} onChange={() => undefined} onClick={(event) => onToggle(id, event.shiftKey)} />
          </label>
        </span>
      )}
      {columns.map((column, i) => (
        <span key={column.id} role="cell" className={`grid-cell ${column.num ? "num" : ""} ${i === 0 ? "grid-first" : ""}`}>
          {i === 0 && href ? (
            <A href={href} className="row-target truncate" data-nav="">
              {column.cell(row)}
            </A>
          ) : (
            column.cell(row)
          )}
        </span>
      ))}
    </div>
  );
}

export const GridRow = memo(Row) as typeof Row;
