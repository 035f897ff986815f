// Alerts: the inbox by state, the rules that open them, and the channels they go to.
import { Page } from "../../ui/Page.tsx";
import { Tabs } from "../../ui/Tabs.tsx";
import { Channels } from "./Channels.tsx";
import { Inbox } from "./Inbox.tsx";
import { Rules } from "./Rules.tsx";
import "./alerts.css";

export function AlertsPage() {
  return (
    <Page title="Alerts" meta="What needs a person, grouped with its cause.">
      <Tabs
        tabs={[
          { id: "inbox", label: "Inbox", body: () => <Inbox /> },
          { id: "rules", label: "Rules", body: () => <Rules /> },
          { id: "channels", label: "Channels", body: () => <Channels /> },
        ]}
      />
    </Page>
  );
}
