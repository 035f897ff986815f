// Makes a token and shows its text this once.
import { useMutation, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { post } from "../../api/client.ts";
import type { CreatedToken } from "../../api/types.ts";
import { Button } from "../../ui/Button.tsx";
import { Dialog } from "../../ui/Dialog.tsx";
import { SelectField, TextField } from "../../ui/Fields.tsx";
import { FormDialog } from "../../ui/FormDialog.tsx";
import { Snippet } from "../../ui/States.tsx";

const ROLES: [role: string, may: string][] = [
  ["viewer", "may read"],
  ["editor", "may log, register and deploy"],
  ["approver", "may also approve"],
  ["admin", "may do everything"],
];
const EXPIRES = [
  ["7", "in 7 days"],
  ["90", "in 90 days"],
  ["365", "in a year"],
  ["", "never"],
] as const;
const DAY_US = 86_400e6;

export function TokenDialog({ onClose }: { onClose: () => void }) {
  const client = useQueryClient();
  const [name, setName] = useState("");
  const [role, setRole] = useState("editor");
  const [days, setDays] = useState<(typeof EXPIRES)[number][0]>("90");
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
    <FormDialog title="Make a token" verb="Make" act={make} ready={name.trim() !== ""} onClose={onClose}>
      {(wrong) => (
        <>
          <TextField label="Name" hint="What it is for; stands in the audit trail" error={wrong("name")} value={name} onChange={setName} />
          <SelectField
            label="Role"
            error={wrong("role")}
            value={role}
            onChange={setRole}
            options={ROLES.map(([each, does]) => [each, `${each}: ${does}`] as const)}
          />
          <TextField
            label="Only for endpoints"
            hint="Names, if it is to be a key to these at the inference port and to nothing else"
            error={wrong("endpoints")}
            placeholder="everything the role may"
            value={opens}
            onChange={setOpens}
          />
          <SelectField label="Expires" error={wrong("expires_us")} value={days} onChange={setDays} options={EXPIRES} />
        </>
      )}
    </FormDialog>
  );
}
