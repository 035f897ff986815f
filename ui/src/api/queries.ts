// What each page reads, as query options; keys start with the noun that live events invalidate.
import { infiniteQueryOptions, keepPreviousData, queryOptions } from "@tanstack/react-query";
import { get, seg, type Params } from "./client.ts";
import type * as T from "./types.ts";

type Context = { signal: AbortSignal };

/** One cached GET under `[noun, ...]`. */
const read = <R>(noun: string, path: string, params: Params = {}) =>
  queryOptions({
    queryKey: [noun, path, params] as const,
    queryFn: ({ signal }: Context) => get<R>(path, params, signal),
    placeholderData: keepPreviousData,
  });

/** A keyset-paged list; `data.pages` grows as the reader scrolls. */
const pages = <R>(noun: string, path: string, params: Params = {}, limit = 100) =>
  infiniteQueryOptions({
    queryKey: [noun, path, params, "pages"] as const,
    queryFn: ({ signal, pageParam }: Context & { pageParam: string }) =>
      get<T.Page<R>>(path, { ...params, limit, cursor: pageParam }, signal),
    initialPageParam: "",
    getNextPageParam: (last: T.Page<R>) => last.next_cursor ?? undefined,
    placeholderData: keepPreviousData,
  });

/** Asks for one thing by id: never shows the previous thing meanwhile. */
const one = <R>(noun: string, path: string, params: Params = {}) =>
  queryOptions({ queryKey: [noun, path, params] as const, queryFn: ({ signal }: Context) => get<R>(path, params, signal) });

export const q = {
  overview: () => read<T.Overview>("overview", "/overview"),
  timeline: (params: Params = {}) => read<T.Page<T.TimelineItem>>("timeline", "/timeline", params),
  loops: () => one<T.Page<T.LoopPolicy>>("loops", "/loops"),
  episodes: () => one<T.Page<T.Episode>>("timeline", "/episodes", { limit: 200 }),
  search: (text: string) => read<T.Page<T.SearchHit>>("search", "/search", { q: text }),

  experiments: () => pages<T.Experiment>("experiments", "/experiments"),
  experiment: (id: string) => one<T.Experiment>("experiments", `/experiments/${seg(id)}`),
  metricNames: (experiment: string) => one<T.Page<string>>("runs", `/experiments/${seg(experiment)}/metrics`),
  runs: (params: Params) => pages<T.Run>("runs", "/runs", params, 500),
  run: (id: string) => one<T.Run>("runs", `/runs/${seg(id)}`),
  metric: (run: string, key: string, points: number) => one<T.MetricHistory>("runs", `/runs/${seg(run)}/metrics/${seg(key)}`, { points }),
  runColumns: (experiment: string) => one<T.RunColumns>("runs", "/runs/columns", { experiment_id: experiment }),
  facets: (experiment: string, filter: string, by: readonly string[], most = 20) =>
    read<T.Facets>("runs", "/runs/facets", { experiment_id: experiment, filter, by, most }),
  curves: (runs: readonly string[], keys: readonly string[], points: number, span: readonly [number, number] | null = null) =>
    read<{ curves: T.Curve[] }>("runs", "/metrics/curves", {
      run_id: runs,
      key: keys,
      points,
      from_step: span?.[0] ?? null,
      to_step: span?.[1] ?? null,
    }),
  importance: (experiment: string, metric: string, filter: string) =>
    one<T.Importance>("importance", "/runs/importance", { experiment_id: experiment, metric, filter }),
  views: (experiment: string) => one<T.Page<T.SavedView>>("views", "/views", { page: "runs", experiment_id: experiment }),
  trash: () => pages<T.TrashItem>("trash", "/trash"),
  artifacts: (run: string, path: string) => one<T.Page<T.Artifact>>("runs", `/runs/${seg(run)}/artifacts`, { path }),

  traces: (params: Params) => pages<T.Trace>("traces", "/traces", params),
  trace: (id: string) => one<T.TraceDetail>("traces", `/traces/${seg(id)}`),

  models: () => pages<T.Model>("models", "/models"),
  /** As many as a form can offer. */
  modelChoice: () => read<T.Page<T.Model>>("models", "/models", { limit: 1000 }),
  model: (name: string) => one<T.Model>("models", `/models/${seg(name)}`),
  modelVersions: (name: string) => one<T.Page<T.ModelVersion>>("models", `/models/${seg(name)}/versions`, { limit: 200 }),
  modelVersion: (name: string, version: string) => one<T.ModelVersion>("models", `/models/${seg(name)}/versions/${seg(version)}`),
  aliasHistory: (name: string) => one<T.Page<T.AliasChange>>("models", `/models/${seg(name)}/aliases/history`),
  environments: (name: string) => one<T.Page<T.EnvironmentState>>("models", `/models/${seg(name)}/environments`),
  compareVersions: (name: string, versions: string) => read<T.VersionComparison>("models", `/models/${seg(name)}/compare`, { versions }),
  estimates: (name: string, version: string) =>
    one<T.Page<T.MetricEstimate>>("models", `/models/${seg(name)}/versions/${seg(version)}/metrics`),
  scan: (name: string, version: string) => one<T.FileScan>("models", `/models/${seg(name)}/versions/${seg(version)}/scan`),
  pythonEnvironment: (name: string, version: string) =>
    one<T.PythonEnvironment>("models", `/models/${seg(name)}/versions/${seg(version)}/environment`),
  compilation: (name: string, version: string) => one<T.Compilation>("models", `/models/${seg(name)}/versions/${seg(version)}/compilation`),
  gates: (name: string, version: string) => one<T.Page<T.Gate>>("models", `/models/${seg(name)}/versions/${seg(version)}/gates`),

  datasets: () => pages<T.Dataset>("data", "/data"),
  datasetChoice: () => read<T.Page<T.Dataset>>("data", "/data", { limit: 1000 }),
  dataVersions: (name: string) => one<T.Page<T.DataVersion>>("data", `/data/${seg(name)}/versions`, { limit: 200 }),
  dataCompare: (name: string, from: string, to: string) => one<T.DataComparison>("data", `/data/${seg(name)}/compare`, { from, to }),
  dataVersion: (name: string, version: string) => one<T.DataVersionDetail>("data", `/data/${seg(name)}/versions/${seg(version)}`),

  pipelines: () => pages<T.Pipeline>("pipelines", "/pipelines"),
  pipelineRuns: (pipeline: string) => pages<T.PipelineRun>("pipelines", "/pipeline-runs", { pipeline }),
  pipelineRun: (id: string) => one<T.PipelineRun>("pipelines", `/pipeline-runs/${seg(id)}`),

  endpoints: () => read<T.Page<T.Endpoint>>("endpoints", "/endpoints"),
  endpoint: (name: string) => one<T.Endpoint>("endpoints", `/endpoints/${seg(name)}`),
  versionFiles: (model: string, version: string) =>
    one<T.Page<{ path: string }>>("models", `/models/${seg(model)}/versions/${seg(version)}/files`),
  versionFile: (model: string, version: string, path: string) =>
    one<unknown>("models", `/models/${seg(model)}/versions/${seg(version)}/files/${seg(path)}`),
  endpointOpenapi: (name: string) => one<T.EndpointDocument>("endpoints", `/endpoints/${seg(name)}/openapi`),
  traffic: (name: string) => one<T.Page<T.TrafficChange>>("endpoints", `/endpoints/${seg(name)}/history`),
  endpointSettings: (name: string) => one<T.EndpointSettings>("endpoints", `/endpoints/${seg(name)}/settings`),
  rollouts: (name: string) => one<T.Page<T.Rollout>>("endpoints", `/endpoints/${seg(name)}/rollouts`),

  batches: () => ({ ...pages<T.BatchPrediction>("batches", "/batch-predictions"), refetchInterval: 5000 }),
  edgeBundles: () => read<T.Page<T.EdgeBundle>>("edge", "/edge/bundles"),
  edgeDevices: (model: string, alias: string) => one<T.Page<T.EdgeDevice>>("edge", `/edge/bundles/${seg(model)}/${seg(alias)}/devices`),
  batch: (id: string) => one<T.BatchPrediction>("batches", `/batch-predictions/${seg(id)}`),

  monitors: (endpoint = "") => read<T.Page<T.Monitor>>("monitors", "/monitors", { endpoint }),
  monitor: (name: string) => one<T.Monitor>("monitors", `/monitors/${seg(name)}`),
  windows: (name: string, params: Params = {}) => read<T.Page<T.MonitorWindow>>("monitors", `/monitors/${seg(name)}/windows`, params),
  feature: (name: string, feature: string, params: Params) =>
    read<T.FeatureDetail>("monitors", `/monitors/${seg(name)}/features/${seg(feature)}`, params),

  predictions: (endpoint: string) => read<T.Page<T.RecentPrediction>>("predictions", "/predictions", { endpoint, limit: 100 }),
  prediction: (id: string) => one<T.Prediction>("predictions", `/predictions/${seg(id)}`),
  alerts: (state: string) => pages<T.Alert>("alerts", "/alerts", { state }),
  alertRules: () => one<T.Page<T.AlertRule>>("alerts", "/alert-rules"),
  alertChannels: () => one<T.Page<T.AlertChannel>>("alerts", "/alert-channels"),
  lineage: (ref: string, direction = "both", depth = 6) => one<T.Lineage>("lineage", "/lineage", { ref, direction, depth }),

  me: () => one<T.Me>("me", "/me"),
  tokens: () => one<T.Page<T.Token>>("tokens", "/tokens"),
  audit: () => pages<T.AuditEntry>("audit", "/audit"),
};

/** Every loaded row of a paged list, in order. */
export const flat = <R>(data: { pages: T.Page<R>[] } | undefined): R[] => data?.pages.flatMap((page) => page.items) ?? [];
