import assert from "node:assert/strict";
import { test } from "node:test";
import { inline, markdown, safeHref } from "./markdown.ts";

test("blocks", () => {
  const made = markdown(
    "# Title\n\nSome *text* with `code`.\n\n- one\n- [x] two\n  - inner\n\n1. first\n\n> quoted\n\n```python\nx = 1\n```\n\n| a | b |\n|---|---|\n| 1 | 2 |\n\n---",
  );
  assert.deepEqual(
    made.map((block) => block.kind),
    ["heading", "text", "list", "list", "quote", "code", "table", "rule"],
  );
  const list = made[2];
  assert.ok(list?.kind === "list" && list.items.length === 2 && list.items[1]?.done === true && list.items[1].blocks[1]?.kind === "list");
});

test("inline marks", () => {
  assert.deepEqual(
    inline("a **b** _c_ `d` [e](https://f.org) snake_case_name").map((part) => part.kind),
    ["text", "strong", "text", "em", "text", "code", "text", "link", "text"],
  );
});

test("nothing that acts passes", () => {
  assert.equal(safeHref("javascript:alert(1)"), null);
  assert.equal(safeHref(" JavaScript:alert(1)"), null);
  assert.equal(safeHref("data:text/html,x"), null);
  assert.equal(safeHref("//evil.org"), null);
  assert.equal(safeHref("/runs/1"), "/runs/1");
  assert.deepEqual(inline("[x](javascript:alert(1))")[0], { kind: "text", text: "x)" });
  assert.deepEqual(markdown("<script>alert(1)</script>")[0], {
    kind: "text",
    parts: [{ kind: "text", text: "<script>alert(1)</script>" }],
  });
});

test("odd input neither hangs nor throws", () => {
  for (const text of [
    "",
    "- ",
    "-\n-\n",
    "> > > > > > > > > x",
    "```",
    "|",
    "| |\n|-|",
    "**",
    "1. a\n- b\n2. c",
    "* ".repeat(500),
    "[".repeat(500),
  ])
    markdown(text);
});
