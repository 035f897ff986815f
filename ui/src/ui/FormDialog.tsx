// A form in a dialog: Enter sends it, and what the server refuses stands at the field that it names, which gets the focus.
import { useEffect, useLayoutEffect, useRef, useState, type ReactNode } from "react";
import { Problem } from "../api/client.ts";
import { Button } from "./Button.tsx";
import { Dialog } from "./Dialog.tsx";
import type { IconName } from "./Icon.tsx";
import { refusals, type Wrong } from "./refusals.ts";

interface Props {
  title: string;
  /** What is sent: a mutation. */
  act: { mutate: () => void; isPending: boolean; error: Error | null };
  verb: string;
  onClose: () => void;
  children: (wrong: Wrong) => ReactNode;
  ready?: boolean;
  /** What will happen, in a sentence. */
  note?: ReactNode;
  /** Something that the note says is wrong. */
  bad?: boolean;
  cancel?: string;
  icon?: IconName;
  danger?: boolean;
  wide?: boolean;
}

export function FormDialog(props: Props) {
  const { title, act, verb, onClose, children, ready = true, note, bad = false, cancel = "Cancel", icon, danger = false, wide } = props;
  const form = useRef<HTMLDivElement>(null);
  useEffect(() => {
    const field = act.error && form.current?.querySelector<HTMLElement>('[aria-invalid="true"]');
    if (!field) return;
    for (let fold = field.closest("details"); fold; fold = fold.parentElement?.closest("details") ?? null) fold.open = true;
    field.focus();
    // Its sentence stands below it, and is to be seen as well.
    field.closest(".field, .limit, .group, .check")?.scrollIntoView({ block: "center" });
  }, [act.error]);
  const { wrong, elsewhere } = refusals(act.error instanceof Problem ? act.error : null);
  // Only when every field was drawn is it known whether one of them took the refusal.
  const [loose, setLoose] = useState(true);
  useLayoutEffect(() => setLoose(elsewhere()));
  const refused = act.error && loose ? act.error.message : null;
  return (
    <Dialog
      title={title}
      onClose={onClose}
      {...(wide ? { wide } : {})}
      onSubmit={() => {
        if (ready && !act.isPending) act.mutate();
      }}
      footer={
        <>
          <Button onClick={onClose}>{cancel}</Button>
          <Button type="submit" kind={danger ? "danger" : "primary"} {...(icon ? { icon } : {})} busy={act.isPending} disabled={!ready}>
            {verb}
          </Button>
        </>
      }
    >
      <div ref={form} className="form">
        {children(wrong)}
        {(refused ?? note) && (
          <div className={`callout ${refused || bad ? "callout-alarm" : ""}`} role={refused ? "alert" : "status"}>
            <span className="break">{refused ?? note}</span>
          </div>
        )}
      </div>
    </Dialog>
  );
}
