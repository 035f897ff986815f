import type { Lineage } from "../../api/types.ts";
export function LineageGraph({ graph, focus }: { graph: Lineage; focus: string }) { return <p>{graph.nodes.length}{focus}</p>; }
