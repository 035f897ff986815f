// Watches an endpoint, or holds one that is watched against another reference or by another policy.
import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { useRouter } from "@tanstack/react-router";
import { useState } from "react";
import { post, seg } from "../../api/client.ts";
import { q } from "../../api/queries.ts";
import type { Monitor } from "../../api/types.ts";
import { paths, splitRef } from "../../paths.ts";
import { Check, Fold, Group, SelectField, TextField } from "../../ui/Fields.tsx";
import { FormDialog } from "../../ui/FormDialog.tsx";
import { toast } from "../../ui/Toasts.tsx";
import { columnsOf, DataFields, useDataChoice } from "../data/DataChoice.tsx";
import { policyBody, textsOf } from "./policy.ts";
import { PolicyFields } from "./PolicyFields.tsx";

const REFERENCE = ["reference", "dataset-not-found", "data-version-not-found"];

export function NewMonitorDialog({ onClose }: { onClose: () => void }) {
  const client = useQueryClient();
  const router = useRouter();
  const endpoints = useQuery(q.endpoints()).data?.items ?? [];
  const data = useDataChoice();
  const [typed, setName] = useState("");
  const [chosen, setEndpoint] = useState("");
  const [features, setFeatures] = useState<ReadonlySet<string>>(new Set());
  const [groupBy, setGroupBy] = useState("");
  const [policy, setPolicy] = useState(textsOf());
  const endpoint = chosen || (endpoints.length === 1 ? (endpoints[0]?.name ?? "") : "");
  const name = typed.trim() || endpoint;
  const columns = columnsOf(data);
  const rules = policyBody(policy);
  const create = useMutation({
    mutationFn: () =>
      post<Monitor>("/monitors", {
        name,
        endpoint,
        reference: data.pinned,
        features: features.size ? columns.filter((column) => features.has(column)) : null,
        group_by: groupBy || null,
        policy: rules,
      }),
    onSuccess: (monitor) => {
      toast(`${monitor.name} watches ${monitor.endpoint}`);
      void client.invalidateQueries({ queryKey: ["monitors"] });
      router.history.push(paths.monitor(monitor.name));
    },
  });
  const toggle = (column: string): void => {
    const next = new Set(features);
    if (!next.delete(column)) next.add(column);
    setFeatures(next);
  };
  return (
    <FormDialog
      title="Watch an endpoint"
      verb="Watch it"
      icon="monitors"
      act={create}
      ready={name !== "" && endpoint !== "" && data.ref !== null && rules !== null}
      wide
      onClose={onClose}
      note="The reference is read in the background. From then on each window of requests is compared with it."
    >
      {(wrong) => (
        <>
          <div className="form-grid">
            <SelectField
              label="Endpoint"
              error={wrong("endpoint", "endpoint-not-found")}
              value={endpoint}
              onChange={setEndpoint}
              options={[...(endpoint ? [] : [["", "choose"] as const]), ...endpoints.map((each) => [each.name, each.name] as const)]}
            />
            <TextField label="Name" error={wrong("name", "monitor-exists")} placeholder={endpoint} value={typed} onChange={setName} />
            <DataFields choice={data} wrong={wrong} label="Reference" names={REFERENCE} />
          </div>
          <Group label="Features" error={wrong("features")} hint={features.size ? "" : "None chosen: every column that requests have."}>
            <div className="group-wrap">
              {columns.map((column) => (
                <Check key={column} checked={features.has(column)} onChange={() => toggle(column)}>
                  <span className="break">{column}</span>
                </Check>
              ))}
            </div>
          </Group>
          <Fold label="Policy">
            <PolicyFields value={policy} onChange={setPolicy} wrong={wrong} />
            <SelectField
              label="Event times of the reference"
              hint="A column of microseconds, by whose windows natural variation is learned"
              error={wrong("group_by")}
              value={groupBy}
              onChange={setGroupBy}
              options={[["", "none"], ...columns.map((column) => [column, column] as const)]}
            />
          </Fold>
        </>
      )}
    </FormDialog>
  );
}

export function ChangeMonitorDialog({ monitor, onClose }: { monitor: Monitor; onClose: () => void }) {
  const client = useQueryClient();
  const [name, version] = splitRef(monitor.reference)[1].split("@");
  const data = useDataChoice({ name, version });
  const [policy, setPolicy] = useState(textsOf(monitor.policy));
  const rules = policyBody(policy);
  const reference = data.pinned ?? monitor.reference;
  const change = useMutation({
    mutationFn: () =>
      post(`/monitors/${seg(monitor.name)}/reference`, { policy: rules, ...(reference === monitor.reference ? {} : { reference }) }),
    onSuccess: () => {
      toast(`${monitor.name} begins anew`);
      void client.invalidateQueries({ queryKey: ["monitors"] });
      onClose();
    },
  });
  return (
    <FormDialog
      title={`Change ${monitor.name}`}
      verb="Change and begin anew"
      act={change}
      ready={rules !== null}
      wide
      onClose={onClose}
      note="The alarms begin anew: what has been gathered towards one is forgotten. Windows that are closed stay as they are."
    >
      {(wrong) => (
        <>
          <div className="form-grid">
            <DataFields choice={data} wrong={wrong} label="Reference" names={REFERENCE} />
          </div>
          <PolicyFields value={policy} onChange={setPolicy} wrong={wrong} />
        </>
      )}
    </FormDialog>
  );
}
