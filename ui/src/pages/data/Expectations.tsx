// What was expected of the data and what was found, failures first.
import type { ExpectationResult } from "../../api/types.ts";
import { number } from "../../format/number.ts";
import { Card } from "../../ui/Card.tsx";
import { State } from "../../ui/Badge.tsx";
import { Empty } from "../../ui/States.tsx";
import { Table, type Column } from "../../ui/Table.tsx";

const text = (value: unknown): string =>
  value === null || value === undefined
    ? "–"
    : typeof value === "number"
      ? number(value)
      : Array.isArray(value)
        ? value.map(text).join(", ")
        : typeof value === "object"
          ? JSON.stringify(value)
          : String(value);

const COLUMNS: Column<ExpectationResult>[] = [
  {
    key: "state",
    head: "Result",
    cell: (row) => <State of={row.passed ? "passed" : row.severity === "warning" ? "warning" : "failed"} />,
    sort: (row) => (row.passed ? 1 : 0),
  },
  { key: "column", head: "Column", cell: (row) => row.column ?? <span className="faint">whole table</span>, sort: (row) => row.column },
  { key: "expectation", head: "Expectation", cell: (row) => row.expectation.replace(/_/g, " "), sort: (row) => row.expectation },
  { key: "expected", head: "Expected", cell: (row) => <span className="dim">{text(row.expected)}</span> },
  { key: "observed", head: "Found", cell: (row) => text(row.observed) },
  { key: "message", head: "In words", cell: (row) => row.message, grow: true },
];

export function Expectations({ checks, name }: { checks: ExpectationResult[]; name: string }) {
  return (
    <Card flush>
      {checks.length === 0 ? (
        <Empty title="Nothing is expected of it yet" code={`trimtab data expectations ${name} --set expectations.json`}>
          Expectations are checked on every new version, and pipelines stop at data that breaks them.
        </Empty>
      ) : (
        <Table
          label="Expectations"
          rows={checks}
          columns={COLUMNS}
          rowKey={(row) => `${row.table ?? ""}-${row.expectation}-${row.column ?? ""}-${text(row.expected)}`}
          initial="state"
          param="checks"
          tone={(row) => (row.passed ? undefined : "row-alarm")}
        />
      )}
    </Card>
  );
}
