// One version of a dataset: what it holds, whether it is as expected, and how it differs from another version.
import { useQuery } from "@tanstack/react-query";
import { q } from "../../api/queries.ts";
import type { DataVersionDetail } from "../../api/types.ts";
import { bytes, count } from "../../format/number.ts";
import { actorName } from "../../format/who.ts";
import { paths } from "../../paths.ts";
import { Card } from "../../ui/Card.tsx";
import { Copy } from "../../ui/Copy.tsx";
import { Facts } from "../../ui/Facts.tsx";
import { Page } from "../../ui/Page.tsx";
import { QueryView } from "../../ui/QueryView.tsx";
import { RefChip } from "../../ui/RefChip.tsx";
import { State } from "../../ui/Badge.tsx";
import { Empty, Snippet } from "../../ui/States.tsx";
import { Table, type Column } from "../../ui/Table.tsx";
import { Tabs } from "../../ui/Tabs.tsx";
import { Time } from "../../ui/Time.tsx";
import { usePart, useUrl } from "../../ui/useUrl.ts";
import { LineageChips } from "../lineage/LineageChips.tsx";
import { Expectations } from "./Expectations.tsx";
import { Profile } from "./Profile.tsx";

type File = DataVersionDetail["files"][number];
const FILES: Column<File>[] = [
  { key: "path", head: "File", cell: (row) => row.path, sort: (row) => row.path, grow: true },
  { key: "blob", head: "Content", cell: (row) => <code className="dim">{row.blob.replace(/^b3:/, "").slice(0, 12)}</code> },
  { key: "size", head: "Size", num: true, cell: (row) => bytes(row.size_bytes), sort: (row) => row.size_bytes },
];

function Against({ name, version }: { name: string; version: string }) {
  const [search, setSearch] = useUrl();
  const versions = useQuery(q.dataVersions(name));
  const others = versions.data?.items.filter((each) => String(each.version) !== version) ?? [];
  if (others.length === 0) return null;
  return (
    <label className="toggle">
      Compare with
      <select
        className="select select-inline"
        value={search["against"] ?? ""}
        onChange={(event) => setSearch({ against: event.target.value || undefined })}
      >
        <option value="">nothing</option>
        {others.map((each) => (
          <option key={each.version} value={each.version}>
            v{each.version}
          </option>
        ))}
      </select>
    </label>
  );
}

function Body({ data }: { data: DataVersionDetail }) {
  const [search] = useUrl();
  const against = search["against"] ?? "";
  const other = useQuery({ ...q.dataVersion(data.name, against), enabled: Boolean(against) });
  const comparison = useQuery({ ...q.dataCompare(data.name, against, String(data.version)), enabled: Boolean(against) });
  const failed = data.validation.checks.filter((check) => !check.passed).length;
  return (
    <Tabs
      tabs={[
        {
          id: "profile",
          label: "Profile",
          count: data.profile?.columns.length ?? null,
          body: () =>
            data.profile ? (
              <Profile
                columns={data.profile.columns}
                other={against ? (other.data?.profile?.columns ?? null) : null}
                otherName={against}
                changes={comparison.data?.tables[0]?.columns ?? []}
              />
            ) : (
              <Card>
                <Empty title={data.validation.state === "pending" ? "Being profiled" : "Not profiled"}>
                  {data.validation.problem ??
                    (data.validation.state === "pending"
                      ? "The profile appears here in a moment, by itself."
                      : "Tables (CSV, Parquet, JSON lines) are profiled when they come in; other files are kept as they are.")}
                </Empty>
              </Card>
            ),
        },
        {
          id: "checks",
          label: "Expectations",
          count: failed ? `${failed} failed` : data.validation.checks.length,
          body: () => <Expectations checks={data.validation.checks} name={data.name} />,
        },
        {
          id: "files",
          label: "Files",
          count: data.file_count,
          body: () => (
            <Card flush>
              <Table label="Files" rows={data.files} columns={FILES} rowKey={(row) => row.path} param="files" />
            </Card>
          ),
        },
        {
          id: "about",
          label: "About",
          body: () => (
            <div className="grid-2">
              <Card title="About">
                <Facts
                  items={[
                    [
                      "Digest",
                      <span key="d" className="row">
                        <code className="truncate">{data.digest}</code>
                        <Copy text={data.digest} label="Copy the digest" />
                      </span>,
                    ],
                    ["Size", bytes(data.size_bytes)],
                    ["Rows", count(data.rows)],
                    ["Columns", count(data.schema.length)],
                    data.message ? ["Message", data.message] : null,
                    data.derived_from.length > 0 && [
                      "Derived from",
                      <span key="f" className="row row-wrap">
                        {data.derived_from.map((ref) => (
                          <RefChip key={ref} of={ref} />
                        ))}
                      </span>,
                    ],
                  ]}
                />
              </Card>
              <Card title="Get it back">
                <Snippet code={`trimtab data get ${data.name}@${data.version} ./${data.name}/`} />
              </Card>
            </div>
          ),
        },
      ]}
    />
  );
}

export function DataVersionPage() {
  const name = usePart("name");
  const version = usePart("version");
  const query = useQuery(q.dataVersion(name, version));
  const data = query.data;
  return (
    <Page
      title={`${name} v${version}`}
      crumbs={[
        { label: "Data", href: "/data" },
        { label: name, href: paths.dataset(name) },
      ]}
      state={data && <State of={data.validation.state} />}
      meta={
        data && (
          <>
            <span>{count(data.rows)} rows</span>
            <span>{bytes(data.size_bytes)}</span>
            <span>
              added <Time us={data.created_us} /> by {actorName(data.created_by)}
            </span>
          </>
        )
      }
      chips={<LineageChips of={`data:${name}@${version}`} />}
      actions={<Against name={name} version={version} />}
    >
      <QueryView query={query}>{(loaded) => <Body data={loaded} />}</QueryView>
    </Page>
  );
}
