// One run: live curves, what was logged, what the machine did meanwhile, files, and how to run it again.
import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { useRouter } from "@tanstack/react-router";
import { useState } from "react";
import { get, patch, seg } from "../../../api/client.ts";
import { q } from "../../../api/queries.ts";
import { useMay } from "../../../api/useMay.ts";
import type { Curve, Run } from "../../../api/types.ts";
import { csv, save } from "../../../charts/export.ts";
import { paths } from "../../../paths.ts";
import { A } from "../../../ui/A.tsx";
import { Badge, State } from "../../../ui/Badge.tsx";
import { Button } from "../../../ui/Button.tsx";
import { Copy } from "../../../ui/Copy.tsx";
import { TextField } from "../../../ui/Fields.tsx";
import { FormDialog } from "../../../ui/FormDialog.tsx";
import { Menu } from "../../../ui/Menu.tsx";
import { Page } from "../../../ui/Page.tsx";
import { QueryView } from "../../../ui/QueryView.tsx";
import { Empty, Skeleton } from "../../../ui/States.tsx";
import { Tabs } from "../../../ui/Tabs.tsx";
import { Elapsed, Time } from "../../../ui/Time.tsx";
import { toast } from "../../../ui/Toasts.tsx";
import { usePart } from "../../../ui/useUrl.ts";
import "../../experiments/experiments.css";
import { LineageChips } from "../../lineage/LineageChips.tsx";
import { Artifacts } from "../artifacts/Artifacts.tsx";
import { Curves } from "../curves/Curves.tsx";
import { deleteRuns, restoreRuns } from "../table/bulk.ts";
import { Overview } from "./Overview.tsx";
import { Reproduce } from "./Reproduce.tsx";
import "./run.css";

const isSystem = (metric: string): boolean => metric.startsWith("system/");
const isModel = (metric: string): boolean => !isSystem(metric);

function Rename({ run, onClose }: { run: Run; onClose: () => void }) {
  const client = useQueryClient();
  const [name, setName] = useState(run.name);
  const act = useMutation({
    mutationFn: () => patch(`/runs/${seg(run.id)}`, { name: name.trim() }),
    onSuccess: async () => {
      await client.invalidateQueries({ queryKey: ["runs"] });
      onClose();
    },
  });
  return (
    <FormDialog title="Rename the run" verb="Rename" act={act} ready={name.trim() !== "" && name.trim() !== run.name} onClose={onClose}>
      {(wrong) => <TextField label="Name" error={wrong("name")} value={name} onChange={setName} />}
    </FormDialog>
  );
}

/** Every point there is of every metric as CSV, as far as the server gives them at once. */
async function saveCurves(run: Run): Promise<void> {
  const keys = Object.keys(run.metrics);
  const curves: Curve[] = [];
  for (let i = 0; i < keys.length; i += 20)
    curves.push(
      ...(await get<{ curves: Curve[] }>("/metrics/curves", { run_id: [run.id], key: keys.slice(i, i + 20), points: 10_000 })).curves,
    );
  const rows = curves.flatMap((curve) =>
    curve.points.map(([step, at, value]): (string | number | null)[] => [curve.key, step, new Date(at / 1000).toISOString(), value]),
  );
  save(new Blob([csv({ head: ["metric", "step", "time", "value"], rows })], { type: "text/csv" }), `${run.name || run.id}.csv`);
  const thinned = curves.filter((curve) => curve.downsampled).length;
  if (thinned) toast(`${thinned} curves have more than 10,000 points and were thinned`);
}

function Actions({ run }: { run: Run }) {
  const client = useQueryClient();
  const router = useRouter();
  const mayWrite = useMay("write");
  const [menu, setMenu] = useState<DOMRect | null>(null);
  const [renaming, setRenaming] = useState(false);
  const again = (): Promise<void> => client.invalidateQueries({ queryKey: ["runs"] });
  const remove = async (): Promise<void> => {
    const { failed } = await deleteRuns([run.id]);
    if (failed) {
      toast(failed.message, true);
      return;
    }
    await again();
    router.history.push(paths.experiment(run.experiment_id));
    toast(`Moved ${run.name} to the trash`, false, { label: "Undo", act: () => void restoreRuns([run.id]).then(again) });
  };
  const restore = async (): Promise<void> => {
    const { failed } = await restoreRuns([run.id]);
    toast(failed ? failed.message : `Restored ${run.name}`, failed !== null);
    await again();
  };
  const failed = (error: unknown): void => toast(error instanceof Error ? error.message : String(error), true);
  return (
    <>
      {mayWrite && run.state === "deleted" && (
        <Button icon="back" onClick={() => void restore()}>
          Restore
        </Button>
      )}
      <Button aria-haspopup="menu" onClick={(event) => setMenu(event.currentTarget.getBoundingClientRect())}>
        Actions
      </Button>
      {menu && (
        <Menu
          label="Actions"
          at={menu}
          onClose={() => setMenu(null)}
          items={[
            ...(mayWrite && run.state === "active" ? [{ label: "Rename", icon: "file", act: () => setRenaming(true) } as const] : []),
            { label: "Save curves as CSV", icon: "download", act: () => void saveCurves(run).catch(failed) },
            {
              label: "Save as JSON",
              icon: "download",
              act: () => save(new Blob([JSON.stringify(run, null, 2)], { type: "application/json" }), `${run.name || run.id}.json`),
            },
            ...(mayWrite && run.state === "active"
              ? (["line", { label: "Move to the trash", icon: "close", act: () => void remove() }] as const)
              : []),
          ]}
        />
      )}
      {renaming && <Rename run={run} onClose={() => setRenaming(false)} />}
    </>
  );
}

export function RunPage() {
  const id = usePart("id");
  const query = useQuery({
    ...q.run(id),
    // A running run is asked for again, more slowly the longer it runs.
    refetchInterval: (state) =>
      state.state.data?.status === "RUNNING" ? Math.min(15_000, 3000 * 1.15 ** Math.min(12, state.state.dataUpdateCount)) : false,
  });
  const run = query.data;
  const experiment = useQuery({ ...q.experiment(run?.experiment_id ?? ""), enabled: Boolean(run) });
  const parentId = run?.tags["mlflow.parentRunId"];
  const parent = useQuery({ ...q.run(parentId ?? ""), enabled: Boolean(parentId), retry: false });
  const [only] = useState(() => new Map<string, Run[]>());
  const list = (data: Run): Run[] => {
    // One array for one run, so that charts keep what they have drawn.
    const known = only.get(data.id);
    if (known?.[0] === data) return known;
    const made = [data];
    only.set(data.id, made);
    return made;
  };
  return (
    <Page
      title={run?.name || id.slice(0, 8)}
      crumbs={[
        { label: "Experiments", href: "/experiments" },
        ...(run ? [{ label: experiment.data?.name ?? run.experiment_id, href: paths.experiment(run.experiment_id) }] : []),
        ...(parentId && !parent.error ? [{ label: parent.data?.name ?? "parent run", href: paths.run(parentId) }] : []),
      ]}
      state={
        run && (
          <>
            <State of={run.status} />
            {run.state === "deleted" && <Badge tone="quiet">in the trash</Badge>}
          </>
        )
      }
      meta={
        run && (
          <>
            <span className="row">
              <code className="break">{id}</code>
              <Copy text={id} label="Copy the run id" />
            </span>
            <span>by {run.owner || "nobody named"}</span>
            <span>
              started <Time us={run.started_us} />
            </span>
            <span>
              {run.ended_us ? "took" : "for"} <Elapsed from={run.started_us} to={run.ended_us} />
            </span>
            <A className="link" href={paths.lineage(`run:${id}`)}>
              lineage
            </A>
          </>
        )
      }
      chips={<LineageChips of={`run:${id}`} />}
      actions={run && <Actions run={run} />}
      wide
    >
      <QueryView query={query} skeleton={<Skeleton rows={10} />}>
        {(data) => {
          const system = Object.keys(data.metrics).filter(isSystem).length;
          return (
            <Tabs
              tabs={[
                {
                  id: "charts",
                  label: "Charts",
                  count: Object.keys(data.metrics).length - system,
                  body: () => <Curves runs={list(data)} keep={isModel} />,
                },
                { id: "values", label: "Overview", body: () => <Overview run={data} /> },
                { id: "artifacts", label: "Artifacts", body: () => <Artifacts run={id} /> },
                {
                  id: "system",
                  label: "System",
                  count: system || null,
                  body: () => (
                    <Curves
                      runs={list(data)}
                      keep={isSystem}
                      empty={
                        <Empty
                          title="Nothing about the machine"
                          code={'trimtab.run(experiment="flight-delay")  # or mlflow.enable_system_metrics_logging()'}
                        >
                          CPU, memory, GPU and energy are logged beside the run by our own client, and by MLflow's where that is switched
                          on.
                        </Empty>
                      }
                    />
                  ),
                },
                { id: "reproduce", label: "Reproduce", body: () => <Reproduce run={data} /> },
              ]}
            />
          );
        }}
      </QueryView>
    </Page>
  );
}
