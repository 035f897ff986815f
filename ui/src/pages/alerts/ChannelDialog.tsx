// Adds a webhook and shows its signing secret this once.
import { useMutation, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { post, Problem } from "../../api/client.ts";
import type { AlertChannel, Severity } from "../../api/types.ts";
import { Button } from "../../ui/Button.tsx";
import { Dialog } from "../../ui/Dialog.tsx";
import { Field } from "../../ui/Field.tsx";
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
  const wrong = (field: string): string | null => (add.error instanceof Problem && add.error.field === field ? add.error.message : null);
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
    <Dialog
      title="Add a channel"
      onClose={onClose}
      footer={
        <>
          <Button onClick={onClose}>Cancel</Button>
          <Button kind="primary" busy={add.isPending} disabled={!name.trim() || !address.trim()} onClick={() => add.mutate()}>
            Add
          </Button>
        </>
      }
    >
      <Field label="Name" error={wrong("name")}>
        <input className="input" autoFocus value={name} onChange={(event) => setName(event.target.value)} />
      </Field>
      <Field label="Address" hint="Where messages are posted" error={wrong("url")}>
        <input
          className="input mono"
          type="url"
          placeholder="https://"
          value={address}
          onChange={(event) => setAddress(event.target.value)}
        />
      </Field>
      <Field label="From severity">
        <select className="select" value={least} onChange={(event) => setLeast(event.target.value as Severity)}>
          {SEVERITIES.map((each) => (
            <option key={each}>{each}</option>
          ))}
        </select>
      </Field>
      {add.error && !wrong("name") && !wrong("url") && (
        <div className="callout callout-alarm" role="alert">
          {add.error.message}
        </div>
      )}
    </Dialog>
  );
}
