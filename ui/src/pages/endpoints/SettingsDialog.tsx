// Changes settings as texts; the server reads them, and says which one it cannot.
import { useMutation, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { patch, seg } from "../../api/client.ts";
import type { EndpointSettings } from "../../api/types.ts";
import { plural } from "../../format/number.ts";
import { Group, ReasonField, TextField } from "../../ui/Fields.tsx";
import { FormDialog } from "../../ui/FormDialog.tsx";
import { toast } from "../../ui/Toasts.tsx";
import { changes, grouped, settingLabel } from "./settings.ts";

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
  return (
    <FormDialog
      title="Change settings"
      verb={number ? `Change ${plural(number, "setting")}` : "Change settings"}
      act={save}
      ready={number > 0}
      wide
      onClose={onClose}
    >
      {(wrong) => (
        <>
          {grouped(data.settings).map(([label, settings]) => (
            <Group key={label} label={label} section>
              <div className="settings-form">
                {settings.map((one) => (
                  <TextField
                    key={one.name}
                    label={settingLabel(one.name)}
                    hint={`${one.about}, such as ${one.example}`}
                    error={wrong(one.name)}
                    placeholder={`default: ${one.default}`}
                    value={typed[one.name] ?? one.value}
                    onChange={(value) => setTyped({ ...typed, [one.name]: value })}
                  />
                ))}
              </div>
            </Group>
          ))}
          <ReasonField hint="Stands in the audit trail" error={wrong("reason")} value={reason} onChange={setReason} />
        </>
      )}
    </FormDialog>
  );
}
