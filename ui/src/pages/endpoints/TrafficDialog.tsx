// Changes the split by hand: shares that must add up to 100, a reason, and the sentence that says what will happen.
import { useMutation, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { post, seg } from "../../api/client.ts";
import type { Endpoint } from "../../api/types.ts";
import { SplitBar } from "../../charts/SplitBar.tsx";
import { ReasonField } from "../../ui/Fields.tsx";
import { FormDialog } from "../../ui/FormDialog.tsx";
import { State } from "../../ui/Badge.tsx";
import { toast } from "../../ui/Toasts.tsx";
import { currentWeights, total } from "./split.ts";
import { splitText } from "./TrafficHistory.tsx";

export function TrafficDialog({ endpoint, onClose }: { endpoint: Endpoint; onClose: () => void }) {
  const client = useQueryClient();
  const before = currentWeights(endpoint);
  const [weights, setWeights] = useState<Record<string, number>>(() =>
    Object.fromEntries(endpoint.versions.map((version) => [version.version, version.role === "shadow" ? 0 : version.weight])),
  );
  const [reason, setReason] = useState("");
  const change = useMutation({
    mutationFn: () =>
      post(`/endpoints/${seg(endpoint.name)}/traffic`, {
        traffic: Object.fromEntries(Object.entries(weights).filter(([, share]) => share > 0)),
        reason,
      }),
    onSuccess: () => {
      toast(`${endpoint.name}: ${splitText(weights)}`);
      void client.invalidateQueries({ queryKey: ["endpoints"] });
      onClose();
    },
  });
  const sum = total(weights);
  const same = splitText(weights) === splitText(before);
  const wrong = Math.abs(sum - 100) > 1e-6 ? `The shares add up to ${sum} %, not 100 %` : null;
  return (
    <FormDialog
      title="Change traffic"
      verb="Change traffic"
      act={change}
      ready={!wrong && !same}
      bad={wrong !== null}
      onClose={onClose}
      note={
        wrong ??
        (same
          ? "This is the split that already stands."
          : `From now on ${splitText(weights)}; so far ${splitText(before)}. Requests in flight finish where they are. Undo with the same dialog or “Roll back”.`)
      }
    >
      {(refused) => (
        <>
          <SplitBar
            shares={endpoint.versions.map((version) => ({
              ...version,
              weight: weights[version.version] ?? 0,
              role: version.role === "shadow" ? "warm" : version.role,
            }))}
          />
          <div className="weights">
            {endpoint.versions.map((version) => {
              const key = version.version;
              const set = (value: string): void => setWeights({ ...weights, [key]: Math.max(0, Math.min(100, Number(value) || 0)) });
              return (
                <div key={key} className="weight">
                  <span className="row">
                    <b>v{version.version}</b>
                    <State of={version.role} />
                  </span>
                  <input
                    type="range"
                    min={0}
                    max={100}
                    step={1}
                    value={weights[key] ?? 0}
                    onChange={(event) => set(event.target.value)}
                    aria-label={`Share of version ${key}`}
                  />
                  <input
                    className="input num"
                    type="number"
                    min={0}
                    max={100}
                    value={weights[key] ?? 0}
                    onChange={(event) => set(event.target.value)}
                    aria-label={`Share of version ${key}, per cent`}
                  />
                </div>
              );
            })}
          </div>
          <ReasonField error={refused("reason")} value={reason} onChange={setReason} />
        </>
      )}
    </FormDialog>
  );
}
