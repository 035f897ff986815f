// Makes a token and shows its text this once.
import { useMutation, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { post } from "../../api/client.ts";
import type { CreatedToken } from "../../api/types.ts";
import { Button } from "../../ui/Button.tsx";
import { Dialog } from "../../ui/Dialog.tsx";
import { Field } from "../../ui/Field.tsx";
import { Snippet } from "../../ui/States.tsx";

const ROLES: [role: string, may: string][] = [
  ["viewer", "may read"],
  ["editor", "may log, register and deploy"],
  ["approver", "may also approve"],
  ["admin", "may do everything"],
];
const DAY_US = 86_400e6;

export function TokenDialog({ onClose }: { onClose: () => void }) {
  const client = useQueryClient();
  const [name, setName] = useState("");
  const [role, setRole] = useState("editor");
  const [days, setDays] = useState("90");
  const [opens, setOpens] = useState("");
  const endpoints = opens.split(/[\s,]+/).filter(Boolean);
  const make = useMutation({
    mutationFn: () =>
      post<CreatedToken>("/tokens", {
        name: name.trim(),
        role,
        endpoints: endpoints.length ? endpoints : null,
        expires_us: days ? Math.round(Date.now() * 1000 + Number(days) * DAY_US) : null,
      }),
    onSuccess: () => void client.invalidateQueries({ queryKey: ["tokens"] }),
  });
  if (make.data) {
    return (
      <Dialog
        title="Copy the token now"
        onClose={onClose}
        footer={
          <Button kind="primary" onClick={onClose}>
            I have it
          </Button>
        }
      >
        <p>
          It is shown this once and cannot be read again. Whoever has it acts as <b>{name}</b> with the role {role}
          {make.data.endpoints && ` at ${make.data.endpoints.join(", ")} alone`}.
        </p>
        <Snippet code={make.data.token} />
        <Snippet
          code={
            make.data.endpoints
              ? `curl -H "authorization: Bearer ${make.data.token}" …`
              : `export TRIMTAB_TOKEN=${make.data.token}\nexport MLFLOW_TRACKING_TOKEN=$TRIMTAB_TOKEN`
          }
        />
      </Dialog>
    );
  }
  return (
    <Dialog
      title="Make a token"
      onClose={onClose}
      footer={
        <>
          <Button onClick={onClose}>Cancel</Button>
          <Button kind="primary" busy={make.isPending} disabled={!name.trim()} onClick={() => make.mutate()}>
            Make
          </Button>
        </>
      }
    >
      <Field label="Name" hint="What it is for; stands in the audit trail">
        <input className="input" autoFocus value={name} onChange={(event) => setName(event.target.value)} />
      </Field>
      <Field label="Role">
        <select className="select" value={role} onChange={(event) => setRole(event.target.value)}>
          {ROLES.map(([each, may]) => (
            <option key={each} value={each}>
              {each}: {may}
            </option>
          ))}
        </select>
      </Field>
      <Field label="Only for endpoints" hint="Names, if it is to be a key to these at the inference port and to nothing else">
        <input className="input" value={opens} placeholder="everything the role may" onChange={(event) => setOpens(event.target.value)} />
      </Field>
      <Field label="Expires">
        <select className="select" value={days} onChange={(event) => setDays(event.target.value)}>
          <option value="7">in 7 days</option>
          <option value="90">in 90 days</option>
          <option value="365">in a year</option>
          <option value="">never</option>
        </select>
      </Field>
      {make.error && (
        <div className="callout callout-alarm" role="alert">
          {make.error.message}
        </div>
      )}
    </Dialog>
  );
}
