// How traffic is split: one bar, champion and challenger in their colours, each part with version and share.
import type { Role } from "../api/types.ts";
import { weight } from "../format/number.ts";
import "./charts.css";

export interface Share {
  version: string;
  weight: number;
  role: Role;
}

export function SplitBar({ shares, thin = false }: { shares: Share[]; thin?: boolean }) {
  const parts = shares.filter((share) => share.weight > 0 && share.role !== "shadow");
  const copies = shares.filter((share) => share.weight > 0 && share.role === "shadow");
  const text =
    [
      ...parts.map((share) => `v${share.version} ${weight(share.weight)}`),
      ...copies.map((share) => `copies of ${weight(share.weight)} to v${share.version}`),
    ].join(", ") || "no traffic";
  return (
    <div className={`split ${thin ? "split-thin" : ""}`} role="img" aria-label={`Traffic: ${text}`} title={text}>
      {parts.map((share) => (
        <span key={share.version} className={`split-part split-${share.role}`} style={{ flexGrow: share.weight }}>
          {!thin && share.weight >= 8 && (
            <span>
              v{share.version} · {weight(share.weight)}
            </span>
          )}
        </span>
      ))}
    </div>
  );
}
