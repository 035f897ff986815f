// The chosen theme (system, light, dark) and the resolved token colours for canvases.
import { useSyncExternalStore } from "react";

export type Theme = "system" | "light" | "dark";
const KEY = "trimtab.theme";
const listeners = new Set<() => void>();
const media = matchMedia("(prefers-color-scheme: dark)");
let version = 0;
const changed = (): void => {
  version += 1;
  cache.clear();
  for (const listener of listeners) listener();
};
media.addEventListener("change", changed);

const subscribe = (listener: () => void): (() => void) => {
  listeners.add(listener);
  return () => listeners.delete(listener);
};
const read = (): Theme => (document.documentElement.dataset["theme"] as Theme | undefined) ?? "system";

export function setTheme(theme: Theme): void {
  if (theme === "system") delete document.documentElement.dataset["theme"];
  else document.documentElement.dataset["theme"] = theme;
  try {
    localStorage.setItem(KEY, theme);
  } catch {
    // Storage is off: the choice lasts until the tab closes.
  }
  changed();
}

export const useTheme = (): Theme => useSyncExternalStore(subscribe, read);
/** A number that changes with the theme; a dependency for canvases that must be drawn again. */
export const useThemeVersion = (): number => useSyncExternalStore(subscribe, () => version);

const cache = new Map<string, string>();

/** The colour of a token such as "--champion" in the current theme, as rgb(); `alpha` thins it. */
export function token(name: string, alpha = 1): string {
  const key = `${name}/${alpha}`;
  const known = cache.get(key);
  if (known) return known;
  const probe = document.createElement("span");
  probe.style.color = `var(${name})`;
  document.body.append(probe);
  const rgb = getComputedStyle(probe).color;
  probe.remove();
  const colour = alpha === 1 ? rgb : rgb.replace(/^rgba?\(([^,]+),\s*([^,]+),\s*([^,)]+).*$/, `rgba($1, $2, $3, ${alpha})`);
  cache.set(key, colour);
  return colour;
}

export const SERIES = [
  "--series-1",
  "--series-2",
  "--series-3",
  "--series-5",
  "--series-4",
  "--series-8",
  "--series-7",
  "--series-6",
] as const;
