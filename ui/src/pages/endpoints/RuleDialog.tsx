// Says what is done to one column before it is written down.
import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { useId, useState } from "react";
import { patch, seg } from "../../api/client.ts";
import { q } from "../../api/queries.ts";
import { useMay } from "../../api/useMay.ts";
import { ReasonField, SelectField, TextField } from "../../ui/Fields.tsx";
import { FormDialog } from "../../ui/FormDialog.tsx";
import { toast } from "../../ui/Toasts.tsx";
import { columnsOf } from "./calls.ts";

const KINDS = [
  ["drop", "drop: leave the column out"],
  ["mask", "mask: keep only that there was a value"],
  ["hash", "hash: equal values stay equal"],
  ["generalise", "generalise: bins, dates, first characters"],
  ["", "keep: write the real value"],
] as const;
type Kind = (typeof KINDS)[number][0];

export function RuleDialog({ endpoint, rule, onClose }: { endpoint: string; rule: [string, string] | null; onClose: () => void }) {
  const client = useQueryClient();
  const mayApprove = useMay("approve");
  const known = columnsOf(useQuery({ ...q.endpointOpenapi(endpoint), retry: false }).data);
  const list = useId();
  const [column, setColumn] = useState(rule?.[0] ?? "");
  const [kind, setKind] = useState<Kind>((rule?.[1].split(":")[0] ?? "drop") as Kind);
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
    <FormDialog
      title={rule ? `What is written down of ${rule[0]}` : "Add a rule"}
      verb={rule ? "Change the rule" : "Add the rule"}
      act={save}
      ready={!incomplete && text !== rule?.[1]}
      onClose={onClose}
      note={
        rule && !mayApprove
          ? "It holds for predictions from now on. You may make it stricter by dropping the column; anything else needs an approver."
          : "It holds for predictions from now on; what is written down already stays as it is."
      }
    >
      {(wrong) => (
        <>
          {!rule && (
            <>
              <TextField
                label="Column"
                hint="An input or output of the model, by its name"
                error={kind === "generalise" ? null : wrong("fields")}
                list={list}
                value={column}
                onChange={setColumn}
              />
              <datalist id={list}>
                {known.map((each) => (
                  <option key={each.name} value={each.name} />
                ))}
              </datalist>
            </>
          )}
          <SelectField
            label="What is done"
            error={rule && kind !== "generalise" ? wrong("fields") : null}
            value={kind}
            onChange={setKind}
            options={KINDS.filter(([each]) => (rule && mayApprove) || each)}
          />
          {kind === "generalise" && (
            <TextField
              label="By"
              hint="10 for bins of that width; day, month or year of a date; prefix:3 for first characters"
              error={wrong("fields")}
              value={by}
              onChange={setBy}
            />
          )}
          <ReasonField hint="Stands in the audit trail" error={wrong("reason")} value={reason} onChange={setReason} />
        </>
      )}
    </FormDialog>
  );
}
