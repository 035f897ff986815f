// Bundles for devices, and for the chosen one the devices that called: which bundle each has in use.
import { useQuery } from "@tanstack/react-query";
import { seg, url } from "../../api/client.ts";
import { q } from "../../api/queries.ts";
import type { EdgeBundle, EdgeDevice } from "../../api/types.ts";
import { bytes, count, plural } from "../../format/number.ts";
import { actorName } from "../../format/who.ts";
import { Badge, State } from "../../ui/Badge.tsx";
import { Card } from "../../ui/Card.tsx";
import { Facts } from "../../ui/Facts.tsx";
import { Page } from "../../ui/Page.tsx";
import { QueryView } from "../../ui/QueryView.tsx";
import { RefChip } from "../../ui/RefChip.tsx";
import { Empty, Snippet } from "../../ui/States.tsx";
import { Table, type Column } from "../../ui/Table.tsx";
import { Time } from "../../ui/Time.tsx";
import { useUrl } from "../../ui/useUrl.ts";

const channel = (bundle: EdgeBundle): string => `${bundle.model}@${bundle.alias}`;

const CODE = `trimtab edge bundle churn@champion --reference data:customers --output churn.zip
python -m zipfile -e churn.zip churn && python churn/runner.py serve --port 8080`;

const BUNDLES: Column<EdgeBundle>[] = [
  { key: "channel", head: "Follows", cell: channel, sort: channel, grow: true },
  {
    key: "state",
    head: "State",
    cell: (row) => <State of={row.state} {...(row.error ? { title: row.error } : {})} />,
    sort: (row) => row.state,
  },
  { key: "sequence", head: "Bundle", num: true, cell: (row) => (row.sequence ? count(row.sequence) : "–"), sort: (row) => row.sequence },
  { key: "version", head: "Version", num: true, cell: (row) => row.version ?? "–", sort: (row) => row.version },
  { key: "size", head: "Size", num: true, cell: (row) => (row.size_bytes ? bytes(row.size_bytes) : "–"), sort: (row) => row.size_bytes },
  { key: "updated", head: "Changed", num: true, cell: (row) => <Time us={row.updated_us} />, sort: (row) => row.updated_us },
];

function devicesOf(newest: number): Column<EdgeDevice>[] {
  return [
    { key: "device", head: "Device", cell: (row) => <code>{row.device}</code>, sort: (row) => row.device },
    {
      key: "sequence",
      head: "Bundle",
      cell: (row) =>
        row.sequence === newest ? (
          <Badge tone="neutral" icon="check">
            {`${count(row.sequence)}, newest`}
          </Badge>
        ) : (
          <Badge tone="waiting">{`${count(row.sequence)}, older`}</Badge>
        ),
      sort: (row) => row.sequence,
    },
    { key: "taken", head: "Predictions", num: true, cell: (row) => count(row.taken), sort: (row) => row.taken },
    {
      key: "lost",
      head: "Lost",
      num: true,
      title: "What its store had no room for",
      cell: (row) => count(row.lost),
      sort: (row) => row.lost,
    },
    { key: "last", head: "Last call", num: true, cell: (row) => <Time us={row.last_us} />, sort: (row) => row.last_us },
    { key: "problem", head: "Refused", grow: true, cell: (row) => <span className="break">{row.problem ?? ""}</span> },
  ];
}

function Chosen({ bundle }: { bundle: EdgeBundle }) {
  const query = useQuery({ ...q.edgeDevices(bundle.model, bundle.alias), refetchInterval: 10_000 });
  const rows = query.data?.items ?? [];
  const file = `/edge/bundles/${seg(bundle.model)}/${seg(bundle.alias)}/file`;
  return (
    <>
      {bundle.error && (
        <div className="callout callout-alarm break" role="alert">
          <span>{bundle.error}</span>
        </div>
      )}
      <Card title="Devices" note={rows.length ? plural(rows.length, "device") : undefined} flush>
        <QueryView
          query={query}
          empty={() =>
            rows.length ? null : (
              <Empty title="No device has called yet">
                A device calls when it forwards what it predicted, with “runner.py sync” or while it serves.
              </Empty>
            )
          }
        >
          {() => (
            <Table
              label="Devices"
              rows={rows}
              columns={devicesOf(bundle.sequence)}
              rowKey={(row) => row.device}
              param="devices"
              tone={(row) => (row.problem ? "row-alarm" : undefined)}
            />
          )}
        </QueryView>
      </Card>
      <div className="grid-2">
        <Card title="About">
          <Facts
            items={[
              [
                "Model",
                <RefChip key="m" of={bundle.version === null ? `model:${bundle.model}` : `model:${bundle.model}/${bundle.version}`} />,
              ],
              ["Alias", bundle.alias],
              [
                "Checked by",
                bundle.reference ? (
                  <RefChip key="r" of={bundle.reference.startsWith("data:") ? bundle.reference : `data:${bundle.reference}`} />
                ) : (
                  "the model's input example"
                ),
              ],
              ["Predictions go to", bundle.endpoint],
              ["Made by", actorName(bundle.created_by)],
            ]}
          />
        </Card>
        <Card
          title="On a device"
          actions={
            bundle.sequence > 0 && (
              <a className="link small" href={url(file)} download>
                download
              </a>
            )
          }
        >
          <Snippet
            code={`trimtab edge bundle ${channel(bundle)} --output bundle.zip\npython -m zipfile -e bundle.zip edge\npython edge/runner.py serve`}
          />
        </Card>
      </div>
    </>
  );
}

export function EdgePage() {
  const [search] = useUrl();
  const query = useQuery({ ...q.edgeBundles(), refetchInterval: 5000 });
  const rows = query.data?.items ?? [];
  const chosen = rows.find((row) => channel(row) === search["bundle"]) ?? rows[0];
  return (
    <Page title="Edge" meta="Signed bundles with which devices predict without a server. A new one is made whenever the alias moves.">
      <Card flush>
        <QueryView
          query={query}
          empty={() =>
            rows.length ? null : (
              <Empty title="No bundles yet" code={CODE}>
                A device keeps what it predicted until the server answers, and takes a newer bundle only if the server signed it.
              </Empty>
            )
          }
        >
          {() => (
            <Table
              label="Bundles"
              rows={rows}
              columns={BUNDLES}
              rowKey={channel}
              href={(row) => `/edge?${new URLSearchParams({ bundle: channel(row) })}`}
              tone={(row) => (row.state === "failed" ? "row-alarm" : undefined)}
            />
          )}
        </QueryView>
      </Card>
      {chosen && <Chosen key={channel(chosen)} bundle={chosen} />}
    </Page>
  );
}
