// A monitor's policy as a form has it: texts with their meaning and limits.
import { timeText, timeUs } from "../../format/time.ts";

interface Setting {
  name: string;
  label: string;
  hint: string;
  time?: boolean;
}

export const SETTINGS: Setting[] = [
  { name: "window_us", label: "Window", hint: "Of event time, such as 1h or 1d", time: true },
  { name: "arl", label: "Windows to a false alarm", hint: "On average, at the least" },
  { name: "drift_tolerance", label: "Drift nobody minds", hint: "Shift of a share or mean rank, 0 to 0.5" },
  { name: "loss_margin", label: "Rise of the loss nobody minds", hint: "Of the mean loss, 0 to 0.5" },
  { name: "min_rows", label: "Rows a window needs", hint: "10 at the least" },
  { name: "min_psi", label: "Least PSI of a feature", hint: "Below it no feature is named" },
  { name: "alpha", label: "False discoveries per window", hint: "Share of the features named, 0 to 0.5" },
];

export type Cause = "drift" | "performance";
export interface PolicyTexts {
  texts: Record<string, string>;
  alarmOn: Cause[];
}

const show = (setting: Setting, value: unknown): string => (setting.time ? timeText(Number(value)) : String(value));

/** The texts of a policy; without one those of a new monitor, whose fields are empty for the defaults. */
export const textsOf = (policy: Record<string, unknown> = {}): PolicyTexts => ({
  texts: Object.fromEntries(SETTINGS.map((one) => [one.name, policy[one.name] === undefined ? "" : show(one, policy[one.name])])),
  alarmOn: Array.isArray(policy["alarm_on"]) ? (policy["alarm_on"] as Cause[]) : ["drift", "performance"],
});

/** What is wrong with a text, null where it can be sent. */
export function flaw(setting: Setting, text: string): string | null {
  if (!text.trim()) return null;
  if (setting.time) return timeUs(text) === null ? "A time such as 1h or 1d" : null;
  return Number.isFinite(Number(text)) ? null : "A number";
}

/** The policy as the API takes it; null while a text cannot be read. */
export function policyBody({ texts, alarmOn }: PolicyTexts): Record<string, unknown> | null {
  const found: Record<string, unknown> = { alarm_on: alarmOn };
  for (const setting of SETTINGS) {
    const text = texts[setting.name] ?? "";
    if (flaw(setting, text)) return null;
    if (text.trim()) found[setting.name] = setting.time ? timeUs(text) : Number(text);
  }
  return found;
}
