// The audit trail: who did what to which object, chained by hashes that can be checked here.
import { useInfiniteQuery, useMutation } from "@tanstack/react-query";
import { get } from "../../api/client.ts";
import { flat, q } from "../../api/queries.ts";
import type { AuditCheck, AuditEntry } from "../../api/types.ts";
import { count } from "../../format/number.ts";
import { actorName } from "../../format/who.ts";
import { Button } from "../../ui/Button.tsx";
import { Card } from "../../ui/Card.tsx";
import { Copy } from "../../ui/Copy.tsx";
import { Grid, type GridColumn } from "../../ui/Grid.tsx";
import { Icon } from "../../ui/Icon.tsx";
import { Page } from "../../ui/Page.tsx";
import { QueryView } from "../../ui/QueryView.tsx";
import { RefChip } from "../../ui/RefChip.tsx";
import { Empty, Skeleton } from "../../ui/States.tsx";
import { Time } from "../../ui/Time.tsx";

const COLUMNS: GridColumn<AuditEntry>[] = [
  { id: "seq", head: "Number", cell: (row) => <span className="dim">{row.seq}</span>, width: 80 },
  { id: "at", head: "When", cell: (row) => <Time us={row.at_us} />, width: 110 },
  { id: "actor", head: "Who", cell: (row) => actorName(row.actor), width: 120 },
  { id: "action", head: "Act", cell: (row) => <b>{row.action}</b>, width: 220 },
  { id: "subject", head: "On", cell: (row) => <RefChip of={row.subject} />, width: 230 },
  {
    id: "detail",
    head: "Detail",
    cell: (row) => (
      <code className="dim" title={JSON.stringify(row.detail, null, 2)}>
        {JSON.stringify(row.detail)}
      </code>
    ),
    width: 280,
  },
  { id: "hash", head: "Hash", cell: (row) => <code className="faint">{row.hash.slice(0, 12)}</code>, width: 120 },
];

function Verdict({ result }: { result: AuditCheck }) {
  return result.ok ? (
    <div className="callout callout-active" role="status">
      <Icon name="check" />
      <span>
        All {count(result.checked)} entries are as they were written; nothing was changed, removed or put in between. Newest hash{" "}
        <code className="break">{result.head}</code> <Copy text={result.head} label="Copy the newest hash" />
      </span>
    </div>
  ) : (
    <div className="callout callout-alarm" role="alert">
      <Icon name="alarm" />
      <span>
        The chain is broken at entry <b>{result.first_bad_seq}</b>: it, or one before it, is not as it was written. {count(result.checked)}{" "}
        entries were checked. Keep a copy of the database and compare it with a backup from before that entry.
      </span>
    </div>
  );
}

export function AuditPage() {
  const query = useInfiniteQuery(q.audit());
  const rows = flat(query.data);
  const verify = useMutation({ mutationFn: () => get<AuditCheck>("/audit/verify") });
  return (
    <Page
      title="Audit"
      meta="Every act that changes something, in one chain of hashes."
      wide
      actions={
        <Button icon="audit" busy={verify.isPending} onClick={() => verify.mutate()}>
          Verify the chain
        </Button>
      }
    >
      {verify.data && <Verdict result={verify.data} />}
      {verify.error && (
        <div className="callout callout-alarm" role="alert">
          {verify.error.message}
        </div>
      )}
      <QueryView
        query={query}
        skeleton={
          <Card>
            <Skeleton rows={12} />
          </Card>
        }
        empty={() =>
          rows.length ? null : (
            <Card>
              <Empty title="Nothing has been done yet" code="trimtab audit verify">
                Deployments, traffic, aliases, tokens and approvals write here, each entry bound to the one before.
              </Empty>
            </Card>
          )
        }
      >
        {() => (
          <Grid
            label="Audit trail"
            rows={rows}
            columns={COLUMNS}
            rowKey={(row) => String(row.seq)}
            href={() => null}
            more={{ has: query.hasNextPage, busy: query.isFetchingNextPage, load: () => void query.fetchNextPage() }}
            foot={`${count(rows.length)} entries loaded`}
          />
        )}
      </QueryView>
    </Page>
  );
}
