// A panel with a heading, an optional note beside it and actions at its right.
import type { ReactNode } from "react";

interface Props {
  title?: ReactNode;
  note?: ReactNode;
  actions?: ReactNode;
  children: ReactNode;
  flush?: boolean;
  className?: string;
  id?: string;
}

export function Card({ title, note, actions, children, flush = false, className = "", id }: Props) {
  return (
    <section className={`card ${className}`} id={id}>
      {(title || actions) && (
        <header className="card-head">
          <h2>{title}</h2>
          {note && <span className="card-note">{note}</span>}
          {actions && <div className="card-actions">{actions}</div>}
        </header>
      )}
      <div className={flush ? "card-flush" : "card-body"}>{children}</div>
    </section>
  );
}
