// A short menu at a place on the screen: arrows move, Enter chooses, Escape and a click elsewhere close it.
import { useEffect, useLayoutEffect, useRef, useState, type KeyboardEvent } from "react";
import { Icon, type IconName } from "./Icon.tsx";

export type MenuItem = { label: string; icon?: IconName; act: () => void } | "line";

export function Menu({ label, at, items, onClose }: { label: string; at: DOMRect; items: MenuItem[]; onClose: () => void }) {
  const box = useRef<HTMLDivElement>(null);
  const [place, setPlace] = useState({ left: at.left, top: at.bottom + 4 });
  useLayoutEffect(() => {
    const size = box.current?.getBoundingClientRect();
    if (size)
      setPlace({
        left: Math.max(8, Math.min(at.left, innerWidth - size.width - 8)),
        top: at.bottom + 4 + size.height > innerHeight ? Math.max(8, at.top - size.height - 4) : at.bottom + 4,
      });
    const before = document.activeElement;
    box.current?.querySelector("button")?.focus();
    return () => {
      if (before instanceof HTMLElement) before.focus();
    };
  }, [at]);
  useEffect(() => {
    const away = (event: Event): void => {
      if (!box.current?.contains(event.target as Node)) onClose();
    };
    document.addEventListener("pointerdown", away);
    document.addEventListener("wheel", away, { passive: true });
    return () => {
      document.removeEventListener("pointerdown", away);
      document.removeEventListener("wheel", away);
    };
  }, [onClose]);
  const key = (event: KeyboardEvent): void => {
    const buttons = [...(box.current?.querySelectorAll("button") ?? [])];
    const here = buttons.indexOf(document.activeElement as HTMLButtonElement);
    if (event.key === "ArrowDown") buttons[(here + 1) % buttons.length]?.focus();
    else if (event.key === "ArrowUp") buttons[(here - 1 + buttons.length) % buttons.length]?.focus();
    else if (event.key === "Escape" || event.key === "Tab") onClose();
    else return;
    event.preventDefault();
    event.stopPropagation();
  };
  return (
    <div ref={box} className="menu" role="menu" aria-label={label} style={place} onKeyDown={key}>
      {items.map((item, i) =>
        item === "line" ? (
          <hr key={i} />
        ) : (
          <button
            key={i}
            type="button"
            role="menuitem"
            onClick={(event) => {
              event.stopPropagation();
              onClose();
              item.act();
            }}
          >
            {item.icon && <Icon name={item.icon} size={13} />}
            {item.label}
          </button>
        ),
      )}
    </div>
  );
}
