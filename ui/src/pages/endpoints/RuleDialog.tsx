// Says what is done to one column before it is written down.
import { useMutation, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { patch, seg } from "../../api/client.ts";
import { Button } from "../../ui/Button.tsx";
import { Dialog } from "../../ui/Dialog.tsx";
import { Field } from "../../ui/Field.tsx";
import { toast } from "../../ui/Toasts.tsx";

const KINDS: [kind: string, does: string][] = [
  ["drop", "drop: leave the column out"],
  ["mask", "mask: keep only that there was a value"],
  ["hash", "hash: equal values stay equal"],
  ["generalise", "generalise: bins, dates, first characters"],
  ["", "keep: write the real value (an approver may)"],
];

export function RuleDialog({ endpoint, rule, onClose }: { endpoint: string; rule: [string, string] | null; onClose: () => void }) {
  const client = useQueryClient();
  const [column, setColumn] = useState(rule?.[0] ?? "");
  const [kind, setKind] = useState(rule?.[1].split(":")[0] ?? "drop");
  const [by, setBy] = useState(rule?.[1].split(":").slice(1).join(":") ?? "");
  const [reason, setReason] = useState("");
  const text = kind === "generalise" ? `generalise:${by.trim()}` : kind || null;
  const save = useMutation({
    mutationFn: () => patch(`/endpoints/${seg(endpoint)}/settings`, { fields: { [column.trim()]: text }, reason }),
    onSuccess: () => {
      toast(text ? `${column}: ${text}` : `${column} is written down as it is`);
      void client.invalidateQueries({ queryKey: ["endpoints"] });
      onClose();
    },
  });
  const incomplete = !column.trim() || (kind === "generalise" && !by.trim());
  return (
    <Dialog
      title={rule ? `What is written down of ${rule[0]}` : "Add a rule"}
      onClose={onClose}
      footer={
        <>
          <Button onClick={onClose}>Cancel</Button>
          <Button kind="primary" busy={save.isPending} disabled={incomplete || text === rule?.[1]} onClick={() => save.mutate()}>
            {rule ? "Change the rule" : "Add the rule"}
          </Button>
        </>
      }
    >
      {!rule && (
        <Field label="Column" hint="An input of the model, by its name">
          <input className="input" autoFocus value={column} onChange={(event) => setColumn(event.target.value)} />
        </Field>
      )}
      <Field label="What is done">
        <select className="select" value={kind} onChange={(event) => setKind(event.target.value)}>
          {KINDS.filter(([each]) => rule || each).map(([each, does]) => (
            <option key={each} value={each}>
              {does}
            </option>
          ))}
        </select>
      </Field>
      {kind === "generalise" && (
        <Field label="By" hint="10 for bins of that width; day, month or year of a date; prefix:3 for first characters">
          <input className="input" value={by} onChange={(event) => setBy(event.target.value)} />
        </Field>
      )}
      <Field label="Reason" hint="Stands in the audit trail">
        <input className="input" value={reason} onChange={(event) => setReason(event.target.value)} />
      </Field>
      <div className={`callout ${save.error ? "callout-alarm" : ""}`} role="status">
        <span>{save.error?.message ?? "It holds for predictions from now on; what is written down already stays as it is."}</span>
      </div>
    </Dialog>
  );
}
