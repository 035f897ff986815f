"""What a model's process gives up: the network, as root and as anybody, and it says so where the kernel does not let it."""

import os
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from trimtab.serving.isolation import Isolation, isolation_file, read_isolation

PROBE = """
import json, os, resource, socket, sys
from trimtab.serving.isolation import isolate
"".encode("idna")  # loaded while its file can be read
{before}
said = isolate(allow_network={allow})
server = socket.socket(socket.AF_UNIX)
server.bind(sys.argv[1])
server.listen()
near = socket.socket(socket.AF_UNIX)
near.connect(sys.argv[1])
try:
    socket.create_connection(("127.0.0.1", int(sys.argv[2])), 1)
    reached = True
except OSError:
    reached = False
limits = [resource.getrlimit(kind)[0] for kind in (resource.RLIMIT_CORE, resource.RLIMIT_NOFILE)]
print(json.dumps([said.network, said.note, reached, limits, os.getuid()]))
"""
NOBODY = "os.setgroups([]); os.setgid(65534); os.setuid(65534)"
NO_UNSHARE = """
import ctypes, struct
# Seccomp: unshare (272 on x86-64, 97 on arm64) fails with EPERM.
number = 272 if os.uname().machine == "x86_64" else 97
steps = [(0x20, 0, 0, 0), (0x15, 0, 1, number), (0x06, 0, 0, 0x00050001), (0x06, 0, 0, 0x7FFF0000)]
code = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *step) for step in steps))
program = struct.pack("HxxxxxxP", len(steps), ctypes.addressof(code))
library = ctypes.CDLL(None, use_errno=True)
assert library.prctl(38, 1, 0, 0, 0) == 0
assert library.prctl(22, 2, ctypes.create_string_buffer(program)) == 0
"""


@pytest.fixture
def port() -> Iterator[int]:
    """A port of this machine at which something listens."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


def probe(tmp_path: Path, port: int, *, before: str = "", allow: bool = False) -> list[object]:
    code = PROBE.format(before=before, allow=allow)
    ended = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "s"), str(port)], capture_output=True, check=False
    )
    assert ended.returncode == 0, ended.stderr.decode()
    return msgspec.json.decode(ended.stdout)


def test_a_process_leaves_the_network_and_keeps_unix_sockets(tmp_path: Path, port: int) -> None:
    network, _, reached, limits, _ = probe(tmp_path, port)
    assert (network, reached, limits[0]) == ("none", False, 0)
    assert limits[1] <= 4096


@pytest.mark.skipif(
    os.getuid() != 0, reason="only root can become somebody else; who is not root is tested above"
)
def test_it_does_so_without_being_root(port: int) -> None:
    with tempfile.TemporaryDirectory() as open_to_all:  # pytest's own folders are private
        Path(open_to_all).chmod(0o777)
        network, _, reached, _, user = probe(Path(open_to_all), port, before=NOBODY)
    assert (network, reached, user) == ("none", False, 65534)


def test_it_says_so_where_it_is_not_let(tmp_path: Path, port: int) -> None:
    network, note, reached, _, _ = probe(tmp_path, port, before=NO_UNSHARE)
    assert (network, reached) == ("not-isolated", True)
    assert "does not let this process leave the network (Operation not permitted)" in str(note)


def test_the_network_stays_where_it_is_allowed(tmp_path: Path, port: int) -> None:
    network, _, reached, _, _ = probe(tmp_path, port, allow=True)
    assert (network, reached) == ("allowed", True)


def test_what_a_replica_said_is_read_back(tmp_path: Path) -> None:
    place = tmp_path / "r.sock"
    assert read_isolation(place) is None
    isolation_file(place).write_bytes(b"not json")
    assert read_isolation(place) is None
    isolation_file(place).write_bytes(msgspec.json.encode(Isolation("none")))
    assert read_isolation(place) == Isolation("none")
