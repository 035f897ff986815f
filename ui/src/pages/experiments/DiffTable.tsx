// The table of differences: one column a run, in the colour of its curve; equal rows fold away.
import type { Run } from "../../api/types.ts";
import { SERIES } from "../../design/theme.ts";
import { exact, figure } from "../../format/number.ts";
import { paths } from "../../paths.ts";
import { A } from "../../ui/A.tsx";
import { Card } from "../../ui/Card.tsx";
import { Icon } from "../../ui/Icon.tsx";
import { State } from "../../ui/Badge.tsx";
import { Elapsed, Time } from "../../ui/Time.tsx";
import { useUrl } from "../../ui/useUrl.ts";
import { diff, type DiffRow } from "./diff.ts";

function Cell({ row, i }: { row: DiffRow; i: number }) {
  const value = row.values[i] ?? null;
  if (value === null) return <span className="faint">–</span>;
  if (typeof value === "string") return <code>{value}</code>;
  const note = row.lowest === i ? "lowest" : row.highest === i ? "highest" : null;
  return (
    <span title={exact(value)}>
      {note && <span className="diff-note">{note}</span>}
      {figure(value, 4)}
    </span>
  );
}

export function DiffTable({ runs, onDrop }: { runs: Run[]; onDrop: (id: string) => void }) {
  const [search, setSearch] = useUrl();
  const all = search["all"] === "1";
  const rows = diff(runs);
  const shown = rows.filter((row) => all || row.differs);
  const section = (kind: DiffRow["kind"], title: string) => {
    const part = shown.filter((row) => row.kind === kind);
    return (
      part.length > 0 && (
        <tbody>
          <tr className="diff-section">
            <th colSpan={runs.length + 1} scope="colgroup">
              {title}
            </th>
          </tr>
          {part.map((row) => (
            <tr key={row.key} className={row.differs ? "" : "diff-same"}>
              <th scope="row">{row.key}</th>
              {runs.map((run, i) => (
                <td key={run.id} className="num">
                  <Cell row={row} i={i} />
                </td>
              ))}
            </tr>
          ))}
        </tbody>
      )
    );
  };
  return (
    <Card
      title="Differences"
      note={`${rows.filter((row) => row.differs).length} of ${rows.length} rows differ`}
      flush
      actions={
        <label className="toggle">
          <input type="checkbox" checked={all} onChange={() => setSearch({ all: all ? undefined : "1" })} />
          Equal rows too
        </label>
      }
    >
      <div className="table-scroll">
        <table className="table diff">
          <thead>
            <tr>
              <td />
              {runs.map((run, i) => (
                <th key={run.id} scope="col" className="num">
                  <span className="diff-head">
                    <span className="series-swatch" style={{ color: `var(${SERIES[i % SERIES.length]})` }} aria-hidden />
                    <A href={paths.run(run.id)} className="link truncate">
                      {run.name}
                    </A>
                    <button type="button" className="copy" aria-label={`Leave ${run.name} out`} onClick={() => onDrop(run.id)}>
                      <Icon name="close" size={11} />
                    </button>
                  </span>
                </th>
              ))}
            </tr>
          </thead>
          <tbody>
            <tr>
              <th scope="row">Status</th>
              {runs.map((run) => (
                <td key={run.id} className="num">
                  <State of={run.status} />
                </td>
              ))}
            </tr>
            <tr>
              <th scope="row">Started</th>
              {runs.map((run) => (
                <td key={run.id} className="num">
                  <Time us={run.started_us} />
                </td>
              ))}
            </tr>
            <tr>
              <th scope="row">Took</th>
              {runs.map((run) => (
                <td key={run.id} className="num">
                  <Elapsed from={run.started_us} to={run.ended_us} />
                </td>
              ))}
            </tr>
          </tbody>
          {section("metric", "Metrics, last value")}
          {section("param", "Parameters")}
        </table>
      </div>
    </Card>
  );
}
