"""The gRPC port itself: its certificate, its limits, and what it says where it cannot be had."""

import importlib.util
import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import grpc
import pytest

from tests.serving.conftest import Plane
from tests.serving.policies.test_tls import Authority
from trimtab.kernel import protobuf as wire
from trimtab.kernel.errors import Invalid
from trimtab.reach import inference_grpc_port
from trimtab.serving.gateway import EXIT_PORT_TAKEN
from trimtab.serving.processes import gateway_command
from trimtab.serving.routes import Version
from trimtab.settings import Settings

INFER = "/inference.GRPCInferenceService/ModelInfer"


def message(rows: int = 1) -> bytes:
    """A ModelInferRequest of columns a and b as FP64, with raw contents."""
    inputs = [
        wire.block(5, wire.block(1, name) + wire.block(2, b"FP64") + wire.packed(3, [rows]))
        for name in (b"a", b"b")
    ]
    return b"".join((wire.block(1, b"m"), *inputs, *[wire.block(7, bytes(8 * rows))] * 2))


@pytest.fixture
def state() -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="tts-"))
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


def test_tls_with_a_certificate_that_changes(state: Path, booster_socket: str) -> None:
    first = Authority(state, "first")
    files = first.issue("server")
    plane = Plane(state, tls=files, grpc_port=0)
    try:
        plane.route(Version("1", "m/1", 100, "champion", [booster_socket]))
        plane.wait_up()
        place = f"localhost:{plane.control.state().grpc_port}"

        def ask(authority: Authority) -> bytes:
            trusted = grpc.ssl_channel_credentials(authority.certificate.read_bytes())
            with grpc.secure_channel(place, trusted) as channel:
                return channel.unary_unary(INFER)(message(), timeout=5)

        assert ask(first).startswith(b"\x0a\x01m")
        with grpc.insecure_channel(place) as channel, pytest.raises(grpc.RpcError):
            channel.unary_unary(INFER)(message(), timeout=5)
        second = Authority(state, "second")
        second.issue("server", certificate=files.certificate, key=files.key)
        os.utime(files.certificate, ns=(time.time_ns(), time.time_ns()))
        assert ask(second).startswith(b"\x0a\x01m")
    finally:
        plane.close()


def test_limits_hold_for_messages_too(state: Path, booster_socket: str) -> None:
    plane = Plane(state, grpc_port=0)
    try:
        version = Version("1", "m/1", 100, "champion", [booster_socket])
        plane.route(version, max_body_bytes=2000)
        plane.wait_up()
        with grpc.insecure_channel(f"127.0.0.1:{plane.control.state().grpc_port}") as channel:
            infer = channel.unary_unary(INFER)
            assert infer(message())
            with pytest.raises(grpc.RpcError) as caught:
                infer(message(1000))
            assert caught.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
            for bad in (b"\xff", b"\x0a\xff\xff\xff\xff\x0f", b"\x00\x01", b""):
                with pytest.raises(grpc.RpcError) as caught:
                    infer(bad)
                assert caught.value.code() in (
                    grpc.StatusCode.INVALID_ARGUMENT,
                    grpc.StatusCode.NOT_FOUND,
                ), caught.value
            with pytest.raises(grpc.RpcError) as caught:
                channel.unary_unary("/inference.GRPCInferenceService/Nothing")(b"")
            assert caught.value.code() is grpc.StatusCode.UNIMPLEMENTED
        assert [record.status for record in plane.records(2)] == [200]
    finally:
        plane.close()


def test_a_port_that_is_taken_is_said(state: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        command = gateway_command(state, host="127.0.0.1", port=0, grpc_port=taken.getsockname()[1])
        done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=30)
    assert done.returncode == EXIT_PORT_TAKEN
    assert "for gRPC" in done.stderr


def test_a_missing_library_is_said_before_anything_starts(monkeypatch: pytest.MonkeyPatch) -> None:
    assert inference_grpc_port(Settings()) is None
    assert inference_grpc_port(Settings(grpc_port=7)) == 7
    monkeypatch.setattr("trimtab.reach.find_spec", lambda name: None)
    with pytest.raises(Invalid, match=r"trimtab\[grpc\]"):
        inference_grpc_port(Settings(grpc_port=7))
    assert importlib.util.find_spec("grpc") is not None
