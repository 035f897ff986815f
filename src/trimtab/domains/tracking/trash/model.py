"""What lies in the trash, and what a legal hold on one thing means for another."""

from collections.abc import Iterable
from typing import Literal, NamedTuple

import msgspec

Kind = Literal["experiment", "run", "logged-model", "artifact"]
KINDS: tuple[Kind, ...] = ("experiment", "run", "logged-model", "artifact")


class Trashed(msgspec.Struct, frozen=True):
    """Something that was deleted: when, by whom, and whether a legal hold keeps it from being purged."""

    ref: str
    kind: str
    name: str
    deleted_us: int
    deleted_by: str
    held: bool
    size_bytes: int


class Row(NamedTuple):
    """An entry as it is stored."""

    ref: str
    kind: str
    name: str
    experiment_no: int
    deleted_us: int
    deleted_by: str


class Purged(NamedTuple):
    """How much went for good. ``size_bytes`` is that of files, as far as nothing else has the same."""

    experiments: int = 0
    runs: int = 0
    models: int = 0
    files: int = 0
    size_bytes: int = 0

    def plus(self, other: "Purged") -> "Purged":
        return Purged(*(mine + its for mine, its in zip(self, other, strict=True)))


class Held(NamedTuple):
    """What is held among the things of tracking; a thing in an experiment that is held is held with it."""

    experiments: frozenset[int]
    """Numbers of experiments that are held themselves."""
    with_held: frozenset[int]
    """Numbers of those and of experiments in which something is held."""
    ids: frozenset[str]
    """Ids of runs and logged models that are held."""

    def run(self, experiment_no: int, run_id: str) -> bool:
        return experiment_no in self.experiments or run_id in self.ids

    def logged_model(self, experiment_no: int, model_id: str, source_run_id: str | None) -> bool:
        return experiment_no in self.experiments or model_id in self.ids or source_run_id in self.ids

    def artifact(self, experiment_no: int, path: str) -> bool:
        """Whether a file or folder is held; the id of its run or logged model is a part of its path."""
        return experiment_no in self.experiments or not self.ids.isdisjoint(path.split("/"))


def held_among(refs: Iterable[str]) -> Held:
    """Return what references to held things mean by themselves."""
    experiments: set[int] = set()
    ids: set[str] = set()
    for ref in refs:
        kind, _, name = ref.partition(":")
        if kind == "experiment" and name.isdigit():
            experiments.add(int(name))
        elif kind in ("run", "logged-model"):
            ids.add(name)
    return Held(frozenset(experiments), frozenset(experiments), frozenset(ids))


def experiment_of(path: str) -> int:
    """Return the number of the experiment that a path of artifacts begins with, -1 where it begins otherwise."""
    first = path.partition("/")[0]
    return int(first) if first.isascii() and first.isdigit() and len(first) < 19 else -1
