// Addresses that MLflow's client prints (/#/experiments/1/runs/…) lead to the same object here.
import { paths } from "./paths.ts";

const RULES: [RegExp, (parts: string[]) => string][] = [
  [/^#\/experiments\/[^/]+\/runs\/([^/?]+)/, ([run]) => paths.run(run ?? "")],
  [/^#\/experiments\/([^/?]+)/, ([id]) => paths.experiment(id ?? "")],
  [/^#\/experiments\/?$/, () => "/experiments"],
  [/^#\/models\/([^/]+)\/versions\/([^/?]+)/, ([name, version]) => paths.modelVersion(name ?? "", version ?? "")],
  [/^#\/models\/([^/?]+)/, ([name]) => paths.model(name ?? "")],
  [/^#\/models\/?$/, () => "/models"],
];

/** The page for a hash that MLflow's client made, or null. */
export function fromMlflow(hash: string): string | null {
  for (const [pattern, page] of RULES) {
    const found = pattern.exec(hash);
    if (found) return page(found.slice(1).map(decodeURIComponent));
  }
  return null;
}
