// The trash: what was deleted, until when it can be taken back, and what is held.
import { useInfiniteQuery, useMutation, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { post } from "../../api/client.ts";
import { flat, q } from "../../api/queries.ts";
import { useMay } from "../../api/useMay.ts";
import type { TrashItem } from "../../api/types.ts";
import { actorName } from "../../format/who.ts";
import { bytes, plural } from "../../format/number.ts";
import { hrefOf } from "../../paths.ts";
import { A } from "../../ui/A.tsx";
import { Badge } from "../../ui/Badge.tsx";
import { Button } from "../../ui/Button.tsx";
import { Card } from "../../ui/Card.tsx";
import { Dialog } from "../../ui/Dialog.tsx";
import { Icon } from "../../ui/Icon.tsx";
import { More } from "../../ui/More.tsx";
import { Page } from "../../ui/Page.tsx";
import { QueryView } from "../../ui/QueryView.tsx";
import { KIND_ICON } from "../../ui/RefChip.tsx";
import { Empty } from "../../ui/States.tsx";
import { Table, type Column } from "../../ui/Table.tsx";
import { Time } from "../../ui/Time.tsx";
import { toast } from "../../ui/Toasts.tsx";
import { useUrl } from "../../ui/useUrl.ts";

export function TrashPage() {
  const client = useQueryClient();
  const mayWrite = useMay("write");
  const mayPurge = useMay("admin");
  const [search, setSearch] = useUrl();
  const query = useInfiniteQuery(q.trash());
  const all = flat(query.data);
  const kind = search["kind"] ?? "";
  const rows = kind ? all.filter((row) => row.kind === kind) : all;
  const kinds = [...new Set(all.map((row) => row.kind))].sort();
  const [chosen, setChosen] = useState<Set<string>>(new Set());
  const [asking, setAsking] = useState(false);
  const picked = rows.filter((row) => chosen.has(row.ref));
  const again = (): void => {
    setChosen(new Set());
    for (const noun of ["trash", "runs", "experiments", "models"]) void client.invalidateQueries({ queryKey: [noun] });
  };
  const failed = (error: Error): void => toast(error.message, true);
  const restore = useMutation({
    mutationFn: (refs: string[]) => post("/trash/restore", { refs }),
    onSuccess: (_, refs) => {
      toast(`Restored ${plural(refs.length, "thing")}`);
      again();
    },
    onError: failed,
  });
  const purge = useMutation({
    mutationFn: (refs: string[]) => post("/trash/purge", { refs }),
    onSuccess: (_, refs) => {
      setAsking(false);
      toast(`${plural(refs.length, "thing")} deleted for good`);
      again();
    },
    onError: failed,
  });
  const toggle = (ref: string): void => {
    const next = new Set(chosen);
    if (!next.delete(ref)) next.add(ref);
    setChosen(next);
  };
  const purgeable = picked.filter((row) => !row.held);
  const size = purgeable.reduce((sum, row) => sum + (row.size_bytes ?? 0), 0);
  const columns: Column<TrashItem>[] = [
    {
      key: "pick",
      head: <span className="sr-only">Select</span>,
      cell: (row) => (
        <input type="checkbox" aria-label={`Select ${row.name}`} checked={chosen.has(row.ref)} onChange={() => toggle(row.ref)} />
      ),
    },
    {
      key: "name",
      head: "Name",
      grow: true,
      sort: (row) => row.name,
      cell: (row) => (
        <span className="row">
          <Icon name={KIND_ICON[row.kind] ?? "file"} size={14} />
          {hrefOf(row.ref) ? (
            <A className="link truncate" href={hrefOf(row.ref) ?? ""}>
              {row.name}
            </A>
          ) : (
            <span className="truncate">{row.name}</span>
          )}
          {row.held && (
            <Badge tone="waiting" title="A legal hold keeps it; it cannot be deleted for good">
              held
            </Badge>
          )}
        </span>
      ),
    },
    { key: "kind", head: "Kind", cell: (row) => row.kind.replace("-", " "), sort: (row) => row.kind },
    { key: "size", head: "Size", num: true, cell: (row) => bytes(row.size_bytes), sort: (row) => row.size_bytes },
    { key: "deleted", head: "Deleted", num: true, cell: (row) => <Time us={row.deleted_us} />, sort: (row) => row.deleted_us },
    { key: "by", head: "By", cell: (row) => actorName(row.deleted_by), sort: (row) => row.deleted_by },
    {
      key: "purge",
      head: "Goes for good",
      num: true,
      cell: (row) => (row.held || row.purge_us === null ? <span className="faint">kept</span> : <Time us={row.purge_us} />),
      sort: (row) => row.purge_us,
    },
  ];
  return (
    <Page title="Trash" meta="What was deleted can be taken back from here until it goes for good.">
      {all.length > 0 && (
        <div className="toolbar">
          <div className="segments" role="group" aria-label="Kind">
            {["", ...kinds].map((each) => (
              <button key={each} type="button" aria-pressed={kind === each} onClick={() => setSearch({ kind: each })}>
                {each ? `${each.replace("-", " ")}s` : "All"}
              </button>
            ))}
          </div>
          <label className="toggle">
            <input
              type="checkbox"
              checked={rows.length > 0 && picked.length === rows.length}
              onChange={() => setChosen(picked.length === rows.length ? new Set() : new Set(rows.map((row) => row.ref)))}
            />
            All shown
          </label>
          <span className="grow" />
          {mayWrite && (
            <Button
              icon="back"
              disabled={!picked.length}
              busy={restore.isPending}
              onClick={() => restore.mutate(picked.map((row) => row.ref))}
            >
              Restore {picked.length || ""}
            </Button>
          )}
          {mayPurge && (
            <Button kind="danger" disabled={!purgeable.length} onClick={() => setAsking(true)}>
              Delete for good
            </Button>
          )}
        </div>
      )}
      <Card flush>
        <QueryView
          query={query}
          empty={() =>
            all.length ? null : (
              <Empty title="The trash is empty" code="trimtab runs rm RUN_ID">
                Runs, experiments and models that are deleted wait here and can be restored; after their time the space they took is freed.
              </Empty>
            )
          }
        >
          {() => <Table label="Trash" rows={rows} columns={columns} rowKey={(row) => row.ref} initial="-deleted" />}
        </QueryView>
        <More has={query.hasNextPage} busy={query.isFetchingNextPage} load={() => void query.fetchNextPage()} />
      </Card>
      {asking && (
        <Dialog
          title={`Delete ${plural(purgeable.length, "thing")} for good?`}
          onClose={() => setAsking(false)}
          footer={
            <>
              <Button onClick={() => setAsking(false)}>Keep them</Button>
              <Button kind="danger" busy={purge.isPending} onClick={() => purge.mutate(purgeable.map((row) => row.ref))}>
                Delete for good
              </Button>
            </>
          }
        >
          <p>
            This cannot be undone. {size > 0 && `About ${bytes(size)} become free once nothing else uses the same files. `}
            {picked.length > purgeable.length && `${plural(picked.length - purgeable.length, "thing")} under a legal hold will stay.`}
          </p>
          <ul className="trash-names">
            {purgeable.slice(0, 12).map((row) => (
              <li key={row.ref}>
                {row.name} <span className="faint">{row.kind}</span>
              </li>
            ))}
            {purgeable.length > 12 && <li className="faint">and {purgeable.length - 12} more</li>}
          </ul>
        </Dialog>
      )}
    </Page>
  );
}
