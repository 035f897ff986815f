import assert from "node:assert/strict";
import { test } from "node:test";
import type { Run } from "../../../api/types.ts";
import { dimension, filterOf, within } from "./dimension.ts";

const run = (i: number): Run => ({
  id: `r${i}`,
  name: `r${i}`,
  experiment_id: "1",
  status: "FINISHED",
  started_us: 0,
  ended_us: 1,
  owner: "",
  params: { lr: String(10 ** (i - 4)), kind: i % 2 ? "tree" : "net" },
  metrics: i === 3 ? {} : { auc: { value: 0.5 + i / 10, step: 0, at_us: 0 } },
  tags: {},
  source: {},
  state: "active",
  datasets: [],
  models: [],
});
const runs = [0, 1, 2, 3].map(run);

test("numbers over orders of magnitude are logarithmic, words are categories, missing stays missing", () => {
  const lr = dimension("p:lr", runs);
  assert.deepEqual([lr.kind, lr.log], ["number", true]);
  assert.ok(Math.abs((lr.places[1] ?? 0) - 1 / 3) < 1e-9);
  assert.equal(dimension("p:kind", runs).kind, "category");
  assert.equal(dimension("m:auc", runs).places[3], null);
});

test("a brush becomes a filter", () => {
  const dims = [dimension("p:lr", runs), dimension("p:kind", runs), dimension("m:auc", runs)];
  assert.deepEqual(within(dims, { "m:auc": [0.5, 1] }, 4), [false, true, true, false]);
  assert.equal(filterOf(dims, { "m:auc": [0.5, 1] }, runs), "metrics.auc >= 0.6");
  assert.equal(filterOf(dims, { "p:kind": [0.5, 1], "m:auc": [0, 0.6] }, runs), "params.kind = 'tree' AND metrics.auc <= 0.62");
  assert.equal(filterOf(dims, { "p:lr": [0, 0.5] }, runs), "attributes.run_id IN ('r0', 'r1')");
});
