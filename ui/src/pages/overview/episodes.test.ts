import assert from "node:assert/strict";
import { test } from "node:test";
import type { TimelineItem, TimelineKind, TimelineState } from "../../api/types.ts";
import { chain, episodes, links } from "./episodes.ts";

const line = (
  id: string,
  at: number,
  kind: TimelineKind,
  cause: string | null,
  episode: string | null = "e",
  state: TimelineState = "done",
): TimelineItem => ({
  id,
  at_us: at,
  event_us: null,
  kind,
  state,
  title: id,
  detail: "",
  subject: "endpoint:x",
  episode_id: episode,
  cause_id: cause,
  actor: "loop",
  data: {},
});

test("episodes come newest first with their lines in order and their outcome", () => {
  const all = [
    line("a", 1, "alarm", null),
    line("b", 2, "retraining", "a"),
    line("p", 3, "promotion", "b"),
    line("m", 9, "manual", null, null),
    line("r", 12, "rollback", null, "f"),
  ];
  const found = episodes(all.reverse());
  assert.deepEqual(
    found.map((each) => [each.id, each.outcome]),
    [
      ["f", "rolled back"],
      [null, "noted"],
      ["e", "promoted"],
    ],
  );
  assert.deepEqual(
    found[2]?.items.map((item) => item.id),
    ["a", "b", "p"],
  );
  assert.equal(found[2]?.decisive.id, "p");
});

test("a failed gate ends an episode unless something followed", () => {
  const stopped = [line("a", 1, "alarm", null), line("g", 2, "gate", "a", "e", "failed")];
  assert.equal(episodes(stopped)[0]?.outcome, "stopped at the gate");
  assert.equal(episodes([...stopped, line("c", 3, "canary", "g", "e", "started")])[0]?.outcome, "under way");
});

test("the server's own word on an episode counts before what its lines look like", () => {
  const story = { id: "e", state: "kept" } as Parameters<typeof episodes>[1] extends (infer S)[] | undefined ? S : never;
  assert.equal(episodes([line("a", 1, "alarm", null)], [story])[0]?.outcome, "kept");
});

test("links that skip lines get lanes that do not overlap", () => {
  const items = [line("a", 1, "alarm", null), line("b", 2, "retraining", "a"), line("c", 3, "gate", "a"), line("d", 4, "canary", "b")];
  assert.deepEqual(links(items), [
    { from: 0, to: 1, lane: 0 },
    { from: 0, to: 2, lane: 1 },
    { from: 1, to: 3, lane: 2 },
  ]);
});

test("the chain of a line is all that led to it and all that followed", () => {
  const items = [line("a", 1, "alarm", null), line("b", 2, "retraining", "a"), line("x", 2, "alarm", "a"), line("c", 3, "gate", "b")];
  assert.deepEqual([...chain(items, "b")].sort(), ["a", "b", "c"]);
});
