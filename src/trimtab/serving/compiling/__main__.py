"""Compiles one model in a process of its own, within limits, and writes ``model.onnx`` and ``verdict.json``.

    python -m trimtab.serving.compiling --model DIR --out DIR [--allow-pickle] [--rows FILE]

The exit code is 0 whenever there is a verdict, also where that says no.
"""

import argparse
import os
import resource
import sys
import warnings
from pathlib import Path

import msgspec

from trimtab.kernel.process import die_with_parent, no_new_privileges
from trimtab.serving.compiling.verdict import VERDICT_FILE, Tolerance
from trimtab.serving.files import write_atomically
from trimtab.serving.isolation import isolate


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m trimtab.serving.compiling", description=__doc__)
    parser.add_argument("--model", type=Path, required=True, help="folder with an MLmodel file")
    parser.add_argument(
        "--out", type=Path, required=True, help="folder for the compiled model and the verdict"
    )
    parser.add_argument("--allow-pickle", action="store_true", help="load formats that run code")
    parser.add_argument("--rows", type=Path, help="rows to compare: a scoring request in JSON")
    parser.add_argument("--absolute", type=float, default=1e-5, help="how far a number may be off")
    parser.add_argument("--relative", type=float, default=1e-5, help="and how far as a share of it")
    parser.add_argument("--memory-mb", type=int, default=4096, help="most memory for data")
    parser.add_argument("--cpu-s", type=int, default=300, help="most processor time")
    parser.add_argument("--parent", type=int, help="process id of the starter: end when it ends")
    arguments = parser.parse_args()
    no_new_privileges()
    isolate(allow_network=False)
    if arguments.parent is not None:  # after leaving the network, which may forget it
        die_with_parent(parent=arguments.parent)
    _limit(resource.RLIMIT_DATA, arguments.memory_mb << 20)
    _limit(resource.RLIMIT_CPU, arguments.cpu_s)
    os.nice(10)  # whoever waits for an answer comes first
    warnings.simplefilter("ignore")
    arguments.out.mkdir(parents=True, exist_ok=True)
    from trimtab.serving.compiling.attempt import compile_model

    verdict = compile_model(
        arguments.model,
        arguments.out,
        allow_pickle=arguments.allow_pickle,
        given=arguments.rows.read_bytes() if arguments.rows else None,
        tolerance=Tolerance(arguments.absolute, arguments.relative),
    )
    write_atomically(arguments.out / VERDICT_FILE, msgspec.json.encode(verdict))
    sys.stdout.write(f"{verdict.state}: {verdict.message}\n")
    return 0


def _limit(what: int, most: int) -> None:
    _, hard = resource.getrlimit(what)
    value = most if hard == resource.RLIM_INFINITY else min(most, hard)
    resource.setrlimit(what, (value, value))


if __name__ == "__main__":
    sys.exit(main())
