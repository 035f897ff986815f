// A metric or parameter of many runs as an axis: its values as places from 0 to 1, its ticks, and brushes as comparisons.
import type { Run } from "../../../api/types.ts";
import { number } from "../../../format/number.ts";
import { writtenName, writtenValue } from "../filter/grammar.ts";
import { columnOf } from "../table/columns.ts";

export interface Dimension {
  id: string;
  name: string;
  kind: "number" | "category";
  log: boolean;
  /** A run's place from 0 to 1, or null where it has no value. */
  places: (number | null)[];
  /** A run's number, for numeric ones. */
  numbers: (number | null)[];
  texts: (string | null)[];
  ticks: { at: number; label: string }[];
  distinct: number;
  /** The value that stands at a place. */
  valueAt: (place: number) => number;
}

const MOST_CATEGORIES = 24;

export function textOf(id: string, run: Run): string | null {
  const key = id.slice(2);
  if (id[0] === "m") {
    const value = run.metrics[key]?.value;
    return value === null || value === undefined ? null : String(value);
  }
  return (id[0] === "p" ? run.params[key] : run.tags[key]) ?? null;
}

/** Whether numbers are better shown by their logarithm: all above zero and over a factor of more than twenty. */
const wide = (numbers: number[]): boolean => {
  const low = Math.min(...numbers);
  return low > 0 && Math.max(...numbers) / low > 20;
};

export function dimension(id: string, runs: Run[], log?: boolean): Dimension {
  const texts = runs.map((run) => textOf(id, run));
  const known = texts.filter((text): text is string => text !== null);
  const distinct = new Set(known).size;
  const parsed = texts.map((text) => (text === null || text.trim() === "" ? null : Number(text)));
  const numeric = known.length > 0 && parsed.every((value, i) => texts[i] === null || (value !== null && Number.isFinite(value)));
  const name = columnOf(id).name;
  if (!numeric || (id[0] !== "m" && distinct <= 2 && distinct > 0 && known.every((text) => !/\d/.test(text)))) {
    const values = [...new Set(known)].sort((a, b) => a.localeCompare(b, "en", { numeric: true }));
    const shown = values.slice(0, MOST_CATEGORIES);
    const place = new Map(shown.map((value, i) => [value, shown.length === 1 ? 0.5 : i / (shown.length - 1)]));
    return {
      id,
      name,
      kind: "category",
      log: false,
      places: texts.map((text) => (text === null ? null : (place.get(text) ?? null))),
      numbers: texts.map(() => null),
      texts,
      ticks: shown.map((value) => ({ at: place.get(value) ?? 0, label: value })),
      distinct,
      valueAt: (at) => at,
    };
  }
  const numbers = parsed.map((value) => (value === null || !Number.isFinite(value) ? null : value));
  const finite = numbers.filter((value): value is number => value !== null);
  const isLog = log ?? wide(finite);
  const to = (value: number): number => (isLog ? Math.log10(value) : value);
  const low = to(Math.min(...finite));
  const high = to(Math.max(...finite));
  const span = high - low || 1;
  const place = (value: number): number => (high === low ? 0.5 : (to(value) - low) / span);
  const valueAt = (at: number): number => {
    const value = low + at * span;
    return isLog ? 10 ** value : value;
  };
  return {
    id,
    name,
    kind: "number",
    log: isLog,
    places: numbers.map((value) => (value === null || (isLog && value <= 0) ? null : place(value))),
    numbers,
    texts,
    ticks: (high === low ? [0.5] : [0, 0.25, 0.5, 0.75, 1]).map((at) => ({ at, label: number(valueAt(at)) })),
    distinct,
    valueAt,
  };
}

export type Brushes = Record<string, [low: number, high: number]>;

/** Which runs lie inside all brushes. */
export function within(dimensions: Dimension[], brushes: Brushes, runs: number): boolean[] {
  return Array.from({ length: runs }, (_, i) =>
    dimensions.every((each) => {
      const brush = brushes[each.id];
      if (!brush) return true;
      const place = each.places[i];
      return place !== null && place !== undefined && place >= brush[0] - 1e-9 && place <= brush[1] + 1e-9;
    }),
  );
}

/** Rounded towards `way`, to four significant digits, so that the filter reads well and still holds its runs. */
function tidy(value: number, way: "down" | "up"): string {
  if (value === 0) return "0";
  const unit = 10 ** (Math.floor(Math.log10(Math.abs(value))) - 3);
  const rounded = (way === "down" ? Math.floor(value / unit + 1e-9) : Math.ceil(value / unit - 1e-9)) * unit;
  return String(Number(rounded.toPrecision(4)));
}

const MOST_NAMED = 200;

/** The brushes as a filter: metrics by their limits, a single parameter value by that; other parameters, which the grammar
 *  compares as text, by naming the runs. Null where that would be more than 200. */
export function filterOf(dimensions: Dimension[], brushes: Brushes, runs: Run[]): string | null {
  const clauses: string[] = [];
  let named = false;
  const inside = within(dimensions, brushes, runs.length);
  for (const each of dimensions) {
    const brush = brushes[each.id];
    if (!brush) continue;
    const entity = each.id[0] === "m" ? "metrics" : each.id[0] === "p" ? "params" : "tags";
    const written = writtenName(entity, each.id.slice(2));
    if (entity === "metrics") {
      if (brush[0] > 0) clauses.push(`${written} >= ${tidy(each.valueAt(brush[0]), "down")}`);
      if (brush[1] < 1) clauses.push(`${written} <= ${tidy(each.valueAt(brush[1]), "up")}`);
      continue;
    }
    const values = new Set(each.texts.filter((_, i) => inside[i]));
    const [only] = values;
    if (values.size === 1 && typeof only === "string") clauses.push(`${written} = ${writtenValue(only)}`);
    else named = true;
  }
  if (named) {
    const ids = runs.filter((_, i) => inside[i]).map((run) => run.id);
    if (ids.length > MOST_NAMED || ids.length === 0) return null;
    return `attributes.run_id IN (${ids.map((id) => `'${id}'`).join(", ")})`;
  }
  return clauses.join(" AND ");
}
