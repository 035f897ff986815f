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

const GROUPS: [label: string, names: string[]][] = [
  ["Limits and quotas", ["rate_limit", "key_rate_limit", "quota", "key_quota", "max_in_flight", "max_body"]],
  ["Time-outs and retries", ["timeout", "retries", "circuit", "circuit_open"]],
  ["Routing and cache", ["sticky_by", "remote_replicas", "cache", "cache_size"]],
  ["Scaling", ["min_replicas", "max_replicas", "target_delay", "idle", "explain"]],
];

/** Settings by what they are about, in the order above; what this page does not know yet comes last. */
export function grouped<S extends { name: string }>(settings: readonly S[]): [label: string, settings: S[]][] {
  const known = new Set(GROUPS.flatMap(([, names]) => names));
  const of = (names: string[]): S[] => names.flatMap((name) => settings.find((one) => one.name === name) ?? []);
  const groups: [string, S[]][] = GROUPS.map(([label, names]) => [label, of(names)]);
  return [...groups, ["Others", settings.filter((one) => !known.has(one.name))] as [string, S[]]].filter(([, found]) => found.length > 0);
}
