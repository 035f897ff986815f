// One column: its histogram or most frequent values, and the figures below.
import type { ColumnProfile } from "../../api/types.ts";
import { binCells, Histogram } from "../../charts/Histogram.tsx";
import { count, number, percent } from "../../format/number.ts";
import { commonEdges, rebin } from "./rebin.ts";

function Shape({ column, other }: { column: ColumnProfile; other: ColumnProfile | null }) {
  const label = `Distribution of ${column.name}`;
  if (column.histogram) {
    if (!other?.histogram) return <Histogram label={label} cells={binCells(column.histogram.edges)} counts={column.histogram.counts} height={104} />;
    const edges = commonEdges(column.histogram, other.histogram);
    return <Histogram label={label} cells={binCells(edges)} counts={rebin(column.histogram, edges)} reference={rebin(other.histogram, edges)} height={104} />;
  }
  if (!column.top?.length) return <p className="faint profile-none">No distribution: every value differs.</p>;
  const most = Math.max(...column.top.map((each) => each.count), ...(other?.top ?? []).map((each) => each.count));
  return (
    <ul className="profile-top">
      {column.top.slice(0, 5).map((each) => {
        const before = other?.top?.find((one) => one.value === each.value);
        return (
          <li key={String(each.value)} title={`${each.count} of ${column.count}`}>
            <span className="truncate">{each.value === null ? "null" : String(each.value)}</span>
            <span className="profile-bar"><span style={{ width: `${(each.count / most) * 100}%` }} />{before && <i style={{ left: `${(before.count / most) * 100}%` }} />}</span>
            <span className="num dim">{percent(each.count / Math.max(1, column.count))}</span>
          </li>
        );
      })}
    </ul>
  );
}

function Figure({ name, value, before }: { name: string; value: string; before?: string | undefined }) {
  return <span><span className="faint">{name}</span> {value}{before !== undefined && before !== value && <span className="profile-before"> was {before}</span>}</span>;
}

export function ColumnCard({ column, other }: { column: ColumnProfile; other: ColumnProfile | null }) {
  const nulls = column.nulls / Math.max(1, column.count);
  const plain = (value: number | string | null | undefined): string => (typeof value === "number" ? number(value) : value ?? "–");
  return (
    <section className="card profile-card" aria-label={column.name}>
      <header><h2 className="truncate" title={column.name}>{column.name}</h2><span className="faint small">{column.type}</span></header>
      <Shape column={column} other={other} />
      <div className="profile-figures">
        {column.mean !== null && <Figure name="mean" value={number(column.mean)} before={other ? number(other.mean) : undefined} />}
        {column.std !== null && <Figure name="sd" value={number(column.std)} before={other ? number(other.std) : undefined} />}
        {column.min !== null && <Figure name="min" value={plain(column.min)} before={other ? plain(other.min) : undefined} />}
        {column.max !== null && <Figure name="max" value={plain(column.max)} before={other ? plain(other.max) : undefined} />}
        {column.distinct !== null && <Figure name="distinct" value={count(column.distinct)} before={other ? count(other.distinct) : undefined} />}
        <Figure name="missing" value={column.nulls === 0 ? "none" : percent(nulls)} before={other ? (other.nulls === 0 ? "none" : percent(other.nulls / Math.max(1, other.count))) : undefined} />
      </div>
    </section>
  );
}
