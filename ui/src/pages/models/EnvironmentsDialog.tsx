// The places of a model in order, who may move a version into each, and what it has to show.
import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { put, seg } from "../../api/client.ts";
import { q } from "../../api/queries.ts";
import type { EnvironmentState, SafetyVerdict } from "../../api/types.ts";
import { Button } from "../../ui/Button.tsx";
import { Check, Group, ReasonField, SelectField, TextField } from "../../ui/Fields.tsx";
import { FormDialog } from "../../ui/FormDialog.tsx";
import { toast } from "../../ui/Toasts.tsx";

type Place = EnvironmentState["environment"];

const ROLES = [
  ["editor", "editors"],
  ["approver", "approvers"],
  ["admin", "admins"],
] as const;
const VERDICTS: SafetyVerdict[] = ["safe", "allowed", "suspicious", "unknown"];

interface Props {
  model: string;
  onClose: () => void;
}

export function EnvironmentsDialog({ model, onClose }: Props) {
  const states = useQuery(q.environments(model)).data?.items;
  return states && <EnvironmentsForm model={model} states={states} onClose={onClose} />;
}

function EnvironmentsForm({ model, states, onClose }: Props & { states: EnvironmentState[] }) {
  const client = useQueryClient();
  const [places, setPlaces] = useState<Place[]>(() =>
    states.length
      ? states.map((state) => state.environment)
      : [{ name: "champion", role: "approver", after: null, needs_gate: false, verdicts: [] }],
  );
  const [reason, setReason] = useState("");
  const save = useMutation({
    mutationFn: () =>
      put(`/models/${seg(model)}/environments`, { environments: places.map((each) => ({ ...each, name: each.name.trim() })), reason }),
    onSuccess: () => {
      toast(`The environments of ${model} are set`);
      void client.invalidateQueries({ queryKey: ["models"] });
      onClose();
    },
  });
  const change = (at: number, patch: Partial<Place>): void => setPlaces(places.map((each, i) => (i === at ? { ...each, ...patch } : each)));
  const gone = states
    .filter((state) => !places.some((each) => each.name === state.environment.name))
    .map((state) => state.environment.name);
  return (
    <FormDialog
      title={`Environments of ${model}`}
      verb="Set the environments"
      act={save}
      ready={places.every((each) => each.name.trim() !== "")}
      wide
      onClose={onClose}
      note={
        gone.length
          ? `The rules of ${gone.join(", ")} go; the alias itself stays, and editors may move it.`
          : "An environment is an alias with rules. A rollout whose environment only approvers or admins may move waits for one of them."
      }
    >
      {(wrong) => (
        <>
          {places.map((place, at) => (
            <Group key={at} label={place.name || "A new environment"} section>
              <div className="form-grid">
                <TextField
                  label="Name"
                  hint="The alias that it is"
                  error={wrong("alias", `environments[${at}]`)}
                  value={place.name}
                  onChange={(name) => change(at, { name })}
                />
                <SelectField
                  label="Moved and approved by"
                  value={place.role as (typeof ROLES)[number][0]}
                  onChange={(role) => change(at, { role })}
                  options={ROLES}
                />
                <SelectField
                  label="A version was before in"
                  value={place.after ?? ""}
                  onChange={(after) => change(at, { after: after || null })}
                  options={[["", "anywhere"], ...places.slice(0, at).map((each) => [each.name, each.name] as const)]}
                />
                <div className="field">
                  <span className="field-label">Files</span>
                  <div className="group-wrap">
                    {VERDICTS.map((verdict) => (
                      <Check
                        key={verdict}
                        checked={place.verdicts.length === 0 || place.verdicts.includes(verdict)}
                        onChange={(on) => {
                          const now = place.verdicts.length ? place.verdicts : VERDICTS;
                          const next = VERDICTS.filter((each) => (each === verdict ? on : now.includes(each)));
                          // None would mean every one.
                          if (next.length) change(at, { verdicts: next.length === VERDICTS.length ? [] : next });
                        }}
                      >
                        {verdict}
                      </Check>
                    ))}
                  </div>
                </div>
              </div>
              <div className="row spread row-wrap">
                <Check checked={place.needs_gate} onChange={(needs_gate) => change(at, { needs_gate })}>
                  It has passed a gate
                </Check>
                <Button kind="quiet" icon="trash" onClick={() => setPlaces(places.filter((_, i) => i !== at))}>
                  {`Remove ${place.name}`}
                </Button>
              </div>
            </Group>
          ))}
          <div>
            <Button
              icon="plus"
              onClick={() =>
                setPlaces([...places, { name: "", role: "approver", after: places.at(-1)?.name || null, needs_gate: false, verdicts: [] }])
              }
            >
              Add an environment
            </Button>
          </div>
          <ReasonField hint="Stands in the audit trail" error={wrong("reason")} value={reason} onChange={setReason} />
        </>
      )}
    </FormDialog>
  );
}
