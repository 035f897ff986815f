// The resources of /api/v1 as the pages read them; times are microseconds since the epoch.

export type * from "./types/common.ts";
export type * from "./types/loop.ts";
export type * from "./types/tracking.ts";
export type * from "./types/traces.ts";
export type * from "./types/registry.ts";
export type * from "./types/data.ts";
export type * from "./types/pipelines.ts";
export type * from "./types/deploy.ts";
export type * from "./types/settings.ts";
export type * from "./types/batch.ts";
export type * from "./types/edge.ts";
export type * from "./types/monitor.ts";
export type * from "./types/alerts.ts";
export type * from "./types/govern.ts";
