import assert from "node:assert/strict";
import { test } from "node:test";
import type { Run } from "../../../api/types.ts";
import type { Capture } from "../run/capture.ts";
import { differences } from "./differences.ts";

const run = (id: string, params: Record<string, string>, auc: number | null): Run => ({
  id,
  name: id,
  experiment_id: "1",
  status: "FINISHED",
  started_us: 0,
  ended_us: 1e6,
  owner: "maria",
  params,
  metrics: auc === null ? {} : { auc: { value: auc, step: 0, at_us: 0 } },
  tags: { team: "risk", "mlflow.user": "maria" },
  source: { commit: id },
  state: "active",
  datasets: [{ name: "flights", digest: id, source: "", context: "training" }],
  models: [],
});

test("rows say whether they differ, and metrics which is the least and the greatest", () => {
  const rows = differences(
    [run("a", { depth: "3", lr: "1" }, 0.7), run("b", { depth: "4", lr: "1" }, 0.9), run("c", { lr: "1" }, null)],
    [],
  );
  const row = (section: string, key: string) => rows.find((each) => each.section === section && each.key === key);
  assert.deepEqual(row("Parameters", "depth")?.values, ["3", "4", null]);
  assert.equal(row("Parameters", "depth")?.differs, true);
  assert.equal(row("Parameters", "lr")?.differs, false);
  assert.deepEqual([row("Metrics, last value", "auc")?.lowest, row("Metrics, last value", "auc")?.highest], [0, 1]);
  assert.equal(row("Data", "flights (training)")?.differs, true);
  assert.equal(row("Code", "commit")?.differs, true);
  assert.equal(row("Tags", "team")?.differs, false);
  assert.equal(row("Tags", "mlflow.user"), undefined);
});

test("the environment is compared package by package", () => {
  const capture = (version: string): Capture => ({
    environment: {
      python: "3.11.2",
      platform: "Linux",
      packages: [
        { name: "numpy", version },
        { name: "pandas", version: "2.2" },
      ],
    },
  });
  const rows = differences([run("a", {}, 1), run("b", {}, 1)], [capture("2.0"), capture("2.1")]).filter(
    (each) => each.section === "Environment",
  );
  assert.deepEqual(
    rows.map((each) => [each.key, each.differs]),
    [
      ["python", false],
      ["platform", false],
      ["numpy", true],
      ["pandas", false],
    ],
  );
});
