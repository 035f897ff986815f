// The rules that open alerts: on which event, how severe, to whom; each can be switched off.
import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { put, seg } from "../../api/client.ts";
import { q } from "../../api/queries.ts";
import type { AlertRule } from "../../api/types.ts";
import { Badge, State } from "../../ui/Badge.tsx";
import { Card } from "../../ui/Card.tsx";
import { QueryView } from "../../ui/QueryView.tsx";
import { Empty } from "../../ui/States.tsx";
import { Table, type Column } from "../../ui/Table.tsx";
import { toast } from "../../ui/Toasts.tsx";

/** "monitor.alarmed where cause == drift" of a condition. */
function conditionText(rule: AlertRule): string {
  if (!rule.condition) return "reported by other parts";
  const tests = (rule.condition.where ?? []).map((test) => `${test.field} ${test.op} ${JSON.stringify(test.value)}`);
  return rule.condition.event + (tests.length ? ` where ${tests.join(" and ")}` : "");
}

function Switch({ rule }: { rule: AlertRule }) {
  const client = useQueryClient();
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

const COLUMNS: Column<AlertRule>[] = [
  { key: "name", head: "Rule", cell: (row) => <b>{row.name}</b>, sort: (row) => row.name },
  { key: "kind", head: "Origin", cell: (row) => row.built_in && <Badge tone="quiet">built in</Badge> },
  { key: "when", head: "Opens on", cell: (row) => <code className="dim">{conditionText(row)}</code>, grow: true },
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
  return (
    <Card flush>
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
        {(data) => <Table label="Alert rules" rows={data.items} columns={COLUMNS} rowKey={(row) => row.name} param="rules" />}
      </QueryView>
    </Card>
  );
}
