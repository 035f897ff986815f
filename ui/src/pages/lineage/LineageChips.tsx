// The chain through one object as chips in the loop's order: data, run, model, endpoint, monitor.
import { useQuery } from "@tanstack/react-query";
import { q } from "../../api/queries.ts";
import { ChipChain } from "../../ui/RefChip.tsx";

const ORDER = ["data", "pipeline-run", "run", "model", "endpoint", "monitor"];
const MOST = 3;

export function LineageChips({ of }: { of: string }) {
  const query = useQuery(q.lineage(of, "both", 3));
  const nodes = query.data?.nodes ?? [];
  const chain = ORDER.flatMap((kind) => nodes.filter((node) => node.kind === kind && (kind !== "model" || node.ref === of || !of.startsWith("model:"))).slice(0, MOST));
  return chain.length > 1 ? <ChipChain refs={chain.map((node) => ({ ref: node.ref, label: node.label }))} /> : null;
}
