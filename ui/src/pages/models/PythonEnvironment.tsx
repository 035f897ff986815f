// In which Python and with which packages a version is loaded: the server's own, or an environment made by a lock.
import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { post, seg } from "../../api/client.ts";
import { q } from "../../api/queries.ts";
import { useMay } from "../../api/useMay.ts";
import type { ModelVersion, PythonEnvironment } from "../../api/types.ts";
import { bytes, number } from "../../format/number.ts";
import { duration } from "../../format/time.ts";
import { Badge, type Tone } from "../../ui/Badge.tsx";
import { Button } from "../../ui/Button.tsx";
import { Card } from "../../ui/Card.tsx";
import { Copy } from "../../ui/Copy.tsx";
import { Facts } from "../../ui/Facts.tsx";
import type { IconName } from "../../ui/Icon.tsx";
import { QueryView } from "../../ui/QueryView.tsx";
import { Snippet } from "../../ui/States.tsx";
import { Time } from "../../ui/Time.tsx";
import { toast } from "../../ui/Toasts.tsx";
import "./models.css";

const STATES: Record<PythonEnvironment["state"], { tone: Tone; icon?: IconName; text: string }> = {
  own: { tone: "neutral", text: "The server's own" },
  ready: { tone: "neutral", icon: "check", text: "Ready" },
  failed: { tone: "failed", icon: "cross", text: "Failed" },
  pending: { tone: "active", text: "Being made" },
};

const TRIALS: Record<PythonEnvironment["trial"], string> = {
  none: "",
  passed: "loaded and tried",
  failed: "could not be loaded",
  skipped: "not tried",
};

const seconds = (value: number): string => duration(value * 1e6);

function Found({ found }: { found: PythonEnvironment }) {
  const packages = found.lock.split("\n").filter((line) => line.includes("=="));
  const steps = Object.entries(found.took).map(([step, took]) => `${step} ${seconds(took)}`);
  return (
    <div className="stack">
      <p>{found.message}</p>
      <Facts
        items={[
          found.python && ["Python", found.python],
          found.asked.length > 0 && ["Asks for", <code key="a">{found.asked.join(", ")}</code>],
          found.key && [
            "Environment",
            <span key="k" className="row">
              <code className="truncate">{found.key}</code>
              <Copy text={found.key} label="Copy the environment's name" />
            </span>,
          ],
          found.key && ["Size", `${bytes(found.size_bytes)}, ${number(packages.length)} packages`],
          TRIALS[found.trial] && ["Model", TRIALS[found.trial]],
          steps.length > 0 && ["Took", `${seconds(found.took_s)}: ${steps.join(", ")}`],
          found.allowed.sources && ["Allowed", `packages from outside the index, by ${found.allowed.by}`],
        ]}
      />
      {found.lock && (
        <details className="lock">
          <summary>Lock with hashes</summary>
          <Snippet code={found.lock} />
        </details>
      )}
    </div>
  );
}

export function PythonEnvironmentCard({ version }: { version: ModelVersion }) {
  const client = useQueryClient();
  const options = q.pythonEnvironment(version.name, String(version.version));
  const mayWrite = useMay("write");
  const query = useQuery({
    ...options,
    refetchInterval: (current) => (current.state.data?.state === "pending" && current.state.data.updated_us ? 1500 : false),
  });
  const prepare = useMutation({
    mutationFn: (own: boolean) => post(`/models/${seg(version.name)}/versions/${seg(version.version)}/environment`, { own }),
    onSuccess: () => void client.invalidateQueries({ queryKey: options.queryKey }),
    onError: (error) => toast(error.message, true),
  });
  const found = query.data;
  const state = found && STATES[found.state];
  const asked = Boolean(found?.updated_us);
  return (
    <Card
      title="Python environment"
      note={found && asked && <Time us={found.updated_us} />}
      actions={
        <>
          {state && asked && (
            <Badge tone={state.tone} {...(state.icon ? { icon: state.icon } : {})}>
              {state.text}
            </Badge>
          )}
          {mayWrite && found && found.state !== "own" && (
            <Button busy={prepare.isPending || (found.state === "pending" && asked)} onClick={() => prepare.mutate(false)}>
              {asked ? "Make again" : "Make"}
            </Button>
          )}
        </>
      }
    >
      <QueryView query={query}>{(loaded) => <Found found={loaded} />}</QueryView>
      {mayWrite && found?.state === "failed" && (
        <Button busy={prepare.isPending} onClick={() => prepare.mutate(true)}>
          Use the server's own packages
        </Button>
      )}
    </Card>
  );
}
