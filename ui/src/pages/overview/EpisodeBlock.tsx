// One episode of the timeline: its lines top to bottom as they happened, each cause drawn to its effect.
import { useMemo, useState } from "react";
import type { TimelineItem } from "../../api/types.ts";
import { day, duration } from "../../format/time.ts";
import { actorName } from "../../format/who.ts";
import { hrefOf, labelOf } from "../../paths.ts";
import { A } from "../../ui/A.tsx";
import { Badge, type Tone } from "../../ui/Badge.tsx";
import { Icon, type IconName } from "../../ui/Icon.tsx";
import { Time } from "../../ui/Time.tsx";
import { StartRetraining } from "./StartRetraining.tsx";
import { chain, links, type Episode, type Outcome } from "./episodes.ts";

export const ROW = 46;
const SPINE = 30;
const KIND_ICON: Record<string, IconName> = {
  alarm: "alarm",
  retraining: "retrain",
  gate: "gate",
  canary: "canary",
  promotion: "promote",
  rollback: "back",
  deploy: "endpoints",
  data: "data",
  manual: "person",
  decision: "check",
};
const OUTCOME: Record<Outcome, Tone> = {
  promoted: "neutral",
  kept: "quiet",
  "rolled back": "alarm",
  failed: "alarm",
  "stopped at the gate": "waiting",
  "under way": "active",
  suggested: "waiting",
  noted: "quiet",
};

function tone(item: TimelineItem, open: boolean): string {
  if (item.kind === "alarm" && item.state === "info") return "is-quiet";
  if (item.kind === "alarm" || item.state === "failed" || item.kind === "rollback") return "is-alarm";
  if (["retraining", "canary", "promotion", "gate"].includes(item.kind))
    return open && item.state === "started" ? "is-live" : "is-steering";
  return "is-quiet";
}

const laneX = (lane: number): number => (lane === 0 ? SPINE : Math.max(4, SPINE - 12 - lane * 6));

function Gutter({ items, lit }: { items: TimelineItem[]; lit: Set<string> | null }) {
  return (
    <svg className="tl-gutter" width={SPINE + 14} height={items.length * ROW} aria-hidden>
      {links(items).map(({ from, to, lane }) => {
        const y0 = from * ROW + ROW / 2;
        const y1 = to * ROW + ROW / 2;
        const x = laneX(lane);
        const d =
          lane === 0
            ? `M${SPINE} ${y0}V${y1}`
            : `M${SPINE} ${y0}H${x + 8}Q${x} ${y0} ${x} ${y0 + 8}V${y1 - 8}Q${x} ${y1} ${x + 8} ${y1}H${SPINE}`;
        const on = lit && lit.has(items[from]?.id ?? "") && lit.has(items[to]?.id ?? "");
        return <path key={`${from}-${to}`} d={d} className={`tl-link ${on ? "is-lit" : lit ? "is-dim" : ""}`} />;
      })}
    </svg>
  );
}

/** The decisive line of an episode and how long the whole took. */
function headline(episode: Episode): [string, string] {
  if (!episode.id) return ["Outside an episode", ""];
  return [episode.decisive.title, episode.outcome === "under way" ? "" : `in ${duration(episode.endUs - episode.startUs)}`];
}

/** The moment in the data's own time, where that is far from the moment it was noticed (a replay, late data). */
function eventDay(item: TimelineItem): string | null {
  return item.event_us !== null && Math.abs(item.event_us - item.at_us) > 2 * 86_400e6 ? day(item.event_us) : null;
}

export function EpisodeBlock({ episode, since }: { episode: Episode; since: number }) {
  const [over, setOver] = useState<string | null>(null);
  const lit = useMemo(() => (over ? chain(episode.items, over) : null), [over, episode.items]);
  const byId = useMemo(() => new Map(episode.items.map((item) => [item.id, item])), [episode.items]);
  const causes = useMemo(() => new Set(episode.items.map((item) => item.cause_id)), [episode.items]);
  const [title, took] = headline(episode);
  return (
    <div className={`tl-episode ${episode.id ? "" : "tl-loose"}`}>
      <header className="tl-head">
        <h3 className="truncate" title={title}>
          {title}
        </h3>
        {episode.id && <Badge tone={OUTCOME[episode.outcome]}>{episode.outcome}</Badge>}
        {episode.id && episode.outcome === "suggested" && <StartRetraining episode={episode.id} />}
        <span className="tl-when" title="From the first line of the episode to the last">
          {took}
        </span>
      </header>
      <div className="tl-body">
        <Gutter items={episode.items} lit={lit} />
        <ol onPointerLeave={() => setOver(null)}>
          {episode.items.map((item) => {
            const cause = item.cause_id ? byId.get(item.cause_id) : undefined;
            const href = hrefOf(item.subject);
            return (
              <li
                key={item.id}
                style={{ height: ROW }}
                className={`tl-row ${tone(item, episode.outcome === "under way" && !causes.has(item.id))} ${lit ? (lit.has(item.id) ? "is-lit" : "is-dim") : ""}`}
                onPointerEnter={() => setOver(item.id)}
                onFocus={() => setOver(item.id)}
                onBlur={() => setOver(null)}
              >
                <span className="tl-node">
                  <Icon name={KIND_ICON[item.kind] ?? "minus"} size={13} />
                </span>
                <div className="tl-text">
                  {href ? (
                    <A href={href} className="tl-title truncate" data-nav="" title={item.title}>
                      {item.title}
                    </A>
                  ) : (
                    <span className="tl-title truncate">{item.title}</span>
                  )}
                  <span className="tl-detail truncate" title={item.detail}>
                    {item.detail}
                  </span>
                </div>
                <div className="tl-side">
                  {cause ? (
                    <span className="tl-delta" title={`after “${cause.title}”`}>
                      +{duration(item.at_us - cause.at_us)}
                    </span>
                  ) : (
                    <Time us={item.at_us} />
                  )}
                  <span className="faint truncate" title={eventDay(item) ? "When it was so in the data" : item.subject}>
                    {eventDay(item) ?? (actorName(item.actor) === "loop" ? labelOf(item.subject) : actorName(item.actor))}
                  </span>
                </div>
                {since > 0 && item.at_us > since && <span className="tl-new" title="New since you were last here" aria-label="new" />}
              </li>
            );
          })}
        </ol>
      </div>
    </div>
  );
}
