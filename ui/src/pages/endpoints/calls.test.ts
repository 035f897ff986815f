import assert from "node:assert/strict";
import { test } from "node:test";
import type { Endpoint, EndpointDocument } from "../../api/types.ts";
import { columnsOf, firstRow, snippet, texts, typed } from "./calls.ts";

const DOCUMENT: EndpointDocument = {
  paths: {
    "/v1/models/m": { get: {} },
    "/endpoints/m/invocations": {
      post: {
        requestBody: { content: { "application/json": { example: { dataframe_records: [{ a: 1.5, b: 1, ok: true, w: "text" }] } } } },
      },
    },
  },
  components: {
    schemas: {
      Row: {
        properties: {
          a: { type: "number", format: "double" },
          b: { type: ["integer", "null"], format: "int64" },
          ok: { type: "boolean" },
          w: { type: "string" },
        },
        required: ["a", "ok"],
      },
    },
  },
};
const ENDPOINT = { name: "m", url: "http://127.0.0.1:5001/v2/models/m/infer" } as Endpoint;
const columns = columnsOf(DOCUMENT);

test("the form has the signature's columns, in order, with an example", () => {
  assert.deepEqual(
    columns.map((column) => [column.name, column.type, column.required, column.example]),
    [
      ["a", "number", true, 1.5],
      ["b", "integer", false, 1],
      ["ok", "boolean", true, true],
      ["w", "string", false, "text"],
    ],
  );
  assert.equal(columns[1]?.hint, "int64, may be left out");
  assert.deepEqual(columnsOf(undefined), []);
});

test("values take their column's type, and empty ones are left out", () => {
  assert.deepEqual(typed(columns, { a: "2.5", b: "", ok: "false", w: "it's" }), { a: 2.5, ok: false, w: "it's" });
});

test("the first row of an input example fills the form, in whichever form it is kept", () => {
  const row = { a: 2.5, b: null, ok: true, w: "x" };
  const array = [2.5, null, true, "x"];
  for (const body of [
    { dataframe_split: { columns: ["a", "b", "ok", "w"], data: [array] } },
    { dataframe_records: [row, { a: 1 }] },
    { inputs: [array] },
    { inputs: row },
  ])
    assert.deepEqual(firstRow(body, columns), row);
  assert.deepEqual(texts(columns, row), { a: "2.5", ok: "true", w: "x" });
  for (const body of [null, 3, {}, { inputs: [] }, { inputs: "text" }, { dataframe_split: {} }, { dataframe_records: [{ other: 1 }] }])
    assert.equal(firstRow(body, columns), undefined);
});

test("code quotes what a shell or Python would take apart", () => {
  const row = { a: 2.5, ok: false, w: "it's" };
  assert.match(snippet("curl", ENDPOINT, columns, row, ""), /endpoints\/m\/invocations .*"w":"it'\\''s"/s);
  assert.match(snippet("python", ENDPOINT, columns, row, ""), /"ok": False/);
  assert.match(snippet("v2", ENDPOINT, columns, row, "3"), /models\/m\/versions\/3\/infer.*"datatype":"BOOL","data":\[false\]/s);
  assert.match(snippet("curl", ENDPOINT, columns, row, "3"), /v1\/models\/m\/versions\/3:predict.*"instances"/s);
  assert.match(snippet("triton", ENDPOINT, columns, row, ""), /InferenceServerClient\("127.0.0.1:5001"\)/);
});
