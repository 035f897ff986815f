// Stops an endpoint, or one version that answers nobody, after saying what goes.
import { useMutation, useQueryClient } from "@tanstack/react-query";
import { useRouter } from "@tanstack/react-router";
import { useState } from "react";
import { del, seg } from "../../api/client.ts";
import type { Endpoint } from "../../api/types.ts";
import { SelectField } from "../../ui/Fields.tsx";
import { FormDialog } from "../../ui/FormDialog.tsx";
import { toast } from "../../ui/Toasts.tsx";

export function StopDialog({ endpoint, onClose }: { endpoint: Endpoint; onClose: () => void }) {
  const client = useQueryClient();
  const router = useRouter();
  const [version, setVersion] = useState("");
  const idle = endpoint.versions.filter((each) => each.weight === 0 || each.role === "shadow" || each.state !== "ready");
  const stop = useMutation({
    mutationFn: () => del(`/endpoints/${seg(endpoint.name)}${version && `?version=${seg(version)}`}`),
    onSuccess: () => {
      toast(version ? `v${version} of ${endpoint.name} is stopped` : `${endpoint.name} is stopped`);
      onClose();
      if (!version) router.history.push("/endpoints");
      void client.invalidateQueries({ queryKey: ["endpoints"] });
    },
  });
  return (
    <FormDialog
      title={`Stop ${endpoint.name}`}
      verb={version ? `Stop v${version}` : "Stop the endpoint"}
      danger
      act={stop}
      cancel="Leave it"
      onClose={onClose}
      note={
        version
          ? `v${version} leaves the memory and is not there to go back to. It stays registered and can be deployed again.`
          : `Requests to ${endpoint.name} are answered with 404 from now on, its settings and rules of columns go, and a rollout ends. Models, predictions and history stay.`
      }
    >
      {(wrong) => (
        <SelectField
          label="What is stopped"
          error={wrong("version")}
          value={version}
          onChange={setVersion}
          options={[["", "the whole endpoint"], ...idle.map((each) => [each.version, `v${each.version}, ${each.role}`] as const)]}
        />
      )}
    </FormDialog>
  );
}
