"""Predicts on a device from a signed bundle, keeps what it predicted, and follows the server when that answers.

    python runner.py predict [FILE]     rows as JSON from a file or standard input; predictions to standard output
    python runner.py serve --port 8080  the same over HTTP: POST /invocations
    python runner.py sync               forward what was predicted, take a newer bundle, once
    python runner.py check              compare signature, files and reference rows
    python runner.py status             what is in use, and what waits

It needs numpy and onnxruntime. TRIMTAB_URL and TRIMTAB_TOKEN name the server where they are set, else the bundle does.
"""

import argparse
import json
import os
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Sequence
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, cast
from urllib.parse import quote

from . import verify
from .home import Home
from .model import BadRows, Model, check
from .rules import Rules
from .store import Store
from .verify import Refused

_MOST_BYTES = 64 << 20
_MOST_BODY_BYTES = 16 << 20
MOST_ROWS = 20_000
"""Of one request, as the server takes no more of one prediction."""

_TIMEOUT_S = 20.0
_TRY_S = 300.0
_PIECE = 1 << 20


class Unreachable(Exception):
    """The server does not answer, or not in a way that is understood."""


class Runner:
    """One device: its home, its model and its store."""

    def __init__(self, home: Home, *, most_bytes: int = _MOST_BYTES) -> None:
        self.home = home
        self.store = Store(home.log, most_bytes=most_bytes)
        folder, manifest = home.current()
        try:
            self._use(folder, manifest)
        except Exception as error:  # noqa: BLE001 - whatever a graph does when it is loaded, the former one may be good
            folder, manifest = home.roll_back(f"bundle {manifest['sequence']} cannot be loaded: {error}")
            self._use(folder, manifest)
        self.device = str(home.state["device"])
        self._count = 0
        self._began = time.time_ns() // 1000

    def _use(self, folder: Path, manifest: dict[str, Any]) -> None:
        model = Model(folder, manifest)
        rules = cast("dict[str, dict[str, str]]", manifest.get("rules", {}))
        self.rules = Rules(rules, self.home.rules_key()) if rules else None
        self.model = model

    def predict(self, columns: dict[str, list[Any]]) -> dict[str, Any]:
        """Return predictions with their id, and keep them for the server; raises BadRows."""
        if max((len(values) for values in columns.values()), default=0) > MOST_ROWS:
            raise BadRows(f"there are more than {MOST_ROWS} rows; send them in several requests")
        started = time.perf_counter_ns()
        model, rules = self.model, self.rules
        outputs = model.predict(columns)
        self._count += 1
        record: dict[str, Any] = {
            "id": f"edge-{self.device}-{self._began:x}-{self._count:x}",
            "at_us": time.time_ns() // 1000,
            "version": model.version,
            "columns": {
                field["name"]: columns[field["name"]] for field in model.fields if field["name"] in columns
            },
            "outputs": outputs,
            "latency_us": (time.perf_counter_ns() - started) // 1000,
        }
        if rules is not None:
            none: list[Any] = [None] * len(outputs)
            record["columns"] = rules.apply(record["columns"])
            record["outputs"] = rules.apply({"predictions": outputs}).get("predictions", none)
        self.store.append(record)
        return {"predictions": outputs, "prediction_id": record["id"], "version": model.version}

    def sync(self) -> dict[str, Any]:
        """Forward what waits, then take a newer bundle; raises Unreachable."""
        forwarded = self.forward()
        return {"forwarded": forwarded, "updated": self.update()}

    def forward(self) -> int:
        """Hand every file of predictions to the server and return how many predictions it took."""
        taken = 0
        waiting = self.store.waiting()
        lost = self.store.lost
        for number, path in waiting or [(0, None)]:
            body = {
                "device": self.device,
                "number": number,
                "sequence": self.model.sequence,
                "lost": lost,
                "refused": self.home.state["refused"],
                "predictions": self.store.read(path) if path else [],
            }
            status, answer = self._ask("POST", "/predictions", body)
            if status in (400, 404, 409, 413) and path is not None:  # it will never take these
                self.store.forget(path, lost=True)
                continue
            if status >= 300:
                raise Unreachable(f"the server answered {status}")
            self.store.told(lost)
            lost = 0
            taken += int(answer["taken"])
            if path is not None:
                self.store.forget(path)
        return taken

    def update(self) -> int | None:
        """Take the newest bundle if it is newer and good, and return its number; the present one stays otherwise."""
        status, found = self._ask("GET", "")
        state = self.home.state
        if status >= 300:
            raise Unreachable(f"the server answered {status}")
        sequence = int(found["sequence"])
        if sequence <= state["highest"] or sequence == (state["refused"] or {}).get("sequence"):
            return None
        archive = self.home.folder / "incoming.zip"
        try:
            self._download("/file", archive, int(found["size_bytes"]))
            incoming, manifest = self.home.unpack(archive)
            problem = _tried(incoming)
            if problem:
                raise Refused(problem)
            folder = self.home.accept(incoming, manifest)
        except Refused as error:
            self.home.refuse(sequence, str(error))
            return None
        except OSError as error:  # a full disk: the present bundle goes on, and the next time may be better
            raise Unreachable(f"the new bundle cannot be kept: {error}") from error
        finally:
            archive.unlink(missing_ok=True)
        try:
            self._use(folder, manifest)
        except Exception as error:  # noqa: BLE001 - it was tried a moment ago, but here it fails
            self.home.roll_back(f"bundle {sequence} cannot be loaded: {error}")
            return None
        return sequence

    def _request(self, method: str, path: str, body: Any = None) -> urllib.request.Request:
        server = os.environ.get("TRIMTAB_URL") or self.home.trust["server"]
        name, alias = self.home.state["channel"].rsplit("@", 1)
        url = f"{server.rstrip('/')}/api/v1/edge/bundles/{quote(name, safe='')}/{quote(alias, safe='')}{path}"
        if not url.startswith(("http://", "https://")):
            raise Unreachable(f"{server} is no address of a server")
        headers = {"content-type": "application/json"}
        if token := os.environ.get("TRIMTAB_TOKEN"):
            headers["authorization"] = f"Bearer {token}"
        data = None if body is None else json.dumps(body).encode()
        return urllib.request.Request(url, data, headers, method=method)  # noqa: S310 - http or https, see above

    def _ask(self, method: str, path: str, body: Any = None) -> tuple[int, dict[str, Any]]:
        request = self._request(method, path, body)
        try:
            with urllib.request.urlopen(request, timeout=_TIMEOUT_S) as response:  # noqa: S310 - as above
                return response.status, json.loads(response.read())
        except urllib.error.HTTPError as error:
            return error.code, {}
        except (OSError, ValueError) as error:
            raise Unreachable(str(error)) from error

    def _download(self, path: str, target: Path, size: int) -> None:
        with target.open("wb") as file:
            try:
                with urllib.request.urlopen(self._request("GET", path), timeout=_TIMEOUT_S) as response:  # noqa: S310
                    while piece := response.read(_PIECE):
                        if file.tell() + len(piece) > size:
                            raise Refused("the bundle is larger than announced")
                        _write(file, piece)
            except (urllib.error.URLError, TimeoutError, ConnectionError) as error:
                raise Unreachable(str(error)) from error


def _write(file: Any, piece: bytes) -> None:
    file.write(piece)


def _tried(folder: Path) -> str:
    """Return why a bundle that is not in use yet must not be, tried in a process of its own."""
    code = (
        "import sys; from pathlib import Path; sys.path.insert(0, sys.argv[1]); "
        f"from {__package__} import runner; print(runner.reference_problem(Path(sys.argv[2])))"
    )
    root = str(Path(__file__).resolve().parents[len((__package__ or "").split("."))])
    try:
        done = subprocess.run(
            [sys.executable, "-c", code, root, str(folder)],
            capture_output=True, text=True, timeout=_TRY_S, check=False,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        return f"the reference rows took longer than {_TRY_S:g} s"
    if done.returncode:
        last = (done.stderr.strip().splitlines() or [f"it ended with code {done.returncode}"])[-1]
        return f"the model cannot be tried: {last[:500]}"
    return done.stdout.strip()


def reference_problem(folder: Path) -> str:
    """Return what is wrong with an unpacked bundle's predictions, nothing where all is well."""
    return check(folder, json.loads((folder / verify.MANIFEST).read_text("utf-8")))


def columns_of(document: Any) -> dict[str, list[Any]]:
    """Return columns from a list of rows, or from MLflow's dataframe_records, dataframe_split or inputs; raises BadRows."""
    if isinstance(document, dict):
        given = cast("dict[str, Any]", document)
        if isinstance(given.get("dataframe_split"), dict):
            split = given["dataframe_split"]
            with suppress(KeyError, TypeError, ValueError):
                return dict(zip(split["columns"], map(list, zip(*split["data"], strict=True)), strict=True))
            raise BadRows("dataframe_split has columns and data, as many values in each row as columns")
        if isinstance(given.get("inputs"), dict):
            columns = cast("dict[str, Any]", given["inputs"])
            return {
                name: cast("list[Any]", one) if isinstance(one, list) else [one]
                for name, one in columns.items()
            }
        document = given.get("dataframe_records", given.get("inputs"))
    if not isinstance(document, list) or not document or not all(isinstance(row, dict) for row in document):
        raise BadRows("give a list of rows, each an object of column and value")
    rows = cast("list[dict[str, Any]]", document)
    names = dict.fromkeys(name for row in rows for name in row)
    return {name: [row.get(name) for row in rows] for name in names}


class _Handler(BaseHTTPRequestHandler):
    """Answers requests with one runner."""

    runner: Runner
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        if self.path in ("/ping", "/health"):
            self._answer(200, {"version": self.runner.model.version, "sequence": self.runner.model.sequence})
        else:
            self._answer(404, {"detail": "POST /invocations predicts; GET /health says what is in use"})

    def do_POST(self) -> None:
        length = self.headers.get("content-length", "")
        if not length.isdigit() or int(length) > _MOST_BODY_BYTES:
            self.close_connection = True
            self._answer(413, {"detail": f"say the length, at most {_MOST_BODY_BYTES} bytes"})
            return
        body = self.rfile.read(int(length))
        if self.path != "/invocations":
            self._answer(404, {"detail": "POST /invocations predicts"})
            return
        try:
            self._answer(200, self.runner.predict(columns_of(json.loads(body))))
        except (BadRows, ValueError, RecursionError) as error:
            self._answer(400, {"detail": str(error)})
        except Exception as error:  # noqa: BLE001 - one request must not end the server
            self._answer(500, {"detail": f"the model failed: {type(error).__name__}"})

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - its name in the library
        """Write nothing for each request."""

    def _answer(self, status: int, content: dict[str, Any]) -> None:
        body = json.dumps(content).encode()
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


def serve(runner: Runner, *, host: str, port: int, every_s: float) -> None:
    """Answer until the process ends; follow the server in between."""
    stopping = threading.Event()

    def follow() -> None:
        while not stopping.wait(every_s):
            with suppress(Unreachable, OSError):
                runner.sync()

    handler = type("Handler", (_Handler,), {"runner": runner})
    with ThreadingHTTPServer((host, port), handler) as server:
        print(f"Predicting at http://{host}:{server.server_port}/invocations", flush=True)
        threading.Thread(target=follow, daemon=True).start()
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            pass
        finally:
            stopping.set()
            runner.store.close()


def main(arguments: Sequence[str] | None = None, *, bundle: Path | None = None) -> int:
    """Run one command for the bundle in a folder; by default the one that this file lies in."""
    parser = argparse.ArgumentParser(prog="runner.py", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)  # fmt: skip
    parser.add_argument("command", choices=("predict", "serve", "sync", "check", "status"))
    parser.add_argument("file", nargs="?", default="-", help="of rows as JSON; - is standard input")
    parser.add_argument("--home", type=Path, help="what the device keeps; default: home, beside the bundle")
    parser.add_argument("--key", help="fingerprint that the first bundle's key must have")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8080)
    parser.add_argument("--every", type=float, default=60.0, help="seconds between looks at the server")
    parser.add_argument("--store-mb", type=float, default=_MOST_BYTES / (1 << 20), help="most of what waits")
    given = parser.parse_args(arguments)
    first = bundle or Path(__file__).resolve().parents[1]
    home = Home(given.home or first / "home")
    try:
        if not home.installed:
            home.install(first, key=given.key)
        runner = Runner(home, most_bytes=int(given.store_mb * (1 << 20)))
        return _run(runner, given)
    except (Refused, BadRows, OSError, ValueError) as error:
        print(f"runner: {error}", file=sys.stderr)
        return 1
    except Unreachable as error:
        print(f"runner: {error}", file=sys.stderr)
        return 5


def _run(runner: Runner, given: argparse.Namespace) -> int:
    if given.command == "serve":
        serve(runner, host=given.host, port=given.port, every_s=given.every)
        return 0
    if given.command == "predict":
        text = sys.stdin.read() if given.file == "-" else Path(given.file).read_text("utf-8")
        answer: dict[str, Any] = runner.predict(columns_of(json.loads(text)))
    elif given.command == "sync":
        answer = runner.sync()
    elif given.command == "check":
        folder, manifest = runner.home.current()
        problem = check(folder, manifest)
        answer = {
            "sequence": manifest["sequence"],
            "version": manifest["version"],
            "problem": problem or None,
        }
    else:
        waiting = runner.store.waiting()
        answer = {
            **runner.home.state,
            "version": runner.model.version,
            "key": verify.fingerprint(runner.home.trust["key"]),
            "waiting": sum(len(runner.store.read(path)) for _, path in waiting),
            "lost": runner.store.lost,
        }
    runner.store.close()
    print(json.dumps(answer))
    return 1 if given.command == "check" and answer["problem"] else 0
