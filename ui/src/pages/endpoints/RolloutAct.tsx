// Ends or approves a rollout by hand, after saying what will happen.
import { useMutation, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { post, seg } from "../../api/client.ts";
import type { Rollout } from "../../api/types.ts";
import { Button } from "../../ui/Button.tsx";
import { Dialog } from "../../ui/Dialog.tsx";
import { Field } from "../../ui/Field.tsx";
import { toast } from "../../ui/Toasts.tsx";

export type Act = "promote" | "rollback" | "abort" | "approve";

const WORDS: Record<Act, { title: string; verb: string; done: string; what: (rollout: Rollout) => string }> = {
  promote: {
    title: "Promote now",
    verb: "Promote",
    done: "promoted",
    what: ({ champion, challenger }) =>
      `v${challenger} answers 100 % of the requests and becomes the champion, whatever the judge has still to decide. v${champion} stays warm.`,
  },
  rollback: {
    title: "Roll back",
    verb: "Roll back",
    done: "rolled back",
    what: ({ champion, challenger }) => `v${champion} answers 100 % of the requests at once. v${challenger} stays warm and gets none.`,
  },
  abort: {
    title: "Cancel the rollout",
    verb: "Cancel rollout",
    done: "cancelled",
    what: ({ champion }) => `The rollout ends before its first request. v${champion} goes on answering.`,
  },
  approve: {
    title: "Approve the rollout",
    verb: "Approve",
    done: "approved",
    what: ({ challenger, actor }) =>
      `v${challenger} begins to get requests by the plan. You confirm what ${actor} started; it stands in the audit trail under your name.`,
  },
};

export function RolloutAct({ rollout, act, onClose }: { rollout: Rollout; act: Act; onClose: () => void }) {
  const client = useQueryClient();
  const [reason, setReason] = useState("");
  const words = WORDS[act];
  const done = useMutation({
    mutationFn: () => post(`/rollouts/${seg(rollout.id)}/${act}`, { reason }),
    onSuccess: () => {
      toast(`v${rollout.challenger} ${words.done}`);
      void client.invalidateQueries({ queryKey: ["endpoints"] });
      onClose();
    },
  });
  return (
    <Dialog
      title={words.title}
      onClose={onClose}
      footer={
        <>
          <Button onClick={onClose}>Leave it</Button>
          <Button kind={act === "rollback" || act === "abort" ? "danger" : "primary"} busy={done.isPending} onClick={() => done.mutate()}>
            {words.verb}
          </Button>
        </>
      }
    >
      <p>{words.what(rollout)}</p>
      <Field label="Reason" hint="Stands in the history and the audit trail">
        <input className="input" value={reason} onChange={(event) => setReason(event.target.value)} />
      </Field>
      {done.error && (
        <div className="callout callout-alarm" role="alert">
          {done.error.message}
        </div>
      )}
    </Dialog>
  );
}
