import assert from "node:assert/strict";
import { test } from "node:test";
import { duration, relative, timeText, timeUs } from "./time.ts";

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

test("times are read as people type them, and written so", () => {
  assert.equal(timeUs("10m"), 600e6);
  assert.equal(timeUs("1h 30m"), 5400e6);
  assert.equal(timeUs("0"), 0);
  for (const wrong of ["", "10", "m", "10x", "1m!"]) assert.equal(timeUs(wrong), null);
  for (const text of ["10m", "1h30m", "30d", "1d12h5m3s", "0"]) assert.equal(timeText(timeUs(text) ?? -1), text);
});
