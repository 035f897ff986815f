// The left rail in the loop's order; on a phone a bar at the foot with the rest behind "More".
import { useLocation } from "@tanstack/react-router";
import { useInfiniteQuery } from "@tanstack/react-query";
import { useState } from "react";
import { flat, q } from "../api/queries.ts";
import { A } from "../ui/A.tsx";
import { Icon } from "../ui/Icon.tsx";
import { ABOUT, ENTRIES, isActive, type Entry } from "./nav.ts";
import { Person } from "./Person.tsx";
import { Wordmark } from "./Mark.tsx";

const BAR = new Set(["/", "/endpoints", "/monitors", "/alerts"]);

export function Rail() {
  const path = useLocation({ select: (location) => location.pathname });
  const alerts = useInfiniteQuery(q.alerts("open"));
  const [open, setOpen] = useState(false);
  const openAlerts = flat(alerts.data).length;
  const item = (entry: Entry) => (
    <li key={entry.href} className={BAR.has(entry.href) ? "rail-bar" : "rail-rest"}>
      <A
        href={entry.href}
        className="rail-link"
        aria-current={isActive(entry, path) ? "page" : undefined}
        onClick={() => setOpen(false)}
        title={entry.label}
      >
        <Icon name={entry.icon} />
        <span className="rail-label">{entry.label}</span>
        {entry.href === "/alerts" && openAlerts > 0 && (
          <span className="rail-count" aria-label={`${openAlerts} open`}>
            {openAlerts}
            {alerts.hasNextPage && "+"}
          </span>
        )}
      </A>
    </li>
  );
  return (
    <nav className={`rail ${open ? "rail-open" : ""}`} aria-label="Main">
      <A href="/" className="rail-home" aria-label="Trimtab, overview">
        <Wordmark />
      </A>
      <ul className="rail-loop">{ENTRIES.map(item)}</ul>
      <ul className="rail-about">{ABOUT.map(item)}</ul>
      <Person />
      <button type="button" className="rail-more" aria-expanded={open} onClick={() => setOpen(!open)}>
        <Icon name={open ? "close" : "menu"} />
        <span className="rail-label">{open ? "Close" : "More"}</span>
      </button>
    </nav>
  );
}
