// Routes in words.
import assert from "node:assert/strict";
import { test } from "node:test";
import { routeMeaning, routeName } from "./route.ts";

test("a copy says so, and what was not recorded too", () => {
  assert.equal(routeName({ route: "split", role: "challenger" }), "split");
  assert.equal(routeName({ route: "split", role: "shadow" }), "copy");
  assert.equal(routeName({ route: "cached", role: "shadow" }), "copy, cached");
  assert.equal(routeName({ route: "", role: "champion" }), "–");
  assert.match(routeMeaning({ route: "", role: "champion" }), /not recorded/);
  assert.match(routeMeaning({ route: "split", role: "shadow" }), /copy/);
});
