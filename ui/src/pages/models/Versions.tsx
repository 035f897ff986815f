// The versions of a model, newest first.
import type { ModelVersion } from "../../api/types.ts";
import { bytes, figure } from "../../format/number.ts";
import { paths } from "../../paths.ts";
import { RefChip } from "../../ui/RefChip.tsx";
import { Empty } from "../../ui/States.tsx";
import { Table, type Column } from "../../ui/Table.tsx";
import { Time } from "../../ui/Time.tsx";
import { Alias } from "./Alias.tsx";
import { Verdict } from "./Verdict.tsx";

export function Versions({ versions }: { versions: ModelVersion[] }) {
  const keys = [...new Set(versions.flatMap((version) => Object.keys(version.metrics)))].slice(0, 3);
  const columns: Column<ModelVersion>[] = [
    { key: "version", head: "Version", cell: (row) => `v${row.version}`, sort: (row) => row.version },
    {
      key: "aliases",
      head: "Aliases",
      cell: (row) => (
        <span className="row">
          {row.aliases.map((alias) => (
            <Alias key={alias} name={alias} />
          ))}
        </span>
      ),
    },
    ...keys.map((key): Column<ModelVersion> => ({
      key,
      head: key,
      num: true,
      cell: (row) => figure(row.metrics[key]),
      sort: (row) => row.metrics[key] ?? null,
    })),
    { key: "format", head: "Format", cell: (row) => <Verdict version={row} /> },
    { key: "size", head: "Size", num: true, cell: (row) => bytes(row.size_bytes), sort: (row) => row.size_bytes },
    { key: "run", head: "Run", cell: (row) => (row.run_id ? <RefChip of={`run:${row.run_id}`} /> : "–") },
    {
      key: "data",
      head: "Data",
      cell: (row) => (
        <span className="row">
          {row.data.slice(0, 2).map((ref) => (
            <RefChip key={ref} of={ref} />
          ))}
          {row.data.length > 2 && <span className="faint">+{row.data.length - 2}</span>}
        </span>
      ),
      grow: true,
    },
    { key: "created", head: "Registered", num: true, cell: (row) => <Time us={row.created_us} />, sort: (row) => row.created_us },
  ];
  if (versions.length === 0) return <Empty title="No version yet">The name is there and nothing is registered under it.</Empty>;
  return (
    <Table
      label="Versions"
      rows={versions}
      columns={columns}
      rowKey={(row) => String(row.version)}
      href={(row) => paths.modelVersion(row.name, row.version)}
      initial="-version"
    />
  );
}
