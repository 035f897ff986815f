// Ends or approves a rollout by hand, after saying what will happen.
import { useMutation, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { post, seg } from "../../api/client.ts";
import type { Rollout } from "../../api/types.ts";
import { ReasonField } from "../../ui/Fields.tsx";
import { FormDialog } from "../../ui/FormDialog.tsx";
import { toast } from "../../ui/Toasts.tsx";

export type Act = "promote" | "rollback" | "abort" | "cancel" | "approve" | "deny";

interface Words {
  title: string;
  verb: string;
  done: string;
  /** What is called at the server. */
  route: "promote" | "rollback" | "abort" | "approve";
  danger?: boolean;
  what: (rollout: Rollout) => string;
}

const WORDS: Record<Act, Words> = {
  promote: {
    title: "Promote now",
    verb: "Promote",
    done: "promoted",
    route: "promote",
    what: ({ champion, challenger }) =>
      `v${challenger} answers 100 % of the requests and becomes the champion, whatever the judge has still to decide. v${champion} stays warm.`,
  },
  rollback: {
    title: "Roll back",
    verb: "Roll back",
    done: "rolled back",
    route: "rollback",
    danger: true,
    what: ({ champion, challenger }) => `v${champion} answers 100 % of the requests at once. v${challenger} stays warm and gets none.`,
  },
  abort: {
    title: "End the rollout without a verdict",
    verb: "End it",
    done: "ended without a verdict",
    route: "abort",
    danger: true,
    what: ({ champion, challenger }) =>
      `v${champion} answers 100 % of the requests at once. The history says that v${challenger} was not judged, and not that it did harm.`,
  },
  cancel: {
    title: "Cancel the rollout",
    verb: "Cancel rollout",
    done: "cancelled",
    route: "abort",
    danger: true,
    what: ({ champion }) => `The rollout ends before its first request. v${champion} goes on answering.`,
  },
  approve: {
    title: "Approve the rollout",
    verb: "Approve",
    done: "approved",
    route: "approve",
    what: ({ challenger, actor }) =>
      `v${challenger} begins to get requests by the plan. You confirm what ${actor} started; it stands in the audit trail under your name.`,
  },
  deny: {
    title: "Deny the rollout",
    verb: "Deny",
    done: "denied",
    route: "abort",
    danger: true,
    what: ({ challenger, champion, actor }) =>
      `The rollout that ${actor} started ends before v${challenger} got a request. v${champion} goes on answering. It stands in the audit trail under your name.`,
  },
};

export function RolloutAct({ rollout, act, onClose }: { rollout: Rollout; act: Act; onClose: () => void }) {
  const client = useQueryClient();
  const [reason, setReason] = useState("");
  const words = WORDS[act];
  const done = useMutation({
    mutationFn: () =>
      post(`/rollouts/${seg(rollout.id)}/${words.route}`, { reason: act === "deny" ? `not approved${reason && `: ${reason}`}` : reason }),
    onSuccess: () => {
      toast(`v${rollout.challenger} ${words.done}`);
      void client.invalidateQueries({ queryKey: ["endpoints"] });
      onClose();
    },
  });
  return (
    <FormDialog title={words.title} verb={words.verb} danger={words.danger ?? false} act={done} cancel="Leave it" onClose={onClose}>
      {(wrong) => (
        <>
          <p>{words.what(rollout)}</p>
          <ReasonField error={wrong("reason")} value={reason} onChange={setReason} />
        </>
      )}
    </FormDialog>
  );
}
