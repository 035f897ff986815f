"""What a replica may use of the machine, imposed on its process from outside, and how much it holds now."""

import os
import resource
from contextlib import suppress
from pathlib import Path

import msgspec

_CGROUPS = ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes")
_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")
_ROOM_BYTES = 1 << 30


class Limits(msgspec.Struct, frozen=True):
    """Limits of one replica.

    ``memory_bytes`` of resident memory, over which it is ended; a single allocation that would take it a gigabyte
    beyond fails in the model instead. ``least_hang_s``: a prediction may take so long in any case, however soon its
    callers give up; ``start_s``: until it is ready. ``files`` and ``tasks`` (threads and processes of this user; the kernel exempts root).
    """

    memory_bytes: int
    least_hang_s: float = 10.0
    start_s: float = 600.0
    files: int = 1024
    tasks: int = 4096
    file_bytes: int = 8 << 30

    @classmethod
    def of_machine(cls, *, memory_mb: int = 0) -> "Limits":
        """Return limits with so much memory, or three quarters of what this machine or its container has."""
        return cls(memory_bytes=memory_mb << 20 if memory_mb else machine_bytes() * 3 // 4)

    def impose(self, pid: int) -> None:
        """Have the kernel hold a process to these limits, and leave no core dumps; a process that is gone is let go."""
        most = {
            resource.RLIMIT_DATA: self.memory_bytes + _ROOM_BYTES,
            resource.RLIMIT_NOFILE: self.files,
            resource.RLIMIT_NPROC: self.tasks,
            resource.RLIMIT_FSIZE: self.file_bytes,
            resource.RLIMIT_CORE: 0,
        }
        with suppress(ProcessLookupError):
            for kind, value in most.items():
                _, hard = resource.prlimit(pid, kind)
                value = value if hard == resource.RLIM_INFINITY else min(value, hard)  # noqa: PLW2901
                resource.prlimit(pid, kind, (value, value))


def machine_bytes() -> int:
    """Return the memory of this machine, or of the container it is."""
    total = os.sysconf("SC_PHYS_PAGES") * _PAGE_BYTES
    for path in _CGROUPS:
        with suppress(OSError, ValueError):
            return min(total, int(Path(path).read_text()))
    return total


def memory_bytes(pid: int) -> int:
    """Return the resident memory of a process that is its own (not files that are mapped), 0 for one that is gone."""
    try:
        _, resident, shared, *_ = Path(f"/proc/{pid}/statm").read_text().split()
    except (OSError, ValueError):
        return 0
    return (int(resident) - int(shared)) * _PAGE_BYTES


def cut(log: Path, *, most_bytes: int) -> None:
    """Empty a log that its process goes on appending to, when it has grown too long for a disk."""
    with suppress(OSError):
        if log.stat().st_size > most_bytes:
            os.truncate(log, 0)
