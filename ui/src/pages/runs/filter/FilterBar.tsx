// The filter of the run table in the search grammar: coloured as it is read, completed where the cursor is, and wrong parts
// underlined in place with the reason below. Enter applies it; Tab or Enter takes a suggestion.
import { useQuery } from "@tanstack/react-query";
import { useEffect, useMemo, useRef, useState, type FormEvent, type KeyboardEvent } from "react";
import { flushSync } from "react-dom";
import { Problem } from "../../../api/client.ts";
import { q } from "../../../api/queries.ts";
import type { RunColumns } from "../../../api/types.ts";
import { Icon } from "../../../ui/Icon.tsx";
import { read, type Wrong } from "./grammar.ts";
import { suggest } from "./suggest.ts";

interface Props {
  experiment: string;
  filter: string;
  catalogue: RunColumns | undefined;
  error: unknown;
  onFilter: (text: string) => void;
}

const FACETED = new Set(["status", "user_id"]);

/** Where the server found something wrong, as the grammar says it. */
function serverWrong(error: unknown, text: string): Wrong | null {
  if (!(error instanceof Problem) || error.status !== 400) return null;
  const at = error.details["position"];
  const from = typeof at === "number" ? Math.min(at, Math.max(0, text.length - 1)) : 0;
  const end = text.indexOf(" ", from);
  return { from, to: end < 0 ? text.length : end, message: error.detail || error.title };
}

export function FilterBar({ experiment, filter, catalogue, error, onFilter }: Props) {
  const [text, setText] = useState(filter);
  const [cursor, setCursor] = useState(filter.length);
  const [focused, setFocused] = useState(false);
  const [closed, setClosed] = useState(false);
  const [picked, setPicked] = useState(-1);
  const input = useRef<HTMLInputElement>(null);
  const paint = useRef<HTMLDivElement>(null);
  useEffect(() => setText(filter), [filter]);

  const reading = useMemo(() => read(text, focused ? cursor : -1), [text, cursor, focused]);
  const { place } = reading;
  const asksValues =
    focused &&
    place.expects === "value" &&
    (place.entity === "params" || place.entity === "tags" || (place.entity === "attributes" && FACETED.has(place.key)));
  const by = place.entity === "attributes" ? (place.key === "user_id" ? "owner" : place.key) : `${place.entity}.${place.key}`;
  const values = useQuery({ ...q.facets(experiment, "", [by], 50), enabled: asksValues, placeholderData: undefined });
  const groups = focused && !closed ? suggest(place, catalogue, asksValues ? values.data?.facets[0] : undefined) : [];
  const items = groups.flatMap((group) => group.items);
  const open = items.length > 0;
  const local = reading.wrong[0] ?? null;
  // What the server has taken is right; of what it refused, our own reading knows the place better.
  const refused = serverWrong(error, text);
  const wrong = text === filter ? refused && (local ?? refused) : local;
  const showsWrong = wrong !== null && (!focused || text === filter || cursor > wrong.to + 1) ? wrong : null;

  const take = (index: number): void => {
    const item = items[index];
    if (!item) return;
    const next = text.slice(0, place.from) + item.text + text.slice(place.to).replace(/^ /, "");
    const at = place.from + item.text.length;
    // At once: who types on must not find the cursor moved afterwards.
    flushSync(() => {
      setText(next);
      setCursor(at);
      setPicked(-1);
    });
    input.current?.setSelectionRange(at, at);
  };
  const apply = (event?: FormEvent): void => {
    event?.preventDefault();
    setClosed(true);
    onFilter(text.trim());
  };
  const onKey = (event: KeyboardEvent): void => {
    if (event.key === "ArrowDown" && open) setPicked((picked + 1) % items.length);
    else if (event.key === "ArrowUp" && open) setPicked((picked - 1 + items.length) % items.length);
    else if (event.key === "Enter" && open && picked >= 0) take(picked);
    else if (event.key === "Tab" && open && !event.shiftKey && text.trim() !== "") take(Math.max(0, picked));
    else if (event.key === "Escape" && open) setClosed(true);
    else if (event.key === "Escape") input.current?.blur();
    else if (event.key === " " && event.ctrlKey) setClosed(false);
    else return;
    event.preventDefault();
    event.stopPropagation();
  };
  const follow = (): void => {
    const element = input.current;
    if (!element) return;
    setCursor(element.selectionStart ?? text.length);
    if (paint.current) paint.current.scrollLeft = element.scrollLeft;
  };
  useEffect(() => {
    if (paint.current && input.current) paint.current.scrollLeft = input.current.scrollLeft;
  });

  const painted: React.ReactNode[] = [];
  let at = 0;
  for (const token of reading.tokens) {
    if (token.from > at) painted.push(text.slice(at, token.from));
    const isWrong = showsWrong && token.from < showsWrong.to && token.to > showsWrong.from;
    painted.push(
      <span key={token.from} className={`fb-${token.kind} ${isWrong ? "fb-wrong" : ""}`}>
        {text.slice(token.from, token.to)}
      </span>,
    );
    at = token.to;
  }
  painted.push(text.slice(at));

  let index = -1;
  return (
    <form className="fb" role="search" onSubmit={apply}>
      <Icon name="search" size={14} />
      <div className={`fb-field ${showsWrong ? "is-wrong" : ""}`}>
        <div className="fb-paint" ref={paint} aria-hidden>
          {painted}
        </div>
        <input
          ref={input}
          className="fb-input"
          data-filter=""
          role="combobox"
          aria-label="Filter runs"
          aria-expanded={open}
          aria-controls="filter-list"
          aria-autocomplete="list"
          aria-activedescendant={picked >= 0 ? `filter-item-${picked}` : undefined}
          aria-invalid={showsWrong ? true : undefined}
          aria-describedby={showsWrong ? "filter-note" : undefined}
          autoComplete="off"
          autoCapitalize="off"
          spellCheck={false}
          value={text}
          placeholder="metrics.loss < 0.4 AND params.depth = '6'"
          onChange={(event) => {
            setText(event.target.value);
            setCursor(event.target.selectionStart ?? event.target.value.length);
            setClosed(false);
            setPicked(-1);
          }}
          onSelect={follow}
          onScroll={follow}
          onKeyDown={onKey}
          onFocus={() => {
            setFocused(true);
            setClosed(false);
          }}
          onBlur={() => {
            setFocused(false);
            if (text.trim() !== filter) apply();
          }}
        />
        {text && (
          <button
            type="button"
            className="icon-button fb-clear"
            aria-label="Clear the filter"
            onPointerDown={(event) => event.preventDefault()}
            onClick={() => {
              setText("");
              setCursor(0);
              onFilter("");
            }}
          >
            <Icon name="close" size={12} />
          </button>
        )}
      </div>
      {open ? (
        <ul className="fb-list" id="filter-list" role="listbox" aria-label="Suggestions">
          {groups.map((group) => (
            <li key={group.title} role="presentation" style={{ display: "contents" }}>
              <div className="fb-heading" style={{ padding: "0 8px" }} aria-hidden>
                {group.title}
              </div>
              <ul role="group" aria-label={group.title}>
                {group.items.map((item) => {
                  index += 1;
                  const mine = index;
                  return (
                    <li
                      key={item.text}
                      id={`filter-item-${mine}`}
                      role="option"
                      aria-selected={picked === mine}
                      onPointerDown={(event) => {
                        event.preventDefault();
                        take(mine);
                      }}
                      onPointerEnter={() => setPicked(mine)}
                    >
                      <span className="truncate">{item.label}</span>
                      <span className="faint">{item.note}</span>
                    </li>
                  );
                })}
              </ul>
            </li>
          ))}
        </ul>
      ) : (
        showsWrong && (
          <div className="fb-note" id="filter-note" role="alert">
            {showsWrong.message}
            <span className="faint"> · character {showsWrong.from + 1}</span>
          </div>
        )
      )}
    </form>
  );
}
