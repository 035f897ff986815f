// Runs side by side: every fact as a row with one value a run, whether they differ, and which metric is the least or greatest.
import type { Run } from "../../../api/types.ts";
import type { Capture } from "../run/capture.ts";

export const SECTIONS = ["Run", "Metrics, last value", "Parameters", "Code", "Data", "Environment", "Tags"] as const;
export type Section = (typeof SECTIONS)[number];
export interface DiffRow {
  section: Section;
  key: string;
  values: (string | number | null)[];
  differs: boolean;
  lowest: number | null;
  highest: number | null;
}

type Value = string | number | null | undefined;

function row(section: Section, key: string, given: Value[]): DiffRow {
  const values = given.map((value) => value ?? null);
  const differs = new Set(values.map(String)).size > 1;
  const numbers = values.filter((value): value is number => typeof value === "number");
  const marked = section.startsWith("Metrics") && differs && numbers.length > 1;
  return {
    section,
    key,
    values,
    differs,
    lowest: marked ? values.indexOf(Math.min(...numbers)) : null,
    highest: marked ? values.indexOf(Math.max(...numbers)) : null,
  };
}

/** All rows; `captures` holds what the client wrote down of each run, where it did. */
export function differences(runs: Run[], captures: (Capture | null | undefined)[]): DiffRow[] {
  const keys = (pick: (run: Run) => object): string[] => [...new Set(runs.flatMap((run) => Object.keys(pick(run))))].sort();
  const of = (section: Section, key: string, pick: (run: Run, i: number) => Value): DiffRow => row(section, key, runs.map(pick));
  const inputs = [...new Set(runs.flatMap((run) => run.datasets.map(nameOf)))].sort();
  const rows = [
    of("Run", "owner", (run) => run.owner || null),
    ...keys((run) => run.metrics).map((key) => of("Metrics, last value", key, (run) => run.metrics[key]?.value)),
    ...keys((run) => run.params).map((key) => of("Parameters", key, (run) => run.params[key])),
    ...keys((run) => run.source).map((key) => of("Code", key, (run) => run.source[key])),
    ...inputs.map((name) => of("Data", name, (run) => run.datasets.find((each) => nameOf(each) === name)?.digest)),
    ...keys((run) => run.tags)
      .filter((key) => !key.startsWith("mlflow."))
      .map((key) => of("Tags", key, (run) => run.tags[key])),
  ];
  if (!captures.some(Boolean)) return rows;
  const captured = (section: Section, key: string, pick: (capture: Capture) => Value): DiffRow =>
    row(
      section,
      key,
      runs.map((_, i) => (captures[i] ? pick(captures[i]) : null)),
    );
  const packages = captures.map((capture) => new Map((capture?.environment?.packages ?? []).map((each) => [each.name, each.version])));
  const names = [...new Set(packages.flatMap((each) => [...each.keys()]))].sort();
  return [
    ...rows,
    captured("Code", "command", (capture) => capture.command?.argv?.join(" ")),
    captured("Code", "branch", (capture) => capture.code?.branch),
    captured("Code", "changes", (capture) => (capture.code ? (capture.code.changed ? "uncommitted" : "none") : null)),
    captured("Environment", "python", (capture) => capture.environment?.python),
    captured("Environment", "platform", (capture) => capture.environment?.platform),
    ...names.map((name) =>
      row(
        "Environment",
        name,
        packages.map((each) => each.get(name)),
      ),
    ),
    ...[...new Set(captures.flatMap((capture) => Object.keys(capture?.seeds ?? {})))]
      .sort()
      .map((key) =>
        captured("Environment", `seed ${key}`, (capture) =>
          capture.seeds?.[key] === undefined ? null : JSON.stringify(capture.seeds[key]),
        ),
      ),
  ].filter((each) => each.values.some((value) => value !== null));
}

const nameOf = (data: Run["datasets"][number]): string => `${data.name}${data.context ? ` (${data.context})` : ""}`;
