// Sends a version through the gate, the canary and the judge, as the loop does with what a retraining made.
import { useMutation, useQueryClient } from "@tanstack/react-query";
import { useRouter } from "@tanstack/react-router";
import { useState } from "react";
import { post, seg } from "../../api/client.ts";
import type { Endpoint, Episode } from "../../api/types.ts";
import { hrefOf } from "../../paths.ts";
import { Fold, ReasonField } from "../../ui/Fields.tsx";
import { FormDialog } from "../../ui/FormDialog.tsx";
import { DataFields, useDataChoice } from "../data/DataChoice.tsx";
import { ModelFields, useModelChoice } from "../models/ModelChoice.tsx";

export function ReleaseDialog({ endpoint, onClose }: { endpoint: Endpoint; onClose: () => void }) {
  const client = useQueryClient();
  const router = useRouter();
  const champion = endpoint.versions.find((version) => version.role === "champion")?.version;
  const model = useModelChoice({ newest: true }, endpoint.model);
  const evaluation = useDataChoice();
  const other = useDataChoice({ optional: true });
  const reference = useDataChoice({ optional: true });
  const [reason, setReason] = useState("");
  const release = useMutation({
    mutationFn: () =>
      post<Episode>(`/endpoints/${seg(endpoint.name)}/releases`, {
        model: model.uri,
        evaluation: evaluation.pinned,
        champion_evaluation: other.pinned,
        reference: reference.pinned,
        reason,
      }),
    onSuccess: (episode) => {
      for (const noun of ["timeline", "overview", "endpoints"]) void client.invalidateQueries({ queryKey: [noun] });
      router.history.push(hrefOf(`episode:${episode.id}`) ?? "/");
    },
  });
  return (
    <FormDialog
      title={`Release a version at ${endpoint.name}`}
      verb="Release"
      icon="gate"
      act={release}
      ready={model.uri !== null && evaluation.pinned !== null}
      wide
      onClose={onClose}
      note={`The gate compares ${model.version ? `v${model.version.version}` : "it"} with ${
        champion ? `v${champion}, the champion,` : "its own limits"
      } on the evaluation data; what passes takes the canary's share by the loop's policy and is promoted or taken back.`}
    >
      {(wrong) => (
        <>
          <div className="form-grid">
            <ModelFields choice={model} wrong={wrong} fixed />
            <ReasonField error={wrong("reason")} value={reason} onChange={setReason} />
            <DataFields
              choice={evaluation}
              wrong={wrong}
              label="Evaluation data"
              names={["evaluation", "dataset-not-found", "data-version-not-found"]}
            />
          </div>
          <Fold label="More">
            <div className="form-grid">
              <DataFields
                choice={other}
                wrong={wrong}
                label="The champion's own rows"
                versionLabel="Version of these rows"
                names={["champion_evaluation"]}
                optional="the same as the candidate's"
              />
              <DataFields
                choice={reference}
                wrong={wrong}
                label="Reference after a promotion"
                versionLabel="Version of the reference"
                names={["reference"]}
                optional="stays as it is"
              />
            </div>
          </Fold>
        </>
      )}
    </FormDialog>
  );
}
