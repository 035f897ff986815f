// The files of a run: folders that open in place, a preview beside them, folders of images as a gallery.
import { useQuery } from "@tanstack/react-query";
import { q } from "../../../api/queries.ts";
import type { Artifact } from "../../../api/types.ts";
import { bytes } from "../../../format/number.ts";
import { Card } from "../../../ui/Card.tsx";
import { Copy } from "../../../ui/Copy.tsx";
import { Icon } from "../../../ui/Icon.tsx";
import { QueryView } from "../../../ui/QueryView.tsx";
import { Empty, Skeleton } from "../../../ui/States.tsx";
import { useUrl } from "../../../ui/useUrl.ts";
import "./artifacts.css";
import { artifactUrl } from "./artifactUrl.ts";
import { kindOf } from "./kinds.ts";
import { Preview } from "./Previews.tsx";

const baseName = (path: string): string => path.split("/").pop() ?? path;

function Gallery({ run, images, onOpen }: { run: string; images: Artifact[]; onOpen: (path: string) => void }) {
  return (
    <ul className="gallery">
      {images.slice(0, 120).map((image) => (
        <li key={image.path}>
          <button type="button" onClick={() => onOpen(image.path)}>
            <img loading="lazy" src={artifactUrl(run, image.path, true)} alt={image.path} />
            <span className="truncate small">{baseName(image.path)}</span>
          </button>
        </li>
      ))}
    </ul>
  );
}

export function Artifacts({ run }: { run: string }) {
  const [search, setSearch] = useUrl();
  const path = search["path"] ?? "";
  const file = search["file"];
  const query = useQuery(q.artifacts(run, path));
  const parts = path ? path.split("/") : [];
  const open = (target: string): void => setSearch({ path: target || undefined, file: undefined }, { push: true });
  const show = (target: string | undefined): void => setSearch({ file: target });
  const shown = query.data?.items.find((item) => item.path === file);
  const images = (query.data?.items ?? []).filter((item) => !item.is_dir && kindOf(item.path) === "image");
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
                    <span className="truncate">{baseName(item.path)}</span>
                  </button>
                ) : (
                  <button
                    type="button"
                    data-nav=""
                    aria-pressed={file === item.path}
                    onClick={() => show(file === item.path ? undefined : item.path)}
                  >
                    <Icon
                      name={kindOf(item.path) === "image" ? "image" : /^(delimited|parquet)$/.test(kindOf(item.path)) ? "table" : "file"}
                      size={15}
                    />
                    <span className="truncate">{baseName(item.path)}</span>
                  </button>
                )}
                <span className="num dim nowrap">{item.is_dir ? "" : bytes(item.size_bytes)}</span>
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
  if (shown)
    return (
      <div className="artifact-split">
        {list}
        <Card
          title={baseName(shown.path)}
          note={bytes(shown.size_bytes)}
          actions={
            <>
              <Copy text={shown.path} label="Copy the path" />
              <a className="icon-button" href={artifactUrl(run, shown.path)} download aria-label={`Save ${shown.path}`} title="Save">
                <Icon name="download" size={14} />
              </a>
            </>
          }
        >
          <Preview key={shown.path} run={run} path={shown.path} size={shown.size_bytes} />
        </Card>
      </div>
    );
  return images.length > 1 ? (
    <div className="artifact-split">
      {list}
      <Card title="Images" note={String(images.length)}>
        <Gallery run={run} images={images} onOpen={show} />
      </Card>
    </div>
  ) : (
    list
  );
}
