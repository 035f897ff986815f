// Shows an endpoint as configuration of another proxy or cluster, to be copied or saved; and how to make an image of it.
import { keepPreviousData, useQuery } from "@tanstack/react-query";
import { useState } from "react";
import { getText, Problem, seg } from "../../api/client.ts";
import type { Endpoint } from "../../api/types.ts";
import { save } from "../../charts/export.ts";
import { Button } from "../../ui/Button.tsx";
import { Copy } from "../../ui/Copy.tsx";
import { Dialog } from "../../ui/Dialog.tsx";
import { Field } from "../../ui/Field.tsx";
import { Failed, Skeleton, Snippet } from "../../ui/States.tsx";
import { toast } from "../../ui/Toasts.tsx";
import { FORMATS, command, packageCommands, query, rayCommands, type Choice, type Format } from "./exports.ts";

/** A field whose text counts when it is left or Enter is pressed, so that not every letter asks the server. */
interface WishProps {
  label: string;
  hint: string;
  error: string | null;
  value: string;
  onChange: (text: string) => void;
}

function Wish({ label, hint, error, value, onChange }: WishProps) {
  const [typed, setTyped] = useState(value);
  return (
    <Field label={label} hint={hint} error={error}>
      <input
        className="input"
        value={typed}
        autoComplete="off"
        spellCheck={false}
        onChange={(event) => setTyped(event.target.value)}
        onBlur={() => onChange(typed.trim())}
        onKeyDown={(event) => {
          if (event.key === "Enter") onChange(typed.trim());
        }}
      />
    </Field>
  );
}

async function copy(text: string, file: string): Promise<void> {
  await navigator.clipboard.writeText(text);
  toast(`${file} copied`);
}

export function ExportDialog({ endpoint, onClose }: { endpoint: Endpoint; onClose: () => void }) {
  const [choice, setChoice] = useState<Choice>({ format: "haproxy", upstreams: "", split: "proxy", image: "" });
  const about = FORMATS.find((one) => one.id === choice.format) ?? FORMATS[0];
  const asked = query(choice);
  const isFile = about.file !== "";
  const text = useQuery({
    queryKey: ["endpoints", endpoint.name, "export", asked],
    queryFn: ({ signal }) => getText(`/endpoints/${seg(endpoint.name)}/export`, asked, signal),
    enabled: isFile,
    retry: false,
    placeholderData: keepPreviousData,
  });
  const wrong = text.error instanceof Problem && text.error.status === 400 ? text.error : null;
  const wrongAt = (field: string): string | null => (wrong?.field === field ? wrong.message : null);
  const shown = isFile && !text.error ? text.data : undefined;
  return (
    <Dialog
      title={`Export ${endpoint.name}`}
      onClose={onClose}
      wide
      footer={
        <>
          <Button onClick={onClose}>Close</Button>
          {isFile && (
            <>
              <Button icon="copy" disabled={shown === undefined} onClick={() => shown !== undefined && void copy(shown, about.file)}>
                Copy
              </Button>
              <Button
                kind="primary"
                icon="download"
                disabled={shown === undefined}
                onClick={() => shown !== undefined && save(new Blob([shown], { type: "text/plain" }), about.file)}
              >
                Save {about.file}
              </Button>
            </>
          )}
        </>
      }
    >
      <div className="export-form">
        <Field label="For" hint={about.hint}>
          <select
            className="select"
            value={choice.format}
            onChange={(event) => setChoice({ ...choice, format: event.target.value as Format })}
          >
            {FORMATS.map((one) => (
              <option key={one.id} value={one.id}>
                {one.label}
              </option>
            ))}
          </select>
        </Field>
        {about.upstreams && (
          <>
            <Field label="Who chooses the version" hint="Gateways follow rollouts; a file keeps the shares of this moment">
              <select
                className="select"
                value={choice.split}
                onChange={(event) => setChoice({ ...choice, split: event.target.value === "gateways" ? "gateways" : "proxy" })}
              >
                <option value="proxy">The proxy, by weight</option>
                <option value="gateways">The gateways behind it</option>
              </select>
            </Field>
            <Wish
              label="Upstreams"
              hint="HOST:PORT of gateways or VERSION=HOST:PORT, separated by blanks; this server's gateway when empty"
              error={wrongAt("upstream")}
              value={choice.upstreams}
              onChange={(upstreams) => setChoice({ ...choice, upstreams })}
            />
          </>
        )}
        {about.image && (
          <Wish
            label="Image"
            hint="The packaged image; {version} stands for the version"
            error={wrongAt("image")}
            value={choice.image}
            onChange={(image) => setChoice({ ...choice, image })}
          />
        )}
      </div>
      {choice.format === "ray" ? (
        <div className="stack">
          <p className="dim">
            The folder holds the models, the code that serves them and serve.yaml: a deployment for each version, which scales by itself,
            behind a router that splits the requests as they are split here. Other shares need no restart.
          </p>
          <Snippet code={rayCommands(endpoint.name)} />
        </div>
      ) : choice.format === "image" ? (
        <div className="stack">
          <p className="dim">
            The folder holds all that the image is built from, a bill of materials and a signature. One image meets SageMaker, Vertex AI,
            Azure ML and KServe.
          </p>
          <Snippet code={packageCommands(endpoint.name)} />
        </div>
      ) : wrong?.field === "upstream" || wrong?.field === "image" ? null : wrong ? (
        <div className="callout callout-alarm" role="alert">
          {wrong.message}
        </div>
      ) : text.error ? (
        <Failed error={text.error} />
      ) : shown === undefined ? (
        <Skeleton rows={8} />
      ) : (
        <div className="export-text">
          <div className="row">
            <code className="break dim">{command(endpoint.name, choice)}</code>
            <Copy text={command(endpoint.name, choice)} label="Copy the command" />
          </div>
          <pre className="log" tabIndex={0} aria-label={about.file}>
            {shown}
          </pre>
        </div>
      )}
    </Dialog>
  );
}
