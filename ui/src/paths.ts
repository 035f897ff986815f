// The one URL of every object, and the URL of a ref such as "model:flights/3".
import { seg } from "./api/client.ts";

const v = (path: string, params: Record<string, string>): string => `${path}?${new URLSearchParams(params)}`;

export const paths = {
  dataset: (name: string) => `/data/${seg(name)}`,
  dataVersion: (name: string, version: string | number) => `/data/${seg(name)}/${seg(version)}`,
  pipelineRun: (id: string) => `/pipelines/runs/${seg(id)}`,
  pipeline: (name: string) => v("/pipelines", { pipeline: name }),
  experiment: (id: string) => `/experiments/${seg(id)}`,
  run: (id: string) => `/runs/${seg(id)}`,
  trace: (id: string) => `/traces/${seg(id)}`,
  compare: (ids: string[]) => v("/compare", { runs: ids.join(",") }),
  model: (name: string) => `/models/${seg(name)}`,
  modelVersion: (name: string, version: string | number) => `/models/${seg(name)}/${seg(version)}`,
  endpoint: (name: string) => `/endpoints/${seg(name)}`,
  batch: (id: string) => `/batch/${seg(id)}`,
  /** The form of a batch prediction, filled in as far as is known: "churn/3", "customers@1". */
  newBatch: (known: { model?: string; data?: string }) => v("/batch", { new: "1", ...known }),
  monitor: (name: string) => `/monitors/${seg(name)}`,
  prediction: (id: string) => `/predictions/${seg(id)}`,
  lineage: (ref: string) => v("/lineage", { ref }),
  alerts: "/alerts",
};

/** Splits "model:flights/3" into its kind and the rest. */
export function splitRef(ref: string): [kind: string, rest: string] {
  const at = ref.indexOf(":");
  return at < 0 ? ["", ref] : [ref.slice(0, at), ref.slice(at + 1)];
}

/** Where a ref is looked at, or null when it has no page. */
export function hrefOf(ref: string): string | null {
  const [kind, rest] = splitRef(ref);
  const slash = rest.lastIndexOf("/");
  const at = rest.indexOf("@");
  switch (kind) {
    case "run":
      return paths.run(rest);
    case "trace":
      return paths.trace(rest);
    case "experiment":
      return paths.experiment(rest);
    case "model":
      return slash > 0 ? paths.modelVersion(rest.slice(0, slash), rest.slice(slash + 1)) : paths.model(rest);
    case "data":
      return at > 0 ? paths.dataVersion(rest.slice(0, at), rest.slice(at + 1)) : paths.dataset(rest);
    case "endpoint":
      return paths.endpoint(rest);
    case "batch-prediction":
      return paths.batch(rest);
    case "monitor":
      return paths.monitor(rest);
    case "prediction":
      return paths.prediction(rest);
    case "pipeline-run":
      return paths.pipelineRun(rest);
    case "pipeline":
      return paths.pipeline(rest);
    case "alert":
    case "alert-rule":
    case "alert-channel":
      return paths.alerts;
    case "episode":
      return v("/", { episode: rest });
    default:
      return null;
  }
}

/** What a ref is called in a chip: names as they are, long ids shortened. */
export function labelOf(ref: string): string {
  const [kind, rest] = splitRef(ref);
  if (kind === "model") return rest.replace(/\/([^/]+)$/, " v$1");
  if (kind === "commit") return rest.slice(0, 8);
  if ((kind === "run" || kind === "prediction" || kind === "batch-prediction" || kind === "pipeline-run") && rest.length > 14)
    return `${rest.slice(0, 6)}…${rest.slice(-4)}`;
  return rest;
}
