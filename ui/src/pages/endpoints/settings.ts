// Words for settings and rules.

const KINDS: Record<string, string> = {
  drop: "nothing: the column is left out",
  mask: "*** where there was a value",
  hash: "a keyed hash: equal values stay equal",
};

/** "Key rate limit" of "key_rate_limit". */
export const settingLabel = (name: string): string => {
  const words = name.replaceAll("_", " ");
  return words.charAt(0).toUpperCase() + words.slice(1);
};

/** What a rule such as "generalise:10" leaves of a value. */
export function ruleText(rule: string): string {
  const [kind = "", ...rest] = rule.split(":");
  const by = rest.join(":");
  if (kind !== "generalise") return KINDS[kind] ?? rule;
  if (by.startsWith("prefix:")) return `its first ${by.slice("prefix:".length)} characters`;
  return ["day", "month", "year"].includes(by) ? `a date's ${by}` : `the lower edge of bins of ${by}`;
}

/** The settings whose text differs, as the API takes them: nothing typed means the default. */
export function changes(before: { name: string; value: string }[], typed: Record<string, string>): Record<string, string | null> {
  const found: Record<string, string | null> = {};
  for (const { name, value } of before) {
    const text = (typed[name] ?? value).trim();
    if (text !== value) found[name] = text || null;
  }
  return found;
}
