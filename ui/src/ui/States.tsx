// The written states of a page: empty, loading, failed and denied.
import type { ReactNode } from "react";
import { Problem } from "../api/client.ts";
import { Button } from "./Button.tsx";
import { Copy } from "./Copy.tsx";
import { SignIn } from "./SignIn.tsx";

/** What this place is for, and the few lines that fill it. */
export function Empty({ title, children, code }: { title: string; children: ReactNode; code?: string }) {
  return (
    <div className="state">
      <h2>{title}</h2>
      <p className="dim">{children}</p>
      {code && <Snippet code={code} />}
    </div>
  );
}

export function Snippet({ code }: { code: string }) {
  return (
    <div className="snippet">
      <pre tabIndex={0} aria-label="Code">
        {code}
      </pre>
      <Copy text={code} />
    </div>
  );
}

/** Grey shapes where the content will stand; appears only after a moment, so that quick answers do not flicker. */
export function Skeleton({ rows = 6, height }: { rows?: number; height?: number }) {
  return (
    <div className="skeleton" role="status" aria-label="Loading">
      {height ? (
        <div className="skeleton-block" style={{ height }} />
      ) : (
        Array.from({ length: rows }, (_, i) => <div key={i} className="skeleton-row" style={{ width: `${96 - ((i * 37) % 34)}%` }} />)
      )}
    </div>
  );
}

const ADVICE: Record<number, string> = {
  0: "Check that “trimtab up” is still running on the machine, then try again.",
  404: "It may have been deleted or renamed. Search with Ctrl K, or go back to the list.",
  409: "Somebody changed it at the same moment. Look again, then repeat what you wanted.",
  422: "Correct the value that is named above and send it again.",
  503: "A part of the server is not available right now. Its log says which, under the request id.",
};

/** What failed, what to do, and the request id to quote. */
export function Failed({ error, retry }: { error: unknown; retry?: () => void }) {
  if (error instanceof Problem && error.status === 401) return <SignIn />;
  if (error instanceof Problem && error.status === 403) return <Denied problem={error} />;
  const problem =
    error instanceof Problem
      ? error
      : new Problem({ status: -1, title: "This page could not be shown", detail: error instanceof Error ? error.message : String(error) });
  return (
    <div className="state" role="alert">
      <h2>{problem.title}</h2>
      {problem.detail && problem.detail !== problem.title && <p className="dim break">{problem.detail}</p>}
      <p className="dim">
        {ADVICE[problem.status] ?? "Try again. If it stays, send the request id below to whoever runs this server; the log has it."}
      </p>
      {problem.requestId && (
        <p className="small faint">
          Request id <code>{problem.requestId}</code> <Copy text={problem.requestId} />
        </p>
      )}
      {retry && (
        <div>
          <Button icon="refresh" onClick={retry}>
            Try again
          </Button>
        </div>
      )}
    </div>
  );
}

function Denied({ problem }: { problem: Problem }) {
  return (
    <div className="state">
      <h2>You may not see this</h2>
      <p className="dim">{problem.detail || problem.title}</p>
      <p className="dim">
        An admin of this server can grant it, with a token of a higher role from Settings or{" "}
        <code>trimtab tokens create NAME --role editor</code>.
      </p>
      {problem.requestId && (
        <p className="small faint">
          Request id <code>{problem.requestId}</code>
        </p>
      )}
    </div>
  );
}
