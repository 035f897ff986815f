"""The control plane's synchronous client of a gateway's control socket."""

import http.client
import socket
import time
from pathlib import Path

import msgspec

from trimtab.kernel.errors import Invalid, Unavailable
from trimtab.serving.frames import socket_address
from trimtab.serving.processes import CONTROL_SOCKET
from trimtab.serving.routes import Applied, RouteTable
from trimtab.serving.stats import GatewayState


class GatewayControl:
    """Talks to the gateway whose state is in a folder. Every method raises Unavailable where it does not answer."""

    def __init__(self, state_dir: Path, *, timeout_s: float = 10.0) -> None:
        self._path = state_dir / CONTROL_SOCKET
        self._timeout_s = timeout_s

    def put_routes(self, table: RouteTable) -> Applied:
        """Replace the route table; when this returns, every new request is routed by it. Raises Invalid."""
        return msgspec.json.decode(self._request("PUT", "/routes", msgspec.json.encode(table)), type=Applied)

    def routes(self) -> RouteTable | None:
        """Return the table that is served, or None before the first one."""
        return msgspec.json.decode(self._request("GET", "/routes"), type=RouteTable | None)

    def state(self) -> GatewayState:
        """Return the gateway's counters and where it listens."""
        return msgspec.json.decode(self._request("GET", "/state"), type=GatewayState)

    def metrics(self) -> str:
        """Return the counters in Prometheus' text format."""
        return self._request("GET", "/metrics").decode()

    def wait_ready(self, timeout: float = 10.0) -> GatewayState:
        """Return the state as soon as the gateway answers; raises Unavailable after ``timeout`` seconds."""
        deadline = time.monotonic() + timeout
        while True:
            try:
                return self.state()
            except Unavailable:
                if time.monotonic() >= deadline:
                    raise
            time.sleep(0.01)

    def wait_idle(self, endpoint: str, version: str, timeout: float = 60.0) -> bool:
        """Wait until no request is with a version, so that its replicas may stop; False after ``timeout`` seconds.

        The version must first have left the table, or have weight 0: what is still routed is never idle for sure.
        """
        deadline = time.monotonic() + timeout
        while True:
            known = self.state().endpoints.get(endpoint)
            counted = known.versions.get(version) if known is not None else None
            if counted is None or counted.in_flight == 0:
                return True
            if time.monotonic() >= deadline:
                return False
            time.sleep(0.02)

    def _request(self, method: str, path: str, body: bytes = b"") -> bytes:
        connection = _UnixConnection(self._path, self._timeout_s)
        try:
            headers = {"content-type": "application/json"} if body else {}
            connection.request(method, path, body or None, headers)
            response = connection.getresponse()
            content = response.read()
        except (OSError, http.client.HTTPException) as error:
            raise Unavailable(f"the gateway at {self._path} does not answer: {error}") from None
        finally:
            connection.close()
        if response.status == 200:
            return content
        problem = msgspec.json.decode(content)
        if response.status == 400:
            raise Invalid(problem["detail"], field=problem["field"])
        raise Unavailable(f"the gateway answered {response.status}: {problem.get('detail', '')}")


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: Path, timeout_s: float) -> None:
        super().__init__("localhost", timeout=timeout_s)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        with socket_address(self._path) as address:
            self.sock.connect(address)
