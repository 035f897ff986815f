// Ctrl-K: pages at once, every object by name or id as one types.
import { useQuery } from "@tanstack/react-query";
import { useRouter } from "@tanstack/react-router";
import { useDeferredValue, useEffect, useId, useLayoutEffect, useRef, useState, type KeyboardEvent } from "react";
import { q } from "../api/queries.ts";
import { hrefOf } from "../paths.ts";
import { Icon, type IconName } from "../ui/Icon.tsx";
import { KIND_ICON } from "../ui/RefChip.tsx";
import { ABOUT, ENTRIES } from "./nav.ts";

interface Choice {
  key: string;
  label: string;
  kind: string;
  icon: IconName;
  href: string;
}

export function Palette({ onClose }: { onClose: () => void }) {
  const router = useRouter();
  const ref = useRef<HTMLDialogElement>(null);
  const listId = useId();
  const [text, setText] = useState("");
  const [at, setAt] = useState(0);
  const [entered, setEntered] = useState(false);
  const asked = useDeferredValue(text.trim());
  const hits = useQuery({ ...q.search(asked), enabled: asked.length > 0 });
  useLayoutEffect(() => {
    const dialog = ref.current;
    dialog?.showModal();
    return () => dialog?.close();
  }, []);
  useEffect(() => {
    setAt(0);
    setEntered(false);
  }, [text]);
  /** What is listed was found for an earlier text. */
  const behind = text.trim() !== "" && (asked !== text.trim() || hits.isPending || hits.isPlaceholderData);

  const pagesShown: Choice[] = [...ENTRIES, ...ABOUT]
    .filter((entry) => entry.label.toLowerCase().includes(text.trim().toLowerCase()))
    .map((entry) => ({ key: entry.href, label: entry.label, kind: "page", icon: entry.icon, href: entry.href }));
  const found: Choice[] = (asked ? (hits.data?.items ?? []) : []).map((hit) => ({
    key: hit.ref,
    label: hit.label,
    kind: hit.kind.replace(/-/g, " "),
    icon: KIND_ICON[hit.kind] ?? "file",
    href: hrefOf(hit.ref) ?? hit.href,
  }));
  const choices = asked ? [...found, ...pagesShown] : pagesShown;

  const go = (choice: Choice | undefined): void => {
    if (!choice) return;
    onClose();
    router.history.push(choice.href);
  };
  const onKey = (event: KeyboardEvent): void => {
    const step = event.key === "ArrowDown" ? 1 : event.key === "ArrowUp" ? -1 : 0;
    if (step) setAt((before) => (before + step + choices.length) % Math.max(1, choices.length));
    else if (event.key === "Enter" && behind && at === 0) setEntered(true);
    else if (event.key === "Enter") go(choices[at]);
    else return;
    event.preventDefault();
  };
  // Who typed a name and pressed Enter means the first that is found for that name.
  useEffect(() => {
    if (entered && !behind) go(choices[0]);
  });
  useEffect(() => {
    document.getElementById(`${listId}-${at}`)?.scrollIntoView({ block: "nearest" });
  }, [at, listId]);

  return (
    <dialog
      ref={ref}
      className="palette"
      aria-label="Find anything"
      onCancel={(event) => {
        event.preventDefault();
        onClose();
      }}
      onClick={(event) => {
        if (event.target === ref.current) onClose();
      }}
    >
      <div className="palette-box" onKeyDown={onKey}>
        <div className="palette-input">
          <Icon name="search" />
          <input
            autoFocus
            value={text}
            onChange={(event) => setText(event.target.value)}
            placeholder="Name or id of a run, model, dataset, endpoint…"
            role="combobox"
            aria-expanded
            aria-controls={listId}
            aria-activedescendant={choices[at] ? `${listId}-${at}` : undefined}
            aria-label="Find anything"
          />
          <kbd>Esc</kbd>
        </div>
        <ul id={listId} role="listbox" aria-label="Results" className="palette-list">
          {choices.map((choice, i) => (
            <li
              key={`${choice.kind}-${choice.key}`}
              id={`${listId}-${i}`}
              role="option"
              aria-selected={i === at}
              onPointerMove={() => setAt(i)}
              onClick={() => go(choice)}
            >
              <Icon name={choice.icon} size={15} />
              <span className="truncate grow">{choice.label}</span>
              <span className="faint small">{choice.kind}</span>
            </li>
          ))}
        </ul>
        {asked && !hits.isFetching && choices.length === 0 && <p className="palette-none">Nothing is named like “{asked}”.</p>}
        {hits.error && <p className="palette-none">Search failed: {hits.error.message}</p>}
      </div>
    </dialog>
  );
}
