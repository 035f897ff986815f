// The chain through one object as chips in the loop's order: data, run, model, endpoint, monitor.
import { useQuery } from "@tanstack/react-query";
import { q } from "../../api/queries.ts";
import { ChipChain } from "../../ui/RefChip.tsx";

const ORDER = ["data", "pipeline-run", "run", "model", "endpoint", "monitor"];

export function LineageChips({ of }: { of: string }) {
  const query = useQuery(q.lineage(of, "both", 4));
  const nodes = query.data?.nodes ?? [];
  if (nodes.length < 2) return null;
  return (
    <ChipChain
      groups={ORDER.map((kind) => nodes.filter((node) => node.kind === kind).sort((a, b) => Number(b.ref === of) - Number(a.ref === of)))}
    />
  );
}
