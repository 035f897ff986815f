// What can be seen of a file without saving it: text, tables, JSON as a tree, patches, simple plots, images, pages in a box.
import { useQuery } from "@tanstack/react-query";
import { useMemo, useState } from "react";
import { get, seg } from "../../../api/client.ts";
import { SeriesChart } from "../../../charts/SeriesChart.tsx";
import { SERIES } from "../../../design/theme.ts";
import { bytes, number, plural } from "../../../format/number.ts";
import { Button } from "../../../ui/Button.tsx";
import { Markdown } from "../../../ui/Markdown.tsx";
import { QueryView } from "../../../ui/QueryView.tsx";
import { fileText } from "../run/capture.ts";
import { artifactUrl } from "./artifactUrl.ts";
import { highlight } from "./highlight.ts";
import { delimited, kindOf, plotlyTraces, sheetOf, type Sheet, type Trace } from "./kinds.ts";

const MOST_BYTES = 1_000_000;
const MOST_COLOURED = 150_000;
const MOST_ROWS = 500;
const MOST_COLUMNS = 60;

interface File {
  run: string;
  path: string;
  size: number | null;
}

/** The first megabyte of a file, and whether that is all. */
function useText({ run, path, size }: File) {
  const cut = (size ?? 0) > MOST_BYTES;
  const query = useQuery({
    queryKey: ["file", run, path, size],
    queryFn: ({ signal }) => fileText(run, path, signal, cut ? MOST_BYTES : undefined),
    staleTime: Infinity,
    gcTime: 60_000,
  });
  return { query, cut };
}

function Cut({ size }: { size: number | null }) {
  return (
    <p className="faint small">
      The first {bytes(MOST_BYTES)} of {bytes(size)}; save the file for the rest.
    </p>
  );
}

function Code({ text, comments = true, label }: { text: string; comments?: boolean; label: string }) {
  const pieces = useMemo(() => (text.length > MOST_COLOURED ? null : highlight(text, comments)), [text, comments]);
  return (
    <pre className="log code" tabIndex={0} aria-label={label}>
      {pieces
        ? pieces.map(([mark, piece], i) =>
            mark ? (
              <span key={i} className={`code-${mark}`}>
                {piece}
              </span>
            ) : (
              piece
            ),
          )
        : text}
    </pre>
  );
}

export function Patch({ text, label }: { text: string; label: string }) {
  const lines = text.split("\n").slice(0, 4000);
  const kindOfLine = (line: string): string =>
    /^(diff |index |new file|deleted file|rename |similarity|--- |\+\+\+ )/.test(line)
      ? "head"
      : line.startsWith("@@")
        ? "at"
        : line.startsWith("+")
          ? "in"
          : line.startsWith("-")
            ? "out"
            : "";
  return (
    <pre className="log code patch" tabIndex={0} aria-label={label}>
      {lines.map((line, i) => (
        <span key={i} className={`patch-${kindOfLine(line)}`}>
          {line}
          {"\n"}
        </span>
      ))}
    </pre>
  );
}

export function SheetTable({ sheet, label, more = false }: { sheet: Sheet; label: string; more?: boolean }) {
  const columns = sheet.columns.slice(0, MOST_COLUMNS);
  const numeric = columns.map((_, j) =>
    sheet.rows.slice(0, 50).every((row) => row[j] === null || row[j] === "" || row[j] === undefined || Number.isFinite(Number(row[j]))),
  );
  return (
    <>
      <div className="table-scroll sheet" tabIndex={0} role="region" aria-label={label}>
        <table className="table">
          <thead>
            <tr>
              {columns.map((column, j) => (
                <th key={j} scope="col" className={numeric[j] ? "num" : ""}>
                  {column}
                </th>
              ))}
            </tr>
          </thead>
          <tbody>
            {sheet.rows.slice(0, MOST_ROWS).map((row, i) => (
              <tr key={i}>
                {columns.map((_, j) => (
                  <td key={j} className={numeric[j] ? "num" : ""} title={String(row[j] ?? "")}>
                    {row[j] === null || row[j] === undefined ? <span className="faint">–</span> : String(row[j])}
                  </td>
                ))}
              </tr>
            ))}
          </tbody>
        </table>
      </div>
      <p className="faint small sheet-note">
        {sheet.rows.length > MOST_ROWS || more
          ? `The first ${number(Math.min(MOST_ROWS, sheet.rows.length))} rows`
          : plural(sheet.rows.length, "row")}
        {sheet.columns.length > MOST_COLUMNS
          ? `, ${MOST_COLUMNS} of ${sheet.columns.length} columns`
          : `, ${plural(sheet.columns.length, "column")}`}
      </p>
    </>
  );
}

function Tree({ name, value, depth }: { name: string; value: unknown; depth: number }) {
  const [open, setOpen] = useState(depth < 2);
  const [all, setAll] = useState(false);
  if (value === null || typeof value !== "object")
    return (
      <li>
        <span className="code-key">{name}</span>{" "}
        <span className={typeof value === "string" ? "code-string" : "code-number"}>
          {typeof value === "string" ? JSON.stringify(value) : String(value)}
        </span>
      </li>
    );
  const entries = Object.entries(value);
  const shown = all ? entries : entries.slice(0, 100);
  return (
    <li>
      <button type="button" className="tree-fold" aria-expanded={open} onClick={() => setOpen(!open)}>
        <span className="tree-mark" aria-hidden>
          {open ? "▾" : "▸"}
        </span>
        <span className="code-key">{name}</span>{" "}
        <span className="faint">{Array.isArray(value) ? `[${entries.length}]` : `{${entries.length}}`}</span>
      </button>
      {open && (
        <ul className="tree">
          {shown.map(([key, each]) => (
            <Tree key={key} name={key} value={each} depth={depth + 1} />
          ))}
          {shown.length < entries.length && (
            <li>
              <button type="button" className="link-button" onClick={() => setAll(true)}>
                {entries.length - shown.length} more
              </button>
            </li>
          )}
        </ul>
      )}
    </li>
  );
}

function Traces({ traces, label }: { traces: Trace[]; label: string }) {
  const numeric = traces.every((trace) => trace.kind !== "bar" && trace.xs.every((x) => typeof x === "number"));
  const xs = [...new Set(traces.flatMap((trace) => trace.xs))];
  if (numeric) (xs as number[]).sort((a, b) => a - b);
  if (numeric) {
    const series = traces.map((trace, i) => {
      const at = new Map(trace.xs.map((x, j) => [x, trace.ys[j] ?? null]));
      return { label: trace.name || `trace ${i + 1}`, color: SERIES[i % SERIES.length] as string, values: xs.map((x) => at.get(x)) };
    });
    return <SeriesChart label={label} xs={xs as number[]} series={series} height={300} xLabel="x" />;
  }
  const [first] = traces;
  const top = Math.max(...(first?.ys ?? []).map((y) => Math.abs(y ?? 0))) || 1;
  return (
    <ul className="singles">
      {(first?.xs ?? []).slice(0, 60).map((x, i) => (
        <li key={i}>
          <span className="truncate">{x}</span>
          <span className="singles-bar">
            <span style={{ left: 0, width: `${(Math.abs(first?.ys[i] ?? 0) / top) * 100}%`, background: "var(--series-3)" }} />
          </span>
          <b className="num">{number(first?.ys[i])}</b>
        </li>
      ))}
    </ul>
  );
}

function Json({ file, text }: { file: File; text: string }) {
  const parsed = useMemo<{ value: unknown } | null>(() => {
    try {
      return { value: JSON.parse(text) as unknown };
    } catch {
      return null;
    }
  }, [text]);
  const [raw, setRaw] = useState(false);
  if (!parsed) return <Code text={text} comments={false} label={file.path} />;
  const traces = plotlyTraces(parsed.value);
  const sheet = traces ? null : sheetOf(parsed.value);
  return (
    <>
      <div className="preview-tools">
        <div className="segments" role="group" aria-label="Show as">
          <button type="button" aria-pressed={!raw} onClick={() => setRaw(false)}>
            {traces ? "Plot" : sheet ? "Table" : "Tree"}
          </button>
          <button type="button" aria-pressed={raw} onClick={() => setRaw(true)}>
            Text
          </button>
        </div>
      </div>
      {raw ? (
        <Code text={JSON.stringify(parsed.value, null, 2)} comments={false} label={file.path} />
      ) : traces ? (
        <Traces traces={traces} label={file.path} />
      ) : sheet ? (
        <SheetTable sheet={sheet} label={file.path} />
      ) : (
        <ul className="tree tree-root" tabIndex={0} aria-label={file.path}>
          <Tree name={file.path.split("/").pop() ?? ""} value={parsed.value} depth={0} />
        </ul>
      )}
    </>
  );
}

/** A page someone logged, in a box that can reach neither this page nor the network; its scripts run only when asked for. */
function Html({ run, path }: File) {
  const [scripts, setScripts] = useState(false);
  return (
    <>
      <div className="preview-tools">
        <span className="dim small">
          {scripts ? "Its scripts run in a box without network and without access to this page." : "Its scripts are off."}
        </span>
        <Button kind="quiet" onClick={() => setScripts(!scripts)}>
          {scripts ? "Stop its scripts" : "Run its scripts"}
        </Button>
      </div>
      <iframe
        key={String(scripts)}
        className="html-box"
        title={path}
        sandbox={scripts ? "allow-scripts" : ""}
        referrerPolicy="no-referrer"
        src={artifactUrl(run, path, true)}
      />
    </>
  );
}

function Parquet({ run, path }: File) {
  const query = useQuery({
    queryKey: ["file", run, path, "rows"],
    queryFn: ({ signal }) =>
      get<{ columns: { name: string; type: string }[]; rows: (string | number | boolean | null)[][]; total: number }>(
        `/runs/${seg(run)}/table/${path.split("/").map(seg).join("/")}`,
        { rows: MOST_ROWS },
        signal,
      ),
    staleTime: Infinity,
  });
  return (
    <QueryView query={query}>
      {(data) => (
        <>
          <SheetTable
            sheet={{ columns: data.columns.map((each) => each.name), rows: data.rows }}
            label={path}
            more={data.total > data.rows.length}
          />
          <p className="faint small sheet-note">{plural(data.total, "row")} in the file</p>
        </>
      )}
    </QueryView>
  );
}

function Textual({ file }: { file: File }) {
  const { query, cut } = useText(file);
  const kind = kindOf(file.path);
  return (
    <QueryView query={query}>
      {(text) => (
        <>
          {kind === "delimited" ? (
            <SheetTable sheet={delimited(text, file.path.endsWith("tsv") ? "\t" : ",", cut)} label={file.path} more={cut} />
          ) : kind === "json" && !cut ? (
            <Json file={file} text={text} />
          ) : kind === "markdown" ? (
            <Markdown text={text} />
          ) : kind === "patch" ? (
            <Patch text={text} label={file.path} />
          ) : (
            <Code text={text} comments={!/\.(txt|log|json|xml)$/i.test(file.path)} label={file.path} />
          )}
          {cut && <Cut size={file.size} />}
        </>
      )}
    </QueryView>
  );
}

export function Preview(file: File) {
  const { run, path } = file;
  switch (kindOf(path)) {
    case "image":
      return <img className="artifact-image" src={artifactUrl(run, path, true)} alt={path} />;
    case "html":
      return <Html {...file} />;
    case "parquet":
      return <Parquet {...file} />;
    case "audio":
      return <audio controls src={artifactUrl(run, path, true)} />;
    case "video":
      return <video className="artifact-image" controls src={artifactUrl(run, path, true)} />;
    case "pdf":
    case "other":
      return (
        <p className="dim">
          No preview for this kind of file.{" "}
          <a className="link" href={artifactUrl(run, path)} download>
            Save it
          </a>{" "}
          to look at it.
        </p>
      );
    default:
      return <Textual file={file} />;
  }
}
