// Adds a webhook and shows its signing secret this once.
import { useMutation, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { post } from "../../api/client.ts";
import type { AlertChannel, Severity } from "../../api/types.ts";
import { Button } from "../../ui/Button.tsx";
import { Dialog } from "../../ui/Dialog.tsx";
import { SelectField, TextField } from "../../ui/Fields.tsx";
import { FormDialog } from "../../ui/FormDialog.tsx";
import { Snippet } from "../../ui/States.tsx";

const SEVERITIES: Severity[] = ["info", "warning", "critical"];

export function ChannelDialog({ onClose }: { onClose: () => void }) {
  const client = useQueryClient();
  const [name, setName] = useState("");
  const [address, setAddress] = useState("");
  const [least, setLeast] = useState<Severity>("info");
  const add = useMutation({
    mutationFn: () => post<AlertChannel>("/alert-channels", { name: name.trim(), url: address.trim(), min_severity: least }),
    onSuccess: () => void client.invalidateQueries({ queryKey: ["alerts"] }),
  });
  if (add.data) {
    return (
      <Dialog
        title={`${add.data.name} is added`}
        onClose={onClose}
        footer={
          <Button kind="primary" onClick={onClose}>
            Done
          </Button>
        }
      >
        {add.data.secret ? (
          <>
            <p>Messages are signed with this secret. It is shown this once: give it to the receiver now.</p>
            <Snippet code={add.data.secret} />
          </>
        ) : (
          <p>Messages are signed with the secret you gave.</p>
        )}
      </Dialog>
    );
  }
  return (
    <FormDialog title="Add a channel" verb="Add" act={add} ready={name.trim() !== "" && address.trim() !== ""} onClose={onClose}>
      {(wrong) => (
        <>
          <TextField label="Name" error={wrong("name")} value={name} onChange={setName} />
          <TextField
            label="Address"
            hint="Where messages are posted"
            error={wrong("url")}
            type="url"
            mono
            placeholder="https://"
            value={address}
            onChange={setAddress}
          />
          <SelectField
            label="From severity"
            error={wrong("min_severity")}
            value={least}
            onChange={setLeast}
            options={SEVERITIES.map((each) => [each, each] as const)}
          />
        </>
      )}
    </FormDialog>
  );
}
