// One version: the gates it went through with their evidence, its metrics, signature, files and where it came from.
import { useQuery } from "@tanstack/react-query";
import { q } from "../../api/queries.ts";
import { useMay } from "../../api/useMay.ts";
import type { ModelVersion } from "../../api/types.ts";
import { bytes } from "../../format/number.ts";
import { paths } from "../../paths.ts";
import { A } from "../../ui/A.tsx";
import { Card } from "../../ui/Card.tsx";
import { Copy } from "../../ui/Copy.tsx";
import { Facts } from "../../ui/Facts.tsx";
import { Page } from "../../ui/Page.tsx";
import { QueryView } from "../../ui/QueryView.tsx";
import { Snippet } from "../../ui/States.tsx";
import { Time } from "../../ui/Time.tsx";
import { usePart } from "../../ui/useUrl.ts";
import { LineageChips } from "../lineage/LineageChips.tsx";
import { Alias } from "./Alias.tsx";
import { CompiledCard } from "./Compiled.tsx";
import { Gates } from "./Gates.tsx";
import { Metrics } from "./Metrics.tsx";
import { PythonEnvironmentCard } from "./PythonEnvironment.tsx";
import { signatureColumns } from "./signature.ts";
import { ScanCard, Verdict } from "./Verdict.tsx";

function Signature({ version }: { version: ModelVersion }) {
  const part = (label: string, columns: ReturnType<typeof signatureColumns>) =>
    columns.length > 0 && (
      <div className="stack stack-s">
        <h3 className="dim">{label}</h3>
        <Facts
          items={columns.map((column, i) => [
            column.name ?? `column ${i}`,
            <span key={i}>
              {column.type}
              {column.required === false && <span className="faint">, optional</span>}
            </span>,
          ])}
        />
      </div>
    );
  const inputs = signatureColumns(version.signature?.inputs);
  const outputs = signatureColumns(version.signature?.outputs);
  return (
    <Card title="Signature">
      {inputs.length + outputs.length === 0 ? (
        <p className="dim">Logged without a signature, so requests are not checked against types.</p>
      ) : (
        <div className="stack">
          {part("In", inputs)}
          {part("Out", outputs)}
        </div>
      )}
    </Card>
  );
}

function Body({ data }: { data: ModelVersion }) {
  return (
    <>
      <Gates name={data.name} version={String(data.version)} />
      <div className="grid-2">
        <div className="stack">
          <Metrics version={data} />
          <Card title="About">
            <Facts
              items={[
                ["Format", <Verdict key="f" version={data} />],
                ["Flavor", data.flavor ?? "–"],
                ["Size", bytes(data.size_bytes)],
                [
                  "Digest",
                  <span key="d" className="row">
                    <code className="truncate">{data.digest}</code>
                    <Copy text={data.digest} label="Copy the digest" />
                  </span>,
                ],
                ["Source", <code key="s">{data.source}</code>],
                data.description ? ["Description", data.description] : null,
                ...Object.entries(data.tags).map(([key, value]): [string, string] => [key, value]),
              ]}
            />
          </Card>
          <Card title="Use it">
            <Snippet
              code={`mlflow.pyfunc.load_model("models:/${data.name}/${data.version}")\n# or put it behind an endpoint:\ntrimtab endpoints deploy ${data.name} models:/${data.name}/${data.version} --wait`}
            />
          </Card>
        </div>
        <div className="stack">
          <CompiledCard version={data} />
          <PythonEnvironmentCard version={data} />
          <ScanCard version={data} />
          <Signature version={data} />
        </div>
      </div>
    </>
  );
}

export function ModelVersionPage() {
  const name = usePart("name");
  const version = usePart("version");
  const query = useQuery(q.modelVersion(name, version));
  const data = query.data;
  const mayWrite = useMay("write");
  return (
    <Page
      title={`${name} v${version}`}
      crumbs={[
        { label: "Models", href: "/models" },
        { label: name, href: paths.model(name) },
      ]}
      state={data?.aliases.map((alias) => (
        <Alias key={alias} name={alias} />
      ))}
      meta={
        data && (
          <>
            <span>
              registered <Time us={data.created_us} />
              {data.created_by && ` by ${data.created_by}`}
            </span>
            <A className="link" href={paths.lineage(`model:${name}/${version}`)}>
              lineage
            </A>
          </>
        )
      }
      chips={<LineageChips of={`model:${name}/${version}`} />}
      actions={
        mayWrite && (
          <A className="btn btn-plain" href={paths.newBatch({ model: `${name}/${version}` })}>
            Predict data with it
          </A>
        )
      }
    >
      <QueryView query={query}>{(loaded) => <Body data={loaded} />}</QueryView>
    </Page>
  );
}
