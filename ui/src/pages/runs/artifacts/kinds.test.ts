import assert from "node:assert/strict";
import { test } from "node:test";
import { delimited, kindOf, plotlyTraces, sheetOf } from "./kinds.ts";

test("files are known by their names", () => {
  assert.deepEqual(
    ["a/b.PNG", "model/MLmodel", "x.csv", "trimtab/changes.patch", "r.html", "m.bin", "requirements.txt", "d.parquet"].map(kindOf),
    ["image", "text", "delimited", "patch", "html", "other", "text", "parquet"],
  );
});

test("quotes, line ends and a cut end are read", () => {
  assert.deepEqual(delimited('a,b\r\n"x, ""y""",2\n3,\n', ",", false), {
    columns: ["a", "b"],
    rows: [
      ['x, "y"', "2"],
      ["3", ""],
    ],
  });
  assert.deepEqual(delimited("a\tb\n1\t2\n3\t", "\t", true).rows, [["1", "2"]]);
  assert.deepEqual(delimited("a\n1", ",", false).rows, [["1"]]);
});

test("tables in JSON", () => {
  assert.deepEqual(sheetOf({ columns: ["a"], data: [[1], [{ x: 1 }]] })?.rows, [[1], ['{"x":1}']]);
  assert.deepEqual(sheetOf([{ a: 1 }, { b: null }]), {
    columns: ["a", "b"],
    rows: [
      [1, null],
      [null, null],
    ],
  });
  assert.equal(sheetOf({ a: 1 }), null);
  assert.equal(sheetOf([1, 2]), null);
});

test("Plotly's simple figures", () => {
  const [trace] = plotlyTraces({ data: [{ type: "bar", x: ["a"], y: [2] }], layout: {} }) ?? [];
  assert.deepEqual(trace, { name: "", kind: "bar", xs: ["a"], ys: [2] });
  assert.equal(plotlyTraces({ data: [{ type: "pie", values: [1] }], layout: {} }), null);
  assert.equal(plotlyTraces({ data: [] }), null);
});
