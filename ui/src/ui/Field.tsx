// A labelled form field with its hint and its error.
import { useId, type ReactElement, cloneElement } from "react";

interface Props {
  label: string;
  hint?: string;
  error?: string | null;
  children: ReactElement<{ id?: string; "aria-describedby"?: string; "aria-invalid"?: boolean }>;
}

export function Field({ label, hint, error, children }: Props) {
  const id = useId();
  return (
    <div className="field">
      <label htmlFor={id}>{label}</label>
      {cloneElement(children, { id, "aria-describedby": `${id}-note`, "aria-invalid": error ? true : false })}
      <div id={`${id}-note`} className={error ? "field-error" : "field-hint"}>
        {error ?? hint ?? ""}
      </div>
    </div>
  );
}
