// Rolls back after saying exactly what will happen and how to undo it.
import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { post, seg } from "../../api/client.ts";
import { q } from "../../api/queries.ts";
import type { Endpoint } from "../../api/types.ts";
import { ReasonField } from "../../ui/Fields.tsx";
import { FormDialog } from "../../ui/FormDialog.tsx";
import { toast } from "../../ui/Toasts.tsx";
import { currentWeights, rollbackTarget } from "./split.ts";
import { splitText } from "./TrafficHistory.tsx";

export function RollbackDialog({ endpoint, onClose }: { endpoint: Endpoint; onClose: () => void }) {
  const client = useQueryClient();
  const history = useQuery(q.traffic(endpoint.name));
  const rollouts = useQuery(q.rollouts(endpoint.name));
  const [reason, setReason] = useState("");
  const target = rollbackTarget(endpoint, history.data?.items ?? []);
  const running = rollouts.data?.items.find((rollout) => rollout.state === "running");
  const act = useMutation({
    mutationFn: () => post(`/endpoints/${seg(endpoint.name)}/rollback`, { reason }),
    onSuccess: () => {
      toast(`${endpoint.name} rolled back${target ? ` to v${target}` : ""}`);
      void client.invalidateQueries();
      onClose();
    },
  });
  const losers = endpoint.versions.filter((version) => version.weight > 0 && version.version !== target);
  return (
    <FormDialog
      title={`Roll back ${endpoint.name}`}
      verb={target ? `Roll back to v${target}` : "Roll back"}
      icon="back"
      danger
      act={act}
      ready={Boolean(target)}
      onClose={onClose}
    >
      {(wrong) => (
        <>
          {history.isPending ? (
            <p className="dim">Looking up what came before…</p>
          ) : target ? (
            <ul className="consequences">
              <li>
                <b>v{target}</b> answers 100 % of the requests to {endpoint.name}; now it is {splitText(currentWeights(endpoint))}.
              </li>
              {losers.map((version) => (
                <li key={version.version}>
                  <b>v{version.version}</b> gets no more requests. Requests it already has are answered.
                </li>
              ))}
              {running && (
                <li>
                  The rollout of <b>v{running.challenger}</b> ends as rolled back at {running.weight} %.
                </li>
              )}
              <li>No model version is deleted. Undo with “Change traffic” or a new deployment.</li>
            </ul>
          ) : (
            <p className="dim">There is nothing to go back to: no earlier version of this endpoint is kept warm.</p>
          )}
          <ReasonField error={wrong("reason")} value={reason} onChange={setReason} />
        </>
      )}
    </FormDialog>
  );
}
