// Chooses a data version, the newest or one by its number: two fields, and the ref that the API takes.
import { useQuery } from "@tanstack/react-query";
import { useState } from "react";
import { q } from "../../api/queries.ts";
import type { Dataset, DataVersion, DataVersionDetail } from "../../api/types.ts";
import { count } from "../../format/number.ts";
import { SelectField } from "../../ui/Fields.tsx";
import type { Wrong } from "../../ui/refusals.ts";

export interface DataChoice {
  datasets: Dataset[];
  dataset: Dataset | null;
  versions: DataVersion[];
  /** A number, or empty for the newest. */
  version: string;
  detail: DataVersionDetail | null;
  ref: string | null;
  /** The same with the number of the version, whichever is the newest. */
  pinned: string | null;
  setName: (name: string) => void;
  setVersion: (version: string) => void;
}

interface Initial {
  name?: string | undefined;
  version?: string | undefined;
  /** Nothing need be chosen. */
  optional?: boolean;
}

/** What is chosen; where there is one dataset, that one. */
export function useDataChoice(initial: Initial = {}): DataChoice {
  const [name, setName] = useState(initial.name ?? "");
  const [version, setVersion] = useState(initial.version ?? "");
  const datasets = useQuery(q.datasetChoice()).data?.items ?? [];
  const wanted = name || (datasets.length === 1 && !initial.optional ? (datasets[0]?.name ?? "") : "");
  const dataset = datasets.find((each) => each.name === wanted) ?? null;
  const versions = useQuery({ ...q.dataVersions(wanted), enabled: dataset !== null }).data?.items ?? [];
  const number = version || String(dataset?.latest_version ?? "");
  const detail = useQuery({ ...q.dataVersion(wanted, number), enabled: dataset !== null && number !== "" }).data ?? null;
  return {
    datasets,
    dataset,
    versions,
    version,
    detail,
    ref: dataset ? `data:${dataset.name}${version && `@${version}`}` : null,
    pinned: dataset ? `data:${dataset.name}@${number}` : null,
    setName: (next) => {
      setName(next);
      setVersion("");
    },
    setVersion,
  };
}

/** The names of the columns of what is chosen, as far as they are known. */
export const columnsOf = (choice: DataChoice): string[] => {
  const { detail } = choice;
  return (detail?.profile?.columns ?? detail?.schema ?? []).map((column) => column.name);
};

interface Props {
  choice: DataChoice;
  wrong: Wrong;
  label?: string;
  versionLabel?: string;
  /** Names of the field in the API, and codes of what may be wrong with it. */
  names?: string[];
  optional?: string;
}

export function DataFields({ choice, wrong, label = "Data", versionLabel = `${label} version`, names = ["data"], optional }: Props) {
  const { datasets, dataset, versions, version } = choice;
  const none = optional ?? (datasets.length ? "choose" : "no dataset has been added yet");
  const rows = (each: DataVersion): string => (each.rows === null ? `v${each.version}` : `v${each.version}, ${count(each.rows)} rows`);
  return (
    <>
      <SelectField
        label={label}
        error={wrong(...names)}
        value={dataset?.name ?? ""}
        onChange={choice.setName}
        options={[...(dataset && !optional ? [] : [["", none] as const]), ...datasets.map((each) => [each.name, each.name] as const)]}
      />
      <SelectField
        label={versionLabel}
        value={version}
        disabled={!dataset}
        onChange={choice.setVersion}
        options={[
          ["", dataset ? `newest, now v${dataset.latest_version}` : "–"],
          ...versions.map((each) => [String(each.version), rows(each)] as const),
        ]}
      />
    </>
  );
}
