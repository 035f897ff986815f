// Keys that work everywhere: Ctrl/Cmd-K, ?, /, g + letter, and j/k/x/Enter in lists.
import { useRouter } from "@tanstack/react-router";
import { useEffect } from "react";
import { ABOUT, ENTRIES } from "./nav.ts";

const typing = (target: EventTarget | null): boolean =>
  target instanceof HTMLElement &&
  (target.isContentEditable || /^(INPUT|TEXTAREA|SELECT)$/.test(target.tagName)) &&
  !(target instanceof HTMLInputElement && target.type === "checkbox");

/** Moves focus to the next or previous row of the list on the page. */
function moveRow(step: 1 | -1): void {
  const rows = [...document.querySelectorAll<HTMLElement>("#main [data-nav]")];
  if (rows.length === 0) return;
  const here = document.activeElement?.closest("tr, [role=row], li")?.querySelector<HTMLElement>("[data-nav]") ?? null;
  const at = here ? rows.indexOf(here) : -1;
  const next = rows[at < 0 ? 0 : Math.min(rows.length - 1, Math.max(0, at + step))];
  next?.focus();
  next?.scrollIntoView({ block: "nearest" });
}

function toggleRow(): void {
  document.activeElement?.closest("tr, [role=row]")?.querySelector<HTMLInputElement>("input[type=checkbox]")?.click();
}

export function useKeys(open: (what: "palette" | "shortcuts" | null) => void): void {
  const router = useRouter();
  useEffect(() => {
    let afterG = 0;
    const onKey = (event: KeyboardEvent): void => {
      if ((event.metaKey || event.ctrlKey) && event.key.toLowerCase() === "k") {
        event.preventDefault();
        open("palette");
        return;
      }
      if (event.metaKey || event.ctrlKey || event.altKey || typing(event.target) || document.querySelector("dialog[open]")) return;
      if (Date.now() - afterG < 1200) {
        afterG = 0;
        const entry = [...ENTRIES, ...ABOUT].find((each) => each.key === event.key);
        if (entry) router.history.push(entry.href);
        return;
      }
      if (event.key === "g") afterG = Date.now();
      else if (event.key === "j") moveRow(1);
      else if (event.key === "k") moveRow(-1);
      else if (event.key === "x") toggleRow();
      else if (event.key === "?") open("shortcuts");
      else if (event.key === "/") {
        const filter = document.querySelector<HTMLElement>("#main [data-filter]");
        if (filter) filter.focus();
        else open("palette");
        event.preventDefault();
      }
    };
    document.addEventListener("keydown", onKey);
    return () => document.removeEventListener("keydown", onKey);
  }, [open, router]);
}
