// Arithmetic of traffic shares: the total, and what a rollback would restore.
import type { Endpoint, TrafficChange } from "../../api/types.ts";

export const total = (weights: Record<string, number>): number =>
  Object.values(weights).reduce((sum, share) => sum + (Number.isFinite(share) ? share : 0), 0);

export const currentWeights = (endpoint: Endpoint): Record<string, number> =>
  Object.fromEntries(
    endpoint.versions
      .filter((version) => version.weight > 0 && version.role !== "shadow")
      .map((version) => [version.version, version.weight]),
  );

/** The version that "roll back" leads to, by the server's own rule: the champion while a challenger is on trial, else the champion before it that is still warm. */
export function rollbackTarget(endpoint: Endpoint, history: TrafficChange[]): string | null {
  const serving = endpoint.versions.filter((version) => version.weight > 0);
  const champion = endpoint.versions.find((version) => version.role === "champion");
  if (champion && serving.some((version) => version.role === "challenger")) return champion.version;
  const ready = new Set(endpoint.versions.filter((version) => version.state === "ready").map((version) => version.version));
  const change = history.find(
    (each) =>
      each.champion_after === champion?.version &&
      each.champion_before !== null &&
      each.champion_before !== champion?.version &&
      ready.has(each.champion_before),
  );
  return change?.champion_before ?? null;
}
