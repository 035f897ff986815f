"""Answering predictions: ours beside MLServer, BentoML, LitServe, Ray Serve, MLflow and FastAPI by hand, in one run.

    python bench/bench_serving.py --recipe /tmp/peers       prints how to make the peers' environments
    python bench/bench_serving.py [--peers /tmp/peers] [--only ours,litserve] [--models logistic,xgboost,forest,python]
        [--seconds 5] [--costs] [--keep FOLDER] [--report FILE.json]

Models over twelve features of the real flights are served by one worker process each and asked by wrk: one row a request
over 64 connections and over one, and 1,000 rows a request over four. Ours answers through the public inference port of
a whole server, with the signature checked, a token checked and every prediction logged. Before anything is measured
each server's predictions are compared with the model's own. Memory is that of all processes that serve the model; for
ours the server that manages them, which serves nothing, is told apart. The limits are a bare protocol on uvloop and an
empty handler on uvicorn, which answer the same bytes to everything, and the model's ONNX graph by hand under granian.

"others" is the share of the machine that was busy with something else meanwhile: read requests a second only where it is
near nothing, processor time a request (us) also elsewhere. ``--costs`` switches off one part of ours at a time.
"""

import argparse
import shutil
import sys
import tempfile
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import msgspec
import numpy as np
from rich.table import Table
from serving import costs, models, ours, peers
from serving.load import DidNotStart, Load, Server, Target, ask, free_ports, press, running
from serving.tables import BINARY, MANY, Found, console, load_cells, show, show_costs, show_costs_of_many

LIMITS = {"bare uvloop": "bare_app.py", "empty on uvicorn": "empty_app.py"}


def main() -> None:
    """Measure what was asked for, print a table for each model, and write a report where one is wanted."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--peers", type=Path, help="folder with one environment for each peer")
    parser.add_argument("--recipe", type=Path, help="print how to make them there, and end")
    parser.add_argument("--only", default="", help=f"of ours, {', '.join(peers.PEERS)}")
    parser.add_argument("--models", default=",".join(models.KINDS))
    parser.add_argument("--seconds", type=int, default=5, help="of each measurement")
    parser.add_argument("--protocols", action="store_true", help="ask ours one row in each of its forms")
    parser.add_argument(
        "--costs", action="store_true", help="only ours, with one part switched off at a time"
    )
    parser.add_argument("--keep", type=Path, help="keep the models there for the next run")
    parser.add_argument("--report", type=Path)
    given = parser.parse_args()
    if given.recipe:
        print(peers.recipe(given.recipe))
        return
    if shutil.which("wrk") is None:
        parser.error("the load comes from wrk: apt-get install wrk")
    kinds = given.models.split(",")
    only = [name for name in given.only.split(",") if name]
    unknown = [name for name in kinds if name not in models.KINDS]
    unknown += [name for name in only if name != "ours" and name not in peers.PEERS]
    if unknown:
        parser.error(f"there is no {', '.join(unknown)}")
    report: dict[str, object] = {"seconds": given.seconds}
    with tempfile.TemporaryDirectory(prefix="bench-serving-") as name:
        bench = Bench(Path(name), given.keep or Path(name) / "models", given.seconds, given.peers)
        console.log("models")
        models.prepare(bench.models, kinds)
        if given.costs:
            report["costs"] = {kind: bench.costs(kind) for kind in kinds}
        else:
            report["servers"] = servers = []
            report["limits"] = limits = {}
            for kind in kinds:
                limits[kind] = nothing = bench.limits()
                found = list(bench.servers(kind, only, protocols=given.protocols))
                servers += found
                show(kind, found, nothing)
    if given.report:
        given.report.write_bytes(msgspec.json.format(msgspec.json.encode(report), indent=2))


class Bench:
    """One run: where things are, and how long each measurement takes."""

    def __init__(self, folder: Path, models_folder: Path, seconds: int, peers_folder: Path | None) -> None:
        self.models = models_folder
        self._folder = folder
        self._seconds = seconds
        self._peers = peers_folder
        self._number = 0

    def servers(self, kind: str, only: list[str], *, protocols: bool) -> Generator[Found]:
        """Yield what each server does with a model."""
        if not only or "ours" in only:
            console.log(f"{kind}: ours")
            yield self._guarded(Found("ours", "trimtab", kind), lambda found: self._ours(found, protocols))
        for name, peer in peers.PEERS.items():
            if (only and name not in only) or kind not in peer.kinds or self._peers is None:
                continue
            console.log(f"{kind}: {peer.title}")
            found = Found(name, peer.title, kind, limit=peer.limit)
            yield self._guarded(found, lambda found, peer=peer: self._peer(found, peer))

    def _guarded(self, found: Found, measure) -> Found:
        try:
            measure(found)
        except (DidNotStart, RuntimeError, OSError) as error:
            found.problem = str(error)
            console.log(f"[red]{found.title}: {error}", markup=True)
        return found

    def _scratch(self) -> Path:
        self._number += 1
        return self._folder / str(self._number)

    def _press(self, target: Target, server: Server, connections: int) -> Load:
        server.settle()  # what the last measurement left in queues is none of this one's
        return press(
            target, connections=connections, seconds=self._seconds, server=server, folder=self._folder
        )

    def _peer(self, found: Found, peer: peers.Peer) -> None:
        assert self._peers is not None, "it was asked for"
        scratch = self._scratch()
        place = peers.place_of(
            peer, found.kind, peers=self._peers, models_folder=self.models, scratch=scratch
        )
        if place is None:
            found.problem = f"no environment {self._peers / peer.environment}; see --recipe"
            return
        peers.lay_out(peer, place)
        rows = models.rows(self.models)
        one = peers.target(peer, place, rows, each=1)
        server = Server(
            peer.start(place), environment=peers.environment(peer, place), folder=scratch, log=scratch / "log"
        )
        with running(server):
            found.start_s = server.first_answer_s(one)
            many = peers.target(peer, place, rows, each=MANY)
            found.worst = self._compare(found.kind, (one, peer.read), (many, peer.read))
            found.full = self._press(one, server, 64)
            found.single = self._press(one, server, 1)
            found.many = {"JSON": self._press(many, server, 4)}
            found.memory_mb = sum(server.memory_mb().values())

    def _ours(self, found: Found, protocols: bool) -> None:  # noqa: FBT001 (one caller)
        home = ours.prepare(self._scratch() / "home", found.kind, self.models)
        found.note = home.note
        with self._our_server(home) as (server, port, rows):
            one = ours.target(home, port, ours.PROTOCOLS["v2"], rows, each=1)
            found.start_s = server.first_answer_s(one)
            many: dict[str, Target] = {}
            for name, protocol in ours.PROTOCOLS.items():
                target = ours.target(home, port, protocol, rows, each=MANY)
                if (protocols or name in ("v2", "v2-columns", *BINARY)) and ours.speaks(target):
                    many["JSON" if name == "v2" else name] = target
                    found.worst = max(found.worst, self._compare(found.kind, (target, protocol.read)))
            found.worst = max(found.worst, self._compare(found.kind, (one, ours.PROTOCOLS["v2"].read)))
            found.full = self._press(one, server, 64)
            found.single = self._press(one, server, 1)
            found.many = {name: self._press(target, server, 4) for name, target in many.items()}
            memory = server.memory_mb()
            found.memory_mb = sum(memory.get(role, 0.0) for role in ours.SERVED)
            found.beside_mb = sum(memory.values()) - found.memory_mb
            if protocols:
                self._forms(home, port, server, rows)

    def _forms(self, home: ours.Home, port: int, server: Server, rows: np.ndarray) -> None:
        table = Table(
            "one row a request", "req/s", "p50 ms", "p99 ms", "CPU us", title="forms of a request to ours"
        )
        for protocol in ours.PROTOCOLS.values():
            target = ours.target(home, port, protocol, rows, each=1)
            if not ours.speaks(target):
                table.add_row(protocol.title, "not spoken")
                continue
            load = self._press(target, server, 64)
            table.add_row(protocol.title, *load_cells(load), f"{load.cpu_us:.0f}")
        console.print(table)

    @contextmanager
    def _our_server(
        self, home: ours.Home, part: costs.Part | None = None
    ) -> Generator[tuple[Server, int, np.ndarray]]:
        port, scratch = free_ports(4), self._scratch()
        chosen = part or costs.PARTS["nothing"]
        environment = costs.environment(chosen, scratch)
        server = ours.start(home.folder, port, sign_in=chosen.sign_in, environment=environment)
        with running(server):
            yield server, port, models.rows(self.models)
        if not costs.took_effect(chosen, scratch):
            raise RuntimeError("it does not go by the names any more that this switches off")

    def _compare(self, kind: str, *asked: tuple[Target, peers.Read]) -> float:
        """Return the largest difference from the model's own predictions; raises where more than a few are wrong."""
        expected = models.expected(self.models, kind)
        worst = 0.0
        for target, read in asked:
            for at, body in enumerate(target.bodies[: 32 if target.rows == 1 else 2]):
                status, answer = ask(target, body)
                if status != 200:
                    raise RuntimeError(f"{target.path} answered {status}: {answer[:300]!r}")
                given = np.array(read(answer), dtype=np.float64)
                wanted = expected[at * target.rows : (at + 1) * target.rows]
                if given.shape != wanted.shape:
                    raise RuntimeError(
                        f"{target.path} gave {given.shape} for {wanted.shape}: {answer[:300]!r}"
                    )
                apart = np.abs(given - wanted)
                # A graph compares in float32, so that a row on a split's edge may fall on its other side.
                if np.quantile(apart, 0.95) > 1e-4:
                    raise RuntimeError(f"{target.path} is wrong: {given[:3]} instead of {wanted[:3]}")
                worst = max(worst, float(apart.max()))
        return worst

    def limits(self) -> dict[str, dict[int, Load]]:
        """Return what handlers answer that do nothing, at 64 connections and at one."""
        return {title: self._limit(app) for title, app in LIMITS.items()}

    def _limit(self, app: str) -> dict[int, Load]:
        console.log(app)
        port, scratch = free_ports(4), self._scratch()
        scratch.mkdir()
        command = [sys.executable, str(peers.APPS / app)]
        server = Server(command, environment={"BENCH_PORT": str(port)}, folder=scratch, log=scratch / "log")
        rows = models.rows(self.models)
        bodies = [peers.rows_body(rows[at : at + 1]) for at in range(256)]
        target = Target(port, "/", {"Content-Type": "application/json"}, bodies, 1)
        with running(server):
            server.first_answer_s(target)
            return {connections: self._press(target, server, connections) for connections in (64, 1)}

    def costs(self, kind: str) -> dict[str, Load]:
        """Measure ours with each part missing in turn and print the differences."""
        found: dict[str, Load] = {}
        many: dict[str, dict[str, Load]] = {}
        homes: dict[bool, ours.Home] = {}
        for name, part in costs.PARTS.items():
            console.log(f"{kind}: {part.title}")
            try:
                if part.native not in homes:
                    folder = self._scratch() / "home"
                    homes[part.native] = ours.prepare(folder, kind, self.models, native=part.native)
                home = homes[part.native]
                if part.native and home.note == homes[False].note:
                    continue  # it is native as it is
                with self._our_server(home, part) as (server, port, rows):
                    target = ours.target(home, port, ours.PROTOCOLS["v2"], rows, each=1)
                    server.first_answer_s(target)
                    found[name] = self._press(target, server, 64)
                    if name in costs.OF_MANY:
                        many[name] = {
                            title: self._press(
                                ours.target(home, port, ours.PROTOCOLS[protocol], rows, each=MANY), server, 4
                            )
                            for protocol, title in (("v2", "JSON"), ("binary", "binary"), ("arrow", "arrow"))
                        }
            except (DidNotStart, RuntimeError) as error:
                console.log(f"[red]{part.title}: {error}")
        show_costs(kind, found)
        show_costs_of_many(kind, many)
        return found | {
            f"{name}, {MANY:,} rows {title}": load
            for name, loads in many.items()
            for title, load in loads.items()
        }


if __name__ == "__main__":
    main()
