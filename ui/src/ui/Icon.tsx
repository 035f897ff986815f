// The icon set: 16-pixel strokes drawn for this product, decorative unless given a label.

const PATHS = {
  overview: "M8 2.2a5.8 5.8 0 1 1-5.2 3.2M2.6 2.4v3.2h3.2M8 6.4a1.6 1.6 0 1 0 0 3.2 1.6 1.6 0 0 0 0-3.2z",
  data: "M2.8 4c0-1.1 2.3-2 5.2-2s5.2.9 5.2 2-2.3 2-5.2 2-5.2-.9-5.2-2zm0 0v8c0 1.1 2.3 2 5.2 2s5.2-.9 5.2-2V4M2.8 8c0 1.1 2.3 2 5.2 2s5.2-.9 5.2-2",
  features: "M2.5 2.5h4.2v4.2H2.5zM9.3 2.5h4.2v4.2H9.3zM2.5 9.3h4.2v4.2H2.5zM9.3 11.4h4.2M11.4 9.3v4.2",
  pipelines:
    "M3.5 2.2a1.4 1.4 0 1 0 0 2.8 1.4 1.4 0 0 0 0-2.8zm0 8.8a1.4 1.4 0 1 0 0 2.8 1.4 1.4 0 0 0 0-2.8zm9-4.4a1.4 1.4 0 1 0 0 2.8 1.4 1.4 0 0 0 0-2.8zM4.9 3.6H7a2 2 0 0 1 2 2v.4a2 2 0 0 0 2 2M4.9 12.4H7a2 2 0 0 0 2-2V10a2 2 0 0 1 2-2",
  experiments: "M6 2h4M6.6 2v4L2.9 12.2A1.2 1.2 0 0 0 3.9 14h8.2a1.2 1.2 0 0 0 1-1.8L9.4 6V2M4.6 10h6.8",
  traces: "M2.2 3.4h7M4.6 6.6h6.8M6.6 9.8h4M8.6 13h5.2",
  models: "M8 1.8l5.4 3.1v6.2L8 14.2l-5.4-3.1V4.9zM2.6 4.9L8 8l5.4-3.1M8 8v6.2",
  endpoints: "M2 8h4.4M6.4 8l4.2-4.2M6.4 8l4.2 4.2M10.4 3.8H14M10.4 12.2H14M12.4 2.2L14 3.8l-1.6 1.6M12.4 10.6l1.6 1.6-1.6 1.6",
  monitors: "M1.8 9h2.6l1.8-5.4 3 9 2-5.4h3",
  alerts: "M8 2a4 4 0 0 0-4 4c0 3.6-1.4 4.8-1.4 5.4h10.8c0-.6-1.4-1.8-1.4-5.4a4 4 0 0 0-4-4zM6.6 13.6a1.5 1.5 0 0 0 2.8 0",
  lineage: "M2 8h3.2M10.8 8H14M5.2 5.8h5.6v4.4H5.2zM12.4 6.4L14 8l-1.6 1.6",
  audit: "M8 1.8l5 1.8v4c0 3-2 5.4-5 6.6-3-1.2-5-3.6-5-6.6v-4zM5.8 8l1.6 1.6 3-3.2",
  settings:
    "M2.2 4.6h6M11.4 4.6h2.4M2.2 11.4h2.4M7.8 11.4h6M9.8 3a1.6 1.6 0 1 0 0 3.2 1.6 1.6 0 0 0 0-3.2zM6.2 9.8a1.6 1.6 0 1 0 0 3.2 1.6 1.6 0 0 0 0-3.2z",
  search: "M7 2.4a4.6 4.6 0 1 0 0 9.2 4.6 4.6 0 0 0 0-9.2zM10.4 10.4l3.4 3.4",
  sun: "M8 5.2a2.8 2.8 0 1 0 0 5.6 2.8 2.8 0 0 0 0-5.6zM8 1.4v1.4M8 13.2v1.4M1.4 8h1.4M13.2 8h1.4M3.3 3.3l1 1M11.7 11.7l1 1M3.3 12.7l1-1M11.7 4.3l1-1",
  moon: "M13.4 9.6A5.8 5.8 0 0 1 6.4 2.6a5.8 5.8 0 1 0 7 7z",
  auto: "M8 2.2a5.8 5.8 0 1 0 0 11.6A5.8 5.8 0 0 0 8 2.2zM8 2.2v11.6M8 5l4.4-1.4M8 8h5.8M8 11l4.4 1.4",
  close: "M3.6 3.6l8.8 8.8M12.4 3.6l-8.8 8.8",
  check: "M3 8.6l3.2 3.2L13 4.6",
  cross: "M4 4l8 8M12 4l-8 8",
  minus: "M3.6 8h8.8",
  alarm: "M8 2.4l6 10.8H2zM8 6.4v3.2M8 11.4v.2",
  down: "M4 6.2l4 4 4-4",
  right: "M6.2 4l4 4-4 4",
  copy: "M5.4 5.4h7.2v8.2H5.4zM5.4 10.6H3.4V2.4h7.2v3",
  external: "M6.4 3.2H3.2v9.6h9.6V9.6M9.2 2.6h4.2v4.2M13.2 2.8L7.6 8.4",
  download: "M8 2.2v7.6M4.8 6.8L8 10l3.2-3.2M2.8 13.4h10.4",
  table: "M2.4 3h11.2v10H2.4zM2.4 6.4h11.2M2.4 9.6h11.2M6.6 3v10",
  chart: "M2.4 2.4v11.2h11.2M4.8 10.4l2.6-3.2 2.2 1.8 3.4-4.6",
  columns: "M2.4 3h11.2v10H2.4zM6.2 3v10M9.9 3v10",
  image: "M2.4 3h11.2v10H2.4zM2.4 11l3.4-3.6 2.6 2.6 1.8-1.6 3.4 3M10.4 5.4v.2",
  back: "M6 3.4L2.6 6.8 6 10.2M2.6 6.8h6.6a4 4 0 0 1 4 4v1.8",
  split: "M2 8h3.6l4-4.4H14M5.6 8l4 4.4H14",
  play: "M4.6 2.8v10.4L13 8z",
  refresh: "M13.4 8a5.4 5.4 0 1 1-1.6-3.8L13.4 5.8M13.4 2.4v3.4H10",
  person: "M8 2.4a2.7 2.7 0 1 0 0 5.4 2.7 2.7 0 0 0 0-5.4zM2.8 13.6c.6-2.7 2.6-4 5.2-4s4.6 1.3 5.2 4",
  menu: "M2.4 4.4h11.2M2.4 8h11.2M2.4 11.6h11.2",
  plus: "M8 3v10M3 8h10",
  folder: "M2 4.2c0-.6.4-1 1-1h3l1.4 1.6H13c.6 0 1 .4 1 1v6c0 .6-.4 1-1 1H3c-.6 0-1-.4-1-1z",
  file: "M4 2h5l3 3v9H4zM9 2v3h3",
  trash: "M2.6 4.4h10.8M6 4.2V2.6h4v1.6M4 4.4l.7 9h6.6l.7-9M6.6 7v4M9.4 7v4",
  gate: "M3 13.6V3.4h10v10.2M5.8 13.6V6.2h4.4v7.4M1.8 13.6h12.4",
  canary: "M2 13L6 9l2.6 2.6L14 4.6M10.4 4.4H14V8",
  promote: "M8 13.4V3M3.8 7.2L8 3l4.2 4.2",
  retrain: "M3 8a5 5 0 0 1 8.6-3.4L13 6M13 2.8V6H9.8M13 8a5 5 0 0 1-8.6 3.4L3 10M3 13.2V10h3.2",
} as const;

export type IconName = keyof typeof PATHS;

export function Icon({ name, size = 16, label }: { name: IconName; size?: number; label?: string }) {
  return (
    <svg
      className="icon"
      width={size}
      height={size}
      viewBox="0 0 16 16"
      fill="none"
      stroke="currentColor"
      strokeWidth={1.4}
      strokeLinecap="round"
      strokeLinejoin="round"
      {...(label ? { role: "img", "aria-label": label } : { "aria-hidden": true })}
    >
      <path d={PATHS[name]} />
    </svg>
  );
}
