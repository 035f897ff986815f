import assert from "node:assert/strict";
import { test } from "node:test";
import { changes, grouped, ruleText, settingLabel } from "./settings.ts";

test("only what was typed differently is sent", () => {
  const before = [
    { name: "timeout", value: "60s" },
    { name: "rate_limit", value: "off" },
    { name: "cache", value: "60s" },
  ];
  assert.deepEqual(changes(before, {}), {});
  assert.deepEqual(changes(before, { timeout: " 500ms ", rate_limit: "off", cache: "" }), { timeout: "500ms", cache: null });
});

test("rules and settings read as sentences", () => {
  assert.equal(settingLabel("key_rate_limit"), "Key rate limit");
  assert.equal(ruleText("generalise:10"), "the lower edge of bins of 10");
  assert.equal(ruleText("generalise:prefix:3"), "its first 3 characters");
  assert.equal(ruleText("generalise:month"), "a date's month");
  assert.equal(ruleText("hash"), "a keyed hash: equal values stay equal");
});

test("settings stand by what they are about, unknown ones last", () => {
  const names = (found: [string, { name: string }[]][]) => found.map(([label, of]) => [label, of.map((one) => one.name)]);
  assert.deepEqual(names(grouped([{ name: "new" }, { name: "cache" }, { name: "timeout" }, { name: "sticky_by" }])), [
    ["Time-outs and retries", ["timeout"]],
    ["Routing and cache", ["sticky_by", "cache"]],
    ["Others", ["new"]],
  ]);
});
