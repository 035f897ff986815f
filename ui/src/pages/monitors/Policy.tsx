// What the monitor does and when it rings, as it was set.
import type { Monitor } from "../../api/types.ts";
import { Card } from "../../ui/Card.tsx";
import { Facts } from "../../ui/Facts.tsx";

const text = (value: unknown): string => (Array.isArray(value) ? value.join(", ") : typeof value === "object" && value !== null ? JSON.stringify(value) : String(value));

export function Policy({ monitor }: { monitor: Monitor }) {
  return (
    <Card title="Policy">
      <Facts items={Object.entries(monitor.policy).map(([key, value]) => [key.replace(/_/g, " "), text(value)])} />
    </Card>
  );
}
