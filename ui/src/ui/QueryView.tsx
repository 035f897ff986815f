// Shows a query in its state: skeleton, failure, empty, or the data; data at hand is never replaced by a spinner.
import type { UseQueryResult } from "@tanstack/react-query";
import type { ReactNode } from "react";
import { Failed, Skeleton } from "./States.tsx";

interface Props<T> {
  query: Pick<UseQueryResult<T>, "data" | "error" | "isPending"> & { refetch: () => unknown };
  skeleton?: ReactNode;
  empty?: (data: T) => ReactNode | null;
  children: (data: T) => ReactNode;
}

export function QueryView<T>({ query, skeleton, empty, children }: Props<T>) {
  if (query.data === undefined) {
    if (query.error) return <Failed error={query.error} retry={() => void query.refetch()} />;
    return skeleton ?? <Skeleton />;
  }
  return empty?.(query.data) ?? children(query.data);
}
