// The fields that forms share: a line of text, a choice, a box to tick, a reason, and a part that is folded away.
import type { InputHTMLAttributes, ReactNode } from "react";
import { Field } from "./Field.tsx";

interface Described {
  label: string;
  hint?: string;
  error?: string | null;
}
interface TextProps extends Described, Omit<InputHTMLAttributes<HTMLInputElement>, "value" | "onChange"> {
  value: string;
  onChange: (value: string) => void;
  mono?: boolean;
}

export function TextField({ label, hint = "", error = null, value, onChange, mono = false, ...rest }: TextProps) {
  return (
    <Field label={label} hint={hint} error={error}>
      <input
        className={`input ${mono ? "mono" : ""}`}
        autoComplete="off"
        spellCheck={false}
        value={value}
        onChange={(event) => onChange(event.target.value)}
        {...rest}
      />
    </Field>
  );
}

interface SelectProps<V extends string> extends Described {
  value: V;
  onChange: (value: V) => void;
  options: readonly (readonly [value: V, text: string])[];
  disabled?: boolean;
}

export function SelectField<V extends string>({ label, hint = "", error = null, value, onChange, options, disabled }: SelectProps<V>) {
  return (
    <Field label={label} hint={hint} error={error}>
      <select className="select" value={value} disabled={disabled} onChange={(event) => onChange(event.target.value as V)}>
        {options.map(([each, text]) => (
          <option key={each} value={each}>
            {text}
          </option>
        ))}
      </select>
    </Field>
  );
}

interface CheckProps {
  checked: boolean;
  onChange: (checked: boolean) => void;
  children: ReactNode;
  error?: string | null;
  disabled?: boolean;
}

export function Check({ checked, onChange, children, error = null, disabled = false }: CheckProps) {
  return (
    <div className="check">
      <label>
        <input
          type="checkbox"
          checked={checked}
          disabled={disabled}
          aria-invalid={Boolean(error)}
          onChange={(event) => onChange(event.target.checked)}
        />
        <span>{children}</span>
      </label>
      {error && <div className="field-error">{error}</div>}
    </div>
  );
}

interface ReasonProps {
  value: string;
  onChange: (value: string) => void;
  hint?: string;
  error?: string | null;
}

export const ReasonField = ({ hint = "Stands in the history and the audit trail", ...rest }: ReasonProps) => (
  <TextField label="Reason" hint={hint} spellCheck {...rest} />
);

interface GroupProps {
  label: string;
  hint?: string;
  error?: string | null;
  /** A part of a long form, and not one of its fields. */
  section?: boolean;
  children: ReactNode;
}

/** Several choices, or fields, under one name. */
export function Group({ label, hint, error = null, section = false, children }: GroupProps) {
  return (
    <fieldset
      className={`group ${section ? "group-section" : ""}`}
      aria-invalid={error ? true : undefined}
      tabIndex={error ? -1 : undefined}
    >
      <legend>{label}</legend>
      {children}
      {(error ?? hint) && <div className={error ? "field-error" : "field-hint"}>{error ?? hint}</div>}
    </fieldset>
  );
}

/** What most people leave as it is. */
export function Fold({ label, children }: { label: string; children: ReactNode }) {
  return (
    <details className="fold">
      <summary>{label}</summary>
      <div className="form">{children}</div>
    </details>
  );
}
