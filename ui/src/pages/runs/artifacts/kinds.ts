// What a file is by its name, and how its text is read as a table.

export type FileKind =
  "image" | "delimited" | "json" | "html" | "markdown" | "patch" | "text" | "parquet" | "pdf" | "audio" | "video" | "other";

const BY_ENDING: [RegExp, FileKind][] = [
  [/\.(png|jpe?g|gif|webp|svg|bmp|ico|avif)$/i, "image"],
  [/\.(csv|tsv)$/i, "delimited"],
  [/\.(json|geojson|ipynb)$/i, "json"],
  [/\.html?$/i, "html"],
  [/\.(md|markdown)$/i, "markdown"],
  [/\.(patch|diff)$/i, "patch"],
  [/\.(parquet|pq)$/i, "parquet"],
  [/\.pdf$/i, "pdf"],
  [/\.(wav|mp3|ogg|flac|m4a)$/i, "audio"],
  [/\.(mp4|webm|mov)$/i, "video"],
  [
    /(\.(txt|log|ya?ml|py|toml|ini|cfg|sql|xml|sh|r|js|ts|css|jsonl|ndjson|env|conf|lock|c|cpp|h|rs|go|java|tex)|(^|\/)(MLmodel|requirements[^/]*|Dockerfile|Makefile|LICENSE|README))$/i,
    "text",
  ],
];

export const kindOf = (path: string): FileKind => BY_ENDING.find(([pattern]) => pattern.test(path))?.[1] ?? "other";

export interface Sheet {
  columns: string[];
  rows: (string | number | boolean | null)[][];
}

/** Reads comma- or tab-separated text with quotes; a last line that was cut off is left out where `cut`. */
export function delimited(text: string, mark: "," | "\t", cut: boolean): Sheet {
  const rows: string[][] = [];
  let row: string[] = [];
  let cell = "";
  let quoted = false;
  for (let i = 0; i < text.length; i += 1) {
    const letter = text[i] as string;
    if (quoted) {
      if (letter === '"' && text[i + 1] === '"') {
        cell += '"';
        i += 1;
      } else if (letter === '"') quoted = false;
      else cell += letter;
    } else if (letter === '"' && cell === "") quoted = true;
    else if (letter === mark) {
      row.push(cell);
      cell = "";
    } else if (letter === "\n") {
      row.push(cell.replace(/\r$/, ""));
      rows.push(row);
      row = [];
      cell = "";
    } else cell += letter;
  }
  if (!cut && (cell !== "" || row.length)) rows.push([...row, cell]);
  const [head = [], ...body] = rows;
  return { columns: head, rows: body };
}

/** A table in JSON: {columns, data} as MLflow's log_table writes it, a list of records, or columns of lists. */
export function sheetOf(value: unknown): Sheet | null {
  if (Array.isArray(value)) {
    if (!value.length || !value.every((each) => each !== null && typeof each === "object" && !Array.isArray(each))) return null;
    const columns = [...new Set((value as Record<string, unknown>[]).flatMap((each) => Object.keys(each)))];
    return { columns, rows: (value as Record<string, unknown>[]).map((each) => columns.map((column) => plain(each[column]))) };
  }
  if (value === null || typeof value !== "object") return null;
  const { columns, data } = value as { columns?: unknown; data?: unknown };
  if (Array.isArray(columns) && Array.isArray(data) && data.every(Array.isArray))
    return { columns: columns.map(String), rows: (data as unknown[][]).map((each) => each.map(plain)) };
  return null;
}

const plain = (value: unknown): string | number | boolean | null =>
  value === null || value === undefined ? null : typeof value === "object" ? JSON.stringify(value) : (value as string | number | boolean);

export interface Trace {
  name: string;
  kind: "line" | "dots" | "bar";
  xs: (string | number)[];
  ys: (number | null)[];
}

/** The traces of a Plotly figure that are lines, dots or bars; null where it is something else. */
export function plotlyTraces(value: unknown): Trace[] | null {
  if (value === null || typeof value !== "object") return null;
  const { data, layout } = value as { data?: unknown; layout?: unknown };
  if (!Array.isArray(data) || !data.length || layout === null || typeof layout !== "object") return null;
  const traces: Trace[] = [];
  for (const each of data as Record<string, unknown>[]) {
    const { x, y, type = "scatter", mode = "lines", name = "" } = each;
    if (!Array.isArray(y) || !/^(scatter|scattergl|bar)$/.test(String(type))) return null;
    traces.push({
      name: String(name),
      kind: type === "bar" ? "bar" : String(mode).includes("lines") ? "line" : "dots",
      xs: Array.isArray(x) ? (x as (string | number)[]) : y.map((_, i) => i),
      ys: y.map((value) => (typeof value === "number" ? value : null)),
    });
  }
  return traces;
}
