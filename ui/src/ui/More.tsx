// The end of a paged list: fetches the next page when it comes into view, or by button.
import { useEffect, useRef } from "react";
import { Button } from "./Button.tsx";

export function More({ has, busy, load }: { has: boolean; busy: boolean; load: () => void }) {
  const ref = useRef<HTMLDivElement>(null);
  const act = useRef(load);
  useEffect(() => {
    act.current = load;
  });
  useEffect(() => {
    if (!has || !ref.current) return undefined;
    const seen = new IntersectionObserver(
      (entries) => {
        if (entries.some((entry) => entry.isIntersecting)) act.current();
      },
      { rootMargin: "400px" },
    );
    seen.observe(ref.current);
    return () => seen.disconnect();
  }, [has]);
  return has ? (
    <div ref={ref} className="more">
      <Button kind="quiet" busy={busy} onClick={load}>
        {busy ? "Loading more" : "Load more"}
      </Button>
    </div>
  ) : null;
}
