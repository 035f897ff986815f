"""Compares Trimtab with an installed MLflow: ``python -m tests.wire.differential live --mlflow PYTHON``."""

import argparse
import os
import secrets
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

import httpx2

from tests import processes
from tests.wire.differential import oracle, proxy
from tests.wire.differential.compare import Difference, differences
from tests.wire.differential.exchange import SUFFIX, Recording, read
from tests.wire.differential.replay import play
from tests.wire.differential.script import record
from tests.wire.differential.scripts import SCRIPTS

_MOST_SHOWN = 5
RECORDINGS = Path(__file__).parent / "recordings"


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.wire.differential", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    live = commands.add_parser("live", help="ask both servers now; --write keeps MLflow's answers")
    live.add_argument("--mlflow", required=True, metavar="PYTHON", help=oracle.HOW_TO_INSTALL)
    live.add_argument("--write", action="store_true", help="keep the answers as the committed recordings")
    live.add_argument("--to", metavar="URL", help="a running Trimtab; one is started otherwise")
    live.add_argument("names", nargs="*", help=f"of {', '.join(SCRIPTS)} and of the recordings of clients")
    again = commands.add_parser("replay", help="play recordings to a server and compare")
    again.add_argument("files", nargs="*", type=Path, help="all committed recordings where none is named")
    again.add_argument("--to", required=True, metavar="URL")
    new = commands.add_parser(
        "record", help="record what a command says to a server: record --upstream URL --name N -- COMMAND"
    )
    new.add_argument("--upstream", required=True, metavar="URL")
    new.add_argument("--name", required=True)
    new.add_argument("--folder", type=Path, default=RECORDINGS)
    for one in (live, again):
        one.add_argument("--messages", action="store_true", help="compare the words of errors too")
        one.add_argument("--accepted", action="store_true", help="show the accepted differences too")
    given = list(sys.argv[1:] if arguments is None else arguments)
    split = given.index("--") if "--" in given else len(given)
    options = parser.parse_args(given[:split])
    if options.command == "record":
        return _record(options, given[split + 1 :])
    if options.command == "replay":
        recordings = [read(file) for file in options.files or sorted(RECORDINGS.glob(f"*{SUFFIX}"))]
        return _report(recordings, options.to, options)
    return _live(options)


def _live(options: argparse.Namespace) -> int:
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        theirs = stack.enter_context(oracle.serving(options.mlflow, folder / "mlflow"))
        ours = options.to or stack.enter_context(processes.serving(folder / "home"))
        recordings = [
            record(name, theirs, cases)
            for name, cases in SCRIPTS.items()
            if not options.names or name in options.names
        ]
        if options.write:
            for one in recordings:
                print("wrote", one.write(RECORDINGS))
        recordings += [
            _refreshed(read(file), theirs)
            for file in sorted(RECORDINGS.glob(f"client-*{SUFFIX}"))
            if not options.names or file.name.removesuffix(SUFFIX) in options.names
        ]
        return _report(recordings, ours, options)


def _refreshed(recording: Recording, theirs: str) -> Recording:
    """Return the recording of a client with the answers that MLflow gives now."""
    word = _word(recording)
    with httpx2.Client(base_url=theirs, timeout=60) as client:
        exchanges = [found for _, found in play(recording, client, fresh=word)]
        version = client.get("/version").text.strip()
    return Recording(recording.name, f"MLflow {version}", word, exchanges)


def _report(recordings: Sequence[Recording], url: str, options: argparse.Namespace) -> int:
    asked, kept_on_purpose = 0, 0
    wrong: list[Difference] = []
    for recording in recordings:
        with httpx2.Client(base_url=url, timeout=60) as client:
            for expected, found in play(recording, client, fresh=_word(recording)):
                asked += 1
                seen = differences(expected, found, messages=options.messages)
                kept_on_purpose += sum(one.accepted is not None for one in seen)
                _show(recording.name, [one for one in seen if one.accepted is None or options.accepted])
                wrong += [one for one in seen if one.accepted is None]
    print(f"{asked} requests: {len(wrong)} differences, {kept_on_purpose} accepted ones")
    return 1 if wrong else 0


def _show(name: str, seen: Sequence[Difference]) -> None:
    if seen:
        print(f"[{name}] {seen[0].request}")
    for one in seen[:_MOST_SHOWN]:
        print(f"    {one}")
    if len(seen) > _MOST_SHOWN:
        print(f"    and {len(seen) - _MOST_SHOWN} more fields")


def _record(options: argparse.Namespace, command: Sequence[str]) -> int:
    unique = f"uniq{secrets.token_hex(2)}"
    name = f"client-{options.name}"
    with proxy.recording_of(options.upstream, name, unique=unique) as (url, recording):
        environment = {
            **os.environ,
            "MLFLOW_TRACKING_URI": url,
            "MLFLOW_REGISTRY_URI": url,
            "RECORDING_WORD": unique,
        }
        code = subprocess.run(command, env=environment, check=False).returncode
    print(f"{len(recording.exchanges)} requests in {recording.write(options.folder)}")
    return code


def _word(recording: Recording) -> str:
    """Return a word as long as the recording's own which no server has seen."""
    return f"uniq{secrets.token_hex(8)}"[: len(recording.unique)]


if __name__ == "__main__":
    sys.exit(main())
