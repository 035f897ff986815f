// A lineage graph in columns, causes left of effects; the object in question stands out, hovering lights its paths.
import { useMemo, useState } from "react";
import type { Lineage } from "../../api/types.ts";
import { curve, layered } from "../../layout/layered.ts";
import { hrefOf } from "../../paths.ts";
import { A } from "../../ui/A.tsx";
import { Icon } from "../../ui/Icon.tsx";
import { KIND_ICON } from "../../ui/RefChip.tsx";
import "./lineage.css";

const BOX = { width: 172, height: 46, gapX: 60, gapY: 18, pad: 20 };

/** Everything upstream and downstream of one node. */
function reach(graph: Lineage, ref: string): Set<string> {
  const found = new Set([ref]);
  const walk = (from: "from" | "to", to: "from" | "to"): void => {
    const queue = [ref];
    for (let at = queue.pop(); at !== undefined; at = queue.pop()) {
      for (const edge of graph.edges) {
        if (edge[from] === at && !found.has(edge[to])) {
          found.add(edge[to]);
          queue.push(edge[to]);
        }
      }
    }
  };
  walk("to", "from");
  walk("from", "to");
  return found;
}

export function LineageGraph({ graph, focus }: { graph: Lineage; focus: string }) {
  const [over, setOver] = useState<string | null>(null);
  const { spots, layers, rows } = useMemo(() => layered(graph.nodes.map((node) => node.ref), graph.edges), [graph]);
  const lit = useMemo(() => (over ? reach(graph, over) : null), [graph, over]);
  const x = (layer: number): number => BOX.pad + layer * (BOX.width + BOX.gapX);
  const y = (row: number): number => BOX.pad + row * (BOX.height + BOX.gapY);
  const width = x(layers - 1) + BOX.width + BOX.pad;
  const height = y(rows - 1) + BOX.height + BOX.pad;
  return (
    <div className="lineage-scroll" tabIndex={0} role="group" aria-label="Lineage graph">
      <div className="lineage-canvas" style={{ width, height }}>
        <svg width={width} height={height} aria-hidden>
          {graph.edges.map((edge) => {
            const a = spots.get(edge.from);
            const b = spots.get(edge.to);
            if (!a || !b) return null;
            const on = lit?.has(edge.from) && lit.has(edge.to);
            return <path key={`${edge.from}>${edge.to}>${edge.kind}`} d={curve(x(a.layer) + BOX.width, y(a.row) + BOX.height / 2, x(b.layer) - 5, y(b.row) + BOX.height / 2)} className={`lineage-edge ${on ? "is-lit" : lit ? "is-dim" : ""}`} />;
          })}
        </svg>
        <ul>
          {graph.nodes.map((node) => {
            const spot = spots.get(node.ref);
            if (!spot) return null;
            const href = hrefOf(node.ref);
            const inner = (
              <>
                <Icon name={KIND_ICON[node.kind] ?? "file"} size={15} />
                <span className="lineage-text"><span className="lineage-kind">{node.kind.replace(/-/g, " ")}</span><span className="truncate">{node.label}</span></span>
              </>
            );
            const edges = graph.edges.filter((edge) => edge.to === node.ref).map((edge) => `${edge.kind} from ${edge.from}`).join(", ");
            return (
              <li key={node.ref} style={{ left: x(spot.layer), top: y(spot.row), width: BOX.width, height: BOX.height }} className={`lineage-node ${node.ref === focus ? "is-focus" : ""} ${lit && !lit.has(node.ref) ? "is-dim" : ""}`}
                onPointerEnter={() => setOver(node.ref)} onPointerLeave={() => setOver(null)} onFocus={() => setOver(node.ref)} onBlur={() => setOver(null)}>
                {href ? <A href={href} title={`${node.ref}${edges ? `: ${edges}` : ""}`} data-nav="">{inner}</A> : <span title={node.ref}>{inner}</span>}
              </li>
            );
          })}
        </ul>
      </div>
    </div>
  );
}
