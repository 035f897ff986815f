// Times are microseconds since the epoch; people read them relative, with the exact one at hand.

const MINUTE = 60;
const HOUR = 3600;
const DAY = 86_400;

export const msOf = (us: number): number => us / 1000;

/** "3 min ago", "in 2 h"; coarse on purpose. */
export function relative(us: number, nowMs: number): string {
  const seconds = (nowMs - msOf(us)) / 1000;
  const size = Math.abs(seconds);
  if (size < 5) return "now";
  const text =
    size < MINUTE
      ? `${Math.floor(size)} s`
      : size < HOUR
        ? `${Math.floor(size / MINUTE)} min`
        : size < DAY
          ? `${Math.floor(size / HOUR)} h`
          : size < 60 * DAY
            ? `${Math.floor(size / DAY)} d`
            : size < 730 * DAY
              ? `${Math.floor(size / (30.44 * DAY))} months`
              : `${Math.floor(size / (365.25 * DAY))} y`;
  return seconds >= 0 ? `${text} ago` : `in ${text}`;
}

const EXACT = new Intl.DateTimeFormat("en-GB", {
  weekday: "short",
  year: "numeric",
  month: "short",
  day: "numeric",
  hour: "2-digit",
  minute: "2-digit",
  second: "2-digit",
  timeZoneName: "short",
});
const DAY_TEXT = new Intl.DateTimeFormat("en-GB", { day: "numeric", month: "short" });
const DAY_YEAR = new Intl.DateTimeFormat("en-GB", { day: "numeric", month: "short", year: "numeric" });
const CLOCK = new Intl.DateTimeFormat("en-GB", { hour: "2-digit", minute: "2-digit" });

export const exactTime = (us: number): string => EXACT.format(msOf(us));
export const day = (us: number): string =>
  (new Date(msOf(us)).getFullYear() === new Date().getFullYear() ? DAY_TEXT : DAY_YEAR).format(msOf(us));
export const clock = (us: number): string => CLOCK.format(msOf(us));
export const dayClock = (us: number): string => `${day(us)} ${clock(us)}`;

/** A length of time from microseconds: "340 µs", "12.4 ms", "3.2 s", "4 min 12 s", "2 h 5 min". */
export function duration(us: number | null | undefined): string {
  if (us === null || us === undefined) return "–";
  if (us < 1000) return `${Math.round(us)} µs`;
  if (us < 1e6) return `${short(us / 1000)} ms`;
  const seconds = us / 1e6;
  if (seconds < MINUTE) return `${short(seconds)} s`;
  if (seconds < HOUR) return pair(seconds, MINUTE, "min", 1, "s");
  if (seconds < DAY) return pair(seconds, HOUR, "h", MINUTE, "min");
  return pair(seconds, DAY, "d", HOUR, "h");
}

const short = (value: number): string => String(Number(value.toPrecision(3)));

function pair(seconds: number, big: number, bigName: string, small: number, smallName: string): string {
  const whole = Math.floor(seconds / big);
  const rest = Math.floor((seconds - whole * big) / small);
  return rest ? `${whole} ${bigName} ${rest} ${smallName}` : `${whole} ${bigName}`;
}

const UNIT_S: Record<string, number> = { s: 1, m: 60, h: 3600, d: 86_400 };

/** A time such as "10m" or "1h30m" in microseconds; null for other texts. */
export function timeUs(text: string): number | null {
  const clean = text.replace(/\s/g, "");
  if (!/^(\d+(\.\d+)?[smhd])+$/.test(clean)) return clean === "0" ? 0 : null;
  let seconds = 0;
  for (const [, amount, unit] of clean.matchAll(/(\d+(?:\.\d+)?)([smhd])/g)) seconds += Number(amount) * (UNIT_S[unit ?? ""] ?? 0);
  return Math.round(seconds * 1e6);
}

/** A length of time as a person types it, of whole units: "10m", "1h30m", "0". */
export function timeText(us: number): string {
  let rest = Math.round(us / 1e6);
  let text = "";
  for (const unit of ["d", "h", "m", "s"]) {
    const size = UNIT_S[unit] ?? 1;
    const whole = Math.floor(rest / size);
    if (whole) text += `${whole}${unit}`;
    rest -= whole * size;
  }
  return text || "0";
}
