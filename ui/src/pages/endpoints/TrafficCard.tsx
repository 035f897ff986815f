// Who answers: the split as one bar and the versions behind it.
import type { ReactNode } from "react";
import type { Endpoint, EndpointVersion } from "../../api/types.ts";
import { SplitBar } from "../../charts/SplitBar.tsx";
import { weight } from "../../format/number.ts";
import { paths } from "../../paths.ts";
import { Badge, State } from "../../ui/Badge.tsx";
import { Card } from "../../ui/Card.tsx";
import { Empty } from "../../ui/States.tsx";
import { Table, type Column } from "../../ui/Table.tsx";

const COLUMNS: Column<EndpointVersion>[] = [
  { key: "version", head: "Version", cell: (row) => `${row.model} v${row.version}`, grow: true },
  { key: "role", head: "Role", cell: (row) => <State of={row.role} /> },
  { key: "weight", head: "Share", num: true, cell: (row) => (row.role === "shadow" ? `${weight(row.weight)} copies` : weight(row.weight)) },
  { key: "state", head: "State", cell: (row) => <State of={row.state} /> },
  { key: "runtime", head: "Runs", cell: runs },
  { key: "environment", head: "Python", cell: python },
  { key: "network", head: "Network", cell: network },
  { key: "pid", head: "Process", num: true, cell: (row) => row.pid ?? "–" },
];

// A compiled model needs no process of its own; a native one may have several, or none while it sleeps.
function runs(row: EndpointVersion): string {
  if (row.runtime === "compiled") return row.replicas ? "compiled, native for explanations" : "compiled, in the gateway";
  if (row.runtime === "process") return row.replicas === 1 ? "1 process" : row.replicas ? `${row.replicas} processes` : "asleep";
  return "–";
}

function python(row: EndpointVersion): ReactNode {
  if (!row.environment) return "–";
  return row.environment === "own" ? "the server's" : <code title={row.environment}>{row.environment.slice(0, 8)}</code>;
}

function network(row: EndpointVersion): ReactNode {
  if (!row.network) return "–";
  if (row.network === "not-isolated") return <Badge tone="alarm" title={row.network_note}>not isolated</Badge>;
  return row.network === "allowed" ? "allowed" : "none";
}

export function TrafficCard({ endpoint }: { endpoint: Endpoint }) {
  if (endpoint.versions.length === 0) {
    return (
      <Card>
        <Empty title="No version answers" code={`trimtab endpoints deploy ${endpoint.name} models:/MODEL@champion --wait`}>
          Deploy a version and it takes all requests of this endpoint.
        </Empty>
      </Card>
    );
  }
  return (
    <Card flush>
      <div className="traffic-bar">
        <SplitBar shares={endpoint.versions} />
      </div>
      <Table
        label="Versions behind this endpoint"
        rows={endpoint.versions}
        columns={COLUMNS}
        rowKey={(row) => `${row.model}-${row.version}`}
        href={(row) => paths.modelVersion(row.model, row.version)}
      />
    </Card>
  );
}
