// Changes settings as texts; the server reads them, and says which one it cannot.
import { useMutation, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { patch, Problem, seg } from "../../api/client.ts";
import type { EndpointSettings } from "../../api/types.ts";
import { plural } from "../../format/number.ts";
import { Button } from "../../ui/Button.tsx";
import { Dialog } from "../../ui/Dialog.tsx";
import { Field } from "../../ui/Field.tsx";
import { toast } from "../../ui/Toasts.tsx";
import { changes, settingLabel } from "./settings.ts";

export function SettingsDialog({ data, onClose }: { data: EndpointSettings; onClose: () => void }) {
  const client = useQueryClient();
  const [typed, setTyped] = useState<Record<string, string>>({});
  const [reason, setReason] = useState("");
  const changed = changes(data.settings, typed);
  const number = Object.keys(changed).length;
  const save = useMutation({
    mutationFn: () => patch(`/endpoints/${seg(data.endpoint)}/settings`, { settings: changed, reason }),
    onSuccess: () => {
      toast(`${data.endpoint}: ${plural(number, "setting")} changed`);
      void client.invalidateQueries({ queryKey: ["endpoints"] });
      onClose();
    },
  });
  const wrong = save.error instanceof Problem ? save.error.field : null;
  return (
    <Dialog
      title="Change settings"
      onClose={onClose}
      wide
      footer={
        <>
          <Button onClick={onClose}>Cancel</Button>
          <Button kind="primary" busy={save.isPending} disabled={!number} onClick={() => save.mutate()}>
            {number ? `Change ${plural(number, "setting")}` : "Change settings"}
          </Button>
        </>
      }
    >
      <div className="settings-form">
        {data.settings.map((one) => (
          <Field
            key={one.name}
            label={settingLabel(one.name)}
            hint={`${one.about}, such as ${one.example}`}
            error={wrong === one.name ? (save.error?.message ?? null) : null}
          >
            <input
              className="input"
              value={typed[one.name] ?? one.value}
              placeholder={`default: ${one.default}`}
              autoComplete="off"
              spellCheck={false}
              onChange={(event) => setTyped({ ...typed, [one.name]: event.target.value })}
            />
          </Field>
        ))}
      </div>
      <Field label="Reason" hint="Stands in the audit trail">
        <input className="input" value={reason} onChange={(event) => setReason(event.target.value)} />
      </Field>
      {save.error && !data.settings.some((one) => one.name === wrong) && (
        <div className="callout callout-alarm" role="alert">
          {save.error.message}
        </div>
      )}
    </Dialog>
  );
}
