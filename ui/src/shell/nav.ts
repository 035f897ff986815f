// The rail's entries in the loop's own order, with the key that goes there after "g".
import type { IconName } from "../ui/Icon.tsx";

export interface Entry {
  label: string;
  href: string;
  icon: IconName;
  key: string;
  also?: string[];
}

export const ENTRIES: Entry[] = [
  { label: "Overview", href: "/", icon: "overview", key: "o" },
  { label: "Data", href: "/data", icon: "data", key: "d" },
  { label: "Pipelines", href: "/pipelines", icon: "pipelines", key: "p" },
  { label: "Experiments", href: "/experiments", icon: "experiments", key: "x", also: ["/runs", "/compare"] },
  { label: "Traces", href: "/traces", icon: "traces", key: "t" },
  { label: "Models", href: "/models", icon: "models", key: "m" },
  { label: "Endpoints", href: "/endpoints", icon: "endpoints", key: "e", also: ["/predictions"] },
  { label: "Batch", href: "/batch", icon: "table", key: "b" },
  { label: "Edge", href: "/edge", icon: "download", key: "v" },
  { label: "Monitors", href: "/monitors", icon: "monitors", key: "n" },
  { label: "Alerts", href: "/alerts", icon: "alerts", key: "a" },
];
export const ABOUT: Entry[] = [
  { label: "Lineage", href: "/lineage", icon: "lineage", key: "l" },
  { label: "Audit", href: "/audit", icon: "audit", key: "u" },
  { label: "Trash", href: "/trash", icon: "trash", key: "r" },
  { label: "Settings", href: "/settings", icon: "settings", key: "s" },
];

export const isActive = (entry: Entry, path: string): boolean =>
  entry.href === "/" ? path === "/" : [entry.href, ...(entry.also ?? [])].some((start) => path === start || path.startsWith(`${start}/`));
