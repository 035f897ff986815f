// Chooses columns out of thousands: what is shown stands above in its order, everything else below with a search.
import { useState } from "react";
import { count } from "../../../format/number.ts";
import { Button } from "../../../ui/Button.tsx";
import { Icon } from "../../../ui/Icon.tsx";
import { Popover } from "../../../ui/Popover.tsx";
import { columnOf, type ColumnKind } from "./columns.ts";

const GROUPS: [ColumnKind, string][] = [
  ["run", "Run"],
  ["metric", "Metrics"],
  ["param", "Parameters"],
  ["tag", "Tags"],
];
const MOST = 60;

interface Props {
  all: string[];
  shown: string[];
  pins: number;
  runsOf: (id: string) => number | null;
  onChange: (ids: string[] | null, pins?: number) => void;
}

export function ColumnsPanel({ all, shown, pins, runsOf, onChange }: Props) {
  const [text, setText] = useState("");
  const on = new Set(shown);
  const matching = all.filter((id) => columnOf(id).name.toLowerCase().includes(text.toLowerCase()));
  const move = (i: number, step: -1 | 1): void => {
    const next = [...shown];
    const [moved] = next.splice(i, 1);
    if (moved) next.splice(i + step, 0, moved);
    onChange(next);
  };
  const toggle = (id: string): void => {
    const i = shown.indexOf(id);
    onChange(on.has(id) ? shown.filter((each) => each !== id) : [...shown, id], i > 0 && i < pins ? pins - 1 : pins);
  };
  return (
    <Popover label="Columns" icon="columns">
      {() => (
        <div className="columns-panel">
          <input
            className="input"
            autoFocus
            placeholder="Find a column"
            aria-label="Find a column"
            value={text}
            onChange={(event) => setText(event.target.value)}
          />
          {text === "" && (
            <fieldset>
              <legend>
                Shown <span className="faint">{shown.length}</span>
              </legend>
              {shown.map((id, i) => {
                const { name } = columnOf(id);
                return (
                  <div key={id} className="col-line">
                    <label>
                      <input type="checkbox" checked disabled={id === "name"} onChange={() => toggle(id)} />
                      <span className="truncate">{name}</span>
                      {i > 0 && i < pins && <span className="faint small">pinned</span>}
                    </label>
                    {i > 0 && (
                      <>
                        <button
                          type="button"
                          className="icon-button"
                          disabled={i < 2}
                          aria-label={`Move ${name} up`}
                          onClick={() => move(i, -1)}
                        >
                          <Icon name="promote" size={12} />
                        </button>
                        <button
                          type="button"
                          className="icon-button"
                          disabled={i === shown.length - 1}
                          aria-label={`Move ${name} down`}
                          onClick={() => move(i, 1)}
                        >
                          <Icon name="down" size={12} />
                        </button>
                      </>
                    )}
                  </div>
                );
              })}
            </fieldset>
          )}
          {GROUPS.map(([kind, title]) => {
            const group = matching.filter((id) => columnOf(id).kind === kind && (text !== "" || !on.has(id)));
            return (
              group.length > 0 && (
                <fieldset key={kind}>
                  <legend>
                    {title} <span className="faint">{group.length}</span>
                  </legend>
                  {group.slice(0, MOST).map((id) => {
                    const runs = runsOf(id);
                    return (
                      <div key={id} className="col-line">
                        <label>
                          <input type="checkbox" checked={on.has(id)} disabled={id === "name"} onChange={() => toggle(id)} />
                          <span className="truncate">{columnOf(id).name}</span>
                        </label>
                        {runs !== null && <span className="faint small num">{count(runs)} runs</span>}
                      </div>
                    );
                  })}
                  {group.length > MOST && <p className="faint small">{group.length - MOST} more: type to find them.</p>}
                </fieldset>
              )
            );
          })}
          {matching.length === 0 && <p className="faint">No column is called so.</p>}
          <div className="row">
            <Button kind="quiet" onClick={() => onChange(null, 1)}>
              Usual columns
            </Button>
          </div>
        </div>
      )}
    </Popover>
  );
}
