// What the filter bar offers where the cursor is: names that runs have, the comparisons a name takes, values with their counts.
import type { Facet, RunColumns } from "../../../api/types.ts";
import { operatorsOf, TEXT_ATTRIBUTES, TIME_ATTRIBUTES, writtenName, writtenValue, type Place } from "./grammar.ts";

export interface Suggestion {
  /** What is put in the place of what was typed. */
  text: string;
  label: string;
  note: string;
}
export interface SuggestionGroup {
  title: string;
  items: Suggestion[];
}

const MOST = 12;
const OPERATOR_NOTES: Record<string, string> = {
  LIKE: "pattern, % stands for anything",
  ILIKE: "pattern, upper and lower case alike",
  "IS NULL": "has no such value",
  "IS NOT NULL": "has such a value",
  IN: "one of a list",
  "NOT IN": "none of a list",
};

/** Matches that begin with the text come before those that hold it. */
function ranked<R extends { name: string }>(list: R[], typed: string): R[] {
  const text = typed.toLowerCase();
  const score = (name: string): number => {
    const at = name.toLowerCase().indexOf(text);
    return at < 0 ? -1 : at === 0 ? 2 : 1;
  };
  return list.filter((each) => score(each.name) >= 0).sort((a, b) => score(b.name) - score(a.name));
}

export function suggest(place: Place, catalogue: RunColumns | undefined, values: Facet | undefined): SuggestionGroup[] {
  const groups =
    place.expects === "name"
      ? names(place.typed, catalogue)
      : place.expects === "operator"
        ? operators(place)
        : place.expects === "value"
          ? valuesOf(place, values)
          : [{ title: "Go on", items: [{ text: "AND ", label: "AND", note: "both must hold" }] }];
  return groups.filter((group) => group.items.length > 0);
}

function names(typed: string, catalogue: RunColumns | undefined): SuggestionGroup[] {
  const parts = /^(\w+)\.[`"']?(.*)$/s.exec(typed);
  const head = parts?.[1]?.toLowerCase() ?? "";
  const only = head.startsWith("m")
    ? "metrics"
    : head.startsWith("p")
      ? "params"
      : head.startsWith("t")
        ? "tags"
        : head.startsWith("a") || head === "run"
          ? "attributes"
          : head.startsWith("d")
            ? "datasets"
            : "";
  const text = parts ? (parts[2] ?? "") : typed;
  const group = (entity: string, title: string, list: { name: string; runs?: number }[]): SuggestionGroup => ({
    title,
    items:
      only && only !== entity
        ? []
        : ranked(list, text)
            .slice(0, only ? 40 : MOST)
            .map((each) => ({
              text: `${writtenName(entity, each.name)} `,
              label: writtenName(entity, each.name),
              note: each.runs === undefined ? "" : `${each.runs} runs`,
            })),
  });
  const plain = (list: string[]) => list.map((name) => ({ name }));
  const shownTags = (catalogue?.tags ?? []).filter((each) => text.startsWith("ml") || !each.name.startsWith("mlflow."));
  return [
    group("metrics", "Metrics", catalogue?.metrics ?? []),
    group("params", "Parameters", catalogue?.params ?? []),
    group("attributes", "Attributes", plain([...TEXT_ATTRIBUTES, ...TIME_ATTRIBUTES])),
    group("tags", "Tags", shownTags),
    group("datasets", "Data", plain(["name", "digest", "context"])),
  ];
}

function operators({ entity, key, typed }: Place): SuggestionGroup[] {
  const list = operatorsOf(entity, key).filter((each) => each.startsWith(typed.toUpperCase()));
  return [{ title: "Compare", items: list.map((each) => ({ text: `${each} `, label: each, note: OPERATOR_NOTES[each] ?? "" })) }];
}

function valuesOf({ entity, key, typed, operator }: Place, values: Facet | undefined): SuggestionGroup[] {
  if (entity === "metrics") return [];
  if (entity === "attributes" && TIME_ATTRIBUTES.includes(key)) {
    const day = 86_400_000;
    const midnight = new Date().setHours(0, 0, 0, 0);
    const of = (label: string, ms: number): Suggestion => ({ text: `${ms} `, label: String(ms), note: label });
    return [
      {
        title: "Milliseconds",
        items: [of("today", midnight), of("a week ago", midnight - 7 * day), of("30 days ago", midnight - 30 * day)],
      },
    ];
  }
  const text = typed.replace(/^['"(]+/, "");
  const known =
    key === "status" && !values
      ? ["RUNNING", "FINISHED", "FAILED", "KILLED", "SCHEDULED"].map((value) => ({ value, runs: -1 }))
      : (values?.values ?? []);
  const list = known.filter((each) => each.value !== null).map((each) => ({ name: each.value ?? "", runs: each.runs }));
  const wrap = operator.endsWith("IN") ? (value: string): string => `(${writtenValue(value)})` : writtenValue;
  return [
    {
      title: "Values",
      items: ranked(list, text)
        .slice(0, 40)
        .map((each) => ({ text: `${wrap(each.name)} `, label: each.name, note: each.runs < 0 ? "" : `${each.runs} runs` })),
    },
  ];
}
