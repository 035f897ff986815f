// The filter of the run table in MLflow's search words, applied on Enter; what is wrong with it stands below.
import { useEffect, useState, type FormEvent } from "react";
import { Problem } from "../../api/client.ts";
import { Icon } from "../../ui/Icon.tsx";

const STATUS: [value: string, label: string][] = [
  ["", "All"],
  ["RUNNING", "Running"],
  ["FINISHED", "Finished"],
  ["FAILED", "Failed"],
];

interface Props {
  filter: string;
  status: string;
  error: unknown;
  onFilter: (text: string) => void;
  onStatus: (status: string) => void;
}

export function FilterBar({ filter, status, error, onFilter, onStatus }: Props) {
  const [text, setText] = useState(filter);
  useEffect(() => setText(filter), [filter]);
  const submit = (event: FormEvent): void => {
    event.preventDefault();
    onFilter(text.trim());
  };
  const wrong = error instanceof Problem && error.status === 400 ? error.detail || error.title : null;
  return (
    <>
      <form className="filter" role="search" onSubmit={submit}>
        <Icon name="search" size={14} />
        <input
          className="input mono"
          data-filter=""
          aria-label="Filter runs"
          aria-invalid={wrong ? true : undefined}
          aria-describedby="filter-note"
          value={text}
          onChange={(event) => setText(event.target.value)}
          onBlur={() => onFilter(text.trim())}
          placeholder="metrics.loss < 0.4 and params.depth = '6'"
        />
        {wrong && (
          <span id="filter-note" className="filter-note" role="alert">
            {wrong}
          </span>
        )}
      </form>
      <div className="segments" role="group" aria-label="Status">
        {STATUS.map(([value, label]) => (
          <button key={value} type="button" aria-pressed={status === value} onClick={() => onStatus(value)}>
            {label}
          </button>
        ))}
      </div>
    </>
  );
}
