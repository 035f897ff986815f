// Sends one row to the endpoint and shows the answer with its prediction id; the same call as code beside it.
import { useMutation, useQuery } from "@tanstack/react-query";
import { useState, type FormEvent } from "react";
import { post, seg } from "../../api/client.ts";
import { q } from "../../api/queries.ts";
import type { Endpoint } from "../../api/types.ts";
import { duration } from "../../format/time.ts";
import { paths } from "../../paths.ts";
import { A } from "../../ui/A.tsx";
import { Button } from "../../ui/Button.tsx";
import { Card } from "../../ui/Card.tsx";
import { Facts } from "../../ui/Facts.tsx";
import { Field } from "../../ui/Field.tsx";
import { Failed, Snippet } from "../../ui/States.tsx";
import { columnsOf, EXAMPLE_FILE, firstRow, LANGUAGES, snippet, texts, typed, type Column, type Language, type Row } from "./calls.ts";
import "./endpoints.css";

interface Answer {
  outputs: unknown;
  prediction_id?: string | null;
  version?: string | null;
  latency_us?: number;
}

interface InputProps {
  id?: string;
  column: Column;
  value: string;
  onChange: (value: string) => void;
}

function ColumnInput({ column, value, onChange, ...described }: InputProps) {
  if (column.type === "boolean")
    return (
      <select className="input" required={column.required} value={value} onChange={(event) => onChange(event.target.value)} {...described}>
        <option value="">{column.required ? "choose" : "not given"}</option>
        <option value="true">true</option>
        <option value="false">false</option>
      </select>
    );
  const number = column.type === "number" || column.type === "integer";
  return (
    <input
      className="input"
      type={number ? "number" : "text"}
      step={column.type === "integer" ? 1 : "any"}
      placeholder={column.type === "array" ? JSON.stringify(column.example) : ""}
      required={column.required}
      value={value}
      onChange={(event) => onChange(event.target.value)}
      {...described}
    />
  );
}

function Result({ answer }: { answer: Answer }) {
  return (
    <div className="stack stack-s" aria-live="polite">
      <pre className="log">{JSON.stringify(answer.outputs, null, 2)}</pre>
      <Facts
        items={[
          ["Version", answer.version ?? "–"],
          ["Answered in", answer.latency_us === undefined ? "–" : duration(answer.latency_us)],
          [
            "Prediction",
            answer.prediction_id ? (
              <A key="id" className="link break" href={paths.prediction(answer.prediction_id)}>
                {answer.prediction_id}
              </A>
            ) : (
              "–"
            ),
          ],
        ]}
      />
    </div>
  );
}

/** A row that the model was saved with; undefined where it was saved with none. */
function useExample(endpoint: Endpoint, columns: Column[]): Row | undefined {
  const version = (endpoint.versions.find((each) => each.role === "champion") ?? endpoint.versions[0])?.version ?? "";
  const files = useQuery({ ...q.versionFiles(endpoint.model, version), enabled: version !== "" });
  const kept = files.data?.items.some((file) => file.path === EXAMPLE_FILE) ?? false;
  const saved = useQuery({ ...q.versionFile(endpoint.model, version, EXAMPLE_FILE), enabled: kept });
  return firstRow(saved.data, columns);
}

export function TryIt({ endpoint }: { endpoint: Endpoint }) {
  const document = useQuery(q.endpointOpenapi(endpoint.name));
  const columns = columnsOf(document.data);
  const example = useExample(endpoint, columns);
  const [edited, setValues] = useState<Record<string, string> | null>(null);
  const values = edited ?? texts(columns, example ?? {});
  const [text, setText] = useState("{}");
  const [broken, setBroken] = useState<string | null>(null);
  const [version, setVersion] = useState("");
  const [language, setLanguage] = useState<Language>("curl");
  const call = useMutation({
    mutationFn: (row: Row) => post<Answer>(`/endpoints/${seg(endpoint.name)}/predict`, { inputs: [row], ...(version ? { version } : {}) }),
  });
  const rowNow = (): Row => (columns.length ? typed(columns, values) : (JSON.parse(text) as Row));
  const submit = (event: FormEvent): void => {
    event.preventDefault();
    setBroken(null);
    try {
      call.mutate(rowNow());
    } catch (error) {
      setBroken(error instanceof Error ? error.message : "not JSON");
    }
  };
  let shown: Row = {};
  try {
    shown = rowNow();
  } catch {
    // what is being typed is no row yet: the code shows it empty
  }
  const fill = (): void =>
    setValues(texts(columns, example ?? Object.fromEntries(columns.map((column) => [column.name, column.example]))));
  return (
    <div className="grid-2 try">
      <Card title="One row" note={example ? "fields from the signature, filled from the model's input example" : "fields from the signature"}>
        <form className="stack" onSubmit={submit}>
          <Field label="Version" hint="The split decides like for any request, or one version answers">
            <select className="input" value={version} onChange={(event) => setVersion(event.target.value)}>
              <option value="">as the traffic is split</option>
              {endpoint.versions.map((each) => (
                <option key={each.version} value={each.version}>
                  v{each.version} · {each.role}
                </option>
              ))}
            </select>
          </Field>
          {document.error && <Failed error={document.error} />}
          {columns.length ? (
            <div className="try-fields">
              {columns.map((column) => (
                <Field key={column.name} label={column.name} hint={column.hint}>
                  <ColumnInput
                    column={column}
                    value={values[column.name] ?? ""}
                    onChange={(value) => setValues({ ...values, [column.name]: value })}
                  />
                </Field>
              ))}
            </div>
          ) : (
            <Field label="Row as JSON" hint="This endpoint has no signature, so its fields are not known" error={broken}>
              <textarea className="input mono" rows={8} value={text} onChange={(event) => setText(event.target.value)} />
            </Field>
          )}
          {columns.length > 0 && broken && <p className="field-error">{broken}</p>}
          <div className="row">
            <Button kind="primary" type="submit" icon="play" busy={call.isPending}>
              Send
            </Button>
            {columns.length > 0 && <Button onClick={fill}>Fill in an example</Button>}
          </div>
        </form>
      </Card>
      <div className="stack">
        <Card title="Answer">
          {call.error ? (
            <Failed error={call.error} />
          ) : call.data ? (
            <Result answer={call.data} />
          ) : (
            <p className="dim">The answer, its version and its prediction id appear here. It counts as a real request.</p>
          )}
        </Card>
        <Card title="The same as code">
          <div className="stack stack-s">
            <Field label="Language and protocol">
              <select className="input" value={language} onChange={(event) => setLanguage(event.target.value as Language)}>
                {Object.entries(LANGUAGES).map(([id, label]) => (
                  <option key={id} value={id}>
                    {label}
                  </option>
                ))}
              </select>
            </Field>
            <Snippet code={snippet(language, endpoint, columns, shown, version)} />
            <p className="dim small">
              Every address with its schema:{" "}
              <code className="break">{endpoint.url.replace(/\/v2\/.*$/, `/endpoints/${endpoint.name}/openapi.json`)}</code>
            </p>
          </div>
        </Card>
      </div>
    </div>
  );
}
