// The frame around every page: rail, search, live state, palette, shortcuts, and the net that catches a page's failure.
import { Outlet, useLocation } from "@tanstack/react-router";
import { useQueryClient } from "@tanstack/react-query";
import { lazy, Suspense, useEffect, useState } from "react";
import { follow, type LiveState } from "../api/stream.ts";
import { Icon } from "../ui/Icon.tsx";
import { Skeleton } from "../ui/States.tsx";
import { Toasts } from "../ui/Toasts.tsx";
import { useKeys } from "./keys.ts";
import { Rail } from "./Rail.tsx";

const loadPalette = () => import("./Palette.tsx").then((module) => ({ default: module.Palette }));
const Palette = lazy(loadPalette);
const Shortcuts = lazy(() => import("./Shortcuts.tsx").then((module) => ({ default: module.Shortcuts })));

const LIVE: Record<LiveState, string> = { live: "Live", connecting: "Connecting", offline: "Not live: trying to reach the server" };

export function Shell() {
  const client = useQueryClient();
  const path = useLocation({ select: (location) => location.pathname });
  const [live, setLive] = useState<LiveState>("connecting");
  const [over, setOver] = useState<"palette" | "shortcuts" | null>(null);
  useEffect(() => follow(client, setLive), [client]);
  useEffect(() => setOver(null), [path]);
  useEffect(() => {
    // Fetched before the first Ctrl-K, so that letters typed right after it are not lost.
    const soon = setTimeout(() => void loadPalette(), 1500);
    return () => clearTimeout(soon);
  }, []);
  useKeys(setOver);
  return (
    <div className="shell">
      <a className="skip" href="#main">
        Skip to content
      </a>
      <Rail />
      <div className="topbar">
        <button type="button" className="search-open" onClick={() => setOver("palette")}>
          <Icon name="search" size={14} />
          <span>Find anything by name or id</span>
          <kbd>{/Mac|iPhone/.test(navigator.userAgent) ? "⌘" : "Ctrl"} K</kbd>
        </button>
        <span className={`live live-${live}`} role="status" title={LIVE[live]}>
          <span className="live-dot" aria-hidden />
          <span className="live-text">{LIVE[live]}</span>
        </span>
        <button
          type="button"
          className="icon-button"
          onClick={() => setOver("shortcuts")}
          aria-label="Keyboard shortcuts"
          title="Keyboard shortcuts (?)"
        >
          <kbd aria-hidden>?</kbd>
        </button>
      </div>
      <main id="main" tabIndex={-1} key={path.split("/")[1]}>
        <Suspense
          fallback={
            <div className="page">
              <Skeleton rows={8} />
            </div>
          }
        >
          <Outlet />
        </Suspense>
      </main>
      <Suspense fallback={null}>
        {over === "palette" && <Palette onClose={() => setOver(null)} />}
        {over === "shortcuts" && <Shortcuts onClose={() => setOver(null)} />}
      </Suspense>
      <Toasts />
    </div>
  );
}
