// A lineage graph in columns, causes left of effects; the object in question stands out, hovering lights its paths.
import { useMemo, useState } from "react";
import type { Lineage } from "../../api/types.ts";
import { geometry, layered, path } from "../../layout/layered.ts";
import { hrefOf } from "../../paths.ts";
import { A } from "../../ui/A.tsx";
import { Icon } from "../../ui/Icon.tsx";
import { KIND_ICON } from "../../ui/RefChip.tsx";
import { useSize } from "../../ui/useSize.ts";
import "./lineage.css";

const BOX = { least: 138, most: 176, height: 46 };

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
  const [box, room] = useSize<HTMLDivElement>();
  const placed = useMemo(
    () =>
      layered(
        graph.nodes.map((node) => node.ref),
        graph.edges,
      ),
    [graph],
  );
  const at = geometry(placed, room, BOX);
  const lit = useMemo(() => (over ? reach(graph, over) : null), [graph, over]);
  return (
    <div ref={box} className="lineage-scroll" tabIndex={0} role="group" aria-label="Lineage graph">
      <div className="lineage-canvas" style={{ width: at.width, height: at.height }}>
        <svg width={at.width} height={at.height} aria-hidden>
          {graph.edges.map((edge) => {
            const d = path(placed, at, edge);
            if (!d) return null;
            const on = lit?.has(edge.from) && lit.has(edge.to);
            return (
              <path key={`${edge.from}>${edge.to}>${edge.kind}`} d={d} className={`lineage-edge ${on ? "is-lit" : lit ? "is-dim" : ""}`} />
            );
          })}
        </svg>
        <ul>
          {graph.nodes.map((node) => {
            const spot = placed.spots.get(node.ref);
            if (!spot) return null;
            const href = hrefOf(node.ref);
            const inner = (
              <>
                <Icon name={KIND_ICON[node.kind] ?? "file"} size={15} />
                <span className="lineage-text">
                  <span className="lineage-kind">{node.kind.replace(/-/g, " ")}</span>
                  <span className="truncate">{node.label}</span>
                </span>
              </>
            );
            const edges = graph.edges
              .filter((edge) => edge.to === node.ref)
              .map((edge) => `${edge.kind} from ${edge.from}`)
              .join(", ");
            return (
              <li
                key={node.ref}
                style={{ left: at.x(spot.layer), top: at.y(spot.row), width: at.boxWidth, height: at.boxHeight }}
                className={`lineage-node ${node.ref === focus ? "is-focus" : ""} ${lit && !lit.has(node.ref) ? "is-dim" : ""}`}
                onPointerEnter={() => setOver(node.ref)}
                onPointerLeave={() => setOver(null)}
                onFocus={() => setOver(node.ref)}
                onBlur={() => setOver(null)}
              >
                {href ? (
                  <A href={href} title={`${node.ref}${edges ? `: ${edges}` : ""}`} data-nav="">
                    {inner}
                  </A>
                ) : (
                  <span title={node.ref}>{inner}</span>
                )}
              </li>
            );
          })}
        </ul>
      </div>
    </div>
  );
}
