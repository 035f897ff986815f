// What the judge is to hold a challenger to: limits for each kind of evidence, and how sure it must be.
import { useId } from "react";
import type { Strategy } from "../../api/types.ts";
import { number } from "../../format/number.ts";
import { Check, SelectField, TextField } from "../../ui/Fields.tsx";
import type { Wrong } from "../../ui/refusals.ts";
import "./endpoints.css";
import { goalOf, isAmount, isJudged, isRequired, KINDS, NUMBERS, type JudgeTexts, type Kind, type LimitTexts } from "./judge.ts";

interface Props {
  texts: JudgeTexts;
  strategy: Strategy;
  wrong: Wrong;
  onChange: (texts: JudgeTexts) => void;
}

const LIMITS = [
  ["harm", "harm above"],
  ["margin", "safe below"],
] as const;

interface RowProps {
  kind: Kind;
  strategy: Strategy;
  limit: LimitTexts;
  refused: string | null;
  onChange: (change: LimitTexts) => void;
}

function LimitRow({ kind, strategy, limit, refused, onChange }: RowProps) {
  const note = useId();
  const judged = limit.judged ?? isJudged(kind, strategy);
  const bad = !isAmount(limit.harm) || !isAmount(limit.margin) ? "A number from 0" : refused;
  return (
    <div className="limit" role="group" aria-label={kind.label}>
      <Check checked={judged} onChange={(next) => onChange({ judged: next })}>
        {kind.label}
      </Check>
      {LIMITS.map(([name, words]) => (
        <label key={name} className="limit-field">
          <span className="faint small">{words}</span>
          <input
            className="input num"
            inputMode="decimal"
            autoComplete="off"
            aria-label={`${kind.label}: ${words}`}
            aria-describedby={note}
            aria-invalid={!isAmount(limit[name])}
            disabled={!judged}
            placeholder={number(kind[name])}
            value={limit[name] ?? ""}
            onChange={(event) => onChange({ [name]: event.target.value })}
          />
        </label>
      ))}
      <Check
        checked={judged && (limit.required ?? isRequired(kind, strategy))}
        disabled={!judged}
        onChange={(required) => onChange({ required })}
      >
        promotion waits for it
      </Check>
      <div id={note} className={`limit-note ${bad ? "field-error" : "field-hint"}`}>
        {bad ?? kind.unit}
      </div>
    </div>
  );
}

export function JudgeFields({ texts, strategy, wrong, onChange }: Props) {
  const goal = goalOf(texts, strategy);
  return (
    <>
      <div className="limits">
        {KINDS.map((kind) => (
          <LimitRow
            key={kind.name}
            kind={kind}
            strategy={strategy}
            limit={texts.limits[kind.name] ?? {}}
            refused={wrong(`judge.${kind.name}`)}
            onChange={(change) =>
              onChange({ ...texts, limits: { ...texts.limits, [kind.name]: { ...texts.limits[kind.name], ...change } } })
            }
          />
        ))}
      </div>
      <div className="form-grid">
        <SelectField
          label="Promoted is what is found"
          error={wrong("judge.goal")}
          value={goal}
          onChange={(next) => onChange({ ...texts, goal: next })}
          options={[
            ["harmless", "inside every margin"],
            ["better", "better than the champion"],
          ]}
        />
        {goal === "better" && (
          <SelectField
            label="Better by"
            error={wrong("judge.target")}
            value={texts.target}
            onChange={(target) => onChange({ ...texts, target })}
            options={[
              ["quality", "quality, by labels"],
              ["errors", "errors"],
            ]}
          />
        )}
        {NUMBERS.map(([name, label, hint, normal]) => (
          <TextField
            key={name}
            label={label}
            hint={hint}
            inputMode="decimal"
            error={isAmount(texts.numbers[name]) ? wrong(`judge.${name}`) : "A number from 0"}
            placeholder={String(normal)}
            value={texts.numbers[name] ?? ""}
            onChange={(value) => onChange({ ...texts, numbers: { ...texts.numbers, [name]: value } })}
          />
        ))}
      </div>
    </>
  );
}
