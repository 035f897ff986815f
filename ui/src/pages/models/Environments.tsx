// Where a model is: its environments in order, which version each holds since when, and who may change that.
import { useQuery } from "@tanstack/react-query";
import { q } from "../../api/queries.ts";
import type { EnvironmentState } from "../../api/types.ts";
import { actorName } from "../../format/who.ts";
import { paths } from "../../paths.ts";
import { A } from "../../ui/A.tsx";
import { Time } from "../../ui/Time.tsx";
import "./models.css";

const rules = ({ environment }: EnvironmentState): string =>
  [
    `moved by ${environment.role === "editor" ? "editors" : environment.role === "admin" ? "admins" : "approvers"}`,
    environment.after && `after ${environment.after}`,
    environment.needs_gate && "with a passed gate",
    environment.verdicts.length > 0 && `${environment.verdicts.join(" or ")} files`,
  ]
    .filter(Boolean)
    .join(", ");

export function Environments({ name }: { name: string }) {
  const items = useQuery(q.environments(name)).data?.items ?? [];
  if (items.length === 0) return null;
  return (
    <ol className="environments" aria-label="Environments">
      {items.map((item) => (
        <li key={item.environment.name} className="environment">
          <span className="environment-name">{item.environment.name}</span>
          {item.version === null ? (
            <span className="environment-version faint">empty</span>
          ) : (
            <A className="environment-version link" href={paths.modelVersion(name, item.version)}>
              v{item.version}
            </A>
          )}
          <span className="small dim">
            {item.since_us !== null && (
              <>
                since <Time us={item.since_us} /> by {actorName(item.by ?? "")}
                {item.reason && `: ${item.reason}`}
              </>
            )}
          </span>
          <span className="small faint">{rules(item)}</span>
        </li>
      ))}
    </ol>
  );
}
