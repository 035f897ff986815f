// The columns of a table: distribution, missing values and figures, beside those of another version when one is chosen.
import { useState } from "react";
import type { ColumnChange, ColumnProfile } from "../../api/types.ts";
import { ColumnCard } from "./ColumnCard.tsx";
import "./data.css";

const SHOWN_AT_ONCE = 60;

interface Props {
  columns: ColumnProfile[];
  other: ColumnProfile[] | null;
  otherName: string;
  changes: ColumnChange[];
}

export function Profile({ columns, other, otherName, changes }: Props) {
  const [text, setText] = useState("");
  const matching = columns.filter((column) => column.name.toLowerCase().includes(text.toLowerCase()));
  const gone = other?.filter((column) => !columns.some((each) => each.name === column.name)) ?? [];
  const added = other ? columns.filter((column) => !other.some((each) => each.name === column.name)) : [];
  return (
    <div className="stack">
      {(columns.length > 8 || other) && (
        <div className="toolbar">
          {columns.length > 8 && (
            <input
              className="input"
              data-filter=""
              placeholder="Find a column"
              aria-label="Find a column"
              value={text}
              onChange={(event) => setText(event.target.value)}
            />
          )}
          {other && (
            <span className="series-legend">
              <span className="series-key">
                <span className="profile-now" aria-hidden />
                this version
              </span>
              <span className="series-key">
                <span className="series-swatch is-dashed profile-other" aria-hidden />v{otherName}
              </span>
            </span>
          )}
          {(gone.length > 0 || added.length > 0) && (
            <span className="dim">
              {added.length > 0 && `New: ${added.map((column) => column.name).join(", ")}. `}
              {gone.length > 0 && `Gone: ${gone.map((column) => column.name).join(", ")}.`}
            </span>
          )}
        </div>
      )}
      <div className="profile-grid">
        {matching.slice(0, SHOWN_AT_ONCE).map((column) => (
          <ColumnCard
            key={column.name}
            column={column}
            other={other?.find((each) => each.name === column.name) ?? null}
            change={changes.find((each) => each.name === column.name) ?? null}
          />
        ))}
      </div>
      {matching.length > SHOWN_AT_ONCE && (
        <p className="dim">{matching.length - SHOWN_AT_ONCE} more columns: type a part of a name to find them.</p>
      )}
    </div>
  );
}
