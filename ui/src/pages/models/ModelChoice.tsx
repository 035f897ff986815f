// Chooses a registered version by an alias or by its number: two fields, and the address that the API takes.
import { useQuery } from "@tanstack/react-query";
import { useState } from "react";
import { q } from "../../api/queries.ts";
import type { Model, ModelVersion } from "../../api/types.ts";
import { SelectField } from "../../ui/Fields.tsx";
import type { Wrong } from "../../ui/refusals.ts";

export interface ModelChoice {
  models: Model[];
  model: Model | null;
  versions: ModelVersion[];
  /** "@champion" or "/3", empty while there is none. */
  pick: string;
  version: ModelVersion | null;
  uri: string | null;
  setName: (name: string) => void;
  setPick: (pick: string) => void;
}

interface Initial {
  name?: string | undefined;
  pick?: string | undefined;
  /** The newest version before the champion. */
  newest?: boolean;
}

/** What is chosen, the champion or the newest version until someone chooses; `only` keeps to one model. */
export function useModelChoice(initial: Initial = {}, only = ""): ModelChoice {
  const [name, setName] = useState(initial.name ?? "");
  const [picked, setPick] = useState(initial.pick ?? "");
  const models = useQuery(q.modelChoice()).data?.items ?? [];
  const wanted = only || name || (models.length === 1 ? (models[0]?.name ?? "") : "");
  const model = models.find((each) => each.name === wanted) ?? null;
  const versions = useQuery({ ...q.modelVersions(wanted), enabled: wanted !== "" }).data?.items ?? [];
  const newest = versions[0] ? `/${versions[0].version}` : "";
  const pick = picked || (model?.aliases["champion"] && !initial.newest ? "@champion" : newest);
  const number = pick.startsWith("@") ? model?.aliases[pick.slice(1)] : Number(pick.slice(1));
  return {
    models,
    model,
    versions,
    pick,
    version: versions.find((each) => each.version === number) ?? null,
    uri: model && pick ? `models:/${model.name}${pick}` : null,
    setName: (next) => {
      setName(next);
      setPick("");
    },
    setPick,
  };
}

export function ModelFields({ choice, wrong, fixed = false }: { choice: ModelChoice; wrong: Wrong; fixed?: boolean }) {
  const { models, model, versions, pick } = choice;
  const aliases = Object.entries(model?.aliases ?? {});
  return (
    <>
      {!fixed && (
        <SelectField
          label="Model"
          value={model?.name ?? ""}
          onChange={choice.setName}
          options={[
            ...(model ? [] : [["", models.length ? "choose" : "no model is registered yet"] as const]),
            ...models.map((each) => [each.name, each.name] as const),
          ]}
        />
      )}
      <SelectField
        label="Model version"
        hint={pick.startsWith("@") ? "The version that the alias names when this is sent" : ""}
        error={wrong("model", "alias-not-found", "model-version-not-found", "model-not-found")}
        value={pick}
        disabled={!model}
        onChange={choice.setPick}
        options={[
          ...aliases.map(([alias, version]) => [`@${alias}`, `@${alias}, now v${version}`] as const),
          ...versions.map((each) => [`/${each.version}`, `v${each.version}`] as const),
        ]}
      />
    </>
  );
}
