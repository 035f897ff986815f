// A modal on the platform's own dialog element: focus stays inside, Escape closes, focus returns. With `onSubmit` it is a form.
import { useId, useLayoutEffect, useRef, type ReactNode } from "react";
import { Button } from "./Button.tsx";

interface Props {
  title: string;
  onClose: () => void;
  children: ReactNode;
  footer?: ReactNode;
  wide?: boolean;
  onSubmit?: () => void;
}

const FIELD = ".dialog-body :is(input, select, textarea):not(:disabled)";

export function Dialog({ title, onClose, children, footer, wide = false, onSubmit }: Props) {
  const ref = useRef<HTMLDialogElement>(null);
  const id = useId();
  // Not useEffect: it ends after the element is gone, and only an element that is there gives the focus back.
  useLayoutEffect(() => {
    const dialog = ref.current;
    dialog?.showModal();
    // Left to itself the platform would choose the cross that closes it.
    dialog?.querySelector<HTMLElement>(FIELD)?.focus();
    return () => dialog?.close();
  }, []);
  const inside = (
    <>
      <header className="dialog-head">
        <h2 id={id}>{title}</h2>
        <Button kind="quiet" icon="close" aria-label="Close" onClick={onClose} />
      </header>
      <div className="dialog-body">{children}</div>
      {footer && <footer className="dialog-foot">{footer}</footer>}
    </>
  );
  return (
    <dialog
      ref={ref}
      className={`dialog ${wide ? "dialog-wide" : ""}`}
      aria-labelledby={id}
      onCancel={(event) => {
        event.preventDefault();
        onClose();
      }}
      onClick={(event) => {
        if (event.target === ref.current) onClose();
      }}
    >
      {onSubmit ? (
        <form
          className="dialog-box"
          noValidate
          onSubmit={(event) => {
            event.preventDefault();
            onSubmit();
          }}
        >
          {inside}
        </form>
      ) : (
        <div className="dialog-box">{inside}</div>
      )}
    </dialog>
  );
}
