// One endpoint: who answers how much, the rollout under way with its evidence, service figures, history, and acts.
import { useQuery } from "@tanstack/react-query";
import { useState } from "react";
import { q } from "../../api/queries.ts";
import { useMay } from "../../api/useMay.ts";
import type { Endpoint } from "../../api/types.ts";
import { number, percent } from "../../format/number.ts";
import { Button } from "../../ui/Button.tsx";
import { Copy } from "../../ui/Copy.tsx";
import { MenuButton } from "../../ui/MenuButton.tsx";
import { Num } from "../../ui/Num.tsx";
import { Page } from "../../ui/Page.tsx";
import { QueryView } from "../../ui/QueryView.tsx";
import { ChipChain } from "../../ui/RefChip.tsx";
import { Skeleton } from "../../ui/States.tsx";
import { Stat } from "../../ui/Stat.tsx";
import { State } from "../../ui/Badge.tsx";
import { Tabs } from "../../ui/Tabs.tsx";
import { Time } from "../../ui/Time.tsx";
import { usePart } from "../../ui/useUrl.ts";
import "./endpoints.css";
import { DeployDialog } from "./DeployDialog.tsx";
import { errorShare } from "./EndpointsPage.tsx";
import { ExportDialog } from "./ExportDialog.tsx";
import { Predictions } from "./Predictions.tsx";
import { ReleaseDialog } from "./ReleaseDialog.tsx";
import { RollbackDialog } from "./RollbackDialog.tsx";
import { RolloutDialog } from "./RolloutDialog.tsx";
import { Rollouts, RunningRollout } from "./Rollouts.tsx";
import { ServiceCharts } from "./ServiceCharts.tsx";
import { Settings } from "./Settings.tsx";
import { StopDialog } from "./StopDialog.tsx";
import { TrafficCard } from "./TrafficCard.tsx";
import { TrafficDialog } from "./TrafficDialog.tsx";
import { TrafficHistory } from "./TrafficHistory.tsx";
import { TryIt } from "./TryIt.tsx";

function Figures({ endpoint }: { endpoint: Endpoint }) {
  return (
    <div className="stats">
      <Stat
        label="Requests, last minute"
        value={<Num value={endpoint.requests_1m} />}
        note={`${number(endpoint.requests_1m / 60)} a second`}
      />
      <Stat label="Errors" value={percent(errorShare(endpoint))} note={`${endpoint.errors_1m} of ${endpoint.requests_1m}`} />
      <Stat label="p50" value={<Num value={endpoint.p50_ms} unit="ms" />} note="half are faster" />
      <Stat label="p99" value={<Num value={endpoint.p99_ms} unit="ms" />} note="1 in 100 is slower" />
    </div>
  );
}

export function EndpointPage() {
  const name = usePart("name");
  const query = useQuery(q.endpoint(name));
  const rollouts = useQuery(q.rollouts(name));
  const monitors = useQuery(q.monitors(name));
  const [dialog, setDialog] = useState<"traffic" | "rollback" | "rollout" | "export" | "deploy" | "release" | "stop" | null>(null);
  const mayWrite = useMay("write");
  const endpoint = query.data;
  const chain = endpoint
    ? [
        endpoint.versions.filter((each) => each.weight > 0).map((each) => ({ ref: `model:${each.model}/${each.version}` })),
        [{ ref: `endpoint:${name}` }],
        (monitors.data?.items ?? []).map((each) => ({ ref: `monitor:${each.name}` })),
      ]
    : [];
  return (
    <Page
      title={name}
      crumbs={[{ label: "Endpoints", href: "/endpoints" }]}
      state={endpoint && <State of={endpoint.state} />}
      meta={
        endpoint && (
          <>
            <span className="row">
              <code className="break">{endpoint.url}</code>
              <Copy text={endpoint.url} label="Copy the address" />
            </span>
            <span>
              changed <Time us={endpoint.updated_us} />
            </span>
          </>
        )
      }
      chips={<ChipChain groups={chain} />}
      actions={
        endpoint && (
          <>
            {mayWrite && (
              <>
                <Button kind="primary" icon="promote" onClick={() => setDialog("rollout")}>
                  Start a rollout
                </Button>
                <Button icon="split" onClick={() => setDialog("traffic")}>
                  Change traffic
                </Button>
              </>
            )}
            <Button icon="download" onClick={() => setDialog("export")}>
              Export
            </Button>
            {mayWrite && (
              <>
                <Button kind="danger" icon="back" onClick={() => setDialog("rollback")}>
                  Roll back
                </Button>
                <MenuButton
                  label="More"
                  items={[
                    { label: "Deploy a version", icon: "endpoints", act: () => setDialog("deploy") },
                    { label: "Release a version", icon: "gate", act: () => setDialog("release") },
                    { label: "Stop", icon: "trash", act: () => setDialog("stop") },
                  ]}
                />
              </>
            )}
          </>
        )
      }
    >
      <QueryView query={query} skeleton={<Skeleton rows={10} />}>
        {(data) => (
          <>
            <Tabs
              tabs={[
                {
                  id: "traffic",
                  label: "Traffic",
                  body: () => (
                    <div className="stack">
                      <TrafficCard endpoint={data} />
                      <RunningRollout endpoint={name} />
                      <Figures endpoint={data} />
                      <ServiceCharts name={name} />
                    </div>
                  ),
                },
                {
                  id: "rollouts",
                  label: "Rollouts",
                  count: rollouts.data?.items.length ?? null,
                  body: () => <Rollouts endpoint={name} onStart={() => setDialog("rollout")} />,
                },
                { id: "history", label: "History", body: () => <TrafficHistory endpoint={name} /> },
                { id: "predictions", label: "Predictions", body: () => <Predictions endpoint={name} /> },
                { id: "settings", label: "Settings", body: () => <Settings endpoint={name} /> },
                { id: "try", label: "Try it", body: () => <TryIt endpoint={data} /> },
              ]}
            />
            {dialog === "rollout" && <RolloutDialog endpoint={data} onClose={() => setDialog(null)} />}
            {dialog === "deploy" && <DeployDialog endpoint={data} onClose={() => setDialog(null)} />}
            {dialog === "release" && <ReleaseDialog endpoint={data} onClose={() => setDialog(null)} />}
            {dialog === "stop" && <StopDialog endpoint={data} onClose={() => setDialog(null)} />}
            {dialog === "export" && <ExportDialog endpoint={data} onClose={() => setDialog(null)} />}
            {dialog === "traffic" && <TrafficDialog endpoint={data} onClose={() => setDialog(null)} />}
            {dialog === "rollback" && <RollbackDialog endpoint={data} onClose={() => setDialog(null)} />}
          </>
        )}
      </QueryView>
    </Page>
  );
}
