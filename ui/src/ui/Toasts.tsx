// Short notes at the foot of the window that say what an act did.
import { useSyncExternalStore } from "react";

interface Toast {
  id: number;
  text: string;
  bad: boolean;
  action?: { label: string; act: () => void } | undefined;
}
let toasts: Toast[] = [];
let next = 1;
const listeners = new Set<() => void>();
const set = (value: Toast[]): void => {
  toasts = value;
  for (const listener of listeners) listener();
};

/** Says what was done, for five seconds; longer where it can be taken back. */
export function toast(text: string, bad = false, action?: Toast["action"]): void {
  const id = next++;
  set([...toasts, { id, text, bad, action }]);
  setTimeout(() => drop(id), action ? 15_000 : bad ? 9000 : 5000);
}

const drop = (id: number): void => set(toasts.filter((each) => each.id !== id));

export function Toasts() {
  const all = useSyncExternalStore(
    (listener) => {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    () => toasts,
  );
  return (
    <div className="toasts" role="status" aria-live="polite">
      {all.map((each) => (
        <div key={each.id} className={`toast ${each.bad ? "toast-bad" : ""}`}>
          <span>{each.text}</span>
          {each.action && (
            <button
              type="button"
              onClick={() => {
                drop(each.id);
                each.action?.act();
              }}
            >
              {each.action.label}
            </button>
          )}
        </div>
      ))}
    </div>
  );
}
