// What the monitor tests, how sure it must be before it rings, and the acts that change or end it.
import { useMutation, useQueryClient } from "@tanstack/react-query";
import { useRouter } from "@tanstack/react-router";
import { useState } from "react";
import { del, seg } from "../../api/client.ts";
import { useMay } from "../../api/useMay.ts";
import type { Monitor } from "../../api/types.ts";
import { count, number } from "../../format/number.ts";
import { duration } from "../../format/time.ts";
import { Button } from "../../ui/Button.tsx";
import { Card } from "../../ui/Card.tsx";
import { Facts } from "../../ui/Facts.tsx";
import { FormDialog } from "../../ui/FormDialog.tsx";
import { toast } from "../../ui/Toasts.tsx";
import { ChangeMonitorDialog } from "./MonitorDialog.tsx";

const NAMES: Record<string, string> = {
  window_us: "Window",
  arl: "Windows to a false alarm, at least",
  drift_tolerance: "Drift nobody minds",
  min_rows: "Rows a window needs",
  alpha: "False discoveries per window",
  min_psi: "Least PSI of a feature",
  loss_margin: "Rise of the loss nobody minds",
  alarm_on: "Alarms on",
};

function text(key: string, value: unknown): string {
  if (key.endsWith("_us") && typeof value === "number") return duration(value);
  if (typeof value === "number") return number(value);
  if (Array.isArray(value)) return value.join(", ");
  return typeof value === "object" && value !== null ? JSON.stringify(value) : String(value);
}

function RemoveDialog({ monitor, onClose }: { monitor: Monitor; onClose: () => void }) {
  const client = useQueryClient();
  const router = useRouter();
  const remove = useMutation({
    mutationFn: () => del(`/monitors/${seg(monitor.name)}`),
    onSuccess: () => {
      toast(`${monitor.endpoint} is not watched by ${monitor.name} any more`);
      onClose();
      router.history.push("/monitors");
      void client.invalidateQueries({ queryKey: ["monitors"] });
    },
  });
  return (
    <FormDialog title={`Stop watching by ${monitor.name}`} verb="Stop watching" danger act={remove} cancel="Leave it" onClose={onClose}>
      {() => (
        <p>
          The monitor goes with its windows and what it has gathered towards an alarm. The predictions of <b>{monitor.endpoint}</b> stay
          until they expire.
        </p>
      )}
    </FormDialog>
  );
}

export function Policy({ monitor }: { monitor: Monitor }) {
  const mayWrite = useMay("write");
  const [dialog, setDialog] = useState<"change" | "remove" | null>(null);
  return (
    <Card
      title="Policy"
      note={monitor.reference_rows ? `against ${count(monitor.reference_rows)} reference rows` : undefined}
      actions={
        mayWrite && (
          <>
            <Button kind="quiet" onClick={() => setDialog("remove")}>
              Stop watching
            </Button>
            <Button onClick={() => setDialog("change")}>Change the policy</Button>
          </>
        )
      }
    >
      <Facts
        columns={2}
        items={Object.entries(monitor.policy).map(([key, value]) => [NAMES[key] ?? key.replace(/_/g, " "), text(key, value)])}
      />
      {dialog === "change" && <ChangeMonitorDialog monitor={monitor} onClose={() => setDialog(null)} />}
      {dialog === "remove" && <RemoveDialog monitor={monitor} onClose={() => setDialog(null)} />}
    </Card>
  );
}
