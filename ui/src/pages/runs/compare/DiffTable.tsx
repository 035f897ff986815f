// The table of differences: one column a run, in the colour of its curve; equal rows fold away.
import { useMemo } from "react";
import type { Run } from "../../../api/types.ts";
import { exact, figure } from "../../../format/number.ts";
import { paths } from "../../../paths.ts";
import { A } from "../../../ui/A.tsx";
import { State } from "../../../ui/Badge.tsx";
import { Card } from "../../../ui/Card.tsx";
import { Icon } from "../../../ui/Icon.tsx";
import { Elapsed, Time } from "../../../ui/Time.tsx";
import { useUrl } from "../../../ui/useUrl.ts";
import { seriesOf } from "../curves/CurveFigure.tsx";
import { CAPTURE_FOLDER, useCaptures } from "../run/capture.ts";
import { differences, SECTIONS, type DiffRow } from "./differences.ts";

function Cell({ row, i }: { row: DiffRow; i: number }) {
  const value = row.values[i] ?? null;
  if (value === null) return <span className="faint">–</span>;
  if (typeof value === "string")
    return (
      <code title={value.length > 24 ? value : undefined}>
        {row.key === "commit" ? value.slice(0, 8) : value.length > 48 ? `${value.slice(0, 47)}…` : value}
      </code>
    );
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
  const text = (search["rows"] ?? "").toLowerCase();
  const captures = useCaptures(runs.map((run) => run.id));
  const stamp = captures.map((each) => each.dataUpdatedAt).join();
  // The stamp stands for the captures, whose array is new on every render.
  const rows = useMemo(
    () =>
      differences(
        runs,
        captures.map((each) => each.data?.capture),
      ),
    [runs, stamp],
  );
  const patched = runs.some((_, i) => captures[i]?.data?.files.includes("changes.patch"));
  const shown = rows.filter((row) => (all || row.differs) && row.key.toLowerCase().includes(text));
  return (
    <Card
      title="Differences"
      note={`${rows.filter((row) => row.differs).length} of ${rows.length} rows differ`}
      flush
      actions={
        <>
          <input
            className="input diff-find"
            placeholder="Find a row"
            aria-label="Find a row"
            data-filter=""
            value={search["rows"] ?? ""}
            onChange={(event) => setSearch({ rows: event.target.value })}
          />
          <label className="toggle">
            <input type="checkbox" checked={!all} onChange={() => setSearch({ all: all ? undefined : "1" })} />
            Only what differs
          </label>
        </>
      }
    >
      <div className="table-scroll" tabIndex={0} role="region" aria-label="Differences">
        <table className="table diff">
          <thead>
            <tr>
              <td />
              {runs.map((run, i) => (
                <th key={run.id} scope="col" className="num">
                  <span className="diff-head">
                    <span
                      className={`series-swatch ${seriesOf(i).dash ? "is-dashed" : ""}`}
                      style={{ color: `var(${seriesOf(i).color})` }}
                      aria-hidden
                    />
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
            {patched && (
              <tr>
                <th scope="row">Uncommitted changes</th>
                {runs.map((run, i) => (
                  <td key={run.id} className="num">
                    {captures[i]?.data?.files.includes("changes.patch") ? (
                      <A
                        className="link"
                        href={`${paths.run(run.id)}?tab=artifacts&path=${CAPTURE_FOLDER}&file=${CAPTURE_FOLDER}/changes.patch`}
                      >
                        show
                      </A>
                    ) : (
                      <span className="faint">–</span>
                    )}
                  </td>
                ))}
              </tr>
            )}
          </tbody>
          {SECTIONS.map((section) => {
            const part = shown.filter((row) => row.section === section);
            return (
              part.length > 0 && (
                <tbody key={section}>
                  <tr className="diff-section">
                    <th colSpan={runs.length + 1} scope="colgroup">
                      {section}
                    </th>
                  </tr>
                  {part.map((row) => (
                    <tr key={row.key} className={row.differs ? "" : "diff-same"}>
                      <th scope="row" title={row.key}>
                        {row.key}
                      </th>
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
          })}
        </table>
      </div>
      {shown.length === 0 && (
        <p className="dim card-body">{text ? "No row is called so." : "In what was logged, these runs are the same."}</p>
      )}
    </Card>
  );
}
