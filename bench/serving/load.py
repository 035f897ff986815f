"""Puts load on a server with wrk and tells what it took: requests, latencies, processor time, memory."""

import contextlib
import json
import math
import os
import resource
import shutil
import signal
import socket
import subprocess
import time
import uuid
from collections.abc import Generator, Mapping, Sequence
from pathlib import Path

import msgspec

MARK = "BENCH_MARK"
_TICK_S = 1 / os.sysconf("SC_CLK_TCK")

# Every body is a request made beforehand; answers other than 200 are counted by wrk itself.
_LUA = """
local requests, at = {{}}, 0
init = function(args)
  wrk.method = "POST"
  wrk.headers = {headers}
  for number = 0, {count} - 1 do
    local file = io.open("{folder}/" .. number .. ".body", "rb")
    requests[#requests + 1] = wrk.format(nil, "{path}", nil, file:read("*a"))
    file:close()
  end
end
request = function()
  at = at % #requests + 1
  return requests[at]
end
done = function(summary, latency)
  local errors = summary.errors
  print(string.format(
    '\\n{{"requests":%d,"duration_us":%d,"status":%d,"broken":%d,"p50_us":%f,"p99_us":%f,"max_us":%f}}',
    summary.requests, summary.duration, errors.status, errors.connect + errors.read + errors.write + errors.timeout,
    latency:percentile(50), latency:percentile(99), latency.max))
end
"""


class Target(msgspec.Struct, frozen=True):
    """Where requests of one kind go and what they hold: ``rows`` of them in each body."""

    port: int
    path: str
    headers: dict[str, str]
    bodies: list[bytes]
    rows: int


class Load(msgspec.Struct):
    """What one measurement found.

    ``cpu_us`` is the processor time that a request took of the server's processes, ``cpu_of`` the same by their roles;
    ``others`` is the share of the machine that was busy with neither the server nor wrk.
    """

    requests_per_s: float
    rows_per_s: float
    p50_ms: float
    p99_ms: float
    failed: int
    cpu_us: float
    cpu_of: dict[str, float]
    others: float


class Server:
    """A command and all processes that came of it, wherever they went: its environment carries a mark.

    ``roles`` says by a part of its command line what a process is; every other one is the "server".
    """

    def __init__(
        self,
        command: Sequence[str],
        *,
        environment: Mapping[str, str],
        folder: Path,
        log: Path,
        roles: Mapping[str, str] | None = None,
    ) -> None:
        self.log = log
        self._roles = roles or {}
        self.mark = uuid.uuid4().hex
        full = {key: value for key, value in os.environ.items() if key != "PYTHONDONTWRITEBYTECODE"}
        full |= {**environment, MARK: self.mark}
        self.started = time.perf_counter()
        with log.open("wb") as output:
            self.process = subprocess.Popen(
                command,
                cwd=folder,
                env=full,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def first_answer_s(self, target: Target, *, limit_s: float = 120.0) -> float:
        """Ask again and again until one request is answered with 200; return the seconds since the command."""
        while time.perf_counter() - self.started < limit_s:
            if self.process.poll() is not None:
                raise DidNotStart(f"ended with {self.process.returncode}", self.log)
            with contextlib.suppress(OSError):
                status, _ = ask(target, target.bodies[0])
                if status == 200:
                    return time.perf_counter() - self.started
            time.sleep(0.01)
        raise DidNotStart(f"no answer within {limit_s:g} s", self.log)

    def processes(self) -> list[int]:
        """Return the ids of what runs: descendants, and whoever carries the mark."""
        found = dict.fromkeys(_descendants(self.process.pid))
        needle = f"{MARK}={self.mark}".encode()
        for place in Path("/proc").iterdir():
            if place.name.isdigit():
                with contextlib.suppress(OSError):
                    if needle in (place / "environ").read_bytes():
                        found[int(place.name)] = None
        return list(found)

    def role(self, pid: int) -> str:
        """Return what a process is."""
        with contextlib.suppress(OSError):
            line = Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
            return next((role for part, role in self._roles.items() if part in line), "server")
        return "server"

    def memory_mb(self) -> dict[str, float]:
        """Return the proportional memory by role."""
        found: dict[str, float] = {}
        for pid in self.processes():
            role = self.role(pid)
            found[role] = found.get(role, 0.0) + _pss_mb(pid)
        return found

    def spent_s(self) -> dict[str, float]:
        """Return the processor seconds so far by role."""
        found: dict[str, float] = {}
        for pid in self.processes():
            with contextlib.suppress(OSError):
                fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
                role = self.role(pid)
                found[role] = found.get(role, 0.0) + (int(fields[11]) + int(fields[12])) * _TICK_S
        return found

    def settle(self, *, limit_s: float = 10.0) -> None:
        """Wait until what goes on after the first answer is over: until the processes do next to nothing."""
        until = time.monotonic() + limit_s
        before = sum(self.spent_s().values())
        while time.monotonic() < until:
            time.sleep(0.3)
            after = sum(self.spent_s().values())
            if after - before < 0.03:
                return
            before = after

    def stop(self) -> None:
        """End it in order, and by force what is left after 15 seconds."""
        left = self.processes()
        with contextlib.suppress(ProcessLookupError):
            self.process.send_signal(signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(15)
        left = [pid for pid in {*left, *self.processes()} if pid != self.process.pid]
        for number in (signal.SIGTERM, signal.SIGKILL):
            for pid in left:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, number)
            if left:
                time.sleep(0.3)
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()


class DidNotStart(Exception):
    """A server that did not come up; the message ends with its log."""

    def __init__(self, what: str, log: Path) -> None:
        super().__init__(f"{what}:\n{log.read_text(errors='replace')[-1500:]}")


@contextlib.contextmanager
def running(server: Server) -> Generator[Server]:
    """Stop a server at the end of the block."""
    try:
        yield server
    finally:
        server.stop()


def free_ports(count: int) -> int:
    """Return a port that is free together with the next ones."""
    for port in range(21_000, 30_000, count):
        with contextlib.ExitStack() as stack, contextlib.suppress(OSError):
            for number in range(port, port + count):
                stack.enter_context(socket.socket()).bind(("127.0.0.1", number))
            return port
    raise SystemExit("no free ports")


def ask(target: Target, body: bytes) -> tuple[int, bytes]:
    """Send one request and return (status, body of the answer)."""
    import http.client

    connection = http.client.HTTPConnection("127.0.0.1", target.port, timeout=60)
    try:
        connection.request("POST", target.path, body, target.headers)
        answer = connection.getresponse()
        return answer.status, answer.read()
    except http.client.HTTPException as error:
        raise ConnectionError(str(error)) from error
    finally:
        connection.close()


def press(target: Target, *, connections: int, seconds: int, server: Server, folder: Path) -> Load:
    """Send as much as the connections take for some seconds, after one that is not counted."""
    script = _script(target, folder)
    _wrk(script, target, connections, 1)
    spent_before, (busy_before, all_before) = server.spent_s(), _machine_s()
    wrk_s, found = _wrk(script, target, connections, seconds)
    spent_after, (busy_after, all_after) = server.spent_s(), _machine_s()
    shutil.rmtree(script.parent)
    spent = {role: after - spent_before.get(role, 0.0) for role, after in spent_after.items()}
    done = max(found["requests"], 1)
    per_s = found["requests"] / (found["duration_us"] / 1e6)
    others_s = busy_after - busy_before - sum(spent.values()) - wrk_s
    return Load(
        requests_per_s=per_s,
        rows_per_s=per_s * target.rows,
        p50_ms=found["p50_us"] / 1000 if found["requests"] else math.inf,
        p99_ms=found["p99_us"] / 1000 if found["requests"] else math.inf,
        failed=int(found["status"] + found["broken"]),
        cpu_us=sum(spent.values()) / done * 1e6 if found["requests"] else math.inf,
        cpu_of={role: seconds / done * 1e6 for role, seconds in spent.items()},
        others=max(0.0, others_s) / max(all_after - all_before, 1e-9),
    )


def _script(target: Target, folder: Path) -> Path:
    place = folder / f"wrk-{uuid.uuid4().hex[:8]}"
    place.mkdir()
    for number, body in enumerate(target.bodies):
        (place / f"{number}.body").write_bytes(body)
    headers = ", ".join(
        f"[{json.dumps(name)}] = {json.dumps(value)}" for name, value in target.headers.items()
    )
    script = place / "load.lua"
    host = f'["Host"] = "127.0.0.1:{target.port}"'
    script.write_text(
        _LUA.format(
            headers=f"{{{host}, {headers}}}", count=len(target.bodies), folder=place, path=target.path
        )
    )
    return script


def _wrk(script: Path, target: Target, connections: int, seconds: int) -> tuple[float, dict[str, float]]:
    """Run wrk; return its processor time in seconds and what it printed."""
    command = ["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "--timeout", "30s", "-s", str(script)]
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    ran = subprocess.run(
        [*command, f"http://127.0.0.1:{target.port}"], capture_output=True, text=True, check=False
    )
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    lines = [line for line in ran.stdout.splitlines() if line.startswith('{"requests"')]
    if not lines:
        raise SystemExit(f"wrk failed: {ran.stdout}{ran.stderr}")
    spent = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return spent, json.loads(lines[-1])


def _machine_s() -> tuple[float, float]:
    """Return the processor seconds so far that were spent on anything, and those that there were."""
    user, nice, system, idle, wait, irq, soft, steal, *_ = (
        int(field) * _TICK_S for field in Path("/proc/stat").read_text().splitlines()[0].split()[1:]
    )
    busy = user + nice + system + irq + soft + steal
    return busy, busy + idle + wait


def _descendants(pid: int) -> list[int]:
    found = [pid]
    with contextlib.suppress(OSError):
        for task in Path(f"/proc/{pid}/task").iterdir():
            for child in (task / "children").read_text("ascii").split():
                found += _descendants(int(child))
    return found


def _pss_mb(pid: int) -> float:
    with contextlib.suppress(OSError):
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text("ascii").splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1]) / 1000
    return 0.0
