// The signature page: the loop as a ring beside the timeline of causes.
import { useQuery } from "@tanstack/react-query";
import { q } from "../../api/queries.ts";
import type { Stage } from "../../api/types.ts";
import { Card } from "../../ui/Card.tsx";
import { Page } from "../../ui/Page.tsx";
import { QueryView } from "../../ui/QueryView.tsx";
import { Skeleton } from "../../ui/States.tsx";
import "./overview.css";
import { Ring } from "./Ring.tsx";
import { Timeline } from "./Timeline.tsx";

const line = (stage: Stage): string => `${stage.name} (${stage.headline})`;

/** One sentence that a person back from a week away reads first. */
function summary(stages: Stage[]): string {
  const alarm = stages.filter((stage) => stage.state === "alarm").map(line);
  const active = stages.filter((stage) => stage.state === "active").map(line);
  if (stages.every((stage) => stage.state === "empty"))
    return "Nothing is in the loop yet. Run “trimtab demo” to see it turn on real data.";
  const parts = [
    ...(alarm.length ? [`Needs a look: ${alarm.join(", ")}.`] : []),
    ...(active.length ? [`Under way: ${active.join(", ")}.`] : []),
  ];
  return parts.join(" ") || "Every stage is in order and nothing is under way.";
}

export function OverviewPage() {
  const overview = useQuery(q.overview());
  return (
    <Page title="Overview" meta={overview.data ? summary(overview.data.stages) : "\u00a0"} wide>
      <div className="overview">
        <div className="overview-loop">
          <Card flush>
            <QueryView query={overview} skeleton={<Skeleton height={452} />}>
              {(data) => <Ring stages={data.stages} />}
            </QueryView>
          </Card>
        </div>
        <Timeline />
      </div>
    </Page>
  );
}
