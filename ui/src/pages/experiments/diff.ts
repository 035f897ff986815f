// Which parameters and metrics differ between runs, and which value is the lowest and the highest.
import type { Run } from "../../api/types.ts";

export interface DiffRow {
  kind: "param" | "metric";
  key: string;
  values: (string | number | null)[];
  differs: boolean;
  lowest: number | null;
  highest: number | null;
}

export function diff(runs: Run[]): DiffRow[] {
  const row = (kind: DiffRow["kind"], key: string, values: (string | number | null)[]): DiffRow => {
    const differs = new Set(values.map((value) => String(value))).size > 1;
    const numbers = values.filter((value): value is number => typeof value === "number");
    const marked = kind === "metric" && differs && numbers.length > 1;
    return {
      kind,
      key,
      values,
      differs,
      lowest: marked ? values.indexOf(Math.min(...numbers)) : null,
      highest: marked ? values.indexOf(Math.max(...numbers)) : null,
    };
  };
  const keys = (pick: (run: Run) => object): string[] => [...new Set(runs.flatMap((run) => Object.keys(pick(run))))].sort();
  return [
    ...keys((run) => run.metrics).map((key) =>
      row(
        "metric",
        key,
        runs.map((run) => run.metrics[key]?.value ?? null),
      ),
    ),
    ...keys((run) => run.params).map((key) =>
      row(
        "param",
        key,
        runs.map((run) => run.params[key] ?? null),
      ),
    ),
  ];
}
