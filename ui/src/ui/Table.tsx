// A plain table for short lists: sort in the URL, whole row leads to the object, scrolls sideways on small screens.
import type { ReactNode } from "react";
import { A } from "./A.tsx";
import { Icon } from "./Icon.tsx";
import { useUrl } from "./useUrl.ts";

export interface Column<T> {
  key: string;
  head: ReactNode;
  cell: (row: T) => ReactNode;
  num?: boolean;
  sort?: (row: T) => number | string | null;
  grow?: boolean;
  title?: string;
}
interface Props<T> {
  label: string;
  rows: T[];
  columns: Column<T>[];
  rowKey: (row: T) => string;
  href?: (row: T) => string | null;
  param?: string;
  initial?: string;
  tone?: (row: T) => string | undefined;
}

function compare(a: number | string | null, b: number | string | null): number {
  if (a === null || b === null) return (a === null ? 1 : 0) - (b === null ? 1 : 0);
  return typeof a === "number" && typeof b === "number" ? a - b : String(a).localeCompare(String(b), "en", { numeric: true });
}

export function Table<T>({ label, rows, columns, rowKey, href, param = "sort", initial = "", tone }: Props<T>) {
  const [search, setSearch] = useUrl();
  const order = search[param] ?? initial;
  const desc = order.startsWith("-");
  const by = columns.find((column) => column.key === order.replace(/^-/, ""))?.sort;
  const shown = by ? [...rows].sort((a, b) => (desc ? -1 : 1) * compare(by(a), by(b))) : rows;
  const sortBy = (key: string): void => setSearch({ [param]: order === `-${key}` ? key : order === key ? `-${key}` : `-${key}` });
  return (
    <div className="table-scroll" {...(href ? {} : { tabIndex: 0, role: "region", "aria-label": label })}>
      <table className="table">
        <caption className="sr-only">{label}</caption>
        <thead>
          <tr>
            {columns.map((column) => {
              const on = order.replace(/^-/, "") === column.key;
              return (
                <th
                  key={column.key}
                  scope="col"
                  className={`${column.num ? "num" : ""} ${column.grow ? "col-grow" : ""}`}
                  title={column.title}
                  aria-sort={on && column.sort ? (desc ? "descending" : "ascending") : undefined}
                >
                  {column.sort ? (
                    <button type="button" className="th-sort" onClick={() => sortBy(column.key)}>
                      {column.head}
                      <span className={`th-arrow ${on ? "" : "th-off"} ${desc ? "" : "th-up"}`}>
                        <Icon name="down" size={11} />
                      </span>
                    </button>
                  ) : (
                    column.head
                  )}
                </th>
              );
            })}
          </tr>
        </thead>
        <tbody>
          {shown.map((row) => {
            const target = href?.(row) ?? null;
            return (
              <tr key={rowKey(row)} className={`${target ? "row-link" : ""} ${tone?.(row) ?? ""}`}>
                {columns.map((column, i) => (
                  <td key={column.key} className={`${column.num ? "num" : ""} ${column.grow ? "col-grow" : ""}`}>
                    {i === 0 && target ? (
                      <A href={target} className="row-target" data-nav="">
                        {column.cell(row)}
                      </A>
                    ) : (
                      column.cell(row)
                    )}
                  </td>
                ))}
              </tr>
            );
          })}
        </tbody>
      </table>
    </div>
  );
}
