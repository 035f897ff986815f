// Where alerts go: signed webhooks that can be added, tested, switched off and removed.
import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { del, patch, post, seg } from "../../api/client.ts";
import { q } from "../../api/queries.ts";
import { useMay } from "../../api/useMay.ts";
import type { AlertChannel, Outcome } from "../../api/types.ts";
import { duration } from "../../format/time.ts";
import { Button } from "../../ui/Button.tsx";
import { Card } from "../../ui/Card.tsx";
import { QueryView } from "../../ui/QueryView.tsx";
import { Empty } from "../../ui/States.tsx";
import { Table, type Column } from "../../ui/Table.tsx";
import { Time } from "../../ui/Time.tsx";
import { toast } from "../../ui/Toasts.tsx";
import { ChannelDialog } from "./ChannelDialog.tsx";

function Acts({ channel }: { channel: AlertChannel }) {
  const client = useQueryClient();
  const again = (): void => void client.invalidateQueries({ queryKey: ["alerts"] });
  const fail = (error: Error): void => toast(error.message, true);
  const at = `/alert-channels/${seg(channel.name)}`;
  const test = useMutation({
    mutationFn: () => post<Outcome>(`${at}/test`),
    onSuccess: (outcome) =>
      toast(
        `Test to ${channel.name}: ${outcome.error ?? `answered ${outcome.status_code ?? ""} in ${duration(outcome.seconds * 1e6)}`}`,
        !outcome.ok,
      ),
    onError: fail,
  });
  const flip = useMutation({ mutationFn: () => patch(at, { enabled: !channel.enabled }), onSuccess: again, onError: fail });
  const remove = useMutation({
    mutationFn: () => del(at),
    onSuccess: () => {
      toast(`${channel.name} removed`);
      again();
    },
    onError: fail,
  });
  const [sure, setSure] = useState(false);
  return (
    <span className="row">
      <label className="toggle">
        <input
          type="checkbox"
          role="switch"
          checked={channel.enabled}
          onChange={() => flip.mutate()}
          aria-label={`Channel ${channel.name} is on`}
        />
        {channel.enabled ? "on" : "off"}
      </label>
      <Button kind="quiet" busy={test.isPending} onClick={() => test.mutate()}>
        Send a test
      </Button>
      {sure ? (
        <Button kind="danger" busy={remove.isPending} onClick={() => remove.mutate()} onBlur={() => setSure(false)}>
          Really remove
        </Button>
      ) : (
        <Button kind="quiet" onClick={() => setSure(true)}>
          Remove
        </Button>
      )}
    </span>
  );
}

const ACTS: Column<AlertChannel> = { key: "acts", head: <span className="sr-only">Acts</span>, cell: (row) => <Acts channel={row} /> };

const STATE: Column<AlertChannel> = { key: "on", head: "State", cell: (row) => (row.enabled ? "on" : "off") };

const COLUMNS: Column<AlertChannel>[] = [
  { key: "name", head: "Channel", cell: (row) => <b>{row.name}</b>, sort: (row) => row.name },
  { key: "kind", head: "Kind", cell: (row) => row.kind },
  { key: "url", head: "Address", cell: (row) => <code className="dim">{row.url}</code>, grow: true },
  { key: "least", head: "From severity", cell: (row) => row.min_severity },
  { key: "created", head: "Added", num: true, cell: (row) => <Time us={row.created_us} /> },
];

export function Channels() {
  const query = useQuery(q.alertChannels());
  const mayChange = useMay("admin");
  const [adding, setAdding] = useState(false);
  return (
    <Card
      title="Channels"
      note="Standard Webhooks, signed"
      actions={
        mayChange && (
          <Button icon="plus" onClick={() => setAdding(true)}>
            Add a channel
          </Button>
        )
      }
      flush
    >
      <QueryView
        query={query}
        empty={(data) =>
          data.items.length ? null : (
            <Empty title="Alerts go nowhere yet" code="trimtab alerts channels add ml-oncall https://…">
              Until there is a channel, alerts wait in the inbox. A channel is a webhook that your chat or pager understands.
            </Empty>
          )
        }
      >
        {(data) => (
          <Table
            label="Alert channels"
            rows={data.items}
            columns={mayChange ? [...COLUMNS, ACTS] : [...COLUMNS, STATE]}
            rowKey={(row) => row.name}
            param="channels"
          />
        )}
      </QueryView>
      {adding && <ChannelDialog onClose={() => setAdding(false)} />}
    </Card>
  );
}
