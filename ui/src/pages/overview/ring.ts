// Where the stages of the loop stand on the ring, and the arcs between them.

export interface Spot {
  x: number;
  y: number;
  side: "left" | "right" | "top" | "bottom";
}

export const spots = (n: number, cx: number, cy: number, r: number): Spot[] =>
  Array.from({ length: n }, (_, i) => {
    const angle = -Math.PI / 2 + (i / n) * 2 * Math.PI;
    const cos = Math.cos(angle);
    const sin = Math.sin(angle);
    return { x: cx + r * cos, y: cy + r * sin, side: Math.abs(cos) < 0.2 ? (sin < 0 ? "top" : "bottom") : cos > 0 ? "right" : "left" };
  });

/** The arc from stage i to the next, leaving `gap` pixels free at both ends. */
export function arc(i: number, n: number, cx: number, cy: number, r: number, gap: number): string {
  const pad = gap / r;
  const from = -Math.PI / 2 + (i / n) * 2 * Math.PI + pad;
  const to = -Math.PI / 2 + ((i + 1) / n) * 2 * Math.PI - pad;
  const at = (angle: number): string => `${(cx + r * Math.cos(angle)).toFixed(2)} ${(cy + r * Math.sin(angle)).toFixed(2)}`;
  return `M${at(from)}A${r} ${r} 0 0 1 ${at(to)}`;
}
