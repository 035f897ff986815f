// How to run the same again: the command, and what was captured to make that possible.
import type { Run } from "../../../api/types.ts";
import { Card } from "../../../ui/Card.tsx";
import { Facts } from "../../../ui/Facts.tsx";
import { QueryView } from "../../../ui/QueryView.tsx";
import { Snippet } from "../../../ui/States.tsx";
import { useUrl } from "../../../ui/useUrl.ts";
import { CAPTURE_FOLDER, useCapture, type Capture } from "./capture.ts";

const text = (value: unknown): string => (typeof value === "string" ? value : JSON.stringify(value));

function Captured({ capture, files }: { capture: Capture; files: string[] }) {
  const [, setSearch] = useUrl();
  const open = (file: string) => (
    <button
      key={file}
      type="button"
      className="link-button"
      onClick={() => setSearch({ tab: "artifacts", path: CAPTURE_FOLDER, file: `${CAPTURE_FOLDER}/${file}` }, { push: true })}
    >
      {file}
    </button>
  );
  const packages = capture.environment?.packages ?? [];
  return (
    <div className="grid-2">
      <Card title="Code and command">
        <Facts
          items={[
            capture.command?.argv && [
              "command",
              <code key="c">{[...(capture.command.options ?? []), ...capture.command.argv].join(" ")}</code>,
            ],
            capture.command?.folder && ["folder", <code key="f">{capture.command.folder}</code>],
            capture.code?.commit && ["commit", <code key="k">{capture.code.commit}</code>],
            capture.code?.branch && ["branch", capture.code.branch],
            capture.code?.remote && ["remote", <code key="r">{capture.code.remote}</code>],
            capture.code && [
              "uncommitted changes",
              files.includes("changes.patch") ? open("changes.patch") : capture.code.changed ? "yes, not kept" : "none",
            ],
            files.includes("source.zip") && ["source", open("source.zip")],
            ...Object.entries(capture.seeds ?? {}).map(([key, value]): [string, string] => [`seed ${key}`, text(value)]),
          ]}
        />
      </Card>
      <Card title="Environment">
        <Facts
          items={[
            capture.environment?.python && ["python", `${capture.environment.python} ${capture.environment.implementation ?? ""}`],
            capture.environment?.platform && ["platform", capture.environment.platform],
            [
              "packages",
              files.includes("requirements.txt") ? (
                <span key="p">
                  {packages.length}, in {open("requirements.txt")}
                </span>
              ) : (
                String(packages.length)
              ),
            ],
            ...Object.entries(capture.environment?.variables ?? {}).map(([key, value]): [string, React.ReactNode] => [
              key,
              <code key={key}>{value}</code>,
            ]),
            ...Object.entries(capture.hardware ?? {}).map(([key, value]): [string, string] => [key.replaceAll("_", " "), text(value)]),
          ]}
        />
      </Card>
    </div>
  );
}

export function Reproduce({ run }: { run: Run }) {
  const query = useCapture(run.id);
  return (
    <div className="stack">
      <QueryView query={query}>
        {({ capture, files }) =>
          capture ? (
            <>
              <Card title="Run the same again">
                <div className="stack stack-s">
                  <Snippet code={`trimtab runs reproduce ${run.id} --url ${location.origin}`} />
                  <p className="dim">
                    It takes the commit and the changes on it, builds the environment, sets the seeds, runs the command and shows what came
                    out differently.
                  </p>
                </div>
              </Card>
              <Captured capture={capture} files={files} />
            </>
          ) : (
            <Card title="Run the same again">
              <div className="stack stack-s">
                <p className="dim">
                  The client that logged this run wrote down no environment, so it cannot be run again by itself. Runs that{" "}
                  <code>trimtab.run()</code> starts keep commit, changes, packages, command and seeds.
                </p>
                <Snippet
                  code={
                    run.source["commit"]
                      ? `git checkout ${run.source["commit"]}\npython ${run.source["name"] ?? "train.py"}`
                      : `import trimtab\nwith trimtab.run(experiment="flight-delay") as run:\n    run.log_metrics({"loss": 0.41})`
                  }
                />
              </div>
            </Card>
          )
        }
      </QueryView>
    </div>
  );
}
