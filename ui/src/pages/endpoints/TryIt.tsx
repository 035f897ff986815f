// Sends one row to the endpoint and shows the answer with its prediction id; the same call as a command beside it.
import { useMutation, useQuery } from "@tanstack/react-query";
import { useState, type FormEvent } from "react";
import { post, seg } from "../../api/client.ts";
import { q } from "../../api/queries.ts";
import type { Endpoint } from "../../api/types.ts";
import { duration } from "../../format/time.ts";
import { signatureColumns } from "../models/signature.ts";
import { paths } from "../../paths.ts";
import { A } from "../../ui/A.tsx";
import { Button } from "../../ui/Button.tsx";
import { Card } from "../../ui/Card.tsx";
import { Failed, Snippet } from "../../ui/States.tsx";
import { Field } from "../../ui/Field.tsx";

interface Answer {
  outputs: unknown;
  prediction_id?: string | null;
  version?: string | null;
  latency_us?: number;
}

type Column = { name: string; type: string; required?: boolean };
const isNumber = (type: string): boolean => /int|long|float|double|number/i.test(type);

function typed(columns: Column[], values: Record<string, string>): Record<string, unknown> {
  return Object.fromEntries(
    columns
      .filter((column) => values[column.name])
      .map((column) => [column.name, isNumber(column.type) ? Number(values[column.name]) : values[column.name]]),
  );
}

export function TryIt({ endpoint }: { endpoint: Endpoint }) {
  const serving = endpoint.versions.find((version) => version.role === "champion") ?? endpoint.versions[0];
  const model = useQuery({ ...q.modelVersion(serving?.model ?? "", serving?.version ?? ""), enabled: Boolean(serving) });
  const columns = signatureColumns(model.data?.signature?.inputs).filter((column): column is Column => Boolean(column.name));
  const [values, setValues] = useState<Record<string, string>>({});
  const [text, setText] = useState("{}");
  const [broken, setBroken] = useState<string | null>(null);
  const call = useMutation({
    mutationFn: (row: Record<string, unknown>) => post<Answer>(`/endpoints/${seg(endpoint.name)}/predict`, { inputs: [row] }),
  });
  const submit = (event: FormEvent): void => {
    event.preventDefault();
    setBroken(null);
    if (columns.length) {
      call.mutate(typed(columns, values));
      return;
    }
    try {
      call.mutate(JSON.parse(text) as Record<string, unknown>);
    } catch (error) {
      setBroken(error instanceof Error ? error.message : "not JSON");
    }
  };
  const row = columns.length ? typed(columns, values) : text;
  const curl = `curl -s ${endpoint.invocations_url ?? endpoint.url} \\\n  -H 'content-type: application/json' \\\n  -d '${JSON.stringify({ dataframe_records: [typeof row === "string" ? "…" : row] })}'`;
  return (
    <div className="grid-2 try">
      <Card title="One row" note={serving ? `signature of ${serving.model} v${serving.version}` : undefined}>
        <form className="stack" onSubmit={submit}>
          {columns.length ? (
            <div className="try-fields">
              {columns.map((column) => (
                <Field key={column.name} label={column.name} hint={column.type}>
                  <input
                    className="input"
                    type={isNumber(column.type) ? "number" : "text"}
                    step="any"
                    required={column.required ?? false}
                    value={values[column.name] ?? ""}
                    onChange={(event) => setValues({ ...values, [column.name]: event.target.value })}
                  />
                </Field>
              ))}
            </div>
          ) : (
            <Field label="Row as JSON" hint="This version has no signature, so the fields are not known" error={broken}>
              <textarea className="input mono" rows={8} value={text} onChange={(event) => setText(event.target.value)} />
            </Field>
          )}
          <div>
            <Button kind="primary" type="submit" icon="play" busy={call.isPending}>
              Send
            </Button>
          </div>
        </form>
      </Card>
      <div className="stack">
        <Card title="Answer">
          {call.error ? (
            <Failed error={call.error} />
          ) : call.data ? (
            <div className="stack stack-s" aria-live="polite">
              <pre className="log">{JSON.stringify(call.data.outputs, null, 2)}</pre>
              <p className="dim small">
                {call.data.version && <>v{call.data.version} · </>}
                {call.data.latency_us !== undefined && <>{duration(call.data.latency_us)} · </>}
                {call.data.prediction_id && (
                  <A className="link" href={paths.prediction(call.data.prediction_id)}>
                    what this prediction came from
                  </A>
                )}
              </p>
            </div>
          ) : (
            <p className="dim">The answer, its version and its prediction id appear here. It counts as a real request.</p>
          )}
        </Card>
        <Card title="The same from a shell">
          <Snippet code={curl} />
        </Card>
      </div>
    </div>
  );
}
