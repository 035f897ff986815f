// Moments on a line chart: alarms as red triangles at the foot, version changes as labelled lines, the reference as a dashed level.
import type uPlot from "uplot";
import { token } from "../design/theme.ts";

export interface Marker {
  x: number;
  label: string;
  kind: "alarm" | "version" | "event";
}

export function drawMarkers(plot: uPlot, markers: Marker[], reference: { value: number; label: string } | undefined): void {
  const { ctx, bbox } = plot;
  const ratio = devicePixelRatio;
  ctx.save();
  ctx.beginPath();
  ctx.rect(bbox.left, 0, bbox.width + 8 * ratio, bbox.top + bbox.height);
  ctx.clip();
  ctx.font = `${11 * ratio}px system-ui, sans-serif`;
  if (reference) {
    const y = plot.valToPos(reference.value, "y", true);
    ctx.strokeStyle = token("--reference");
    ctx.fillStyle = token("--reference");
    ctx.lineWidth = 1.4 * ratio;
    ctx.setLineDash([5 * ratio, 4 * ratio]);
    ctx.beginPath();
    ctx.moveTo(bbox.left, y);
    ctx.lineTo(bbox.left + bbox.width, y);
    ctx.stroke();
    ctx.setLineDash([]);
    ctx.textAlign = "left";
    ctx.textBaseline = "bottom";
    ctx.fillText(reference.label, bbox.left + 6 * ratio, y - 3 * ratio);
  }
  let labelEnd = -Infinity;
  for (const marker of markers) {
    const x = plot.valToPos(marker.x, "x", true);
    if (x < bbox.left - 1 || x > bbox.left + bbox.width + 1) continue;
    if (marker.kind === "alarm") {
      const y = bbox.top + bbox.height;
      ctx.fillStyle = token("--alarm");
      ctx.beginPath();
      ctx.moveTo(x, y - 9 * ratio);
      ctx.lineTo(x + 5 * ratio, y);
      ctx.lineTo(x - 5 * ratio, y);
      ctx.fill();
      continue;
    }
    ctx.strokeStyle = token(marker.kind === "version" ? "--accent" : "--line-strong");
    ctx.lineWidth = ratio;
    ctx.beginPath();
    ctx.moveTo(x, bbox.top - 4 * ratio);
    ctx.lineTo(x, bbox.top + bbox.height);
    ctx.stroke();
    const width = ctx.measureText(marker.label).width;
    const left = Math.min(x + 3 * ratio, bbox.left + bbox.width - width);
    if (left < labelEnd + 6 * ratio) continue;
    ctx.fillStyle = token("--accent");
    ctx.textAlign = "left";
    ctx.textBaseline = "bottom";
    ctx.fillText(marker.label, left, bbox.top - 2 * ratio);
    labelEnd = left + width;
  }
  ctx.restore();
}
