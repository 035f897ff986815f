// Asks for a batch prediction: the version, the data, what is written beside the predictions, and under which name.
import { useMutation, useQueryClient } from "@tanstack/react-query";
import { useRouter } from "@tanstack/react-router";
import { useState } from "react";
import { post } from "../../api/client.ts";
import { useMay } from "../../api/useMay.ts";
import type { BatchPrediction } from "../../api/types.ts";
import { count } from "../../format/number.ts";
import { paths } from "../../paths.ts";
import { Check, Fold, Group, ReasonField, SelectField, TextField } from "../../ui/Fields.tsx";
import { FormDialog } from "../../ui/FormDialog.tsx";
import { columnsOf, DataFields, useDataChoice } from "../data/DataChoice.tsx";
import { ModelFields, useModelChoice } from "../models/ModelChoice.tsx";
import { signatureColumns } from "../models/signature.ts";

type Beside = "others" | "all" | "these";

const names = (text: string): string[] => text.split(",").flatMap((part) => part.trim() || []);
const whole = (text: string): number | null => (/^\d+$/.test(text.trim()) ? Number(text) : null);

interface Props {
  /** "churn@champion", "churn/3", or "churn". */
  model?: string | undefined;
  /** "customers@3" or "customers". */
  data?: string | undefined;
  onClose: () => void;
}

export function BatchDialog({ model: wantedModel = "", data: wantedData = "", onClose }: Props) {
  const client = useQueryClient();
  const router = useRouter();
  const mayApprove = useMay("approve");
  const [, modelName, pick] = /^([^@/]*)(.*)$/.exec(wantedModel) ?? [];
  const [dataName, dataVersion] = wantedData.split("@");
  const model = useModelChoice({ name: modelName, pick });
  const data = useDataChoice({ name: dataName, version: dataVersion });
  const [beside, setBeside] = useState<Beside>("others");
  const [chosen, setChosen] = useState<ReadonlySet<string>>(new Set());
  const [output, setOutput] = useState("");
  const [onError, setOnError] = useState<"fail" | "skip">("fail");
  const [probabilities, setProbabilities] = useState(false);
  const [native, setNative] = useState(false);
  const [pickle, setPickle] = useState(false);
  const [inputs, setInputs] = useState("");
  const [path, setPath] = useState("");
  const [sizes, setSizes] = useState({ rows_at_once: "32768", part_rows: "262144", workers: "0" });
  const [reason, setReason] = useState("");

  const columns = columnsOf(data);
  const reads = new Set(signatureColumns(model.version?.signature?.inputs).map((column) => column.name));
  const files = data.detail?.files ?? [];
  const target = output.trim() || (data.dataset ? `${data.dataset.name}-predictions` : "");
  const numbers = Object.fromEntries(Object.entries(sizes).map(([name, text]) => [name, whole(text)]));
  const start = useMutation({
    mutationFn: () =>
      post<BatchPrediction>("/batch-predictions", {
        model: model.uri,
        data: data.ref,
        output: output.trim(),
        path,
        columns: beside === "these" ? columns.filter((column) => chosen.has(column)) : [],
        keep: beside === "all",
        inputs: names(inputs),
        probabilities,
        on_error: onError,
        ...numbers,
        allow_pickle: pickle,
        native,
        reason,
      }),
    onSuccess: (batch) => {
      void client.invalidateQueries({ queryKey: ["batches"] });
      router.history.push(paths.batch(batch.id));
    },
  });
  const flip = (column: string): void => {
    const next = new Set(chosen);
    if (!next.delete(column)) next.add(column);
    setChosen(next);
  };
  const size = (name: keyof typeof sizes, label: string, hint: string, refused: string | null) => (
    <TextField
      label={label}
      hint={hint}
      inputMode="numeric"
      value={sizes[name]}
      error={numbers[name] === null ? "A whole number" : refused}
      onChange={(value) => setSizes({ ...sizes, [name]: value })}
    />
  );
  const rows = data.detail?.rows;
  const ready =
    model.uri !== null &&
    data.ref !== null &&
    Object.values(numbers).every((value) => value !== null) &&
    (beside !== "these" || chosen.size > 0);
  return (
    <FormDialog
      title="Predict a data version"
      verb="Predict"
      icon="play"
      act={start}
      ready={ready}
      wide
      onClose={onClose}
      note={
        model.uri && data.ref
          ? `${model.model?.name} v${model.version?.version ?? "?"} reads ${rows ? `${count(rows)} rows` : "every row"} of ${data.dataset?.name} v${data.detail?.version ?? "?"}. The predictions become the next version of ${target}.`
          : "A model reads every row of a data version; the predictions become a version of another dataset."
      }
    >
      {(wrong) => (
        <>
          <div className="form-grid">
            <ModelFields choice={model} wrong={wrong} />
            <DataFields choice={data} wrong={wrong} names={["data", "column-missing", "data-version-not-found", "dataset-not-found"]} />
            <TextField
              label="Written to the dataset"
              hint="Gets a new version, and is made where it is new"
              error={wrong("output", "name")}
              placeholder={data.dataset ? `${data.dataset.name}-predictions` : ""}
              value={output}
              onChange={setOutput}
            />
            <SelectField
              label="A row that cannot be predicted"
              error={wrong("on_error")}
              value={onError}
              onChange={setOnError}
              options={[
                ["fail", "ends it, and nothing is written"],
                ["skip", "is left out and listed"],
              ]}
            />
            <SelectField
              label="Written beside the predictions"
              {...(beside === "these" && columns.length ? {} : { error: wrong("columns", "keep") })}
              value={beside}
              onChange={setBeside}
              options={[
                ["others", "the columns that the model does not read"],
                ["all", "all columns"],
                ["these", "columns that I choose"],
              ]}
            />
          </div>
          {beside === "these" && (
            <Group
              label="Columns"
              error={wrong("columns")}
              hint={columns.length ? "" : data.dataset ? "They are known once the data version is profiled." : "Choose the data first."}
            >
              <div className="group-wrap batch-columns">
                {columns.map((column) => (
                  <Check key={column} checked={chosen.has(column)} onChange={() => flip(column)}>
                    <span className="break">{column}</span>
                    {reads.has(column) && <span className="faint small"> the model reads it</span>}
                  </Check>
                ))}
              </div>
            </Group>
          )}
          <Check checked={probabilities} error={wrong("probabilities")} onChange={setProbabilities}>
            Write class probabilities too
          </Check>
          <Fold label="More">
            <div className="form-grid">
              {files.length > 1 && (
                <SelectField
                  label="File"
                  error={wrong("path")}
                  value={path}
                  onChange={setPath}
                  options={[["", "all tables, as one"], ...files.map((file) => [file.path, file.path] as const)]}
                />
              )}
              <TextField
                label="Inputs"
                hint="The data's columns in the order of the model's, with commas, where their names differ"
                error={wrong("inputs")}
                value={inputs}
                onChange={setInputs}
              />
              {size("rows_at_once", "Rows at once", "Of one call of the model", wrong("rows_at_once"))}
              {size("part_rows", "Rows of a part", "The most that is done again after a crash", wrong("part_rows"))}
              {size("workers", "Processes", "0 for one a processor", wrong("workers"))}
              <ReasonField hint="Stands in the audit trail" error={wrong("reason")} value={reason} onChange={setReason} />
            </div>
            <Check checked={native} onChange={setNative}>
              Leave the compiled form of the model aside
            </Check>
            {mayApprove && (
              <Check checked={pickle} error={wrong("allow_pickle")} onChange={setPickle}>
                Load unsafe formats, which run code from the file
              </Check>
            )}
          </Fold>
        </>
      )}
    </FormDialog>
  );
}
