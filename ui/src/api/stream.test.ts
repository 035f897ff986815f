import assert from "node:assert/strict";
import { test } from "node:test";
import { parseEvents, staleNouns } from "./stream.ts";

test("whole messages are read, comments skipped, the unfinished rest kept", () => {
  const { messages, rest } = parseEvents('retry: 1000\n\n: hello\n\nevent: deploy.traffic_changed\nid: 7\ndata: {"seq":7}\n\nid: 8\nda');
  assert.deepEqual(messages, [{ id: "7", event: "deploy.traffic_changed", data: '{"seq":7}' }]);
  assert.equal(rest, "id: 8\nda");
});

test("an event makes its own lists and the overview stale", () => {
  assert.deepEqual(staleNouns("tracking.run_finished"), ["overview", "timeline", "experiments", "runs"]);
  assert.deepEqual(staleNouns("unheard.of"), ["overview", "timeline"]);
});
