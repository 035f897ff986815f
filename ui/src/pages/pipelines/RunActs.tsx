// Cancels a run that goes on, or runs again what did not succeed.
import { useMutation, useQueryClient } from "@tanstack/react-query";
import { post, seg } from "../../api/client.ts";
import { useMay } from "../../api/useMay.ts";
import type { PipelineRun } from "../../api/types.ts";
import { Button } from "../../ui/Button.tsx";
import { toast } from "../../ui/Toasts.tsx";

export function RunActs({ run }: { run: PipelineRun }) {
  const client = useQueryClient();
  const mayWrite = useMay("write");
  const act = useMutation({
    mutationFn: (what: "cancel" | "retry") => post(`/pipeline-runs/${seg(run.id)}/${what}`),
    onSuccess: (_, what) => {
      toast(what === "cancel" ? "The run is cancelled" : "Queued again; what succeeded is kept");
      void client.invalidateQueries({ queryKey: ["pipelines"] });
    },
    onError: (error) => toast(error.message, true),
  });
  if (!mayWrite) return null;
  if (run.state === "running" || run.state === "queued")
    return (
      <Button
        kind="danger"
        busy={act.isPending}
        onClick={() => act.mutate("cancel")}
        title="Steps that are done stay done; “Run again” continues from there"
      >
        Cancel the run
      </Button>
    );
  if (run.state === "failed" || run.state === "cancelled")
    return (
      <Button icon="refresh" busy={act.isPending} onClick={() => act.mutate("retry")}>
        Run again
      </Button>
    );
  return null;
}
