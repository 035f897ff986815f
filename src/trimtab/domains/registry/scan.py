"""Judges the files of a version: may loading them run code that they bring along, and which.

``safe``: plain data only. ``allowed``: pickles or archives which import nothing but names that this server allows.
``suspicious``: something else would be imported or run, and it is named. ``unknown``: this cannot be told.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import BinaryIO

import msgspec

from trimtab.domains.registry.archives import FileFinding, Inspector
from trimtab.domains.registry.model import Facts, File, SafetyVerdict
from trimtab.domains.registry.pickles import Budget
from trimtab.domains.registry.trust import Trust

AT_ONCE = (2_000_000, 1 << 30)  # instructions and bytes that a registration waits for
AT_LEISURE = (200_000_000, 64 << 30)  # and those that a worker process may take
_MOST_FINDINGS = 200
_MOST_NAMES = 100


class FileScan(msgspec.Struct, frozen=True):
    """The verdict on a version and what it rests on; ``strangers`` are the names that no rule allows."""

    verdict: SafetyVerdict
    at_us: int
    strangers: list[str]
    problems: list[str]
    findings: list[FileFinding]
    unfinished: bool = False


def scan(
    files: Sequence[File],
    facts: Facts,
    *,
    open_file: Callable[[File], BinaryIO],
    trust: Trust,
    loaded: Iterable[str] = (),
    limits: tuple[int, int] = AT_ONCE,
    now_us: int,
) -> FileScan:
    """Read every file and return the verdict; ``loaded`` are the paths that the model's loader opens."""
    opcodes, bytes_ = limits
    inspector = Inspector(Budget(opcodes=opcodes, bytes_=bytes_))
    opened = frozenset(loaded)
    findings: list[FileFinding] = []
    for file in files:
        with open_file(file) as stream:
            findings += inspector.file(file.path, stream, loaded=file.path in opened)
    telling = [one for one in findings if one.kind != "plain"]
    strangers = trust.strangers(name for one in telling for name in one.names)
    problems = [f"{one.path}: {one.problem}" for one in telling if one.problem]
    return FileScan(
        verdict=_verdict(files, facts, telling, strangers),
        at_us=now_us,
        strangers=list(strangers[:_MOST_NAMES]),
        problems=problems[:_MOST_NAMES],
        findings=[_short(one) for one in telling[:_MOST_FINDINGS]],
        unfinished=any(one.kind == "unknown" and "scanned" in (one.problem or "") for one in telling),
    )


def _verdict(
    files: Sequence[File], facts: Facts, telling: Sequence[FileFinding], strangers: Sequence[str]
) -> SafetyVerdict:
    if strangers or any(one.kind == "code" for one in telling):
        return "suspicious"
    if any(one.kind == "pickle" and one.problem for one in telling) or facts.foreign_loader:
        return "suspicious"  # a pickle that cannot be followed, or code that is not MLflow's loads it
    if (
        not files
        or any(one.kind == "unknown" for one in telling)
        or facts.format in ("files", "none", "unknown")
    ):
        return "safe" if facts.format == "prompt" else "unknown"
    if facts.safe and not any(one.kind == "pickle" for one in telling):
        return "safe"
    return "allowed" if telling else "unknown"


def _short(finding: FileFinding) -> FileFinding:
    return msgspec.structs.replace(finding, path=finding.path[:500], names=finding.names[:_MOST_NAMES])
