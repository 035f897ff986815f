// One model: its versions in time with a metric beside them, and where every alias has pointed.
import { useQuery } from "@tanstack/react-query";
import { useState } from "react";
import { q } from "../../api/queries.ts";
import { useMay } from "../../api/useMay.ts";
import { Button } from "../../ui/Button.tsx";
import { Card } from "../../ui/Card.tsx";
import { Page } from "../../ui/Page.tsx";
import { QueryView } from "../../ui/QueryView.tsx";
import { Tabs } from "../../ui/Tabs.tsx";
import { Time } from "../../ui/Time.tsx";
import { usePart } from "../../ui/useUrl.ts";
import { Alias } from "./Alias.tsx";
import { AliasDialog } from "./AliasDialog.tsx";
import { AliasHistory } from "./AliasHistory.tsx";
import { Compare } from "./Compare.tsx";
import { Environments } from "./Environments.tsx";
import { EnvironmentsDialog } from "./EnvironmentsDialog.tsx";
import { Versions } from "./Versions.tsx";
import { VersionTrend } from "./VersionTrend.tsx";

export function ModelPage() {
  const name = usePart("name");
  const model = useQuery(q.model(name));
  const versions = useQuery(q.modelVersions(name));
  const mayWrite = useMay("write");
  const mayRule = useMay("admin");
  const [dialog, setDialog] = useState<"alias" | "environments" | null>(null);
  return (
    <Page
      title={name}
      crumbs={[{ label: "Models", href: "/models" }]}
      state={
        model.data && (
          <>
            {Object.entries(model.data.aliases).map(([alias, version]) => (
              <Alias key={alias} name={alias} version={version} />
            ))}
          </>
        )
      }
      meta={
        model.data && (
          <>
            {model.data.description && <span>{model.data.description}</span>}
            <span>
              changed <Time us={model.data.updated_us} />
            </span>
          </>
        )
      }
      actions={
        model.data && (
          <>
            {mayWrite && (
              <Button icon="promote" onClick={() => setDialog("alias")}>
                Set an alias
              </Button>
            )}
            {mayRule && <Button onClick={() => setDialog("environments")}>Environments</Button>}
          </>
        )
      }
    >
      <QueryView query={model}>
        {() => (
          <Tabs
            tabs={[
              {
                id: "versions",
                label: "Versions",
                count: versions.data?.items.length ?? null,
                body: () => (
                  <QueryView query={versions}>
                    {(data) => (
                      <div className="stack">
                        <Environments name={name} />
                        <VersionTrend versions={data.items} />
                        <Card flush>
                          <Versions versions={data.items} />
                        </Card>
                      </div>
                    )}
                  </QueryView>
                ),
              },
              {
                id: "compare",
                label: "Compare",
                body: () => <QueryView query={versions}>{(data) => <Compare name={name} versions={data.items} />}</QueryView>,
              },
              { id: "aliases", label: "Alias history", body: () => <AliasHistory name={name} /> },
            ]}
          />
        )}
      </QueryView>
      {dialog === "alias" && model.data && <AliasDialog model={model.data} onClose={() => setDialog(null)} />}
      {dialog === "environments" && <EnvironmentsDialog model={name} onClose={() => setDialog(null)} />}
    </Page>
  );
}
