// Points an alias to a version, or takes it away, after saying what follows.
import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { useId, useState } from "react";
import { del, put, seg } from "../../api/client.ts";
import { q } from "../../api/queries.ts";
import type { Model } from "../../api/types.ts";
import { ReasonField, SelectField, TextField } from "../../ui/Fields.tsx";
import { FormDialog } from "../../ui/FormDialog.tsx";
import { toast } from "../../ui/Toasts.tsx";

const GONE = "none";

export function AliasDialog({ model, onClose }: { model: Model; onClose: () => void }) {
  const client = useQueryClient();
  const list = useId();
  const versions = useQuery(q.modelVersions(model.name)).data?.items ?? [];
  const environments = useQuery(q.environments(model.name)).data?.items ?? [];
  const [typed, setAlias] = useState("");
  const [chosen, setVersion] = useState("");
  const [reason, setReason] = useState("");
  const alias = typed.trim();
  const now = model.aliases[alias];
  const version = chosen || String(versions[0]?.version ?? "");
  const path = `/models/${seg(model.name)}/aliases/${seg(alias)}`;
  const save = useMutation({
    mutationFn: () => (version === GONE ? del(`${path}?reason=${seg(reason)}`) : put(path, { version: Number(version), reason })),
    onSuccess: () => {
      toast(version === GONE ? `${alias} is gone` : `${alias} is v${version}`);
      void client.invalidateQueries({ queryKey: ["models"] });
      onClose();
    },
  });
  const same = now !== undefined && String(now) === version;
  const from = now === undefined ? "" : `; so far it names v${now}`;
  return (
    <FormDialog
      title={`Set an alias of ${model.name}`}
      verb={version === GONE ? "Take it away" : "Set the alias"}
      danger={version === GONE}
      act={save}
      ready={alias !== "" && version !== "" && !same && (version !== GONE || now !== undefined)}
      onClose={onClose}
      note={
        !alias
          ? "Whoever asks for the alias gets the version that it names. An endpoint keeps the version it has until it is deployed or rolled out."
          : same
            ? `${alias} names v${version} already.`
            : version === GONE
              ? now === undefined
                ? `There is no alias ${alias}.`
                : `Whoever asks for ${model.name}@${alias} finds nothing${from}.`
              : `Whoever asks for ${model.name}@${alias} gets v${version} from now on${from}. Undo by setting it back.`
      }
    >
      {(wrong) => (
        <>
          <TextField label="Alias" hint="Such as champion" error={wrong("alias")} list={list} value={typed} onChange={setAlias} />
          <datalist id={list}>
            {[...new Set([...Object.keys(model.aliases), ...environments.map((each) => each.environment.name)])].map((each) => (
              <option key={each} value={each} />
            ))}
          </datalist>
          <SelectField
            label="Version"
            error={wrong("version")}
            value={version}
            onChange={setVersion}
            options={[
              ...versions.map((each) => [String(each.version), `v${each.version}`] as const),
              [GONE, "none: take the alias away"] as const,
            ]}
          />
          <ReasonField error={wrong("reason")} value={reason} onChange={setReason} />
        </>
      )}
    </FormDialog>
  );
}
