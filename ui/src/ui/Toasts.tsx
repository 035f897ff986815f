// Short notes at the foot of the window that say what an act did.
import { useSyncExternalStore } from "react";

interface Toast {
  id: number;
  text: string;
  bad: boolean;
}
let toasts: Toast[] = [];
let next = 1;
const listeners = new Set<() => void>();
const set = (value: Toast[]): void => {
  toasts = value;
  for (const listener of listeners) listener();
};

/** Says what was done, for five seconds. */
export function toast(text: string, bad = false): void {
  const id = next++;
  set([...toasts, { id, text, bad }]);
  setTimeout(() => set(toasts.filter((each) => each.id !== id)), bad ? 9000 : 5000);
}

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
          {each.text}
        </div>
      ))}
    </div>
  );
}
