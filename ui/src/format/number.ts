// Numbers as the product writes them: three significant digits, thin groups, true minus, units after a space.

const GROUP = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });
const NONE = "–";

const minus = (text: string): string => text.replace("-", "\u2212");

/** Three significant digits; whole numbers below 10,000 stay exact. */
export function number(value: number | null | undefined, digits = 3): string {
  if (value === null || value === undefined || Number.isNaN(value)) return NONE;
  if (!Number.isFinite(value)) return value > 0 ? "∞" : "\u2212∞";
  const size = Math.abs(value);
  if (size === 0) return "0";
  if (Number.isInteger(value) && size < 10_000) return minus(GROUP.format(value));
  if (size >= 1e15 || size < 1e-4) return minus(value.toExponential(digits - 1)).replace("e+", "e");
  if (size >= 1000) return compact(value, digits);
  return minus(trimZeros(value.toPrecision(digits)));
}

const STEPS: [number, string][] = [
  [1e12, " T"],
  [1e9, " G"],
  [1e6, " M"],
  [1e3, " k"],
];

function compact(value: number, digits: number): string {
  for (const [step, suffix] of STEPS) {
    if (Math.abs(value) >= step * (1 - 0.5 * 10 ** -digits)) return minus(trimZeros((value / step).toPrecision(digits))) + suffix;
  }
  return minus(trimZeros(value.toPrecision(digits)));
}

function trimZeros(text: string): string {
  if (text.includes("e")) return GROUP.format(Number(text));
  return text.includes(".") ? text.replace(/\.?0+$/, "") : text;
}

/** Three significant digits with their zeros kept, so that a column of figures lines up. */
export function figure(value: number | null | undefined, digits = 3): string {
  if (value === null || value === undefined || !Number.isFinite(value) || Number.isInteger(value)) return number(value, digits);
  const size = Math.abs(value);
  return size >= 1e-4 && size < 999.5 ? minus(value.toPrecision(digits)) : number(value, digits);
}

/** The exact value for a tooltip. */
export function exact(value: number | null | undefined): string {
  if (value === null || value === undefined) return "no value";
  return Number.isInteger(value) ? GROUP.format(value) : String(value);
}

/** A count: exact below 10,000, three digits with k/M/G above. */
export const count = (value: number | null | undefined): string => number(value);

/** A share of one as per cent. */
export function percent(share: number | null | undefined): string {
  if (share === null || share === undefined || Number.isNaN(share)) return NONE;
  return `${number(share * 100)}\u202f%`;
}

/** A weight that is already per cent. */
export const weight = (value: number): string => `${number(value)}\u202f%`;

export function bytes(value: number | null | undefined): string {
  if (value === null || value === undefined) return NONE;
  const units = ["B", "kB", "MB", "GB", "TB", "PB"];
  let size = value;
  let unit = 0;
  while (size >= 999.5 && unit < units.length - 1) {
    size /= 1000;
    unit += 1;
  }
  return `${unit === 0 ? size : trimZeros(size.toPrecision(3))} ${units[unit]}`;
}

/** A signed difference, with its sign always written. */
export function signed(value: number | null | undefined): string {
  if (value === null || value === undefined) return NONE;
  return value > 0 ? `+${number(value)}` : number(value);
}

export const plural = (n: number, one: string, many = `${one}s`): string => `${count(n)} ${n === 1 ? one : many}`;
