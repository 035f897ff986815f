"""What a model's process gives up before it loads the model: the network, core dumps, huge and countless files.

Unix sockets with a path go on working without a network. Where the kernel does not let a process leave the network
(no user namespaces in some containers), it goes on and says so.
"""

import ctypes
import os
import resource
from contextlib import suppress
from pathlib import Path
from typing import Literal

import msgspec

_CLONE_NEWUSER = 0x10000000
_CLONE_NEWNET = 0x40000000
_MOST_OPEN_FILES = 4096
_MOST_FILE_BYTES = 4 << 30

Network = Literal["none", "allowed", "not-isolated"]


class Isolation(msgspec.Struct, frozen=True):
    """Whether a process can reach the network: ``not-isolated`` means that it should not and yet can."""

    network: Network
    note: str = ""


def isolate(*, allow_network: bool) -> Isolation:
    """Limit this process and all its children for good; call it while there is one thread only."""
    limit_files()
    if allow_network:
        return Isolation("allowed")
    return leave_network()


def limit_files() -> None:
    """Write no core dumps, hold at most 4,096 files open, and make none larger than 4 GiB."""
    for kind, most in (
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_NOFILE, _MOST_OPEN_FILES),
        (resource.RLIMIT_FSIZE, _MOST_FILE_BYTES),
    ):
        _, hard = resource.getrlimit(kind)
        value = most if hard == resource.RLIM_INFINITY else min(most, hard)
        resource.setrlimit(kind, (value, value))


def leave_network() -> Isolation:
    """Move this process into a network of its own that has no interface that is up: as root, or as its own user."""
    library = ctypes.CDLL(None, use_errno=True)
    if library.unshare(_CLONE_NEWNET) == 0:
        return Isolation("none")
    user, group = os.getuid(), os.getgid()
    if library.unshare(_CLONE_NEWUSER | _CLONE_NEWNET) != 0:
        why = os.strerror(ctypes.get_errno())
        return Isolation(
            "not-isolated",
            f"The kernel does not let this process leave the network ({why}): user namespaces are turned off here.",
        )
    with suppress(OSError):  # without the mapping it only does not know its own name
        Path("/proc/self/setgroups").write_text("deny")
        Path("/proc/self/uid_map").write_text(f"{user} {user} 1")
        Path("/proc/self/gid_map").write_text(f"{group} {group} 1")
    return Isolation("none")


def isolation_file(socket: Path) -> Path:
    """Return where a replica on a socket tells how it is isolated."""
    return socket.with_name(f"{socket.name}.isolation")


def read_isolation(socket: Path) -> Isolation | None:
    """Return how the replica on a socket is isolated, None where it has not said so."""
    try:
        return msgspec.json.decode(isolation_file(socket).read_bytes(), type=Isolation)
    except (OSError, msgspec.MsgspecError):
        return None
