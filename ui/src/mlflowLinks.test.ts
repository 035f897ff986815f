import assert from "node:assert/strict";
import { test } from "node:test";
import { fromMlflow } from "./mlflowLinks.ts";

test("links that MLflow prints lead to the same object", () => {
  assert.equal(fromMlflow("#/experiments/1/runs/ab12"), "/runs/ab12");
  assert.equal(fromMlflow("#/experiments/1?searchFilter=x"), "/experiments/1");
  assert.equal(fromMlflow("#/models/flights%20delay/versions/3"), "/models/flights%20delay/3");
  assert.equal(fromMlflow("#/models"), "/models");
  assert.equal(fromMlflow("#main"), null);
});
