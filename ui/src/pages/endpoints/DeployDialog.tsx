// Has a registered version answer: at a new endpoint, or beside the versions of one that is there.
import { useMutation, useQueryClient } from "@tanstack/react-query";
import { useRouter } from "@tanstack/react-router";
import { useState } from "react";
import { post, seg } from "../../api/client.ts";
import { useMay } from "../../api/useMay.ts";
import type { Endpoint } from "../../api/types.ts";
import { paths } from "../../paths.ts";
import { Check, Fold, ReasonField, TextField } from "../../ui/Fields.tsx";
import { FormDialog } from "../../ui/FormDialog.tsx";
import { toast } from "../../ui/Toasts.tsx";
import { ModelFields, useModelChoice } from "../models/ModelChoice.tsx";

const share = (text: string): number | null => {
  const value = text.trim() === "" ? Number.NaN : Number(text);
  return value >= 0 && value <= 100 ? value : null;
};

interface Props {
  endpoint?: Endpoint;
  onClose: () => void;
}

export function DeployDialog({ endpoint, onClose }: Props) {
  const client = useQueryClient();
  const router = useRouter();
  const mayApprove = useMay("approve");
  const model = useModelChoice({ newest: endpoint !== undefined }, endpoint?.model);
  const [typed, setName] = useState("");
  const [weight, setWeight] = useState("100");
  const [native, setNative] = useState(false);
  const [network, setNetwork] = useState(false);
  const [pickle, setPickle] = useState(false);
  const [reason, setReason] = useState("");
  const name = endpoint?.name ?? (typed.trim() || (model.model?.name ?? ""));
  const percent = share(weight);
  const deploy = useMutation({
    mutationFn: () =>
      post<Endpoint>(`/endpoints/${seg(name)}/deploy`, {
        model: model.uri,
        weight: percent,
        native,
        allow_network: network,
        allow_pickle: pickle,
        reason,
      }),
    onSuccess: () => {
      toast(`${model.model?.name ?? ""} v${model.version?.version ?? ""} starts at ${name}`);
      void client.invalidateQueries({ queryKey: ["endpoints"] });
      onClose();
      if (!endpoint) router.history.push(paths.endpoint(name));
    },
  });
  const number = model.version ? `v${model.version.version}` : "The version";
  const then =
    percent === 0
      ? "It is loaded and kept warm, and gets no requests yet."
      : percent === 100 || !endpoint?.versions.length
        ? `Once it answers, it takes all requests.${endpoint?.versions.length ? " The champion stays warm." : ""}`
        : `Once it answers, it takes ${percent ?? "?"} % of the requests.`;
  return (
    <FormDialog
      title={endpoint ? `Deploy a version at ${endpoint.name}` : "Deploy a model"}
      verb="Deploy"
      icon="endpoints"
      act={deploy}
      ready={model.uri !== null && name !== "" && percent !== null}
      onClose={onClose}
      note={`${number} is loaded in the background; until it answers nothing changes for callers. ${then}${
        endpoint ? " A rollout that is under way ends with it." : ""
      }`}
    >
      {(wrong) => (
        <>
          <div className="form-grid">
            <ModelFields choice={model} wrong={wrong} fixed={Boolean(endpoint)} />
            {!endpoint && (
              <TextField
                label="Endpoint"
                hint="The name that callers use"
                error={wrong("name", "other-model")}
                placeholder={model.model?.name ?? ""}
                value={typed}
                onChange={setName}
              />
            )}
            <TextField
              label="Share, percent"
              hint="0 only warms it up"
              inputMode="decimal"
              error={percent === null ? "A number from 0 to 100" : wrong("weight")}
              value={weight}
              onChange={setWeight}
            />
          </div>
          <ReasonField error={wrong("reason")} value={reason} onChange={setReason} />
          <Fold label="More">
            <Check checked={native} error={wrong("native")} onChange={setNative}>
              Run it as its author saved it, also where it was compiled
            </Check>
            {mayApprove && (
              <>
                <Check checked={network} error={wrong("allow_network")} onChange={setNetwork}>
                  Leave the network to the model's process
                </Check>
                <Check checked={pickle} error={wrong("allow_pickle")} onChange={setPickle}>
                  Load unsafe formats, which run code from the file
                </Check>
              </>
            )}
          </Fold>
        </>
      )}
    </FormDialog>
  );
}
