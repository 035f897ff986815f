// Server-sent events into the query cache: each event marks the lists it concerns as stale, at most once a second.
import type { QueryClient } from "@tanstack/react-query";
import { url } from "./client.ts";
import type { StreamEvent } from "./types.ts";

/** Which query nouns an event of a domain makes stale. */
const NOUNS: Record<string, string[]> = {
  tracking: ["experiments", "runs"],
  registry: ["models"],
  data: ["data"],
  pipelines: ["pipelines"],
  deploy: ["endpoints", "batches"],
  monitor: ["monitors", "predictions"],
  alerts: ["alerts"],
  govern: ["audit", "tokens"],
  lineage: ["lineage"],
  loop: ["endpoints", "models"],
};

export function staleNouns(kind: string): string[] {
  const domain = kind.split(".")[0] ?? "";
  // What the judge found belongs to a rollout, and that to its endpoint.
  const more = kind === "monitor.trial_judged" ? ["endpoints"] : [];
  return ["overview", "timeline", ...(NOUNS[domain] ?? []), ...more];
}

/** Splits a server-sent-event text into whole messages and the unfinished rest. */
export function parseEvents(text: string): { messages: { id: string; event: string; data: string }[]; rest: string } {
  const blocks = text.replace(/\r\n/g, "\n").split("\n\n");
  const rest = blocks.pop() ?? "";
  const messages = blocks.map((block) => {
    const message = { id: "", event: "message", data: "" };
    for (const line of block.split("\n")) {
      const at = line.indexOf(":");
      if (at <= 0) continue;
      const field = line.slice(0, at);
      const value = line.slice(at + 1).replace(/^ /, "");
      if (field === "data") message.data += (message.data ? "\n" : "") + value;
      else if (field === "id" || field === "event") message[field] = value;
    }
    return message;
  });
  return { messages: messages.filter((m) => m.data !== ""), rest };
}

export type LiveState = "connecting" | "live" | "offline";

/** Follows the stream until `stop` is called; reconnects with the last id seen, waiting longer each time. */
export function follow(client: QueryClient, onState: (state: LiveState) => void): () => void {
  const aborter = new AbortController();
  const pending = new Set<string>();
  let flushTimer: ReturnType<typeof setTimeout> | undefined;
  let last = "";
  let failures = 0;

  const flush = (): void => {
    flushTimer = undefined;
    for (const noun of pending) void client.invalidateQueries({ queryKey: [noun] });
    pending.clear();
  };
  const note = (nouns: Iterable<string>): void => {
    for (const noun of nouns) pending.add(noun);
    flushTimer ??= setTimeout(flush, 1000);
  };

  const readOnce = async (): Promise<void> => {
    const response = await fetch(url("/events/stream", { after: last }), {
      headers: { accept: "text/event-stream" },
      signal: aborter.signal,
      credentials: "same-origin",
    });
    if (!response.ok || !response.body) throw new Error(`event stream answered ${response.status}`);
    onState("live");
    if (failures > 0) note(["overview", "timeline", ...Object.values(NOUNS).flat()]);
    failures = 0;
    const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
    let text = "";
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      const parsed = parseEvents(text + value);
      text = parsed.rest;
      for (const message of parsed.messages) {
        if (message.id) last = message.id;
        const event = JSON.parse(message.data) as StreamEvent;
        note(staleNouns(event.kind ?? message.event));
      }
    }
  };

  const loop = async (): Promise<void> => {
    while (!aborter.signal.aborted) {
      try {
        await readOnce();
      } catch {
        if (aborter.signal.aborted) return;
      }
      onState(failures > 1 ? "offline" : "connecting");
      failures += 1;
      await new Promise((done) => setTimeout(done, Math.min(30_000, 500 * 2 ** failures)));
    }
  };
  void loop();
  return () => {
    aborter.abort();
    clearTimeout(flushTimer);
  };
}
