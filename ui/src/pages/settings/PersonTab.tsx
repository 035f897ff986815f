// Who is here, the theme, and signing out.
import { useMutation, useQuery } from "@tanstack/react-query";
import { del } from "../../api/client.ts";
import { q } from "../../api/queries.ts";
import { setTheme, useTheme, type Theme } from "../../design/theme.ts";
import { Button } from "../../ui/Button.tsx";
import { Card } from "../../ui/Card.tsx";
import { Facts } from "../../ui/Facts.tsx";
import { QueryView } from "../../ui/QueryView.tsx";

const THEMES: [theme: Theme, label: string][] = [
  ["system", "As the system"],
  ["light", "Light"],
  ["dark", "Dark"],
];

export function PersonTab() {
  const me = useQuery(q.me());
  const theme = useTheme();
  const leave = useMutation({ mutationFn: () => del("/session"), onSuccess: () => location.assign("/") });
  return (
    <div className="grid-2">
      <Card
        title="You"
        actions={
          <Button busy={leave.isPending} onClick={() => leave.mutate()}>
            Sign out
          </Button>
        }
      >
        <QueryView query={me}>
          {(data) => (
            <Facts
              items={[
                ["Name", data.name],
                ["Role", data.role],
                ["Id", <code key="i">{data.id}</code>],
              ]}
            />
          )}
        </QueryView>
      </Card>
      <Card title="Theme">
        <div className="segments" role="group" aria-label="Theme">
          {THEMES.map(([each, label]) => (
            <button key={each} type="button" aria-pressed={theme === each} onClick={() => setTheme(each)}>
              {label}
            </button>
          ))}
        </div>
      </Card>
    </div>
  );
}
