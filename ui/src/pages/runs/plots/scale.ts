// A scale of colours from low to high that keeps its order without colour vision and its contrast on both themes.
const STOPS: [number, number, number][] = [
  [68, 57, 131],
  [49, 104, 142],
  [33, 145, 140],
  [74, 176, 102],
  [166, 190, 50],
];

/** The colour at a place from 0 to 1. */
export function colorAt(place: number, alpha = 1): string {
  const at = Math.min(1, Math.max(0, place)) * (STOPS.length - 1);
  const i = Math.min(STOPS.length - 2, Math.floor(at));
  const mix = (c: 0 | 1 | 2): number => Math.round((STOPS[i]?.[c] ?? 0) + ((STOPS[i + 1]?.[c] ?? 0) - (STOPS[i]?.[c] ?? 0)) * (at - i));
  return `rgb(${mix(0)} ${mix(1)} ${mix(2)} / ${alpha})`;
}
