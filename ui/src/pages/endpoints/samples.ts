// Samples of an endpoint's last minute, kept for as long as the tab lives, so that its charts go on where they were.
import { useQuery } from "@tanstack/react-query";
import { useEffect, useState } from "react";
import { q } from "../../api/queries.ts";
import type { Endpoint } from "../../api/types.ts";

export interface Sample {
  atUs: number;
  requests: number;
  errors: number;
  p50_ms: number | null;
  p99_ms: number | null;
}

const EVERY_MS = 5000;
const MOST = 720;
const kept = new Map<string, Sample[]>();

/** One more sample, unless the newest is of the same answer; the oldest go past an hour. */
export function withSample(samples: Sample[], endpoint: Endpoint, atMs: number): Sample[] {
  const atUs = atMs * 1000;
  if (samples.at(-1)?.atUs === atUs) return samples;
  return [
    ...samples,
    { atUs, requests: endpoint.requests_1m, errors: endpoint.errors_1m, p50_ms: endpoint.p50_ms, p99_ms: endpoint.p99_ms },
  ].slice(-MOST);
}

/** Asks for the endpoint every five seconds while the page is open; returns what was seen so far, oldest first. */
export function useSamples(name: string): Sample[] {
  const query = useQuery({ ...q.endpoint(name), refetchInterval: EVERY_MS });
  const [samples, setSamples] = useState<Sample[]>(() => kept.get(name) ?? []);
  useEffect(() => {
    if (!query.data) return;
    const next = withSample(kept.get(name) ?? [], query.data, query.dataUpdatedAt);
    kept.set(name, next);
    setSamples(next);
  }, [name, query.data, query.dataUpdatedAt]);
  return samples;
}
