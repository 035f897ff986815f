// What the scan of a version's files found, in a word, and in full with the names that no rule allows.
import { useQuery } from "@tanstack/react-query";
import { q } from "../../api/queries.ts";
import type { ModelVersion, SafetyVerdict } from "../../api/types.ts";
import { Badge, type Tone } from "../../ui/Badge.tsx";
import { Card } from "../../ui/Card.tsx";
import type { IconName } from "../../ui/Icon.tsx";
import { QueryView } from "../../ui/QueryView.tsx";
import { Time } from "../../ui/Time.tsx";

const WORDS: Record<SafetyVerdict, { tone: Tone; icon: IconName; says: string }> = {
  safe: { tone: "quiet", icon: "check", says: "Plain data: loading it runs no code of its own." },
  allowed: { tone: "neutral", icon: "check", says: "Pickles that import only names which this server allows." },
  suspicious: { tone: "alarm", icon: "alarm", says: "Loading it would run what no rule allows. An approver can deploy it with a reason." },
  unknown: { tone: "waiting", icon: "minus", says: "It cannot be told what loading it would run." },
};

export function Verdict({ version }: { version: Pick<ModelVersion, "verdict" | "strangers" | "format" | "safe"> }) {
  const verdict = version.verdict ?? (version.safe ? "safe" : "unknown");
  const word = WORDS[verdict];
  const named = version.strangers?.length ? `${word.says} It names ${version.strangers.join(", ")}.` : word.says;
  return (
    <Badge tone={word.tone} icon={word.icon} title={named}>
      {verdict === "safe" ? version.format : `${version.format}, ${verdict}`}
    </Badge>
  );
}

export function ScanCard({ version }: { version: ModelVersion }) {
  const query = useQuery(q.scan(version.name, String(version.version)));
  return (
    <Card title="Safety of the files" note={query.data && <Time us={query.data.at_us} />} actions={<Verdict version={version} />}>
      <QueryView query={query}>
        {(scan) => (
          <div className="stack stack-s">
            <p className="dim">{WORDS[scan.verdict].says}</p>
            {scan.strangers.length > 0 && (
              <ul className="names" aria-label="Names that no rule allows">
                {scan.strangers.map((name) => (
                  <li key={name}>
                    <code>{name}</code>
                  </li>
                ))}
              </ul>
            )}
            {scan.problems.map((problem) => (
              <p key={problem} className="small break">
                {problem}
              </p>
            ))}
            {scan.findings
              .filter((finding) => finding.names.length > 0)
              .map((finding) => (
                <details key={finding.path} className="small">
                  <summary className="break">
                    {finding.path}: {finding.names.length} imported {finding.names.length === 1 ? "name" : "names"}
                  </summary>
                  <p className="faint break">{finding.names.join(", ")}</p>
                </details>
              ))}
          </div>
        )}
      </QueryView>
    </Card>
  );
}
