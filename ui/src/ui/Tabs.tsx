// Tabs whose choice lives in the URL as ?tab=; arrows move between them.
import type { KeyboardEvent, ReactNode } from "react";
import { useUrl } from "./useUrl.ts";

export interface Tab {
  id: string;
  label: string;
  count?: number | string | null;
  body: () => ReactNode;
}

export function Tabs({ tabs, param = "tab" }: { tabs: Tab[]; param?: string }) {
  const [search, setSearch] = useUrl();
  const active = tabs.find((tab) => tab.id === search[param]) ?? tabs[0];
  if (!active) return null;
  const pick = (id: string): void => setSearch({ [param]: id === tabs[0]?.id ? undefined : id });
  const move = (event: KeyboardEvent): void => {
    const step = event.key === "ArrowRight" ? 1 : event.key === "ArrowLeft" ? -1 : 0;
    if (!step) return;
    event.preventDefault();
    const next = tabs[(tabs.indexOf(active) + step + tabs.length) % tabs.length];
    if (!next) return;
    pick(next.id);
    document.getElementById(`${param}-${next.id}`)?.focus();
  };
  return (
    <div className="stack">
      <div className="tabs" role="tablist" onKeyDown={move}>
        {tabs.map((tab) => (
          <button
            key={tab.id}
            id={`${param}-${tab.id}`}
            type="button"
            role="tab"
            aria-selected={tab === active}
            tabIndex={tab === active ? 0 : -1}
            onClick={() => pick(tab.id)}
          >
            {tab.label}
            {tab.count !== undefined && tab.count !== null && <span className="tab-count">{tab.count}</span>}
          </button>
        ))}
      </div>
      <div role="tabpanel" aria-labelledby={`${param}-${active.id}`}>
        {active.body()}
      </div>
    </div>
  );
}
