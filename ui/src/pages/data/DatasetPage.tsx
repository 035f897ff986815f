// One dataset: its versions with size, rows and validation, and rows over versions as a line.
import { useQuery } from "@tanstack/react-query";
import { q } from "../../api/queries.ts";
import type { DataVersion } from "../../api/types.ts";
import { Sparkline } from "../../charts/Sparkline.tsx";
import { bytes, plural, signed } from "../../format/number.ts";
import { actorName } from "../../format/who.ts";
import { paths } from "../../paths.ts";
import { A } from "../../ui/A.tsx";
import { Card } from "../../ui/Card.tsx";
import { Num } from "../../ui/Num.tsx";
import { Page } from "../../ui/Page.tsx";
import { QueryView } from "../../ui/QueryView.tsx";
import { State } from "../../ui/Badge.tsx";
import { Empty } from "../../ui/States.tsx";
import { Table, type Column } from "../../ui/Table.tsx";
import { Time } from "../../ui/Time.tsx";
import { usePart } from "../../ui/useUrl.ts";

function columns(versions: DataVersion[]): Column<DataVersion>[] {
  const before = (row: DataVersion): DataVersion | undefined => versions[versions.indexOf(row) + 1];
  const change = (row: DataVersion): number | null => {
    const previous = before(row);
    return previous && row.rows !== null && previous.rows !== null ? row.rows - previous.rows : null;
  };
  return [
    { key: "version", head: "Version", cell: (row) => `v${row.version}` },
    { key: "state", head: "Validation", cell: (row) => <State of={row.validation.state} /> },
    { key: "rows", head: "Rows", num: true, cell: (row) => <Num value={row.rows} />, sort: (row) => row.rows },
    {
      key: "change",
      head: "Change",
      num: true,
      cell: (row) => <span className="dim">{change(row) === null ? "" : signed(change(row))}</span>,
    },
    { key: "size", head: "Size", num: true, cell: (row) => bytes(row.size_bytes), sort: (row) => row.size_bytes },
    { key: "digest", head: "Digest", cell: (row) => <code className="dim">{row.digest.replace(/^b3:/, "").slice(0, 12)}</code> },
    { key: "message", head: "Message", cell: (row) => <span className="dim">{row.message}</span>, grow: true },
    {
      key: "compare",
      head: <span className="sr-only">Compare</span>,
      cell: (row) => {
        const previous = before(row);
        return (
          previous && (
            <A className="link dim" href={`${paths.dataVersion(row.name, row.version)}?against=${previous.version}`}>
              compare with v{previous.version}
            </A>
          )
        );
      },
    },
    { key: "by", head: "By", cell: (row) => actorName(row.created_by) },
    { key: "created", head: "Added", num: true, cell: (row) => <Time us={row.created_us} />, sort: (row) => row.created_us },
  ];
}

export function DatasetPage() {
  const name = usePart("name");
  const query = useQuery(q.dataVersions(name));
  const versions = query.data?.items ?? [];
  return (
    <Page
      title={name}
      crumbs={[{ label: "Data", href: "/data" }]}
      meta={
        versions.length > 0 && (
          <>
            <span>{plural(versions.length, "version")}</span>
            <span className="row">
              rows <Sparkline values={[...versions].reverse().map((version) => version.rows)} label="Rows by version" />
            </span>
          </>
        )
      }
    >
      <Card flush>
        <QueryView
          query={query}
          empty={(data) =>
            data.items.length ? null : (
              <Empty title="No version yet" code={`trimtab data add ${name} PATH`}>
                The name is there, and nothing has been added under it.
              </Empty>
            )
          }
        >
          {(data) => (
            <Table
              label="Versions"
              rows={data.items}
              columns={columns(data.items)}
              rowKey={(row) => String(row.version)}
              href={(row) => paths.dataVersion(row.name, row.version)}
            />
          )}
        </QueryView>
      </Card>
    </Page>
  );
}
