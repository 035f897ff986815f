// Chooses the columns of the run table, with a search for tables of thousands.
import { useState } from "react";
import { Button } from "../../ui/Button.tsx";
import { Popover } from "../../ui/Popover.tsx";
import { usual, type ColumnKind, type RunColumn } from "./columns.tsx";

const GROUPS: [ColumnKind, string][] = [
  ["run", "Run"],
  ["metric", "Metrics"],
  ["param", "Parameters"],
  ["tag", "Tags"],
];
const MOST = 200;

export function ColumnPicker({
  columns,
  shown,
  onChange,
}: {
  columns: RunColumn[];
  shown: string[];
  onChange: (ids: string[] | null) => void;
}) {
  const [text, setText] = useState("");
  const on = new Set(shown);
  const matching = columns.filter((column) => column.name.toLowerCase().includes(text.toLowerCase()));
  const toggle = (id: string): void =>
    onChange(columns.map((column) => column.id).filter((each) => (each === id ? !on.has(each) : on.has(each))));
  return (
    <Popover label="Columns" icon="columns">
      {() => (
        <div className="picker">
          <input
            className="input"
            autoFocus
            placeholder="Find a column"
            aria-label="Find a column"
            value={text}
            onChange={(event) => setText(event.target.value)}
          />
          {GROUPS.map(([kind, title]) => {
            const group = matching.filter((column) => column.kind === kind);
            return (
              group.length > 0 && (
                <fieldset key={kind}>
                  <legend>
                    {title} <span className="faint">{group.length}</span>
                  </legend>
                  {group.slice(0, MOST).map((column) => (
                    <label key={column.id} className="picker-line">
                      <input
                        type="checkbox"
                        checked={on.has(column.id)}
                        disabled={column.id === "name"}
                        onChange={() => toggle(column.id)}
                      />
                      <span className="truncate">{column.name}</span>
                    </label>
                  ))}
                  {group.length > MOST && <p className="faint small">{group.length - MOST} more: type to find them.</p>}
                </fieldset>
              )
            );
          })}
          <div className="row">
            <Button kind="quiet" onClick={() => onChange(usual(columns))}>
              Usual columns
            </Button>
            <Button kind="quiet" onClick={() => onChange(columns.map((column) => column.id).slice(0, 60))}>
              All
            </Button>
          </div>
        </div>
      )}
    </Popover>
  );
}
