// Whether a version was compiled: the verdict in words, how close both models answer, and how much sooner.
import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { post, seg } from "../../api/client.ts";
import { q } from "../../api/queries.ts";
import { useMay } from "../../api/useMay.ts";
import type { Compilation, ModelVersion } from "../../api/types.ts";
import { bytes, number } from "../../format/number.ts";
import { duration } from "../../format/time.ts";
import { Badge, type Tone } from "../../ui/Badge.tsx";
import { Button } from "../../ui/Button.tsx";
import { Card } from "../../ui/Card.tsx";
import { Facts } from "../../ui/Facts.tsx";
import type { IconName } from "../../ui/Icon.tsx";
import { QueryView } from "../../ui/QueryView.tsx";
import { Time } from "../../ui/Time.tsx";
import { toast } from "../../ui/Toasts.tsx";
import "./models.css";

const STATES: Record<Compilation["state"], { tone: Tone; icon?: IconName; text: string }> = {
  compiled: { tone: "neutral", icon: "check", text: "Compiled" },
  differs: { tone: "alarm", icon: "alarm", text: "Answers differ" },
  unsupported: { tone: "quiet", icon: "minus", text: "Not compiled" },
  failed: { tone: "failed", icon: "cross", text: "Failed" },
  pending: { tone: "active", text: "Compiling" },
  none: { tone: "quiet", icon: "minus", text: "Not compiled" },
};

const times = (share: number): string => (share > 1 ? `${number(share)} times` : `${number(100 * share, 2)} % of`);

type Verdict = NonNullable<Compilation["verdict"]>;

/** Two bars for a number of rows; the times differ by orders, so the ratio stands beside them in figures. */
function Speed({ timing }: { timing: Verdict["timings"][number] }) {
  const { rows, native_us, compiled_us } = timing;
  const longest = Math.max(native_us, compiled_us);
  const ratio = native_us / compiled_us;
  const verdict = ratio >= 1 ? `${number(ratio, 2)} times faster` : `${number(1 / ratio, 2)} times slower`;
  const bar = (label: string, us: number, kind: string) => (
    <div className="speed-row">
      <span className="dim">{label}</span>
      <span className="speed-track">
        <span className={`speed-bar speed-${kind}`} style={{ width: `${Math.max(0.6, (100 * us) / longest)}%` }} />
      </span>
      <span className="num">{duration(us)}</span>
    </div>
  );
  const name = rows === 1 ? "One row" : `${number(rows, 4)} rows`;
  return (
    <figure className="speed" aria-label={`${name}: native ${duration(native_us)}, compiled ${duration(compiled_us)}`}>
      <figcaption className="row small">
        <strong>{name}</strong>
        <span className="dim">{verdict} compiled</span>
      </figcaption>
      {bar("native", native_us, "native")}
      {bar("compiled", compiled_us, "compiled")}
    </figure>
  );
}

function Evidence({ compilation, verdict }: { compilation: Compilation; verdict: Verdict }) {
  const compared = Object.entries(verdict.rows).map(([kind, count]) => `${number(count, 5)} ${kind}`);
  const { absolute, relative } = verdict.tolerance;
  return (
    <div className="stack">
      <p>{verdict.message}</p>
      {verdict.timings.map((timing) => (
        <Speed key={timing.rows} timing={timing} />
      ))}
      {compared.length > 0 && (
        <Facts
          items={[
            ["Rows compared", compared.join(", ") + (verdict.refused > 0 ? `; both refuse ${verdict.refused} more` : "")],
            verdict.largest && [
              "Largest difference",
              verdict.largest.share > 1e9
                ? `${verdict.largest.output} is another (${verdict.largest.kind} rows)`
                : `${times(verdict.largest.share)} what is tolerated (${verdict.largest.kind} rows)`,
            ],
            [
              "Tolerance",
              `${absolute} + ${relative} of the value; labels must be equal${verdict.ties ? `, but for ${verdict.ties} ties` : ""}`,
            ],
            compilation.size_bytes > 0 && ["Compiled model", `${bytes(compilation.size_bytes)}, ${verdict.runtime}`],
          ]}
        />
      )}
    </div>
  );
}

export function CompiledCard({ version }: { version: ModelVersion }) {
  const client = useQueryClient();
  const options = q.compilation(version.name, String(version.version));
  const mayWrite = useMay("write");
  const query = useQuery({
    ...options,
    retry: false,
    refetchInterval: (current) => (current.state.data?.state === "pending" ? 2000 : false),
  });
  const again = useMutation({
    mutationFn: () => post(`/models/${seg(version.name)}/versions/${seg(version.version)}/compilation`),
    onSuccess: () => {
      toast("Compiling is queued");
      void client.invalidateQueries({ queryKey: options.queryKey });
    },
    onError: (error) => toast(error.message, true),
  });
  const untried = query.data?.state === "none";
  const state = query.data && STATES[query.data.state];
  return (
    <Card
      title="Compiled form"
      note={query.data && !untried && <Time us={query.data.at_us} />}
      actions={
        <>
          {state && (
            <Badge tone={state.tone} {...(state.icon ? { icon: state.icon } : {})}>
              {state.text}
            </Badge>
          )}
          {mayWrite && (
            <Button busy={again.isPending || query.data?.state === "pending"} onClick={() => again.mutate()}>
              {untried ? "Compile" : "Compile again"}
            </Button>
          )}
        </>
      }
    >
      {untried ? (
        <p className="dim">Nobody tried to compile this version; it is served natively.</p>
      ) : (
        <QueryView query={query}>
          {(found) =>
            found.verdict ? (
              <Evidence compilation={found} verdict={found.verdict} />
            ) : (
              <p className="dim">It is being compiled and compared with the native model, in a process of its own.</p>
            )
          }
        </QueryView>
      )}
    </Card>
  );
}
