// Development only: serves the built UI with the product's own headers and answers /api/v1 from the fixtures.
// node dev/serve.ts [port]   FIXTURES=empty|failed|denied shows the other states of every page, STATIC another build.
import { createReadStream, existsSync, statSync } from "node:fs";
import { createServer } from "node:http";
import { extname, join, normalize } from "node:path";
import { answer } from "./fixtures/routes.ts";

const ROOT = process.env["STATIC"] ?? join(import.meta.dirname, "../../src/trimtab/web/static");
const CSP =
  "default-src 'self'; img-src 'self' data: blob:; object-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'";
const TYPES: Record<string, string> = {
  ".html": "text/html; charset=utf-8",
  ".js": "text/javascript",
  ".css": "text/css",
  ".svg": "image/svg+xml",
  ".json": "application/json",
};
const port = Number(process.argv[2] ?? 5199);

createServer((request, response) => {
  const target = new URL(request.url ?? "/", "http://localhost");
  const mode = new URL(request.headers.referer ?? "http://localhost").searchParams.get("fixtures") ?? process.env["FIXTURES"] ?? "";
  if (target.pathname === "/api/v1/events/stream") {
    response.writeHead(200, { "content-type": "text/event-stream", "cache-control": "no-store" });
    response.write(": hello\n\n");
    return;
  }
  if (target.pathname.startsWith("/api/v1/")) {
    const { status, body } = answer(request.method ?? "GET", target.pathname.slice("/api/v1/".length), target.searchParams, mode);
    response.writeHead(status, { "content-type": status < 400 ? "application/json" : "application/problem+json" });
    response.end(JSON.stringify(body));
    return;
  }
  const file = join(ROOT, normalize(target.pathname));
  const found = file.startsWith(ROOT) && existsSync(file) && statSync(file).isFile() ? file : join(ROOT, "index.html");
  response.writeHead(200, { "content-type": TYPES[extname(found)] ?? "application/octet-stream", "content-security-policy": CSP });
  createReadStream(found).pipe(response);
}).listen(port, "127.0.0.1", () => console.log(`fixtures at http://127.0.0.1:${port}`));
