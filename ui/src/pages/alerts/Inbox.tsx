// The inbox: open, acknowledged or resolved alerts; each can be taken on or closed with a note.
import { useInfiniteQuery, useMutation, useQueryClient } from "@tanstack/react-query";
import { post, seg } from "../../api/client.ts";
import { flat, q } from "../../api/queries.ts";
import { useMay } from "../../api/useMay.ts";
import type { Alert, AlertState } from "../../api/types.ts";
import { plural } from "../../format/number.ts";
import { actorName } from "../../format/who.ts";
import { A } from "../../ui/A.tsx";
import { State } from "../../ui/Badge.tsx";
import { Button } from "../../ui/Button.tsx";
import { Card } from "../../ui/Card.tsx";
import { More } from "../../ui/More.tsx";
import { QueryView } from "../../ui/QueryView.tsx";
import { RefChip } from "../../ui/RefChip.tsx";
import { Empty } from "../../ui/States.tsx";
import { Time } from "../../ui/Time.tsx";
import { toast } from "../../ui/Toasts.tsx";
import { useUrl } from "../../ui/useUrl.ts";

const STATES: [state: AlertState, label: string, none: string][] = [
  ["open", "Open", "Nothing is open"],
  ["acknowledged", "Acknowledged", "Nobody is on anything"],
  ["resolved", "Resolved", "Nothing has been resolved"],
];

function Line({ alert }: { alert: Alert }) {
  const client = useQueryClient();
  const mayWrite = useMay("write");
  const act = useMutation({
    mutationFn: (what: "acknowledge" | "resolve") => post<Alert>(`/alerts/${seg(alert.id)}/${what}`, { note: "" }),
    onSuccess: (_, what) => {
      toast(`${what === "acknowledge" ? "Acknowledged" : "Resolved"}: ${alert.title}`);
      for (const noun of ["alerts", "overview", "timeline"]) void client.invalidateQueries({ queryKey: [noun] });
    },
    onError: (error) => toast(error.message, true),
  });
  return (
    <li className={`alert is-${alert.state} severity-${alert.severity}`}>
      <div className="alert-main">
        <div className="row row-wrap">
          <State of={alert.severity} />
          <h2>{alert.title}</h2>
          {alert.count > 1 && <span className="faint small">{plural(alert.count, "report")}</span>}
        </div>
        <p className="dim break">{alert.detail}</p>
        <div className="row row-wrap alert-meta">
          <RefChip of={alert.subject} />
          <span className="faint small">rule {alert.rule}</span>
          <span className="faint small">
            opened <Time us={alert.opened_us} />, last <Time us={alert.updated_us} />
          </span>
          {alert.acknowledged_by && <span className="faint small">{actorName(alert.acknowledged_by)} is on it</span>}
          {alert.resolved_by && (
            <span className="faint small">
              resolved by {actorName(alert.resolved_by)} <Time us={alert.resolved_us} />
            </span>
          )}
          {alert.episode_id && (
            <A className="link small" href={`/?episode=${encodeURIComponent(alert.episode_id)}`} data-nav="">
              what led to it
            </A>
          )}
        </div>
        {alert.note && <p className="callout">{alert.note}</p>}
      </div>
      <div className="alert-acts">
        {mayWrite && alert.state === "open" && (
          <Button busy={act.isPending} onClick={() => act.mutate("acknowledge")}>
            Acknowledge
          </Button>
        )}
        {mayWrite && alert.state !== "resolved" && (
          <Button busy={act.isPending} onClick={() => act.mutate("resolve")}>
            Resolve
          </Button>
        )}
      </div>
    </li>
  );
}

export function Inbox() {
  const [search, setSearch] = useUrl();
  const [state, , none] = STATES.find(([each]) => each === search["state"]) ?? (STATES[0] as (typeof STATES)[number]);
  const query = useInfiniteQuery(q.alerts(state));
  const alerts = flat(query.data);
  return (
    <div className="stack stack-s">
      <div className="segments" role="group" aria-label="State">
        {STATES.map(([each, label]) => (
          <button
            key={each}
            type="button"
            aria-pressed={each === state}
            onClick={() => setSearch({ state: each === "open" ? undefined : each })}
          >
            {label}
          </button>
        ))}
      </div>
      <Card flush>
        <QueryView
          query={query}
          empty={() =>
            alerts.length ? null : (
              <Empty title={none} {...(state === "open" ? { code: "trimtab alerts ls --state open" } : {})}>
                {state === "open"
                  ? "Drift, worse performance, rollbacks, failed jobs and your own rules open alerts here."
                  : "Alerts stand here once someone has dealt with them."}
              </Empty>
            )
          }
        >
          {() => (
            <ul className="alerts">
              {alerts.map((alert) => (
                <Line key={alert.id} alert={alert} />
              ))}
            </ul>
          )}
        </QueryView>
        <More has={query.hasNextPage} busy={query.isFetchingNextPage} load={() => void query.fetchNextPage()} />
      </Card>
    </div>
  );
}
