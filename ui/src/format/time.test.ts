import assert from "node:assert/strict";
import { test } from "node:test";
import { duration, relative } from "./time.ts";

test("relative times are coarse and know the future", () => {
  const now = 1_700_000_000_000;
  const ago = (seconds: number): string => relative((now - seconds * 1000) * 1000, now);
  assert.equal(ago(2), "now");
  assert.equal(ago(42), "42 s ago");
  assert.equal(ago(59 * 60), "59 min ago");
  assert.equal(ago(26 * 3600), "1 d ago");
  assert.equal(ago(-7200), "in 2 h");
});

test("durations from microseconds to days", () => {
  assert.equal(duration(340), "340 µs");
  assert.equal(duration(12_400), "12.4 ms");
  assert.equal(duration(3_210_000), "3.21 s");
  assert.equal(duration(252e6), "4 min 12 s");
  assert.equal(duration(86_400e6), "1 d");
  assert.equal(duration(null), "–");
});
