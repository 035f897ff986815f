// Labelled facts in a compact grid.
import type { ReactNode } from "react";

export type Fact = [label: string, value: ReactNode] | false | "" | null | undefined;

export function Facts({ items, columns = 1 }: { items: Fact[]; columns?: 1 | 2 }) {
  return (
    <dl className={`facts facts-${columns}`}>
      {items
        .filter((item): item is [string, ReactNode] => Boolean(item))
        .map(([label, value]) => (
          <div key={label} className="fact">
            <dt>{label}</dt>
            <dd className="break">{value}</dd>
          </div>
        ))}
    </dl>
  );
}
