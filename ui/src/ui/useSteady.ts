// Keeps a live list still under the hand: known rows update in place, new ones wait behind a count until asked for.
import { useState } from "react";

/** `hold` is true while the reader is busy in the list; returns what to show, how many wait, and how to let them in. */
export function useSteady<T>(items: T[], keyOf: (item: T) => string, hold: boolean, scope: string): [T[], number, () => void] {
  const [seen, setSeen] = useState<{ scope: string; keys: Set<string> }>({ scope, keys: new Set() });
  const keys = items.map(keyOf);
  const known = seen.scope === scope && seen.keys.size > 0;
  const fresh = known ? keys.filter((key) => !seen.keys.has(key)) : keys;
  const admit = (): void => setSeen({ scope, keys: new Set(keys) });
  if (fresh.length > 0 && (!known || !hold)) {
    admit();
    return [items, 0, admit];
  }
  return [fresh.length ? items.filter((item) => seen.keys.has(keyOf(item))) : items, fresh.length, admit];
}
