// One column: its histogram or most frequent values, and the figures below.
import type { ColumnChange, ColumnProfile } from "../../api/types.ts";
import { binCells, Histogram, type HistogramCell } from "../../charts/Histogram.tsx";
import { count, number, percent } from "../../format/number.ts";
import { day } from "../../format/time.ts";
import { commonEdges, rebin } from "./rebin.ts";

const isTime = (column: ColumnProfile): boolean => /^(timestamp|date)/i.test(column.type);

function valueText(column: ColumnProfile, value: number | null | undefined): string {
  if (value === null || value === undefined) return "–";
  return isTime(column) ? day(value) : number(value);
}

/** Cells named by dates where the column holds times in microseconds. */
function cellsOf(column: ColumnProfile, edges: number[]): HistogramCell[] {
  if (!isTime(column)) return binCells(edges);
  return edges.slice(1).map((upper, i) => ({ name: `${day(edges[i] as number)} to ${day(upper)}`, tick: day(edges[i] as number) }));
}

function Shape({ column, other }: { column: ColumnProfile; other: ColumnProfile | null }) {
  const label = `Distribution of ${column.name}`;
  if (column.histogram) {
    if (!other?.histogram)
      return <Histogram label={label} cells={cellsOf(column, column.histogram.edges)} counts={column.histogram.counts} height={104} />;
    const edges = commonEdges(column.histogram, other.histogram);
    return (
      <Histogram
        label={label}
        cells={cellsOf(column, edges)}
        counts={rebin(column.histogram, edges)}
        reference={rebin(other.histogram, edges)}
        height={104}
      />
    );
  }
  if (!column.top?.length) return <p className="faint profile-none">No distribution: every value differs.</p>;
  const most = Math.max(...column.top.map((each) => each.count), ...(other?.top ?? []).map((each) => each.count));
  return (
    <ul className="profile-top">
      {column.top.slice(0, 5).map((each) => {
        const before = other?.top?.find((one) => one.value === each.value);
        return (
          <li key={String(each.value)} title={`${each.count} of ${column.count}`}>
            <span className="truncate">{String(each.value)}</span>
            <span className="profile-bar">
              <span style={{ width: `${(each.count / most) * 100}%` }} />
              {before && <i style={{ left: `${(before.count / most) * 100}%` }} />}
            </span>
            <span className="num dim">{percent(each.count / Math.max(1, column.count))}</span>
          </li>
        );
      })}
    </ul>
  );
}

function Figure({ name, value, before }: { name: string; value: string; before?: string | undefined }) {
  return (
    <span>
      <span className="faint">{name}</span> {value}
      {before !== undefined && before !== value && <span className="profile-before"> was {before}</span>}
    </span>
  );
}

export function ColumnCard({ column, other, change }: { column: ColumnProfile; other: ColumnProfile | null; change: ColumnChange | null }) {
  const nulls = column.nulls / Math.max(1, column.count);
  return (
    <section className="card profile-card" aria-label={column.name}>
      <header>
        <h2 className="truncate" title={column.name}>
          {column.name}
        </h2>
        <span className="faint small nowrap">
          {change?.psi !== null && change?.psi !== undefined && (
            <span title="Population stability index between the two versions">PSI {number(change.psi)} · </span>
          )}
          {column.type}
        </span>
      </header>
      <Shape column={column} other={other} />
      <div className="profile-figures">
        {column.mean !== null && !isTime(column) && (
          <Figure name="mean" value={number(column.mean)} before={other ? number(other.mean) : undefined} />
        )}
        {column.std !== null && !isTime(column) && (
          <Figure name="sd" value={number(column.std)} before={other ? number(other.std) : undefined} />
        )}
        {column.min !== null && (
          <Figure name="min" value={valueText(column, column.min)} before={other ? valueText(column, other.min) : undefined} />
        )}
        {column.max !== null && (
          <Figure name="max" value={valueText(column, column.max)} before={other ? valueText(column, other.max) : undefined} />
        )}
        {column.distinct !== null && (
          <Figure
            name="distinct"
            value={(column.distinct_exact === false ? "~" : "") + count(column.distinct)}
            before={other ? count(other.distinct) : undefined}
          />
        )}
        <Figure
          name="missing"
          value={column.nulls === 0 ? "none" : percent(nulls)}
          before={other ? (other.nulls === 0 ? "none" : percent(other.nulls / Math.max(1, other.count))) : undefined}
        />
      </div>
    </section>
  );
}
