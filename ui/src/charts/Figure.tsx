// The frame of every chart: title, what stands behind it, chart or table, and CSV/PNG export.
import { useRef, useState, type ReactNode } from "react";
import { token } from "../design/theme.ts";
import { number } from "../format/number.ts";
import { Icon } from "../ui/Icon.tsx";
import "./charts.css";
import { csv, picture, save, type Sheet } from "./export.ts";

interface Props {
  title: ReactNode;
  note?: ReactNode;
  name: string;
  sheet: () => Sheet;
  children: ReactNode;
  actions?: ReactNode;
  bare?: boolean;
}

function SheetTable({ sheet, label }: { sheet: Sheet; label: string }) {
  return (
    <div className="figure-sheet" tabIndex={0} role="region" aria-label={`${label}, table`}>
      <table className="table">
        <thead>
          <tr>
            {sheet.head.map((head) => (
              <th key={head} scope="col" className="num">
                {head}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {sheet.rows.slice(0, 500).map((row, i) => (
            <tr key={i}>
              {row.map((value, j) => (
                <td key={j} className="num">
                  {typeof value === "number" ? number(value, 5) : (value ?? "–")}
                </td>
              ))}
            </tr>
          ))}
        </tbody>
      </table>
      {sheet.rows.length > 500 && (
        <p className="faint small figure-cut">The first 500 of {number(sheet.rows.length)} rows; the CSV has them all.</p>
      )}
    </div>
  );
}

export function Figure({ title, note, name, sheet, children, actions, bare = false }: Props) {
  const [asTable, setAsTable] = useState(false);
  const box = useRef<HTMLDivElement>(null);
  const file = name.replace(/[^\w.-]+/g, "-");
  const png = async (): Promise<void> => {
    const canvas = box.current && (await picture(box.current, token("--bg-panel")));
    canvas?.toBlob((blob) => {
      if (blob) save(blob, `${file}.png`);
    });
  };
  return (
    <figure className={bare ? "figure figure-bare" : "figure card"}>
      <figcaption className="figure-head">
        <div className="figure-title">
          <h2 className="truncate">{title}</h2>
          {note && <span className="faint small">{note}</span>}
        </div>
        <div className="figure-tools">
          {actions}
          <button
            type="button"
            className="icon-button"
            aria-pressed={asTable}
            onClick={() => setAsTable(!asTable)}
            aria-label={asTable ? "Show as chart" : "Show as table"}
            title={asTable ? "Chart" : "Table"}
          >
            <Icon name={asTable ? "chart" : "table"} size={14} />
          </button>
          <button
            type="button"
            className="icon-button"
            onClick={() => save(new Blob([csv(sheet())], { type: "text/csv" }), `${file}.csv`)}
            aria-label="Save as CSV"
            title="Save as CSV"
          >
            <Icon name="download" size={14} />
          </button>
          {!asTable && (
            <button type="button" className="icon-button" onClick={() => void png()} aria-label="Save as PNG" title="Save as PNG">
              <Icon name="image" size={14} />
            </button>
          )}
        </div>
      </figcaption>
      <div ref={box} className="figure-box">
        {asTable ? <SheetTable sheet={sheet()} label={name} /> : children}
      </div>
    </figure>
  );
}
