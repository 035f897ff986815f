// Makes or changes a rule: the event with its tests, what its alerts say, to whom they go and when they end.
import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { useId, useState } from "react";
import { post, put, seg } from "../../api/client.ts";
import { q } from "../../api/queries.ts";
import type { AlertRule, Condition, Severity } from "../../api/types.ts";
import { timeText, timeUs } from "../../format/time.ts";
import { Field } from "../../ui/Field.tsx";
import { Check, Fold, Group, SelectField, TextField } from "../../ui/Fields.tsx";
import { FormDialog } from "../../ui/FormDialog.tsx";
import { toast } from "../../ui/Toasts.tsx";
import { testsOf, textOf } from "./conditions.ts";

// What is asked for most; every other kind of event can be typed.
const EVENTS = [
  "data.validation_finished",
  "data.version_added",
  "deploy.approval_asked",
  "deploy.batch_prediction_finished",
  "deploy.rollout_ended",
  "deploy.traffic_changed",
  "deploy.version_failed",
  "monitor.alarmed",
  "pipelines.run_finished",
  "registry.alias_moved",
  "registry.gate_decided",
  "tracking.run_finished",
];
const SEVERITIES = [
  ["", "as reported"],
  ["info", "info"],
  ["warning", "warning"],
  ["critical", "critical"],
] as const;

interface TestsProps {
  value: string;
  onChange: (value: string) => void;
  error: string | null;
}

function Tests({ value, onChange, error }: TestsProps) {
  const tests = testsOf(value);
  const bad = typeof tests === "number" ? `Line ${tests} is not “field operator value”, such as “state == failed”` : error;
  return (
    <Field label="Tests" hint="One a line, and all must hold: “state == failed”, “rows > 1000”" error={bad}>
      <textarea className="input mono" rows={3} spellCheck={false} value={value} onChange={(event) => onChange(event.target.value)} />
    </Field>
  );
}

/** Null for no event, undefined while the tests cannot be read. */
function conditionOf(event: string, tests: string): Condition | null | undefined {
  const where = testsOf(tests);
  if (typeof where === "number") return undefined;
  return event.trim() ? { event: event.trim(), where } : null;
}

export function RuleDialog({ rule, onClose }: { rule: AlertRule | null; onClose: () => void }) {
  const client = useQueryClient();
  const channels = useQuery(q.alertChannels()).data?.items ?? [];
  const list = useId();
  const [name, setName] = useState(rule?.name ?? "");
  const [event, setEvent] = useState(rule?.condition?.event ?? "");
  const [tests, setTests] = useState(textOf(rule?.condition?.where));
  const [clearEvent, setClearEvent] = useState(rule?.clear?.event ?? "");
  const [clearTests, setClearTests] = useState(textOf(rule?.clear?.where));
  const [severity, setSeverity] = useState<Severity | "">(rule ? (rule.severity ?? "") : "warning");
  const [title, setTitle] = useState(rule?.title ?? "");
  const [detail, setDetail] = useState(rule?.detail ?? "");
  const [key, setKey] = useState(rule?.key ?? "{subject}");
  const [only, setOnly] = useState<ReadonlySet<string> | null>(rule?.channels ? new Set(rule.channels) : null);
  const [after, setAfter] = useState(rule?.resolve_after_us ? timeText(rule.resolve_after_us) : "");
  const condition = conditionOf(event, tests);
  const clear = conditionOf(clearEvent, clearTests);
  const afterUs = after.trim() ? timeUs(after) : undefined;
  const save = useMutation({
    mutationFn: () => {
      const body = {
        condition,
        clear,
        severity: severity || null,
        title,
        detail,
        key,
        channels: only && [...only],
        enabled: rule?.enabled ?? true,
        resolve_after_us: afterUs ?? null,
      };
      return rule ? put(`/alert-rules/${seg(rule.name)}`, body) : post("/alert-rules", { name: name.trim(), ...body });
    },
    onSuccess: () => {
      toast(rule ? `The rule ${rule.name} is changed` : `The rule ${name} watches from now on`);
      void client.invalidateQueries({ queryKey: ["alerts"] });
      onClose();
    },
  });
  const toggle = (channel: string): void => {
    const next = new Set(only ?? []);
    if (!next.delete(channel)) next.add(channel);
    setOnly(next);
  };
  const ready =
    name.trim() !== "" && condition !== undefined && clear !== undefined && afterUs !== null && (!condition || title.trim() !== "");
  return (
    <FormDialog
      title={rule ? `Change the rule ${rule.name}` : "Add a rule"}
      verb={rule ? "Change the rule" : "Add the rule"}
      act={save}
      ready={ready}
      wide
      onClose={onClose}
      note={
        condition
          ? "It holds for events from now on. An alert that is open already is counted up, not opened twice."
          : "Without an event the rule says how severe, and to whom, what other parts report under its name."
      }
    >
      {(wrong) => (
        <>
          <div className="form-grid">
            {!rule && <TextField label="Name" error={wrong("name")} value={name} onChange={setName} />}
            <TextField
              label="Event"
              hint="The kind of event that opens an alert"
              error={wrong("condition.event")}
              list={list}
              mono
              value={event}
              onChange={setEvent}
            />
            <SelectField label="Severity" error={wrong("severity")} value={severity} onChange={setSeverity} options={SEVERITIES} />
          </div>
          <datalist id={list}>
            {EVENTS.map((each) => (
              <option key={each} value={each} />
            ))}
          </datalist>
          <Tests value={tests} onChange={setTests} error={wrong("condition")} />
          <TextField
            label="Title"
            hint="{field} is filled from the event, such as {endpoint}"
            error={wrong("title")}
            spellCheck
            value={title}
            onChange={setTitle}
          />
          <TextField label="Detail" error={wrong("detail")} spellCheck value={detail} onChange={setDetail} />
          <Group label="Goes to" error={wrong("channels")} hint={only?.size === 0 ? "Nobody is told; alerts wait in the inbox." : ""}>
            <div className="group-wrap">
              <Check checked={only === null} onChange={(all) => setOnly(all ? null : new Set())}>
                every channel
              </Check>
              {channels.map((channel) => (
                <Check
                  key={channel.name}
                  checked={only?.has(channel.name) ?? true}
                  disabled={only === null}
                  onChange={() => toggle(channel.name)}
                >
                  {channel.name}
                </Check>
              ))}
            </div>
          </Group>
          <Fold label="More">
            <div className="form-grid">
              <TextField label="Told apart by" hint="One open alert for each" error={wrong("key")} mono value={key} onChange={setKey} />
              <TextField
                label="Resolved after"
                hint="Without a report; empty for never"
                error={afterUs === null ? "A time such as 30m or 2h" : wrong("resolve_after_us")}
                value={after}
                onChange={setAfter}
              />
              <TextField
                label="Cleared by"
                hint="The kind of event that resolves its alerts"
                error={wrong("clear.event")}
                list={list}
                mono
                value={clearEvent}
                onChange={setClearEvent}
              />
            </div>
            {clearEvent.trim() !== "" && <Tests value={clearTests} onChange={setClearTests} error={wrong("clear")} />}
          </Fold>
        </>
      )}
    </FormDialog>
  );
}
