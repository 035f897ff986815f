// What every resource shares.

export type Ref = string;

export interface Page<T> {
  items: T[];
  next_cursor: string | null;
}
