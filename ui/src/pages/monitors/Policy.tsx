// What the monitor tests, and how sure it must be before it rings.
import type { Monitor } from "../../api/types.ts";
import { count, number } from "../../format/number.ts";
import { duration } from "../../format/time.ts";
import { Card } from "../../ui/Card.tsx";
import { Facts } from "../../ui/Facts.tsx";

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

export function Policy({ monitor }: { monitor: Monitor }) {
  return (
    <Card title="Policy" note={monitor.reference_rows ? `against ${count(monitor.reference_rows)} reference rows` : undefined}>
      <Facts
        columns={2}
        items={Object.entries(monitor.policy).map(([key, value]) => [NAMES[key] ?? key.replace(/_/g, " "), text(key, value)])}
      />
    </Card>
  );
}
