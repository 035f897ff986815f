// What the form of an endpoint is made of, and its row as code in the protocols that people use.
import type { Endpoint, EndpointDocument } from "../../api/types.ts";

export type Row = Record<string, unknown>;
export type Language = "curl" | "python" | "v2" | "triton";

export const LANGUAGES: Record<Language, string> = {
  curl: "curl, MLflow's protocol",
  python: "Python, MLflow's protocol",
  v2: "curl, Open Inference v2",
  triton: "Python, Open Inference v2 by tritonclient",
};

export interface Column {
  name: string;
  type: "number" | "integer" | "boolean" | "string" | "array" | "any";
  required: boolean;
  hint: string;
  example: unknown;
}

function exampleOf(document: EndpointDocument): Row {
  for (const operations of Object.values(document.paths)) {
    const rows = operations["post"]?.requestBody?.content?.["application/json"]?.example?.dataframe_records;
    if (rows?.[0]) return rows[0];
  }
  return {};
}

/** The form's fields from an endpoint's OpenAPI document, in the signature's order. */
export function columnsOf(document: EndpointDocument | undefined): Column[] {
  if (!document) return [];
  const { properties = {}, required = [] } = document.components.schemas.Row;
  const example = exampleOf(document);
  return Object.entries(properties).map(([name, property]) => {
    const type = (Array.isArray(property.type) ? property.type[0] : property.type) ?? "any";
    const needed = required.includes(name);
    return {
      name,
      type: type as Column["type"],
      required: needed,
      hint: [property.format ?? type, needed ? "" : "may be left out"].filter(Boolean).join(", "),
      example: example[name],
    };
  });
}

/** The file of a model in which MLflow and Trimtab keep an input example as the body of a request. */
export const EXAMPLE_FILE = "serving_input_example.json";

/** The first row of a model's input example by column; undefined for one that is not of the form's columns. */
export function firstRow(body: unknown, columns: Column[]): Row | undefined {
  if (typeof body !== "object" || body === null) return undefined;
  const { dataframe_split: split, dataframe_records: records, inputs } = body as Record<string, unknown>;
  const tables = split as { columns?: string[]; data?: unknown[][] } | undefined;
  const values = tables ? tables.data?.[0] : (records ?? inputs);
  const first: unknown = tables || !Array.isArray(values) ? values : values[0];
  if (typeof first !== "object" || first === null) return undefined;
  const row: Row = Array.isArray(first)
    ? Object.fromEntries(first.map((value: unknown, at) => [tables?.columns?.[at] ?? columns[at]?.name ?? "", value]))
    : (first as Row);
  return columns.some((column) => column.name in row) ? row : undefined;
}

/** What stands in the fields for a row. */
export function texts(columns: Column[], row: Row): Record<string, string> {
  const given = columns.filter(({ name }) => row[name] !== undefined && row[name] !== null);
  return Object.fromEntries(
    given.map(({ name }) => [name, typeof row[name] === "object" ? JSON.stringify(row[name]) : String(row[name])]),
  );
}

/** The row in the form's fields, each value in its column's type; what was left empty is left out. */
export function typed(columns: Column[], values: Record<string, string>): Row {
  const row: Row = {};
  for (const { name, type } of columns) {
    const value = values[name];
    if (value === undefined || value === "") continue;
    if (type === "number" || type === "integer") row[name] = Number(value);
    else if (type === "boolean") row[name] = value === "true";
    else if (type === "array" || type === "any") row[name] = JSON.parse(value);
    else row[name] = value;
  }
  return row;
}

const quoted = (value: unknown): string => `'${JSON.stringify(value).replaceAll("'", "'\\''")}'`;

function python(value: unknown): string {
  if (value === null || value === undefined) return "None";
  if (typeof value === "boolean") return value ? "True" : "False";
  if (Array.isArray(value)) return `[${value.map(python).join(", ")}]`;
  if (typeof value === "object")
    return `{${Object.entries(value)
      .map(([key, each]) => `${JSON.stringify(key)}: ${python(each)}`)
      .join(", ")}}`;
  return JSON.stringify(value);
}

const DATATYPES: Record<string, string> = { number: "FP64", integer: "INT64", boolean: "BOOL" };
const NUMPY: Record<string, string> = { FP64: "float64", INT64: "int64", BOOL: "bool", BYTES: "object" };

/** Code that makes the same call as the form: to the version chosen in it, or to whichever the traffic's split gives. */
export function snippet(language: Language, endpoint: Endpoint, columns: Column[], row: Row, version: string): string {
  const base = endpoint.url.replace(/\/v2\/.*$/, "");
  const pinned = version ? `/versions/${version}` : "";
  const scoring = version ? `${base}/v1/models/${endpoint.name}${pinned}:predict` : `${base}/endpoints/${endpoint.name}/invocations`;
  const rows = version ? { instances: [row] } : { dataframe_records: [row] };
  const given = columns.filter((column) => column.name in row);
  const datatype = (column: Column): string => DATATYPES[column.type] ?? "BYTES";
  switch (language) {
    case "curl":
      return `curl -s ${scoring} \\\n  -H 'content-type: application/json' \\\n  -d ${quoted(rows)}`;
    case "python":
      return [
        "import json, urllib.request",
        "",
        "request = urllib.request.Request(",
        `    ${JSON.stringify(scoring)},`,
        `    json.dumps(${python(rows)}).encode(),`,
        `    {"content-type": "application/json"},  # and "authorization": "Bearer ..." where sign-in is on`,
        ")",
        "with urllib.request.urlopen(request) as answer:",
        `    print(json.load(answer)["predictions"], answer.headers["x-prediction-id"])`,
      ].join("\n");
    case "v2": {
      const inputs = given.map((column) => ({ name: column.name, shape: [1], datatype: datatype(column), data: [row[column.name]] }));
      return `curl -s ${base}/v2/models/${endpoint.name}${pinned}/infer \\\n  -H 'content-type: application/json' \\\n  -d ${quoted({ inputs })}`;
    }
    case "triton":
      return [
        "import numpy as np",
        "import tritonclient.http as triton",
        "",
        `client = triton.InferenceServerClient(${JSON.stringify(base.replace(/^https?:\/\//, ""))})`,
        "inputs = []",
        `for name, kind, dtype, value in [`,
        ...given.map((column) => {
          const kind = datatype(column);
          return `    (${JSON.stringify(column.name)}, "${kind}", "${NUMPY[kind]}", ${python(row[column.name])}),`;
        }),
        "]:",
        "    tensor = triton.InferInput(name, [1], kind)",
        "    tensor.set_data_from_numpy(np.array([value], dtype=dtype))",
        "    inputs.append(tensor)",
        `print(client.infer(${JSON.stringify(endpoint.name)}, inputs${version ? `, model_version="${version}"` : ""}).as_numpy("predictions"))`,
      ].join("\n");
  }
}
