// Every URL of the UI and the page behind it; each page is a chunk of its own, the overview comes with the first load.
import { createRootRoute, createRoute, createRouter, lazyRouteComponent, redirect } from "@tanstack/react-router";
import { OverviewPage } from "./pages/overview/OverviewPage.tsx";
import { paths } from "./paths.ts";
import { Shell } from "./shell/Shell.tsx";
import { Empty, Failed, Skeleton } from "./ui/States.tsx";

const rootRoute = createRootRoute({
  component: Shell,
  notFoundComponent: () => (
    <div className="page">
      <Empty title="There is no page here">The address leads nowhere. Search with Ctrl K, or start at the overview.</Empty>
    </div>
  ),
});

const at = <P extends string>(path: P, load: () => Promise<Record<string, unknown>>, name: string) =>
  createRoute({ getParentRoute: () => rootRoute, path, component: lazyRouteComponent(load as () => Promise<Record<string, never>>, name) });

/** An address other tools may write for the same object. */
const alias = (path: string, to: (parts: Record<string, string>) => string) =>
  createRoute({
    getParentRoute: () => rootRoute,
    path,
    beforeLoad: ({ params }) => {
      throw redirect({ to: to(params as Record<string, string>), replace: true });
    },
  });

const routeTree = rootRoute.addChildren([
  createRoute({ getParentRoute: () => rootRoute, path: "/", component: OverviewPage }),
  at("/data", () => import("./pages/data/DatasetsPage.tsx"), "DatasetsPage"),
  at("/data/$name", () => import("./pages/data/DatasetPage.tsx"), "DatasetPage"),
  at("/data/$name/$version", () => import("./pages/data/DataVersionPage.tsx"), "DataVersionPage"),
  at("/pipelines", () => import("./pages/pipelines/PipelinesPage.tsx"), "PipelinesPage"),
  at("/pipelines/runs/$id", () => import("./pages/pipelines/PipelineRunPage.tsx"), "PipelineRunPage"),
  at("/experiments", () => import("./pages/experiments/ExperimentsPage.tsx"), "ExperimentsPage"),
  at("/experiments/$id", () => import("./pages/experiments/ExperimentPage.tsx"), "ExperimentPage"),
  at("/runs/$id", () => import("./pages/runs/run/RunPage.tsx"), "RunPage"),
  at("/compare", () => import("./pages/runs/compare/ComparePage.tsx"), "ComparePage"),
  at("/traces", () => import("./pages/traces/TracesPage.tsx"), "TracesPage"),
  at("/traces/$id", () => import("./pages/traces/TracePage.tsx"), "TracePage"),
  at("/models", () => import("./pages/models/ModelsPage.tsx"), "ModelsPage"),
  at("/models/$name", () => import("./pages/models/ModelPage.tsx"), "ModelPage"),
  at("/models/$name/$version", () => import("./pages/models/ModelVersionPage.tsx"), "ModelVersionPage"),
  at("/endpoints", () => import("./pages/endpoints/EndpointsPage.tsx"), "EndpointsPage"),
  at("/endpoints/$name", () => import("./pages/endpoints/EndpointPage.tsx"), "EndpointPage"),
  at("/predictions/$id", () => import("./pages/endpoints/PredictionPage.tsx"), "PredictionPage"),
  at("/edge", () => import("./pages/edge/EdgePage.tsx"), "EdgePage"),
  at("/batch", () => import("./pages/batch/BatchesPage.tsx"), "BatchesPage"),
  at("/batch/$id", () => import("./pages/batch/BatchPage.tsx"), "BatchPage"),
  at("/monitors", () => import("./pages/monitors/MonitorsPage.tsx"), "MonitorsPage"),
  at("/monitors/$name", () => import("./pages/monitors/MonitorPage.tsx"), "MonitorPage"),
  at("/alerts", () => import("./pages/alerts/AlertsPage.tsx"), "AlertsPage"),
  at("/lineage", () => import("./pages/lineage/LineagePage.tsx"), "LineagePage"),
  at("/trash", () => import("./pages/trash/TrashPage.tsx"), "TrashPage"),
  at("/audit", () => import("./pages/audit/AuditPage.tsx"), "AuditPage"),
  at("/settings", () => import("./pages/settings/SettingsPage.tsx"), "SettingsPage"),
  alias("/data/$name/versions/$version", (p) => paths.dataVersion(p["name"] ?? "", p["version"] ?? "")),
  alias("/models/$name/versions/$version", (p) => paths.modelVersion(p["name"] ?? "", p["version"] ?? "")),
  alias("/pipeline-runs/$id", (p) => paths.pipelineRun(p["id"] ?? "")),
  alias("/pipelines/$name", (p) => paths.pipeline(p["name"] ?? "")),
  alias("/experiments/runs/$id", (p) => paths.run(p["id"] ?? "")),
  alias("/alerts/$id", () => paths.alerts),
  alias("/experiments/$id/runs/$run", (p) => paths.run(p["run"] ?? "")),
]);

export const router = createRouter({
  routeTree,
  scrollRestoration: true,
  parseSearch: (text) => Object.fromEntries(new URLSearchParams(text)),
  stringifySearch: (search) => {
    const pairs = Object.entries(search as Record<string, string | undefined>).filter((pair): pair is [string, string] => Boolean(pair[1]));
    return pairs.length ? `?${new URLSearchParams(pairs)}` : "";
  },
  defaultPendingMs: 300,
  defaultPendingComponent: () => (
    <div className="page">
      <Skeleton rows={8} />
    </div>
  ),
  defaultErrorComponent: ({ error, reset }) => (
    <div className="page">
      <Failed error={error} retry={reset} />
    </div>
  ),
});

declare module "@tanstack/react-router" {
  interface Register {
    router: typeof router;
  }
}
