// A moment or a length of time: relative and ticking, exact on hover.
import { useSyncExternalStore } from "react";
import { duration, exactTime, msOf, relative } from "../format/time.ts";

let now = Date.now();
const listeners = new Set<() => void>();
let timer: ReturnType<typeof setInterval> | undefined;

function subscribe(listener: () => void): () => void {
  listeners.add(listener);
  timer ??= setInterval(() => {
    now = Date.now();
    for (const each of listeners) each();
  }, 10_000);
  return () => {
    listeners.delete(listener);
    if (listeners.size === 0) {
      clearInterval(timer);
      timer = undefined;
    }
  };
}

/** The current time in milliseconds, refreshed every ten seconds for everyone at once. */
export const useNow = (): number => useSyncExternalStore(subscribe, () => now);

export function Time({ us, className = "" }: { us: number | null | undefined; className?: string }) {
  const at = useNow();
  if (us === null || us === undefined) return <span className={className}>–</span>;
  return (
    <time className={`nowrap ${className}`} dateTime={new Date(msOf(us)).toISOString()} title={exactTime(us)}>
      {relative(us, Math.max(at, Date.now() - 10_000))}
    </time>
  );
}

/** How long something took, or has taken so far. */
export function Elapsed({ from, to }: { from: number | null; to: number | null }) {
  const at = useNow();
  if (from === null) return <>–</>;
  return <span className="nowrap">{duration(Math.max(0, (to ?? at * 1000) - from))}</span>;
}
