// What follows an alarm of an endpoint's monitor by itself, and the acts that change it.
import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { del, seg } from "../../api/client.ts";
import { q } from "../../api/queries.ts";
import { useMay } from "../../api/useMay.ts";
import type { LoopPolicy } from "../../api/types.ts";
import { number } from "../../format/number.ts";
import { duration } from "../../format/time.ts";
import { paths } from "../../paths.ts";
import { A } from "../../ui/A.tsx";
import { Button } from "../../ui/Button.tsx";
import { Card } from "../../ui/Card.tsx";
import { Facts } from "../../ui/Facts.tsx";
import { FormDialog } from "../../ui/FormDialog.tsx";
import { toast } from "../../ui/Toasts.tsx";
import { outline } from "../endpoints/strategies.ts";
import { LoopDialog } from "./LoopDialog.tsx";

function RemoveDialog({ policy, onClose }: { policy: LoopPolicy; onClose: () => void }) {
  const client = useQueryClient();
  const remove = useMutation({
    mutationFn: () => del(`/loops/${seg(policy.endpoint)}`),
    onSuccess: () => {
      toast(`Alarms of ${policy.endpoint} are left to people`);
      void client.invalidateQueries({ queryKey: ["loops"] });
      onClose();
    },
  });
  return (
    <FormDialog title="Leave alarms to people" verb="Remove the policy" danger act={remove} cancel="Leave it" onClose={onClose}>
      {() => (
        <p>
          An alarm at <b>{policy.endpoint}</b> starts no retraining any more; it opens an alert and nothing else. What is under way goes on.
        </p>
      )}
    </FormDialog>
  );
}

function Told({ policy }: { policy: LoopPolicy }) {
  const { gate, canary } = policy;
  return (
    <Facts
      columns={2}
      items={[
        ["Follows an alarm on", policy.on.join(", ")],
        [
          policy.mode === "auto" ? "Starts" : "Suggests",
          <A key="p" className="link" href={paths.pipeline(policy.pipeline)}>
            {policy.pipeline}
          </A>,
        ],
        ["Cool-down", duration(policy.cooldown_us)],
        [
          "Gate",
          `ROC AUC from ${number(gate.min_auc)}, at most ${number(gate.auc_margin)} below the champion${gate.must_improve ? ", and better" : ""}`,
        ],
        [
          "Canary",
          `${outline("canary", canary.steps.length ? canary.steps : [canary.weight])}${canary.bake_us ? `, ${duration(canary.bake_us)} a step` : ""}`,
        ],
      ]}
    />
  );
}

export function LoopCard({ endpoint }: { endpoint: string }) {
  const query = useQuery(q.loops());
  const mayWrite = useMay("write");
  const [dialog, setDialog] = useState<"set" | "remove" | null>(null);
  const policy = query.data?.items.find((each) => each.endpoint === endpoint) ?? null;
  if (!query.data) return null;
  return (
    <Card
      title="What follows an alarm"
      actions={
        mayWrite && (
          <>
            {policy && (
              <Button kind="quiet" onClick={() => setDialog("remove")}>
                Remove
              </Button>
            )}
            <Button icon="retrain" onClick={() => setDialog("set")}>
              {policy ? "Change it" : "Set a policy"}
            </Button>
          </>
        )
      }
    >
      {policy ? <Told policy={policy} /> : <p className="dim">An alert, and nothing by itself: no loop is set for {endpoint}.</p>}
      {dialog === "set" && <LoopDialog endpoint={endpoint} policy={policy} onClose={() => setDialog(null)} />}
      {dialog === "remove" && policy && <RemoveDialog policy={policy} onClose={() => setDialog(null)} />}
    </Card>
  );
}
