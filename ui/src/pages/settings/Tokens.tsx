// Tokens: made with a name and a role, shown once, revoked at once.
import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { del, seg } from "../../api/client.ts";
import { q } from "../../api/queries.ts";
import { useMay } from "../../api/useMay.ts";
import type { Token } from "../../api/types.ts";
import { Badge } from "../../ui/Badge.tsx";
import { Button } from "../../ui/Button.tsx";
import { Card } from "../../ui/Card.tsx";
import { FormDialog } from "../../ui/FormDialog.tsx";
import { QueryView } from "../../ui/QueryView.tsx";
import { Empty } from "../../ui/States.tsx";
import { Table, type Column } from "../../ui/Table.tsx";
import { Time } from "../../ui/Time.tsx";
import { toast } from "../../ui/Toasts.tsx";
import { TokenDialog } from "./TokenDialog.tsx";

function stateOf(token: Token): "active" | "revoked" | "expired" {
  if (token.revoked_us) return "revoked";
  return token.expires_us && token.expires_us < Date.now() * 1000 ? "expired" : "active";
}

function RevokeDialog({ token, onClose }: { token: Token; onClose: () => void }) {
  const client = useQueryClient();
  const revoke = useMutation({
    mutationFn: () => del(`/tokens/${seg(token.id)}`),
    onSuccess: () => {
      toast(`${token.name} is revoked`);
      void client.invalidateQueries({ queryKey: ["tokens"] });
      onClose();
    },
  });
  return (
    <FormDialog title={`Revoke ${token.name}`} verb="Revoke" danger act={revoke} onClose={onClose}>
      {() => (
        <p>
          Whatever uses this token is refused from the next request on. This cannot be undone; make a new token instead. What was done with
          it stays in the audit trail.
        </p>
      )}
    </FormDialog>
  );
}

export function Tokens() {
  const query = useQuery(q.tokens());
  const mayMake = useMay("admin");
  const [making, setMaking] = useState(false);
  const [revoking, setRevoking] = useState<Token | null>(null);
  const columns: Column<Token>[] = [
    { key: "name", head: "Token", cell: (row) => <b>{row.name}</b>, sort: (row) => row.name, grow: true },
    { key: "role", head: "Role", cell: (row) => row.role, sort: (row) => row.role },
    { key: "endpoints", head: "Opens", cell: (row) => row.endpoints?.join(", ") ?? <span className="dim">everything</span> },
    {
      key: "state",
      head: "State",
      cell: (row) => (
        <Badge tone={stateOf(row) === "active" ? "neutral" : "quiet"} icon={stateOf(row) === "active" ? "check" : "minus"}>
          {stateOf(row)}
        </Badge>
      ),
    },
    { key: "expires", head: "Expires", num: true, cell: (row) => (row.expires_us ? <Time us={row.expires_us} /> : "never") },
    {
      key: "created",
      head: "Made",
      num: true,
      cell: (row) => (
        <>
          <Time us={row.created_us} />
          {row.created_by && ` by ${row.created_by}`}
        </>
      ),
      sort: (row) => row.created_us,
    },
    {
      key: "acts",
      head: <span className="sr-only">Acts</span>,
      cell: (row) =>
        stateOf(row) === "active" && (
          <Button kind="quiet" onClick={() => setRevoking(row)}>
            Revoke
          </Button>
        ),
    },
  ];
  return (
    <Card
      title="Tokens"
      note="for notebooks, CI and services"
      actions={
        mayMake && (
          <Button icon="plus" onClick={() => setMaking(true)}>
            Make a token
          </Button>
        )
      }
      flush
    >
      <QueryView
        query={query}
        empty={(data) =>
          data.items.length ? null : (
            <Empty title="No token" code={"trimtab tokens create ci --role editor\nexport TRIMTAB_TOKEN=…"}>
              A token lets a program in under a name and a role of its own.
            </Empty>
          )
        }
      >
        {(data) => <Table label="Tokens" rows={data.items} columns={columns} rowKey={(row) => row.id} initial="-created" />}
      </QueryView>
      {making && <TokenDialog onClose={() => setMaking(false)} />}
      {revoking && <RevokeDialog token={revoking} onClose={() => setRevoking(null)} />}
    </Card>
  );
}
