// The head of every page: what it is, its state, who and when, lineage chips and what can be done; sets the tab title.
import { useEffect, type ReactNode } from "react";
import { A } from "./A.tsx";

export interface Crumb {
  label: string;
  href: string;
}
interface Props {
  title: string;
  crumbs?: Crumb[];
  state?: ReactNode;
  meta?: ReactNode;
  chips?: ReactNode;
  actions?: ReactNode;
  children: ReactNode;
  wide?: boolean;
}

export function Page({ title, crumbs = [], state, meta, chips, actions, children, wide = false }: Props) {
  useEffect(() => {
    document.title = `${[title, ...crumbs.map((crumb) => crumb.label).reverse()].join(" · ")} – Trimtab`;
  });
  return (
    <div className={`page ${wide ? "page-wide" : ""}`}>
      <header className="page-head">
        <div className="page-title">
          {crumbs.length > 0 && (
            <nav aria-label="Breadcrumb" className="crumbs">
              {crumbs.map((crumb) => (
                <A key={crumb.href} href={crumb.href}>
                  {crumb.label}
                </A>
              ))}
            </nav>
          )}
          <div className="row row-wrap">
            <h1 className="break">{title}</h1>
            {state}
          </div>
          {meta && <div className="page-meta">{meta}</div>}
        </div>
        {actions && <div className="page-actions">{actions}</div>}
      </header>
      {chips}
      {children}
    </div>
  );
}
