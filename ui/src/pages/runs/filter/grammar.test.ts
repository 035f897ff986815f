import assert from "node:assert/strict";
import { test } from "node:test";
import { read, splitName, withClause, without, writtenName } from "./grammar.ts";

test("a filter is read into comparisons", () => {
  const { clauses, wrong } = read("metrics.`val loss` < 0.4 and params.depth = '6' AND tags.team IS NOT NULL and run_id IN ('a','b')");
  assert.deepEqual(
    clauses.map(({ entity, key, operator, value }) => [entity, key, operator, value]),
    [
      ["metrics", "val loss", "<", "0.4"],
      ["params", "depth", "=", "6"],
      ["tags", "team", "IS NOT NULL", null],
      ["attributes", "run_id", "IN", "('a','b')"],
    ],
  );
  assert.deepEqual(wrong, []);
});

test("what is wrong is said at its place", () => {
  const at = (text: string): [number, number] | undefined => {
    const first = read(text, 0).wrong[0];
    return first && [first.from, first.to];
  };
  assert.deepEqual(at("metrics.loss < 'x'"), [15, 18]);
  assert.deepEqual(at("params.depth = 6"), [15, 16]);
  assert.deepEqual(at("metric.loss ~ 3"), [12, 13]);
  assert.deepEqual(at("madeup.loss = 3"), [0, 11]);
  assert.deepEqual(at("loss = 3"), [0, 4]);
  assert.deepEqual(at("metrics.a LIKE 'x'"), [10, 14]);
  assert.deepEqual(at("params.a = "), [10, 11]);
  assert.equal(at("params.a = 'x' and attributes.status = 'FAILED'"), undefined);
});

test("what may come next follows the cursor", () => {
  const place = (text: string) => {
    const { expects, typed, entity, key } = read(text).place;
    return [expects, typed, entity, key];
  };
  assert.deepEqual(place(""), ["name", "", "", ""]);
  assert.deepEqual(place("met"), ["name", "met", "", ""]);
  assert.deepEqual(place("metrics.lo"), ["name", "metrics.lo", "", ""]);
  assert.deepEqual(place("metrics.`val l"), ["name", "metrics.`val l", "", ""]);
  assert.deepEqual(place("metrics.loss "), ["operator", "", "metrics", "loss"]);
  assert.deepEqual(place("params.kind LI"), ["operator", "LI", "params", "kind"]);
  assert.deepEqual(place("params.kind = "), ["value", "", "params", "kind"]);
  assert.deepEqual(place("params.kind = 'tr"), ["value", "'tr", "params", "kind"]);
  assert.deepEqual(place("params.kind = 'tree' "), ["and", "", "", ""]);
  assert.deepEqual(place("params.kind = 'tree' an"), ["and", "an", "", ""]);
  assert.deepEqual(place("params.kind = 'tree' and "), ["name", "", "", ""]);
});

test("comparisons are put in and taken out", () => {
  const text = "metrics.loss < 0.4 and params.kind = 'tree'";
  assert.equal(without(text, "params", "kind"), "metrics.loss < 0.4");
  assert.equal(withClause(text, "params", "kind", "=", "'net'"), "metrics.loss < 0.4 AND params.kind = 'net'");
  assert.equal(withClause("", "tags", "a b", "=", "'x'"), "tags.`a b` = 'x'");
  assert.equal(writtenName("metrics", "val/loss"), "metrics.`val/loss`");
  assert.deepEqual(splitName("metrics.`val/loss`"), ["metrics", "val/loss"]);
});
