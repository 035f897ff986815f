"""A gateway that starts: when it begins to answer, and whom it lets in until it is told."""

import hashlib
import signal
import socket
from pathlib import Path

import pytest

from tests.serving.conftest import ABC, OPEN, Plane
from trimtab.serving.processes import gateway_command
from trimtab.serving.routes import Auth, Endpoint, RouteTable, Token, Version

SERVED = Endpoint([Version("1", "m", 100, "champion", ["s"])], ABC)
BEARER = {"authorization": "Bearer secret"}


def _asked(plane: Plane) -> socket.socket:
    """Return a connection over which a question has been sent."""
    sock = socket.create_connection(("127.0.0.1", plane.port), 20)
    sock.sendall(b"GET /v2/models/m HTTP/1.1\r\nhost: localhost\r\n\r\n")
    return sock


def test_one_that_awaits_routes_answers_nobody_before(tmp_path: Path) -> None:
    plane = Plane(tmp_path)
    try:
        plane.control.put_routes(RouteTable(1, OPEN, {"m": SERVED}))
        plane.gateway.send_signal(signal.SIGTERM)
        assert plane.gateway.wait(20) == 0
        plane.options["await_routes"] = True
        plane.gateway = plane.start_gateway()
        assert plane.control.state().endpoints == {}  # what lies on disk is not served
        with _asked(plane) as early:
            early.settimeout(0.2)
            with pytest.raises(TimeoutError):
                early.recv(1)
            early.settimeout(20)
            plane.control.put_routes(RouteTable(2, Auth(open=False), {}))
            assert early.recv(12) == b"HTTP/1.1 401"
    finally:
        plane.close()


def test_one_that_awaits_routes_ends_when_it_is_asked_to(tmp_path: Path) -> None:
    plane = Plane(tmp_path, await_routes=True)
    try:
        with _asked(plane):
            plane.gateway.send_signal(signal.SIGTERM)
            assert plane.gateway.wait(20) == 0
    finally:
        plane.close()


def test_who_may_call_is_said_at_the_start_where_the_routes_are_older(tmp_path: Path) -> None:
    plane = Plane(tmp_path)
    try:
        tokens = {hashlib.sha256(b"secret").hexdigest(): Token("ada", "viewer")}
        plane.control.put_routes(RouteTable(1, Auth(open=True, tokens=tokens), {"m": SERVED}))
        assert plane.request("GET", "/v2/models/m")[0] == 200
        for sign_in, stranger in ((True, 401), (False, 200)):
            plane.gateway.send_signal(signal.SIGTERM)
            assert plane.gateway.wait(20) == 0
            plane.options["sign_in"] = sign_in
            plane.gateway = plane.start_gateway()
            assert plane.request("GET", "/v2/models/m")[0] == stranger
            assert plane.request("GET", "/v2/models/m", None, BEARER)[0] == 200
    finally:
        plane.close()


def test_the_command_line_says_so(tmp_path: Path) -> None:
    command = gateway_command(tmp_path, host="127.0.0.1", port=0, await_routes=True, sign_in=False)
    assert "--await-routes" in command
    assert command[command.index("--callers") + 1] == "all"
