// Versions side by side: what differs in parameters, metrics with intervals, signature, data, packages and gates.
import { useQuery } from "@tanstack/react-query";
import type { ReactNode } from "react";
import { q } from "../../api/queries.ts";
import type { ComparedRow, MetricEstimate, ModelVersion, VersionComparison } from "../../api/types.ts";
import { bytes, number } from "../../format/number.ts";
import { actorName } from "../../format/who.ts";
import { paths } from "../../paths.ts";
import { A } from "../../ui/A.tsx";
import { State } from "../../ui/Badge.tsx";
import { Card } from "../../ui/Card.tsx";
import { QueryView } from "../../ui/QueryView.tsx";
import { RefChip } from "../../ui/RefChip.tsx";
import { Empty } from "../../ui/States.tsx";
import { Time } from "../../ui/Time.tsx";
import { useUrl } from "../../ui/useUrl.ts";
import { Alias } from "./Alias.tsx";
import { said } from "./Metrics.tsx";
import "./models.css";

const MOST = 6;

/** The versions that are compared unless others are chosen: the champion and the newest, else the two newest. */
function usual(versions: ModelVersion[]): number[] {
  const newest = [...versions].sort((a, b) => b.version - a.version);
  const champion = newest.find((version) => version.aliases.includes("champion"));
  const picked = [champion ?? newest[1], newest[0]].filter((version) => version !== undefined).map((version) => version.version);
  return [...new Set(picked)];
}

function Estimate({ of: one }: { of: MetricEstimate }) {
  return (
    <span title={said(one)}>
      <b>{number(one.estimate)}</b>
      {one.low !== null && (
        <span className="faint small">
          {" "}
          {number(one.low)} to {number(one.high)}
        </span>
      )}
    </span>
  );
}

function fact(key: string, value: unknown): ReactNode {
  if (value === null || value === "") return <span className="faint">–</span>;
  if (key === "size_bytes") return bytes(value as number);
  if (key === "created_us") return <Time us={value as number} />;
  if (key === "created_by") return actorName(String(value));
  if (key === "run") return <RefChip of={`run:${String(value)}`} />;
  return key === "digest" || key === "source" ? <code className="break small">{String(value)}</code> : String(value);
}

const NAMES: Record<string, string> = { size_bytes: "size", created_us: "registered", created_by: "by" };

const cell = (value: unknown): ReactNode => (value === null ? <span className="faint">–</span> : value === true ? "yes" : String(value));

function Section<V>({
  title,
  rows,
  all,
  show,
}: {
  title: string;
  rows: ComparedRow<V>[];
  all: boolean;
  show: (value: V, key: string) => ReactNode;
}) {
  const shown = all ? rows : rows.filter((row) => row.differs);
  if (rows.length === 0) return null;
  return (
    <tbody>
      <tr className="compared-title">
        <th scope="rowgroup" colSpan={(rows[0]?.values.length ?? 0) + 1}>
          {title}
          {shown.length < rows.length && (
            <span className="faint compared-alike">{shown.length ? `${rows.length - shown.length} alike` : "all alike"}</span>
          )}
        </th>
      </tr>
      {shown.map((row) => (
        <tr key={row.key} className={all && row.differs ? "is-different" : ""}>
          <th scope="row" className="compared-key break">
            {title === "Data" ? <RefChip of={row.key} /> : (NAMES[row.key] ?? row.key)}
          </th>
          {row.values.map((value, i) => (
            <td key={i}>{show(value, row.key)}</td>
          ))}
        </tr>
      ))}
    </tbody>
  );
}

function Compared({ data, all }: { data: VersionComparison; all: boolean }) {
  return (
    <div className="table-scroll" tabIndex={0} role="region" aria-label="Versions side by side">
      <table className="table compared">
        <caption className="sr-only">Versions side by side</caption>
        <thead>
          <tr>
            <th scope="col">
              <span className="sr-only">What</span>
            </th>
            {data.versions.map((version) => (
              <th key={version.version} scope="col">
                <A className="link" href={paths.modelVersion(data.name, version.version)}>
                  v{version.version}
                </A>{" "}
                {version.aliases.map((alias) => (
                  <Alias key={alias} name={alias} />
                ))}
              </th>
            ))}
          </tr>
        </thead>
        <Section title="Metrics" rows={data.metrics} all={all} show={(value) => (value ? <Estimate of={value} /> : cell(null))} />
        <Section title="Parameters" rows={data.params} all={all} show={cell} />
        <Section title="Signature" rows={data.signature} all={all} show={cell} />
        <Section title="Data" rows={data.data} all={all} show={cell} />
        <Section title="Packages" rows={data.environment} all={all} show={cell} />
        <Section title="About" rows={data.facts} all={all} show={(value, key) => fact(key, value)} />
        <tbody>
          <tr className="compared-title">
            <th scope="rowgroup" colSpan={data.versions.length + 1}>
              Gate
            </th>
          </tr>
          <tr>
            <th scope="row" className="compared-key">
              newest
            </th>
            {data.gates.map((gate, i) => (
              <td key={i}>{gate ? <State of={gate.verdict} /> : <span className="faint">not gated</span>}</td>
            ))}
          </tr>
        </tbody>
      </table>
    </div>
  );
}

export function Compare({ name, versions }: { name: string; versions: ModelVersion[] }) {
  const [search, setSearch] = useUrl();
  const known = versions.map((version) => version.version).sort((a, b) => b - a);
  const asked = (search["versions"] ?? "")
    .split(",")
    .map(Number)
    .filter((number) => known.includes(number));
  const chosen = asked.length > 0 ? asked.slice(0, MOST) : usual(versions);
  const all = search["all"] === "1";
  const query = useQuery({ ...q.compareVersions(name, chosen.join(",")), enabled: chosen.length > 0 });
  if (known.length < 2) return <Empty title="Nothing to compare yet">A second version makes a comparison.</Empty>;
  const toggle = (version: number): void => {
    const next = chosen.includes(version) ? chosen.filter((one) => one !== version) : [...chosen, version].slice(-MOST);
    setSearch({ versions: next.join(",") });
  };
  return (
    <div className="stack">
      <div className="row row-wrap" role="group" aria-label="Versions to compare">
        {known.slice(0, 40).map((version) => (
          <button
            key={version}
            type="button"
            className={`chip-button ${chosen.includes(version) ? "is-on" : ""}`}
            aria-pressed={chosen.includes(version)}
            disabled={chosen.length === 1 && chosen.includes(version)}
            onClick={() => toggle(version)}
          >
            v{version}
          </button>
        ))}
        <label className="row small">
          <input type="checkbox" checked={all} onChange={(event) => setSearch({ all: event.target.checked ? "1" : undefined })} />
          also what is alike
        </label>
      </div>
      <Card flush>
        <QueryView query={query}>{(data) => <Compared data={data} all={all} />}</QueryView>
      </Card>
    </div>
  );
}
