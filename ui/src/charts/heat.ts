// Which shade a drift value takes, as a share of its threshold: five greys below it, three alarm tones above.
export const BUCKETS = [0.2, 0.4, 0.6, 0.8, 1, 1.5, 2, Infinity];

export function bucketOf(ratio: number): number {
  const at = BUCKETS.findIndex((upper) => ratio <= upper);
  return at < 0 ? BUCKETS.length - 1 : at;
}
