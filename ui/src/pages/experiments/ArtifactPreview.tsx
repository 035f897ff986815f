// A look at one file of a run: images as they are, text up to a size; anything else is for saving.
import { useQuery } from "@tanstack/react-query";
import { Problem } from "../../api/client.ts";
import type { Artifact } from "../../api/types.ts";
import { bytes } from "../../format/number.ts";
import { Card } from "../../ui/Card.tsx";
import { QueryView } from "../../ui/QueryView.tsx";
import { artifactUrl } from "./artifactUrl.ts";

const IMAGE = /\.(png|jpe?g)$/i;
const TEXT = /(\.(txt|log|json|ya?ml|csv|tsv|md|py|toml|ini|cfg|sql|html?|xml)|MLmodel|requirements[^/]*)$/i;
const MOST_BYTES = 400_000;

async function textOf(address: string): Promise<string> {
  const response = await fetch(address);
  if (!response.ok)
    throw new Problem({
      status: response.status,
      title: `The file could not be read (HTTP ${response.status})`,
      requestId: response.headers.get("x-request-id"),
    });
  return response.text();
}

function TextFile({ run, path }: { run: string; path: string }) {
  const query = useQuery({ queryKey: ["runs", run, "file", path], queryFn: () => textOf(artifactUrl(run, path)), staleTime: Infinity });
  return (
    <QueryView query={query}>
      {(text) => (
        <pre className="log" tabIndex={0} aria-label={path}>
          {text}
        </pre>
      )}
    </QueryView>
  );
}

export function ArtifactPreview({ run, artifact }: { run: string; artifact: Artifact }) {
  const { path, size_bytes: size } = artifact;
  return (
    <Card title={path.split("/").pop()} note={bytes(size)}>
      {IMAGE.test(path) ? (
        <img className="artifact-image" src={artifactUrl(run, path, true)} alt={path} />
      ) : TEXT.test(path) && (size ?? 0) <= MOST_BYTES ? (
        <TextFile run={run} path={path} />
      ) : (
        <p className="dim">{TEXT.test(path) ? "Too long to show here." : "No preview for this kind of file."} Save it to look at it.</p>
      )}
    </Card>
  );
}
