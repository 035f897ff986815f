// Everything a span says: inputs, outputs, attributes and events.
import type { Span } from "../../api/types.ts";
import { duration } from "../../format/time.ts";
import { Card } from "../../ui/Card.tsx";
import { Facts } from "../../ui/Facts.tsx";
import { long, short } from "./said.ts";

function Value({ label, value }: { label: string; value: unknown }) {
  if (value === null || value === undefined) return null;
  return (
    <section className="span-value">
      <h3>{label}</h3>
      <pre className="log" tabIndex={0} aria-label={label}>
        {long(value)}
      </pre>
    </section>
  );
}

export function SpanDetail({ span }: { span: Span }) {
  const attributes = Object.entries(span.attributes).sort(([a], [b]) => a.localeCompare(b));
  return (
    <Card title={span.name} note={span.type ?? undefined}>
      <div className="stack">
        {span.message && (
          <div className="callout callout-alarm" role="status">
            {span.message}
          </div>
        )}
        <Facts
          columns={2}
          items={[
            ["Starts", `${duration(span.offset_us)} in`],
            ["Takes", span.duration_us === null ? "still open" : duration(span.duration_us)],
            ["Status", span.status.toLowerCase()],
            ["Id", <code key="id">{span.id}</code>],
          ]}
        />
        <Value label="Inputs" value={span.inputs} />
        <Value label="Outputs" value={span.outputs} />
        {attributes.length > 0 && (
          <section className="span-value">
            <h3>Attributes</h3>
            <Facts items={attributes.map(([key, value]) => [key, short(value)])} />
          </section>
        )}
        {span.events.length > 0 && (
          <section className="span-value">
            <h3>Events</h3>
            <Facts items={span.events.map((event) => [`${duration(event.offset_us)} in: ${event.name}`, short(event.attributes)])} />
          </section>
        )}
      </div>
    </Card>
  );
}
