// The files of a run as a tree that opens folder by folder.
import { useQuery } from "@tanstack/react-query";
import { q } from "../../api/queries.ts";
import { bytes } from "../../format/number.ts";
import { Card } from "../../ui/Card.tsx";
import { Icon } from "../../ui/Icon.tsx";
import { QueryView } from "../../ui/QueryView.tsx";
import { Empty, Skeleton } from "../../ui/States.tsx";
import { useUrl } from "../../ui/useUrl.ts";
import { ArtifactPreview } from "./ArtifactPreview.tsx";
import { artifactUrl } from "./artifactUrl.ts";

const baseName = (path: string): string => path.split("/").pop() ?? path;

export function Artifacts({ run }: { run: string }) {
  const [search, setSearch] = useUrl();
  const path = search["path"] ?? "";
  const query = useQuery(q.artifacts(run, path));
  const parts = path ? path.split("/") : [];
  const open = (target: string): void => setSearch({ path: target || undefined, file: undefined }, { push: true });
  const shown = query.data?.items.find((item) => item.path === search["file"]);
  const list = (
    <Card
      title={
        <span className="crumbs-inline">
          <button type="button" onClick={() => open("")}>
            Artifacts
          </button>
          {parts.map((part, i) => (
            <button key={i} type="button" onClick={() => open(parts.slice(0, i + 1).join("/"))}>
              {part}
            </button>
          ))}
        </span>
      }
      flush
    >
      <QueryView
        query={query}
        skeleton={<Skeleton rows={5} />}
        empty={(data) =>
          data.items.length ? null : (
            <Empty title="No file here" code={'mlflow.log_artifact("report.html")'}>
              Files that a run logs, models among them, are kept once by their content and listed here.
            </Empty>
          )
        }
      >
        {(data) => (
          <ul className="files">
            {data.items.map((item) => (
              <li key={item.path}>
                {item.is_dir ? (
                  <button type="button" data-nav="" onClick={() => open(item.path)}>
                    <Icon name="folder" size={15} />
                    <span>{baseName(item.path)}</span>
                  </button>
                ) : (
                  <button
                    type="button"
                    data-nav=""
                    aria-pressed={search["file"] === item.path}
                    onClick={() => setSearch({ file: search["file"] === item.path ? undefined : item.path })}
                  >
                    <Icon name="file" size={15} />
                    <span>{baseName(item.path)}</span>
                  </button>
                )}
                <span className="num dim">{item.is_dir ? "" : bytes(item.size_bytes)}</span>
                {!item.is_dir && (
                  <a className="icon-button" href={artifactUrl(run, item.path)} download aria-label={`Save ${item.path}`} title="Save">
                    <Icon name="download" size={14} />
                  </a>
                )}
              </li>
            ))}
          </ul>
        )}
      </QueryView>
    </Card>
  );
  return shown ? (
    <div className="grid-2">
      {list}
      <ArtifactPreview run={run} artifact={shown} />
    </div>
  ) : (
    list
  );
}
