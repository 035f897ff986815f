// The lines of the run table: runs of a window, below a run its children, or groups with their runs; by index, lazily.
import type { Run } from "../../../api/types.ts";
import { RowWindow, type Load } from "./window.ts";

export interface GroupHead {
  value: string | null;
  runs: number;
}
export type Line =
  | { kind: "run"; run: Run | undefined; depth: number; open: boolean; branch: Branch; index: number }
  | { kind: "group"; group: GroupHead; open: boolean; place: number };

/** A window of runs, some of them with a branch of children below. */
export class Branch {
  readonly window: RowWindow<Run>;
  readonly depth: number;
  /** How many runs there should be; null where only loading tells. */
  total: number | null;
  readonly open = new Map<number, Branch>();

  constructor(load: Load<Run>, total: number | null, depth: number) {
    this.window = new RowWindow<Run>(load);
    this.total = total;
    this.depth = depth;
  }

  private get rows(): number {
    const { known, ended, fresh } = this.window;
    if (ended) return known;
    return Math.max(this.total ?? 0, known + (fresh ? (this.depth === 0 && this.total === null ? 24 : 1) : this.total === null ? 1 : 0));
  }

  get count(): number {
    let count = this.rows;
    for (const child of this.open.values()) count += child.count;
    return count;
  }

  at(line: number): Line {
    let shift = 0;
    for (const [index, child] of this.sorted()) {
      if (line <= index + shift) break;
      const inside = line - index - shift - 1;
      if (inside < child.count) return child.at(inside);
      shift += child.count;
    }
    const index = line - shift;
    return { kind: "run", run: this.window.get(index), depth: this.depth, open: this.open.has(index), branch: this, index };
  }

  need(first: number, last: number): void {
    let shift = 0;
    let from = first;
    for (const [index, child] of this.sorted()) {
      const start = index + shift + 1;
      const end = start + child.count;
      if (end > first && start <= last) child.need(Math.max(0, first - start), Math.min(child.count - 1, last - start));
      if (end <= first) from = first - (shift + child.count);
      shift += child.count;
    }
    this.window.need(Math.max(0, from), Math.max(0, last));
  }

  all(): Branch[] {
    return [this, ...[...this.open.values()].flatMap((child) => child.all())];
  }

  private sorted(): [number, Branch][] {
    return [...this.open].sort(([a], [b]) => a - b);
  }
}

/** Everything the table shows: one branch, or a branch for each open group. */
export class Lines {
  version = 0;
  /** What was asked; the same for lines that only read it anew. */
  readonly question: string;
  private readonly root: Branch | null;
  private readonly groups: GroupHead[];
  private readonly opened = new Map<number, Branch>();
  private readonly listeners = new Set<() => void>();
  private readonly loadFor: (extra: string) => Load<Run>;
  private readonly clauseOf: (group: GroupHead) => string;

  constructor(options: {
    question: string;
    loadFor: (extra: string) => Load<Run>;
    total: number | null;
    groups?: { heads: GroupHead[]; clauseOf: (group: GroupHead) => string };
  }) {
    this.question = options.question;
    this.loadFor = options.loadFor;
    this.groups = options.groups?.heads ?? [];
    this.clauseOf = options.groups?.clauseOf ?? (() => "");
    this.root = options.groups ? null : this.branch("", options.total, 0);
    if (options.groups && this.groups.length === 1) this.toggleGroup(0);
  }

  subscribe = (listener: () => void): (() => void) => {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  };
  snapshot = (): number => this.version;

  get count(): number {
    if (this.root) return this.root.count;
    let count = this.groups.length;
    for (const branch of this.opened.values()) count += branch.count;
    return count;
  }

  get branches(): Branch[] {
    return this.root ? this.root.all() : [...this.opened.values()].flatMap((branch) => branch.all());
  }

  get error(): unknown {
    return this.branches.find((branch) => branch.window.error !== null)?.window.error ?? null;
  }
  get held(): number {
    return this.branches.reduce((sum, branch) => sum + branch.window.held, 0);
  }
  get fresh(): boolean {
    return this.root?.window.fresh ?? false;
  }

  setTotal(total: number | null): void {
    if (this.root && this.root.total !== total && !this.root.window.ended) {
      this.root.total = total;
      this.tell();
    }
  }

  at(line: number): Line {
    if (this.root) return this.root.at(line);
    let rest = line;
    for (const [place, group] of this.groups.entries()) {
      const branch = this.opened.get(place);
      if (rest === 0) return { kind: "group", group, open: Boolean(branch), place };
      rest -= 1;
      if (branch) {
        if (rest < branch.count) return branch.at(rest);
        rest -= branch.count;
      }
    }
    return { kind: "group", group: { value: null, runs: 0 }, open: false, place: -1 };
  }

  need(first: number, last: number): void {
    if (this.root) {
      this.root.need(first, last);
      return;
    }
    let start = 0;
    for (const place of this.groups.keys()) {
      start += 1;
      const branch = this.opened.get(place);
      if (!branch) continue;
      if (start + branch.count > first && start <= last) branch.need(Math.max(0, first - start), Math.min(branch.count - 1, last - start));
      start += branch.count;
    }
  }

  toggleGroup(place: number): void {
    const branch = this.opened.get(place);
    const group = this.groups[place];
    if (branch) {
      this.opened.delete(place);
      branch.all().forEach((each) => each.window.stop());
    } else if (group) this.opened.set(place, this.branch(this.clauseOf(group), group.runs, 1));
    this.tell();
  }

  /** Opens or closes the children of a run. */
  toggleRun(line: Extract<Line, { kind: "run" }>, children: number | null): void {
    if (!line.run) return;
    const open = line.branch.open.get(line.index);
    if (open) {
      line.branch.open.delete(line.index);
      open.all().forEach((each) => each.window.stop());
    } else {
      const clause = `tags.\`mlflow.parentRunId\` = '${line.run.id}'`;
      line.branch.open.set(line.index, this.branch(clause, children, line.depth + 1));
    }
    this.tell();
  }

  /** Reads all rows again in place. */
  renew(): void {
    for (const branch of this.branches) branch.window.renew();
  }

  patch(rows: Run[]): void {
    for (const branch of this.branches) branch.window.patch(rows);
  }
  retry(): void {
    for (const branch of this.branches) if (branch.window.error !== null) branch.window.retry();
  }
  stop(): void {
    for (const branch of this.branches) branch.window.stop();
  }

  private branch(extra: string, total: number | null, depth: number): Branch {
    const made = new Branch(this.loadFor(extra), total, depth);
    made.window.subscribe(() => this.tell());
    return made;
  }

  private tell(): void {
    this.version += 1;
    for (const listener of this.listeners) listener();
  }
}
