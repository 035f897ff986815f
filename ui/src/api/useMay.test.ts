import assert from "node:assert/strict";
import { test } from "node:test";
import { may } from "./useMay.ts";

test("a role includes what the roles below it may", () => {
  assert.deepEqual(
    ["viewer", "editor", "approver", "admin", "nobody"].map((role) => [may(role, "write"), may(role, "approve"), may(role, "admin")]),
    [
      [false, false, false],
      [true, false, false],
      [true, true, false],
      [true, true, true],
      [false, false, false],
    ],
  );
});
