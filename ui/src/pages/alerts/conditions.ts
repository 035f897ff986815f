// Conditions of rules as people write them: one test a line, "state == failed".
import type { Condition } from "../../api/types.ts";

type Test = NonNullable<Condition["where"]>[number];

const LINE = /^\s*(\S+)\s+(==|!=|>=|<=|>|<|in|contains|exists)(?:\s+(.*?))?\s*$/;

function valueOf(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}

/** The tests of a text; the number of the first line that is none where there is one. */
export function testsOf(text: string): Test[] | number {
  const tests: Test[] = [];
  for (const [i, line] of text.split("\n").entries()) {
    if (!line.trim()) continue;
    const [, field, op, value] = LINE.exec(line) ?? [];
    if (!field || !op || (op !== "exists" && value === undefined)) return i + 1;
    tests.push({ field, op, value: op === "exists" || value === undefined ? null : valueOf(value) });
  }
  return tests;
}

const written = (value: unknown): string => {
  // A text that would be read as another kind of value keeps its quotes.
  if (typeof value === "string" && valueOf(value) === value) return value;
  return JSON.stringify(value);
};

export const textOf = (tests: readonly Test[] = []): string =>
  tests.map(({ field, op, value }) => (op === "exists" ? `${field} exists` : `${field} ${op} ${written(value)}`)).join("\n");

/** "monitor.alarmed where cause == drift" of a condition. */
export function conditionText(condition: Condition | null): string {
  if (!condition) return "reported by other parts";
  const tests = textOf(condition.where).replaceAll("\n", " and ");
  return condition.event + (tests && ` where ${tests}`);
}
