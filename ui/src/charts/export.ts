// Takes what a figure shows out of the browser: CSV of its rows, PNG of its picture.

export interface Sheet {
  head: string[];
  rows: (string | number | null)[][];
}

const cell = (value: string | number | null): string => {
  const text = value === null ? "" : String(value);
  return /[",\n]/.test(text) ? `"${text.replace(/"/g, '""')}"` : text;
};

export const csv = (sheet: Sheet): string => [sheet.head, ...sheet.rows].map((row) => row.map(cell).join(",")).join("\n") + "\n";

export function save(blob: Blob, name: string): void {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(blob);
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
}

/** A canvas of the figure inside `box` on the panel's background: its own canvas, or its SVG drawn with resolved colours. */
export async function picture(box: HTMLElement, background: string): Promise<HTMLCanvasElement | null> {
  const source = box.querySelector("canvas") ?? (await rasterised(box.querySelector("svg")));
  if (!source) return null;
  const out = document.createElement("canvas");
  out.width = source.width;
  out.height = source.height;
  const context = out.getContext("2d");
  if (!context) return null;
  context.fillStyle = background;
  context.fillRect(0, 0, out.width, out.height);
  context.drawImage(source, 0, 0);
  return out;
}

const PAINT = ["fill", "stroke", "stroke-width", "stroke-dasharray", "opacity", "font-size", "font-family", "font-weight", "text-anchor"];

async function rasterised(svg: SVGSVGElement | null): Promise<HTMLCanvasElement | null> {
  if (!svg) return null;
  const copy = svg.cloneNode(true) as SVGSVGElement;
  const from = svg.querySelectorAll("*");
  copy.querySelectorAll("*").forEach((node, i) => {
    const original = from[i];
    if (!original) return;
    const style = getComputedStyle(original);
    for (const name of PAINT) node.setAttribute(name, style.getPropertyValue(name));
  });
  const { width, height } = svg.getBoundingClientRect();
  copy.setAttribute("xmlns", "http://www.w3.org/2000/svg");
  copy.setAttribute("width", String(width));
  copy.setAttribute("height", String(height));
  const address = URL.createObjectURL(new Blob([new XMLSerializer().serializeToString(copy)], { type: "image/svg+xml" }));
  const image = new Image();
  image.src = address;
  await image.decode();
  URL.revokeObjectURL(address);
  const canvas = document.createElement("canvas");
  canvas.width = width * 2;
  canvas.height = height * 2;
  canvas.getContext("2d")?.drawImage(image, 0, 0, canvas.width, canvas.height);
  return canvas;
}
