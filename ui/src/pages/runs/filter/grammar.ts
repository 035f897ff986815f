// The search grammar as the filter bar reads it: tokens to colour, what is wrong and where, and what may come next.
// It is the server's own (trimtab.kernel.filters): comparisons joined by AND, names quoted with ` or ", values with ' or ".

export type TokenKind = "name" | "operator" | "value" | "and" | "bad";
export interface Token {
  kind: TokenKind;
  from: number;
  to: number;
}
export interface Clause {
  entity: string;
  key: string;
  operator: string;
  /** The value without its quotes; null for IS NULL and what is not there yet. */
  value: string | null;
  from: number;
  to: number;
}
export interface Wrong {
  from: number;
  to: number;
  message: string;
}
export interface Place {
  expects: "name" | "operator" | "value" | "and";
  /** The part of the text that a completion replaces. */
  from: number;
  to: number;
  typed: string;
  entity: string;
  key: string;
  operator: string;
}
export interface Reading {
  tokens: Token[];
  clauses: Clause[];
  wrong: Wrong[];
  place: Place;
}

const ENTITIES: Record<string, string> = {
  ...Object.fromEntries(["metric", "metrics"].map((word) => [word, "metrics"])),
  ...Object.fromEntries(["parameter", "parameters", "param", "params"].map((word) => [word, "params"])),
  ...Object.fromEntries(["tag", "tags"].map((word) => [word, "tags"])),
  ...Object.fromEntries(["attribute", "attributes", "attr", "run"].map((word) => [word, "attributes"])),
  ...Object.fromEntries(["dataset", "datasets"].map((word) => [word, "datasets"])),
};
export const TEXT_ATTRIBUTES = ["run_name", "status", "user_id", "run_id", "artifact_uri"];
export const TIME_ATTRIBUTES = ["start_time", "end_time", "created"];
const DATASET_KEYS = ["name", "digest", "context"];
const NUMERIC = ["=", "!=", "<", "<=", ">", ">="];
const TEXTUAL = ["=", "!=", "LIKE", "ILIKE"];

/** The comparisons that a name takes. */
export function operatorsOf(entity: string, key: string): string[] {
  if (entity === "metrics" || (entity === "attributes" && TIME_ATTRIBUTES.includes(key))) return NUMERIC;
  if (entity === "params" || entity === "tags") return [...TEXTUAL, "IS NULL", "IS NOT NULL"];
  return entity === "attributes" && key === "run_id" ? [...TEXTUAL, "IN", "NOT IN"] : TEXTUAL;
}

const NAME = /(?:\w+|`[^`]*`|"[^"]*")(?:\.(?:\w|[./-]|`[^`]*`|"[^"]*"|'[^']*')*)?/y;
const OPEN_QUOTE = /\w+\.[`"'][^`"']*$/y;
const OPERATOR = /<=|>=|!=|=|<|>|(?:IS\s+NOT\s+NULL|IS\s+NULL|NOT\s+IN|IN|I?LIKE)(?!\w)/iy;
const WORD = /[A-Za-z]+(?:\s+[A-Za-z]+)?|[^\s'"]+/y;
const NUMBER = /-?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][-+]?\d+)?(?![\w.])/y;
const STRING = /'(?:''|\\'|[^'])*'|"(?:""|\\"|[^"])*"/y;
const LIST = /\((?:'(?:\\.|[^'\\])*'|"(?:\\.|[^"\\])*"|[^()'"])*\)/y;
const AND = /AND(?!\w)/iy;
const SPACE = /\s*/y;

function at(pattern: RegExp, text: string, place: number): string | null {
  pattern.lastIndex = place;
  return pattern.exec(text)?.[0] ?? null;
}

/** Splits "metrics.`val loss`" into its entity and key, quotes cut off; a bare key is an attribute. */
export function splitName(written: string): [entity: string, key: string] {
  const stop = /^\w+\./.test(written) ? written.indexOf(".") : -1;
  if (stop < 0) return ["attributes", written.replace(/^([`"])(.*)\1$/s, "$2")];
  const head = written.slice(0, stop);
  const key = written.slice(stop + 1).replace(/^([`"'])(.*)\1$/s, "$2");
  return [ENTITIES[head] ?? `?${head}`, key];
}

/** A name as it must be written: quoted where it is not one plain word. */
export function writtenName(entity: string, key: string): string {
  const quote = /^\w[\w.]*$/.test(key) ? "" : key.includes("`") ? '"' : "`";
  return `${entity}.${quote}${key}${quote}`;
}

/** A text value in the quotes that it does not hold itself. */
export const writtenValue = (value: string): string => (value.includes("'") ? `"${value}"` : `'${value}'`);

/** Reads a filter; `cursor` is where the reader is typing. */
export function read(text: string, cursor: number = text.length): Reading {
  const tokens: Token[] = [];
  const clauses: Clause[] = [];
  const wrong: Wrong[] = [];
  let place: Place = { expects: "name", from: cursor, to: cursor, typed: "", entity: "", key: "", operator: "" };
  const skip = (from: number): number => from + (at(SPACE, text, from)?.length ?? 0);
  const note = (expects: Place["expects"], from: number, to: number, clause?: Partial<Clause>): void => {
    if (cursor < from || cursor > to) return;
    place = {
      expects,
      from,
      to,
      typed: text.slice(from, cursor),
      entity: clause?.entity ?? "",
      key: clause?.key ?? "",
      operator: clause?.operator ?? "",
    };
  };
  const bad = (from: number, to: number, message: string): void => {
    tokens.push({ kind: "bad", from, to: Math.max(to, from) });
    wrong.push({ from, to: Math.max(to, from + 1), message });
  };
  let i = skip(0);
  if (cursor <= i) note("name", cursor, cursor);
  let afterClause = false;
  while (i < text.length) {
    const and = at(AND, text, i);
    if (and) {
      tokens.push({ kind: "and", from: i, to: i + and.length });
      if (!afterClause) wrong.push({ from: i, to: i + and.length, message: "A comparison is missing before AND." });
      note("and", i, i + and.length);
      const next = skip(i + and.length);
      if (cursor > i + and.length && cursor <= next) note("name", cursor, cursor);
      i = next;
      afterClause = false;
      continue;
    }
    const open = at(OPEN_QUOTE, text, i);
    const name = open ?? at(NAME, text, i);
    if (name === null) {
      bad(i, text.length, "Expected a name such as metrics.loss.");
      note("name", i, text.length);
      return { tokens, clauses, wrong, place };
    }
    const nameEnd = i + name.length;
    const [entity, key] = splitName(open ? name + (name.match(/[`"']/)?.[0] ?? "") : name);
    const clause: Clause = { entity, key, operator: "", value: null, from: i, to: nameEnd };
    tokens.push({ kind: "name", from: i, to: nameEnd });
    if (afterClause && cursor >= i && cursor <= nameEnd) note("and", i, nameEnd);
    else note("name", i, nameEnd);
    checkName(name, clause, nameEnd < text.length || cursor !== nameEnd, wrong);
    const gap = skip(nameEnd);
    if (cursor > nameEnd && cursor <= gap) note("operator", cursor, cursor, clause);
    const operator = at(OPERATOR, text, gap);
    if (operator === null) {
      const word = at(WORD, text, gap);
      if (word) note("operator", gap, gap + word.length, clause);
      if (word || afterClause || gap < text.length)
        bad(gap, gap + (word?.length ?? 1), `Expected a comparison after ${name}: ${operatorsOf(entity, key).join(" ")}`);
      else if (gap >= text.length && wrong.length === 0)
        wrong.push({ from: nameEnd, to: nameEnd + 1, message: `Expected a comparison after ${name}.` });
      return { tokens, clauses, wrong, place };
    }
    clause.operator = operator.toUpperCase().replace(/\s+/g, " ");
    const operatorEnd = gap + operator.length;
    tokens.push({ kind: "operator", from: gap, to: operatorEnd });
    note("operator", gap, operatorEnd, clause);
    if (!entity.startsWith("?") && !operatorsOf(entity, key).includes(clause.operator))
      wrong.push({ from: gap, to: operatorEnd, message: `${name} is compared with ${operatorsOf(entity, key).join(" ")}` });
    clause.to = operatorEnd;
    i = skip(operatorEnd);
    if (!clause.operator.startsWith("IS")) {
      if (cursor >= operatorEnd && cursor <= i) note("value", cursor, cursor, clause);
      const value = at(clause.operator.endsWith("IN") ? LIST : NUMBER, text, i) ?? at(STRING, text, i);
      if (value === null) {
        const rest = /^\S[^]*?(?=\s+AND\s|$)/i.exec(text.slice(i))?.[0] ?? "";
        note("value", i, i + rest.length, clause);
        const numeric = entity === "metrics" || TIME_ATTRIBUTES.includes(key);
        const message = clause.operator.endsWith("IN")
          ? "Expected a list such as ('a', 'b')."
          : numeric
            ? "Expected a number."
            : "Expected a quoted value such as 'tree'.";
        if (rest) bad(i, i + rest.length, message);
        else wrong.push({ from: operatorEnd, to: operatorEnd + 1, message });
        clauses.push({ ...clause, value: rest, to: i + rest.length });
        if (!rest) return { tokens, clauses: clauses.slice(0, -1), wrong, place };
        i = skip(i + rest.length);
        afterClause = true;
        continue;
      }
      tokens.push({ kind: "value", from: i, to: i + value.length });
      note("value", i, i + value.length, clause);
      const quoted = /^['"(]/.test(value);
      if (entity === "metrics" && quoted) wrong.push({ from: i, to: i + value.length, message: "A metric is compared with a number." });
      if ((entity === "params" || entity === "tags") && !quoted)
        wrong.push({ from: i, to: i + value.length, message: `Values of ${entity} are text: write '${value}'.` });
      clause.value = /^['"]/.test(value) ? value.slice(1, -1) : value;
      clause.to = i + value.length;
      i = clause.to;
    }
    clauses.push(clause);
    afterClause = true;
    const next = skip(clause.to);
    if (cursor > clause.to && cursor <= next) note("and", cursor, cursor);
    i = next;
  }
  if (!afterClause && clauses.length > 0 && cursor < text.length)
    wrong.push({ from: text.length - 1, to: text.length, message: "A comparison is missing after AND." });
  return { tokens, clauses, wrong, place };
}

function checkName(written: string, clause: Clause, finished: boolean, wrong: Wrong[]): void {
  if (!finished) return;
  const to = clause.from + written.length;
  if (clause.entity.startsWith("?"))
    wrong.push({ from: clause.from, to, message: `“${clause.entity.slice(1)}” is none of metrics, params, tags, attributes, datasets.` });
  else if (clause.entity === "attributes" && ![...TEXT_ATTRIBUTES, ...TIME_ATTRIBUTES].includes(clause.key))
    wrong.push({
      from: clause.from,
      to,
      message: `“${clause.key}” is no attribute. Write metrics.${clause.key}, params.${clause.key} or tags.${clause.key}.`,
    });
  else if (clause.entity === "datasets" && !DATASET_KEYS.includes(clause.key))
    wrong.push({ from: clause.from, to, message: `A data set has ${DATASET_KEYS.join(", ")}.` });
  else if (/^\w+\.[\w.]*[/-]/.test(written))
    wrong.push({ from: clause.from, to, message: `A name with such a mark is quoted: ${writtenName(clause.entity, clause.key)}` });
  else if (clause.key === "") wrong.push({ from: clause.from, to, message: `Which of the ${clause.entity}?` });
}

/** The filter without the comparisons of one name by one of some operators (by = unless others are named). */
export function without(text: string, entity: string, key: string, operators: string[] = ["="]): string {
  const kept = read(text, -1).clauses.filter((each) => !(each.entity === entity && each.key === key && operators.includes(each.operator)));
  return kept.map((each) => text.slice(each.from, each.to)).join(" AND ");
}

/** The filter with `name operator value` in the place of other comparisons of that name by these operators. */
export function withClause(text: string, entity: string, key: string, operator: string, value: string | null): string {
  const rest = without(text, entity, key, [operator]);
  const made = `${writtenName(entity, key)} ${operator}${value === null ? "" : ` ${value}`}`;
  return rest ? `${rest} AND ${made}` : made;
}
