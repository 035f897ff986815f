// The rules that open alerts: on which event, how severe, to whom; each can be changed, switched off and removed.
import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { del, put, seg } from "../../api/client.ts";
import { q } from "../../api/queries.ts";
import { useMay } from "../../api/useMay.ts";
import type { AlertRule } from "../../api/types.ts";
import { Badge, State } from "../../ui/Badge.tsx";
import { Button } from "../../ui/Button.tsx";
import { Card } from "../../ui/Card.tsx";
import { FormDialog } from "../../ui/FormDialog.tsx";
import { QueryView } from "../../ui/QueryView.tsx";
import { Empty } from "../../ui/States.tsx";
import { Table, type Column } from "../../ui/Table.tsx";
import { toast } from "../../ui/Toasts.tsx";
import { conditionText } from "./conditions.ts";
import { RuleDialog } from "./RuleDialog.tsx";

function Switch({ rule }: { rule: AlertRule }) {
  const client = useQueryClient();
  const mayWrite = useMay("write");
  const { name, condition, clear, severity, title, detail, key, channels, enabled, resolve_after_us } = rule;
  const flip = useMutation({
    mutationFn: () =>
      put<AlertRule>(`/alert-rules/${seg(name)}`, {
        condition,
        clear,
        severity,
        title,
        detail,
        key,
        channels,
        resolve_after_us,
        enabled: !enabled,
      }),
    onSuccess: () => void client.invalidateQueries({ queryKey: ["alerts"] }),
    onError: (error) => toast(error.message, true),
  });
  if (!mayWrite) return enabled ? "on" : "off";
  return (
    <label className="toggle">
      <input
        type="checkbox"
        role="switch"
        checked={enabled}
        disabled={flip.isPending}
        onChange={() => flip.mutate()}
        aria-label={`Rule ${name} is on`}
      />
      {enabled ? "on" : "off"}
    </label>
  );
}

/** A built-in rule comes back in its first form. */
function RemoveDialog({ rule, onClose }: { rule: AlertRule; onClose: () => void }) {
  const client = useQueryClient();
  const remove = useMutation({
    mutationFn: () => del(`/alert-rules/${seg(rule.name)}`),
    onSuccess: () => {
      toast(rule.built_in ? `${rule.name} is as it came` : `The rule ${rule.name} is removed`);
      void client.invalidateQueries({ queryKey: ["alerts"] });
      onClose();
    },
  });
  return (
    <FormDialog
      title={rule.built_in ? `Bring ${rule.name} back to its first form` : `Remove ${rule.name}`}
      verb={rule.built_in ? "Bring it back" : "Remove the rule"}
      danger={!rule.built_in}
      act={remove}
      cancel="Leave it"
      onClose={onClose}
    >
      {() => (
        <p>
          {rule.built_in
            ? "What was changed of it goes; it watches as it did when the server was new."
            : "It opens no more alerts. Those that it has opened stay in the inbox."}
        </p>
      )}
    </FormDialog>
  );
}

const COLUMNS: Column<AlertRule>[] = [
  { key: "name", head: "Rule", cell: (row) => <b>{row.name}</b>, sort: (row) => row.name },
  { key: "kind", head: "Origin", cell: (row) => row.built_in && <Badge tone="quiet">built in</Badge> },
  { key: "when", head: "Opens on", cell: (row) => <code className="dim">{conditionText(row.condition)}</code>, grow: true },
  {
    key: "severity",
    head: "Severity",
    cell: (row) => (row.severity ? <State of={row.severity} /> : <span className="faint">as reported</span>),
  },
  { key: "channels", head: "Goes to", cell: (row) => (row.channels === null ? "every channel" : row.channels.join(", ") || "nobody") },
  { key: "on", head: "State", cell: (row) => <Switch rule={row} /> },
];

export function Rules() {
  const query = useQuery(q.alertRules());
  const mayWrite = useMay("write");
  const [changing, setChanging] = useState<AlertRule | "new" | null>(null);
  const [removing, setRemoving] = useState<AlertRule | null>(null);
  const acts: Column<AlertRule> = {
    key: "acts",
    head: <span className="sr-only">Acts</span>,
    cell: (row) => (
      <span className="row">
        <Button kind="quiet" onClick={() => setChanging(row)}>
          Change
        </Button>
        {(!row.built_in || row.updated_us) && (
          <Button kind="quiet" onClick={() => setRemoving(row)}>
            {row.built_in ? "Bring back" : "Remove"}
          </Button>
        )}
      </span>
    ),
  };
  return (
    <Card
      title="Rules"
      actions={
        mayWrite && (
          <Button icon="plus" onClick={() => setChanging("new")}>
            Add a rule
          </Button>
        )
      }
      flush
    >
      <QueryView
        query={query}
        empty={(data) =>
          data.items.length ? null : (
            <Empty
              title="No rule"
              code="trimtab alerts rules add broken --event deploy.version_failed --title '{endpoint} failed' --severity critical"
            >
              A rule opens an alert when an event passes its tests.
            </Empty>
          )
        }
      >
        {(data) => (
          <Table
            label="Alert rules"
            rows={data.items}
            columns={mayWrite ? [...COLUMNS, acts] : COLUMNS}
            rowKey={(row) => row.name}
            param="rules"
          />
        )}
      </QueryView>
      {changing && <RuleDialog rule={changing === "new" ? null : changing} onClose={() => setChanging(null)} />}
      {removing && <RemoveDialog rule={removing} onClose={() => setRemoving(null)} />}
    </Card>
  );
}
