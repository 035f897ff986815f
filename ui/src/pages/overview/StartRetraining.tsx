// Starts the retraining that an alarm only suggested.
import { useMutation, useQueryClient } from "@tanstack/react-query";
import { post, seg } from "../../api/client.ts";
import { useMay } from "../../api/useMay.ts";
import { Button } from "../../ui/Button.tsx";
import { toast } from "../../ui/Toasts.tsx";

export function StartRetraining({ episode }: { episode: string }) {
  const client = useQueryClient();
  const mayWrite = useMay("write");
  const start = useMutation({
    mutationFn: () => post(`/episodes/${seg(episode)}/start`),
    onSuccess: () => {
      toast("Retraining is queued");
      void client.invalidateQueries({ queryKey: ["timeline"] });
    },
    onError: (error) => toast(error.message, true),
  });
  if (!mayWrite) return null;
  return (
    <Button kind="primary" icon="retrain" busy={start.isPending} onClick={() => start.mutate()}>
      Retrain now
    </Button>
  );
}
