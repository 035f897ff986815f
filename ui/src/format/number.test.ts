import assert from "node:assert/strict";
import { test } from "node:test";
import { bytes, exact, figure, number, percent, signed } from "./number.ts";

test("three significant digits, whole numbers below ten thousand exact", () => {
  assert.equal(number(0.41235), "0.412");
  assert.equal(number(1234), "1,234");
  assert.equal(number(9999), "9,999");
  assert.equal(number(336_776), "337 k");
  assert.equal(number(2_712_908), "2.71 M");
  assert.equal(number(0), "0");
  assert.equal(number(-0.5), "\u22120.5");
  assert.equal(number(1234.5), "1.23 k");
});

test("rounding up to the next unit takes that unit", () => {
  assert.equal(number(999_999), "1 M");
  assert.equal(number(999_499), "999 k");
  assert.equal(bytes(999_999), "1 MB");
});

test("very small, very large, missing and infinite values", () => {
  assert.equal(number(2.46e-7), "2.46e\u22127");
  assert.equal(number(null), "–");
  assert.equal(number(Number.NaN), "–");
  assert.equal(number(Number.POSITIVE_INFINITY), "∞");
});

test("figures in a column keep their zeros", () => {
  assert.deepEqual(
    [0.75, 0.855, 63, 12.3, 0.1].map((value) => figure(value)),
    ["0.750", "0.855", "63", "12.3", "0.100"],
  );
});

test("shares, sizes, differences, exact values", () => {
  assert.equal(percent(0.00106), "0.106\u202f%");
  assert.equal(percent(1), "100\u202f%");
  assert.equal(bytes(512), "512 B");
  assert.equal(bytes(31_204_511), "31.2 MB");
  assert.equal(signed(0.02), "+0.02");
  assert.equal(exact(336_776), "336,776");
});
