// The strategies of a rollout in words, and what a form asks for each of them.
import type { Strategy } from "../../api/types.ts";
import { number } from "../../format/number.ts";

interface Words {
  name: string;
  about: string;
  steps: string;
  label: string;
  hint: string;
}

export const STRATEGIES: Record<Strategy, Words> = {
  canary: {
    name: "Canary",
    about: "The challenger gets a growing share. Harm takes it back at any moment; after the last step it is promoted.",
    steps: "5, 25, 50",
    label: "Steps, percent",
    hint: "Growing shares of the requests",
  },
  linear: {
    name: "Linear",
    about: "Like a canary, in equal steps.",
    steps: "20",
    label: "Step, percent",
    hint: "20 gives 20, 40, 60 and 80 percent",
  },
  "blue-green": {
    name: "Blue/green",
    about: "All requests go to the challenger at once. The former champion sees copies and takes over again if the challenger is worse.",
    steps: "20",
    label: "Copies, percent",
    hint: "Of the requests, to the former champion",
  },
  shadow: {
    name: "Shadow",
    about: "The challenger sees copies and answers nobody. Nothing changes for callers, also when it passes.",
    steps: "100",
    label: "Copies, percent",
    hint: "Of the requests, to the challenger",
  },
  ab: {
    name: "A/B",
    about: "A fixed split until labels show which version is better. If neither is by the margin, the champion stays.",
    steps: "50",
    label: "Challenger, percent",
    hint: "50 decides soonest",
  },
  bandit: {
    name: "Bandit",
    about: "The split follows what each version gained so far, by labels, until one is shown to be better.",
    steps: "50",
    label: "First share, percent",
    hint: "Both versions keep at least 5 percent",
  },
};

/** Whether labels are to tell which of the two versions is better. */
export const isCompared = (strategy: Strategy): boolean => strategy === "ab" || strategy === "bandit";

/** Shares such as "5, 25, 50"; null for other texts. */
export function shares(text: string): number[] | null {
  const parts = text.split(",").map((part) => part.trim());
  if (parts.some((part) => part === "" || !Number.isFinite(Number(part)))) return null;
  return parts.map(Number);
}

/** What a plan does, as one line: "5 % → 25 % → 50 % → all". */
export function outline(strategy: Strategy, steps: number[]): string {
  const first = steps[0] ?? 0;
  if (strategy === "linear" && first > 0) {
    const all: number[] = [];
    for (let share = first; share < 100 - 1e-9 && all.length < 50; share += first) all.push(share);
    return [...all.map((share) => `${number(share)} %`), "all"].join(" → ");
  }
  if (strategy === "canary") return [...steps.map((share) => `${number(share)} %`), "all"].join(" → ");
  if (strategy === "blue-green") return `all at once, copies of ${number(first)} % to the former champion`;
  if (strategy === "shadow") return `copies of ${number(first)} %`;
  return `${number(100 - first)} % champion, ${number(first)} % challenger`;
}
