// Who is here, at the foot of the rail, with the theme switch.
import { useQuery } from "@tanstack/react-query";
import { q } from "../api/queries.ts";
import { setTheme, useTheme, type Theme } from "../design/theme.ts";
import { A } from "../ui/A.tsx";
import { Icon } from "../ui/Icon.tsx";

const NEXT: Record<Theme, Theme> = { system: "light", light: "dark", dark: "system" };
const LABEL: Record<Theme, string> = { system: "Theme: as the system", light: "Theme: light", dark: "Theme: dark" };

export function Person() {
  const me = useQuery(q.me());
  const theme = useTheme();
  return (
    <div className="person">
      <A href="/settings?tab=person" className="person-link" title={me.data ? `${me.data.name}, ${me.data.role}` : "Person"}>
        <span className="avatar" aria-hidden>
          {(me.data?.name ?? "?").slice(0, 1).toUpperCase()}
        </span>
        <span className="person-text">
          <span className="truncate">{me.data?.name ?? "Not signed in"}</span>
          <span className="faint small">{me.data?.role ?? ""}</span>
        </span>
      </A>
      <button
        type="button"
        className="icon-button"
        onClick={() => setTheme(NEXT[theme])}
        aria-label={`${LABEL[theme]}. Change`}
        title={LABEL[theme]}
      >
        <Icon name={theme === "system" ? "auto" : theme === "light" ? "sun" : "moon"} />
      </button>
    </div>
  );
}
