// The causal timeline: episodes newest first, still while the reader is in it, with a filter for what steered.
import { useQuery } from "@tanstack/react-query";
import { useMemo, useState } from "react";
import { q } from "../../api/queries.ts";
import { plural } from "../../format/number.ts";
import { relative } from "../../format/time.ts";
import { Card } from "../../ui/Card.tsx";
import { QueryView } from "../../ui/QueryView.tsx";
import { Empty } from "../../ui/States.tsx";
import { useSteady } from "../../ui/useSteady.ts";
import { useUrl } from "../../ui/useUrl.ts";
import { EpisodeBlock } from "./EpisodeBlock.tsx";
import { episodes } from "./episodes.ts";
import { lastSeenUs } from "./seen.ts";

const CODE = `# the whole loop on a year of real flights:
trimtab demo --keep
# or with your own model:
trimtab endpoints deploy flights models:/flights@champion --wait
trimtab monitors create flights --endpoint flights --reference data:flights@1`;

export function Timeline() {
  const [search, setSearch] = useUrl();
  const [busy, setBusy] = useState(false);
  const query = useQuery(q.timeline({ limit: 200, episode: search["episode"] }));
  const loopOnly = search["show"] === "loop";
  const all = query.data?.items;
  const items = useMemo(() => (all ?? []).filter((item) => !loopOnly || item.episode_id), [all, loopOnly]);
  const [shown, waiting, admit] = useSteady(items, (item) => item.id, busy, `${loopOnly}${search["episode"] ?? ""}`);
  const stories = useQuery(q.episodes());
  const grouped = useMemo(() => episodes(shown, stories.data?.items), [shown, stories.data]);
  const fresh = lastSeenUs > 0 ? items.filter((item) => item.at_us > lastSeenUs).length : 0;
  return (
    <Card
      title="What happened, and why"
      note={fresh > 0 ? `${plural(fresh, "line")} since you were here ${relative(lastSeenUs, Date.now())}` : undefined}
      actions={
        <div className="segments" role="group" aria-label="Show">
          <button type="button" aria-pressed={!loopOnly} onClick={() => setSearch({ show: undefined })}>
            Everything
          </button>
          <button type="button" aria-pressed={loopOnly} onClick={() => setSearch({ show: "loop" })}>
            Episodes
          </button>
        </div>
      }
      flush
    >
      {search["episode"] && (
        <div className="fresh">
          <button type="button" onClick={() => setSearch({ episode: undefined })}>
            One episode only. Show everything
          </button>
        </div>
      )}
      {waiting > 0 && (
        <div className="fresh">
          <button type="button" onClick={admit}>
            {plural(waiting, "new line")}
          </button>
        </div>
      )}
      <div className="tl" onPointerEnter={() => setBusy(true)} onPointerLeave={() => setBusy(false)}>
        <QueryView
          query={query}
          empty={() =>
            grouped.length ? null : (
              <Empty title="Nothing has happened yet" code={CODE}>
                Every alarm, retraining, gate, canary step, promotion and rollback stands here with its cause. Deploy a model with a monitor
                and the loop begins to write.
              </Empty>
            )
          }
        >
          {() => grouped.map((episode) => <EpisodeBlock key={episode.key} episode={episode} since={lastSeenUs} />)}
        </QueryView>
      </div>
    </Card>
  );
}
