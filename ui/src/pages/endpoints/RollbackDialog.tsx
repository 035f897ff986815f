// Rolls back after saying exactly what will happen and how to undo it.
import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { post, seg } from "../../api/client.ts";
import { q } from "../../api/queries.ts";
import type { Endpoint } from "../../api/types.ts";
import { Button } from "../../ui/Button.tsx";
import { Dialog } from "../../ui/Dialog.tsx";
import { Field } from "../../ui/Field.tsx";
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
    <Dialog
      title={`Roll back ${endpoint.name}`}
      onClose={onClose}
      footer={
        <>
          <Button onClick={onClose}>Cancel</Button>
          <Button kind="danger" icon="back" busy={act.isPending} disabled={!target} onClick={() => act.mutate()}>
            {target ? `Roll back to v${target}` : "Roll back"}
          </Button>
        </>
      }
    >
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
      <Field label="Reason" hint="Stands in the history and the audit trail">
        <input className="input" value={reason} onChange={(event) => setReason(event.target.value)} />
      </Field>
      {act.error && (
        <div className="callout callout-alarm" role="alert">
          {act.error.message}
        </div>
      )}
    </Dialog>
  );
}
