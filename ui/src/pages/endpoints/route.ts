// How a request came to the version that answered it, in words.
import type { RecentPrediction } from "../../api/types.ts";

const ROUTES: Record<string, { name: string; says: string }> = {
  split: { name: "split", says: "chosen by the traffic's weights, and evidence on its version in a rollout" },
  key: { name: "same key", says: "its routing key led to the version that an earlier request had" },
  pinned: { name: "pinned", says: "the caller, or a proxy, named the version" },
  cached: { name: "cached", says: "kept from an earlier request with the same features" },
  repeat: { name: "repeat", says: "answered by the model, while another version's answer to these features was kept" },
  rerouted: { name: "rerouted", says: "this version stood in for one that left meanwhile" },
  device: { name: "device", says: "a bundle on a device answered" },
};

export type Routed = Pick<RecentPrediction, "route" | "role">;

/** The short form: a copy says so before the route of the request that it copied. */
export function routeName({ route, role }: Routed): string {
  const name = ROUTES[route]?.name ?? "–";
  return role === "shadow" ? (route === "split" ? "copy" : `copy, ${name}`) : name;
}

/** What it means, with whether it is evidence. */
export function routeMeaning({ route, role }: Routed): string {
  const found = ROUTES[route];
  if (!found) return "not recorded: answered before routes were";
  return role === "shadow" ? `a copy of a request: ${found.says}` : found.says;
}
