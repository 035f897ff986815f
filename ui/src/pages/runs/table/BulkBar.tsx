// What can be done with the selected runs: compare, tag, save as CSV, delete with a way back.
import { useState, type FormEvent } from "react";
import type { Run } from "../../../api/types.ts";
import { useMay } from "../../../api/useMay.ts";
import { csv, save } from "../../../charts/export.ts";
import { plural } from "../../../format/number.ts";
import { paths } from "../../../paths.ts";
import { A } from "../../../ui/A.tsx";
import { Button } from "../../../ui/Button.tsx";
import { Dialog } from "../../../ui/Dialog.tsx";
import { Field } from "../../../ui/Field.tsx";
import { toast } from "../../../ui/Toasts.tsx";
import { deleteRuns, restoreRuns, tagRuns } from "./bulk.ts";
import { cellOf, columnOf } from "./columns.ts";

export const MOST_COMPARED = 50;

interface Props {
  experiment: string;
  ids: string[];
  columns: string[];
  rowOf: (id: string) => Run | undefined;
  onClear: () => void;
  onChanged: () => void;
}

function TagDialog({ ids, onClose, onChanged }: { ids: string[]; onClose: () => void; onChanged: () => void }) {
  const [key, setKey] = useState("");
  const [value, setValue] = useState("");
  const [busy, setBusy] = useState(false);
  const submit = async (event: FormEvent): Promise<void> => {
    event.preventDefault();
    setBusy(true);
    const { done, failed } = await tagRuns(ids, key.trim(), value);
    setBusy(false);
    if (done.length) toast(`Tagged ${plural(done.length, "run")} with ${key.trim()}`);
    if (failed) toast(failed.message, true);
    else onClose();
    onChanged();
  };
  return (
    <Dialog
      title={`Tag ${plural(ids.length, "run")}`}
      onClose={onClose}
      footer={
        <>
          <Button onClick={onClose}>Cancel</Button>
          <Button kind="primary" type="submit" form="tag-form" busy={busy} disabled={!key.trim()}>
            Set the tag
          </Button>
        </>
      }
    >
      <form id="tag-form" className="stack" onSubmit={(event) => void submit(event)}>
        <Field label="Tag" hint="An existing tag of this name is overwritten">
          <input className="input" value={key} onChange={(event) => setKey(event.target.value)} maxLength={250} required />
        </Field>
        <Field label="Value">
          <input className="input" value={value} onChange={(event) => setValue(event.target.value)} maxLength={5000} />
        </Field>
      </form>
    </Dialog>
  );
}

export function BulkBar({ ids, columns, rowOf, onClear, onChanged }: Props) {
  const [tagging, setTagging] = useState(false);
  const [busy, setBusy] = useState(false);
  const mayWrite = useMay("write");
  const remove = async (): Promise<void> => {
    setBusy(true);
    const { done, failed } = await deleteRuns(ids);
    setBusy(false);
    if (failed) toast(failed.message, true);
    if (!done.length) return;
    onClear();
    onChanged();
    toast(`Moved ${plural(done.length, "run")} to the trash`, false, {
      label: "Undo",
      act: () =>
        void restoreRuns(done).then((back) => {
          if (back.failed) toast(back.failed.message, true);
          else toast(`Restored ${plural(back.done.length, "run")}`);
          onChanged();
        }),
    });
  };
  const saveCsv = (): void => {
    const rows = ids.map(rowOf).filter((run): run is Run => run !== undefined);
    const value = (id: string, run: Run): string | number | null => {
      if (id.startsWith("m:")) return run.metrics[id.slice(2)]?.value ?? null;
      if (id === "started") return new Date(run.started_us / 1000).toISOString();
      return cellOf(id, run, Date.now())[1];
    };
    const sheet = {
      head: ["run_id", ...columns.map((id) => columnOf(id).name)],
      rows: rows.map((run) => [run.id, ...columns.map((id) => value(id, run))]),
    };
    save(new Blob([csv(sheet)], { type: "text/csv" }), "runs.csv");
    if (rows.length < ids.length) toast(`${ids.length - rows.length} runs are far away in the list and were left out`, true);
  };
  return (
    <div className="bulk" role="region" aria-label="Selected runs">
      <span>
        <b>{plural(ids.length, "run")}</b> selected
      </span>
      <A className="btn btn-primary" href={paths.compare(ids.slice(0, MOST_COMPARED))} aria-disabled={ids.length < 2}>
        Compare{ids.length > MOST_COMPARED && ` first ${MOST_COMPARED}`}
      </A>
      {mayWrite && <Button onClick={() => setTagging(true)}>Tag</Button>}
      <Button icon="download" onClick={saveCsv}>
        CSV
      </Button>
      {mayWrite && (
        <Button kind="danger" busy={busy} onClick={() => void remove()}>
          Delete
        </Button>
      )}
      <Button kind="quiet" onClick={onClear}>
        Clear
      </Button>
      {tagging && <TagDialog ids={ids} onClose={() => setTagging(false)} onChanged={onChanged} />}
    </div>
  );
}
