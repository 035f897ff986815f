// The fields of a monitor's policy.
import { Check, Group, TextField } from "../../ui/Fields.tsx";
import type { Wrong } from "../../ui/refusals.ts";
import { flaw, SETTINGS, type Cause, type PolicyTexts } from "./policy.ts";

const CAUSES: [cause: Cause, text: string][] = [
  ["drift", "drift"],
  ["performance", "worse performance"],
];

interface Props {
  value: PolicyTexts;
  onChange: (value: PolicyTexts) => void;
  wrong: Wrong;
}

export function PolicyFields({ value, onChange, wrong }: Props) {
  return (
    <>
      <Causes
        label="Alarms on"
        chosen={value.alarmOn}
        error={wrong("policy.alarm_on")}
        onChange={(alarmOn) => onChange({ ...value, alarmOn })}
      />
      <div className="form-grid">
        {SETTINGS.map((one) => (
          <TextField
            key={one.name}
            label={one.label}
            hint={one.hint}
            error={flaw(one, value.texts[one.name] ?? "") ?? wrong(`policy.${one.name}`)}
            placeholder="default"
            value={value.texts[one.name] ?? ""}
            onChange={(text) => onChange({ ...value, texts: { ...value.texts, [one.name]: text } })}
          />
        ))}
      </div>
    </>
  );
}

interface CausesProps {
  label: string;
  chosen: Cause[];
  error: string | null;
  onChange: (chosen: Cause[]) => void;
}

export const Causes = ({ label, chosen, error, onChange }: CausesProps) => (
  <Group label={label} error={error}>
    <div className="group-wrap">
      {CAUSES.map(([cause, text]) => (
        <Check
          key={cause}
          checked={chosen.includes(cause)}
          onChange={(on) => onChange(CAUSES.map(([each]) => each).filter((each) => (each === cause ? on : chosen.includes(each))))}
        >
          {text}
        </Check>
      ))}
    </div>
  </Group>
);
