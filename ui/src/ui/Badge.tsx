// A state in a word: a dot or mark of its meaning, and the text beside it so that colour is never alone.
import type { ReactNode } from "react";
import { Icon, type IconName } from "./Icon.tsx";

export type Tone = "neutral" | "quiet" | "active" | "alarm" | "failed" | "champion" | "challenger" | "reference" | "waiting";

export function Badge({ tone = "neutral", icon, children, title }: { tone?: Tone; icon?: IconName; children: ReactNode; title?: string }) {
  return (
    <span className={`badge badge-${tone}`} title={title}>
      {icon ? <Icon name={icon} size={12} /> : <span className="badge-dot" aria-hidden />}
      {children}
    </span>
  );
}

const STATES: Record<string, { tone: Tone; text?: string; icon?: IconName }> = {
  RUNNING: { tone: "active", text: "Running" },
  FINISHED: { tone: "neutral", text: "Finished", icon: "check" },
  FAILED: { tone: "failed", text: "Failed", icon: "cross" },
  KILLED: { tone: "quiet", text: "Stopped", icon: "minus" },
  SCHEDULED: { tone: "waiting", text: "Scheduled" },
  ok: { tone: "neutral", text: "OK", icon: "check" },
  active: { tone: "active" },
  alarm: { tone: "alarm", icon: "alarm" },
  empty: { tone: "waiting" },
  ready: { tone: "neutral", text: "Ready", icon: "check" },
  starting: { tone: "active" },
  building: { tone: "active" },
  degraded: { tone: "alarm", icon: "alarm" },
  stopped: { tone: "quiet", icon: "minus" },
  admin: { tone: "neutral", icon: "person" },
  running: { tone: "active" },
  watching: { tone: "neutral", icon: "check" },
  queued: { tone: "waiting" },
  waiting: { tone: "waiting" },
  pending: { tone: "waiting" },
  succeeded: { tone: "neutral", icon: "check" },
  skipped: { tone: "quiet", icon: "minus" },
  failed: { tone: "failed", icon: "cross" },
  cancelled: { tone: "quiet", icon: "minus" },
  passed: { tone: "neutral", icon: "check" },
  none: { tone: "quiet", text: "Not validated", icon: "minus" },
  promoted: { tone: "active", icon: "promote" },
  "rolled-back": { tone: "alarm", text: "Rolled back", icon: "back" },
  aborted: { tone: "quiet", icon: "minus" },
  open: { tone: "alarm", icon: "alarm" },
  acknowledged: { tone: "waiting" },
  resolved: { tone: "neutral", icon: "check" },
  critical: { tone: "alarm", icon: "alarm" },
  warning: { tone: "waiting", icon: "alarm" },
  info: { tone: "quiet" },
  champion: { tone: "champion" },
  challenger: { tone: "challenger" },
  shadow: { tone: "waiting" },
  warm: { tone: "quiet" },
};

/** Any state of any resource, with its one look. */
export function State({ of, title }: { of: string; title?: string }) {
  const known = STATES[of] ?? { tone: "quiet" as const };
  const text = known.text ?? of.charAt(0).toUpperCase() + of.slice(1).toLowerCase().replace(/[-_]/g, " ");
  return (
    <Badge tone={known.tone} {...(known.icon ? { icon: known.icon } : {})} {...(title ? { title } : {})}>
      {text}
    </Badge>
  );
}
