"""How far a run has come: which steps may begin, and what the end of one means for the others. No I/O."""

from collections import deque
from collections.abc import Iterable
from typing import Any

import msgspec

from trimtab.domains.pipelines.model import STEP_ENDED, Plan, PlanStep, StepRow, retry_delay_us, shown_outputs
from trimtab.domains.pipelines.values import Value
from trimtab.kernel.time import now_us


class Progress:
    """The plan of a run with the present row and value of each step."""

    def __init__(self, plan: Plan, rows: Iterable[StepRow]) -> None:
        """Rows of steps that were running when their process died are taken up as waiting."""
        self.plan = plan
        self.steps: dict[str, PlanStep] = {step.name: step for step in plan.steps}
        self.rows: dict[str, StepRow] = {row.name: row for row in rows}
        self.values: dict[str, Value] = {}
        self.changed: set[str] = set()
        self._ready: deque[str] = deque()
        self._delayed: set[str] = set()
        self._unmet: dict[str, int] = dict.fromkeys(self.steps, 0)
        self._dependents: dict[str, list[str]] = {name: [] for name in self.steps}
        for name, row in self.rows.items():
            if row.state == "running":
                self.change(name, state="waiting", started_us=None)
            elif row.state == "succeeded" and row.value is not None:
                self.values[name] = row.value
        for step in plan.steps:
            for need in step.needs:
                self._dependents[need].append(step.name)
                self._unmet[step.name] += need not in self.values
        for name in self.steps:
            self._offer(name)

    @property
    def share_ended(self) -> float:
        """The share of steps that have ended, 0..1."""
        ended = sum(row.state in STEP_ENDED for row in self.rows.values())
        return ended / max(1, len(self.rows))

    @property
    def idle(self) -> bool:
        """Whether no step is ready or waits for its next attempt."""
        return not self._ready and not self._delayed

    def take_ready(self) -> list[str]:
        """Return the steps that may begin now; each is returned once for each attempt."""
        now = now_us()
        for name in sorted(self._delayed):
            if self.rows[name].due_us <= now:
                self._delayed.remove(name)
                self._ready.append(name)
        ready = list(self._ready)
        self._ready.clear()
        return ready

    def next_due_s(self) -> float | None:
        """Return the seconds until the next attempt of a step that has failed, or None where none waits."""
        if not self._delayed:
            return None
        due_us = min(self.rows[name].due_us for name in self._delayed)
        return max(0.0, (due_us - now_us()) / 1e6)

    def change(self, name: str, **columns: Any) -> None:
        """Replace columns of a step's row, to be written."""
        self.rows[name] = msgspec.structs.replace(self.rows[name], **columns)
        self.changed.add(name)

    def succeed(self, name: str, value: Value) -> None:
        """End a step with its value; what waited for it alone is ready."""
        self.change(name, state="succeeded", value=value, error=None)
        self.values[name] = value
        for dependent in self._dependents[name]:
            self._unmet[dependent] -= 1
            self._offer(dependent)

    def fail_attempt(self, name: str, error: str) -> None:
        """End an attempt: the step waits for the next one, or fails where it has none left."""
        step, failures = self.steps[name], self.rows[name].failures + 1
        self.change(name, failures=failures)
        if failures > step.retries:
            self.fail(name, error)
        else:
            self.change(name, state="waiting", due_us=now_us() + retry_delay_us(step, failures), error=error)
            self._offer(name)

    def fail(self, name: str, error: str) -> None:
        """End a step, and with it all that cannot go on without it; other branches go on."""
        self.change(name, state="failed", error=error, ended_us=self.rows[name].ended_us or now_us())
        waiting = deque(self._dependents[name])
        while waiting:
            dependent = waiting.popleft()
            if self.rows[dependent].state == "waiting":
                self.change(dependent, state="skipped", error=f"needs {name!r}, which failed")
                waiting += self._dependents[dependent]

    def outputs(self) -> dict[str, Any]:
        """Return what the pipeline returns, as far as its steps have succeeded."""
        return shown_outputs(self.plan, self.values)

    def first_error(self) -> str | None:
        """Return what went wrong first, or None where nothing did."""
        failed = [row for row in self.rows.values() if row.state == "failed"]
        if not failed:
            return None
        first = min(failed, key=lambda row: row.ended_us or 0)
        others = f" ({len(failed)} steps failed)" if len(failed) > 1 else ""
        return f"Step {first.name!r} failed: {first.error}{others}"

    def _offer(self, name: str) -> None:
        row = self.rows[name]
        if self._unmet[name] == 0 and row.state == "waiting":
            (self._delayed.add if row.due_us > now_us() else self._ready.append)(name)
