// State that lives in the query string: read as strings, patched in place; undefined or "" removes a key.
import { useNavigate, useParams, useSearch } from "@tanstack/react-router";
import { useCallback } from "react";

export type Search = Record<string, string | undefined>;

export function useUrl(): [Search, (patch: Search, how?: { push?: boolean }) => void] {
  const search = useSearch({ strict: false }) as Search;
  const navigate = useNavigate();
  const patch = useCallback(
    (change: Search, how: { push?: boolean } = {}) =>
      void navigate({ to: ".", search: ((before: Search) => ({ ...before, ...change })) as never, replace: !how.push, resetScroll: false }),
    [navigate],
  );
  return [search, patch];
}

/** A part of the path such as `$name`, decoded. */
export function usePart(name: string): string {
  const parts = useParams({ strict: false }) as Record<string, string | undefined>;
  return parts[name] ?? "";
}
