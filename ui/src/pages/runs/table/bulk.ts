// Acts on many runs at once, a few requests at a time; says how many could not be done and why.
import { del, post, put, seg } from "../../../api/client.ts";

const AT_ONCE = 6;

export interface Outcome {
  done: string[];
  failed: Error | null;
}

/** Does `act` for every id; what fails does not keep the rest from being done. */
export async function forEach(ids: string[], act: (id: string) => Promise<unknown>): Promise<Outcome> {
  const waiting = [...ids];
  const done: string[] = [];
  let failed: Error | null = null;
  const worker = async (): Promise<void> => {
    for (let id = waiting.pop(); id !== undefined; id = waiting.pop()) {
      try {
        await act(id);
        done.push(id);
      } catch (error) {
        failed = error instanceof Error ? error : new Error(String(error));
      }
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, worker));
  return { done, failed };
}

export const deleteRuns = (ids: string[]): Promise<Outcome> => forEach(ids, (id) => del(`/runs/${seg(id)}`));
export const restoreRuns = (ids: string[]): Promise<Outcome> => forEach(ids, (id) => post(`/runs/${seg(id)}/restore`));
export const tagRuns = (ids: string[], key: string, value: string): Promise<Outcome> =>
  forEach(ids, (id) => put(`/runs/${seg(id)}/tags/${key.split("/").map(seg).join("/")}`, { value }));
