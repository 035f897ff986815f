import assert from "node:assert/strict";
import { test } from "node:test";
import { RowWindow, type Ask } from "./window.ts";

const TOTAL = 10_050;
const settle = (): Promise<void> => new Promise((done) => setTimeout(done, 5));

function server() {
  const asked: Ask[] = [];
  const load = (ask: Ask) => {
    asked.push(ask);
    const start = Number(ask.cursor || 0);
    const items = Array.from({ length: Math.min(ask.limit, TOTAL - start) }, (_, i) => ({ id: String(start + i) }));
    return Promise.resolve({ items, next_cursor: start + ask.limit < TOTAL ? String(start + ask.limit) : null });
  };
  return { asked, load };
}

test("rows come by index and the page after is fetched ahead", async () => {
  const { load, asked } = server();
  const rows = new RowWindow(load);
  rows.need(0, 30);
  await settle();
  assert.equal(rows.get(17)?.id, "17");
  assert.equal(rows.get(399)?.id, "399");
  assert.equal(asked.length, 2);
  assert.equal(rows.known, 400);
});

test("a jump walks the cursors lightly and memory stays bounded", async () => {
  const { load, asked } = server();
  const rows = new RowWindow(load);
  for (let row = 0; row < TOTAL; row += 100) {
    rows.need(row, row + 40);
    await settle();
  }
  assert.ok(rows.held <= 41 * 200, String(rows.held));
  assert.equal(rows.known, TOTAL);
  assert.ok(rows.ended);
  const jump = new RowWindow(load);
  asked.length = 0;
  jump.need(9000, 9040);
  await settle();
  assert.equal(jump.get(9010)?.id, "9010");
  assert.ok(asked.filter((ask) => ask.light).length >= 43);
  jump.need(0, 40);
  await settle();
  assert.equal(jump.get(3)?.id, "3");
});

test("rows are renewed in place", async () => {
  const { load } = server();
  const rows = new RowWindow<{ id: string; note?: string }>(load);
  rows.need(0, 10);
  await settle();
  rows.patch([{ id: "4", note: "new" }]);
  assert.equal(rows.get(4)?.note, "new");
  assert.equal(rows.get(5)?.note, undefined);
});

test("a failure is kept until it is tried again", async () => {
  let broken = true;
  const rows = new RowWindow((ask: Ask) => (broken ? Promise.reject(new Error("no")) : server().load(ask)));
  rows.need(0, 10);
  await settle();
  assert.match(String(rows.error), /no/);
  broken = false;
  rows.retry();
  await settle();
  assert.equal(rows.get(0)?.id, "0");
});
