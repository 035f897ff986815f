// What is set for an endpoint: limits and time-outs with what they did, and what is done to columns before they are written down.
import { useQuery } from "@tanstack/react-query";
import { useState } from "react";
import { q } from "../../api/queries.ts";
import { useMay } from "../../api/useMay.ts";
import type { EndpointSettings, Setting } from "../../api/types.ts";
import { bytes, count, percent } from "../../format/number.ts";
import { actorName } from "../../format/who.ts";
import { Button } from "../../ui/Button.tsx";
import { Card } from "../../ui/Card.tsx";
import { QueryView } from "../../ui/QueryView.tsx";
import { Empty, Skeleton } from "../../ui/States.tsx";
import { Stat } from "../../ui/Stat.tsx";
import { Table, type Column } from "../../ui/Table.tsx";
import { Time } from "../../ui/Time.tsx";
import { RuleDialog } from "./RuleDialog.tsx";
import { SettingsDialog } from "./SettingsDialog.tsx";
import { grouped, ruleText, settingLabel } from "./settings.ts";

const COLUMNS: Column<Setting>[] = [
  { key: "name", head: "Setting", cell: (row) => <b>{settingLabel(row.name)}</b> },
  {
    key: "value",
    head: "Value",
    cell: (row) => (row.value === row.default ? <span className="dim">{row.value}</span> : <b>{row.value}</b>),
  },
  { key: "default", head: "Default", cell: (row) => <span className="faint">{row.value === row.default ? "as is" : row.default}</span> },
  { key: "about", head: "What it does", cell: (row) => row.about, grow: true },
];

type Rule = [column: string, rule: string];

function Did({ did }: { did: EndpointSettings["did"] }) {
  const asked = did.cache_hits + did.cache_misses;
  return (
    <div className="stats">
      <Stat label="Refused by limits" value={count(did.limited)} note="429, since the gateway started" />
      <Stat label="Sent away" value={count(did.shed)} note="too many waited" />
      <Stat label="Made once more" value={count(did.retried)} note="a replica had died" />
      <Stat
        label="Answered from the cache"
        value={asked ? percent(did.cache_hits / asked) : "off"}
        note={asked ? `${count(did.cache_hits)} of ${count(asked)}, ${bytes(did.cache_bytes)}` : "nothing is kept"}
      />
      {did.open_circuits.length > 0 && (
        <Stat label="Left alone" value={did.open_circuits.map((each) => `v${each}`).join(", ")} note="its circuit is open" tone="alarm" />
      )}
    </div>
  );
}

export function Settings({ endpoint }: { endpoint: string }) {
  const query = useQuery(q.endpointSettings(endpoint));
  const mayWrite = useMay("write");
  const [changing, setChanging] = useState(false);
  const [rule, setRule] = useState<Rule | "new" | null>(null);
  const rules: Column<Rule>[] = [
    { key: "column", head: "Column", cell: ([column]) => <b className="break">{column}</b> },
    { key: "rule", head: "Is written down as", cell: ([, text]) => ruleText(text), grow: true },
    ...(mayWrite
      ? [
          {
            key: "acts",
            head: <span className="sr-only">Acts</span>,
            cell: (row: Rule) => (
              <Button kind="quiet" onClick={() => setRule(row)}>
                Change
              </Button>
            ),
          },
        ]
      : []),
  ];
  return (
    <QueryView query={query} skeleton={<Skeleton rows={12} />}>
      {(data) => (
        <div className="stack">
          <Did did={data.did} />
          <Card
            title="Limits, time-outs, cache and scaling"
            note={
              <>
                changed <Time us={data.updated_us} /> by {actorName(data.updated_by)}
              </>
            }
            actions={mayWrite && <Button onClick={() => setChanging(true)}>Change settings</Button>}
            flush
          >
            <Table
              label="Settings"
              rows={grouped(data.settings).flatMap(([, settings]) => settings)}
              columns={COLUMNS}
              rowKey={(row) => row.name}
            />
          </Card>
          <Card
            title="What is written down"
            note="of the inputs of predictions, before they reach a disk"
            actions={
              mayWrite && (
                <Button icon="plus" onClick={() => setRule("new")}>
                  Add a rule
                </Button>
              )
            }
            flush
          >
            {Object.keys(data.fields).length ? (
              <Table label="Rules of columns" rows={Object.entries(data.fields)} columns={rules} rowKey={([column]) => column} />
            ) : (
              <Empty title="Every column is written down as it came" code={`trimtab endpoints policy ${endpoint} --hash email --drop ssn`}>
                A rule drops, masks, hashes or coarsens a column. The model still sees the real value.
              </Empty>
            )}
          </Card>
          {changing && <SettingsDialog data={data} onClose={() => setChanging(false)} />}
          {rule && <RuleDialog endpoint={endpoint} rule={rule === "new" ? null : rule} onClose={() => setRule(null)} />}
        </div>
      )}
    </QueryView>
  );
}
