// Settings: tokens for machines, who is here, and how the UI looks.
import { Page } from "../../ui/Page.tsx";
import { Tabs } from "../../ui/Tabs.tsx";
import { PersonTab } from "./PersonTab.tsx";
import { Tokens } from "./Tokens.tsx";

export function SettingsPage() {
  return (
    <Page title="Settings">
      <Tabs
        tabs={[
          { id: "tokens", label: "Tokens", body: () => <Tokens /> },
          { id: "person", label: "Person", body: () => <PersonTab /> },
        ]}
      />
    </Page>
  );
}
