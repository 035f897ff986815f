// What our own client wrote down when a run started: command, environment, seeds, machine and code.
import { useQueries, useQuery } from "@tanstack/react-query";
import { get, Problem, seg } from "../../../api/client.ts";
import { artifactUrl } from "../artifacts/artifactUrl.ts";

export const CAPTURE_FOLDER = "trimtab";
export interface Capture {
  at_us?: number;
  command?: { kind?: string; argv?: string[]; options?: string[]; folder?: string };
  environment?: {
    python?: string;
    implementation?: string;
    platform?: string;
    machine?: string;
    packages?: { name: string; version: string; source?: string }[];
    variables?: Record<string, string>;
  };
  seeds?: Record<string, unknown>;
  hardware?: Record<string, unknown>;
  code?: { commit?: string | null; branch?: string | null; remote?: string | null; changed?: boolean } | null;
}

/** The text of a run's file; raises Problem. */
export async function fileText(run: string, path: string, signal?: AbortSignal, most?: number): Promise<string> {
  const response = await fetch(artifactUrl(run, path), {
    ...(signal ? { signal } : {}),
    ...(most ? { headers: { range: `bytes=0-${most - 1}` } } : {}),
  });
  if (!response.ok)
    throw new Problem({
      status: response.status,
      title: `The file could not be read (HTTP ${response.status})`,
      requestId: response.headers.get("x-request-id"),
    });
  return response.text();
}

/** One question: which files stand in the run's capture folder, and what the capture says. */
const captureOf = (run: string) => ({
  queryKey: ["capture", run] as const,
  queryFn: async ({ signal }: { signal: AbortSignal }): Promise<{ capture: Capture | null; files: string[] }> => {
    const listed = await get<{ items: { path: string }[] }>(`/runs/${seg(run)}/artifacts`, { path: CAPTURE_FOLDER }, signal);
    const files = listed.items.map((item) => item.path.split("/").pop() ?? "");
    if (!files.includes("capture.json")) return { capture: null, files };
    return { capture: JSON.parse(await fileText(run, `${CAPTURE_FOLDER}/capture.json`, signal)) as Capture, files };
  },
  staleTime: Infinity,
  retry: false,
});

export const useCapture = (run: string) => useQuery(captureOf(run));
export const useCaptures = (runs: string[]) => useQueries({ queries: runs.map(captureOf) });
