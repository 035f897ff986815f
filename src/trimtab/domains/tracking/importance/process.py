"""Computes importances in a process of its own, so that the server needs no numeric library; JSON in, JSON out."""

import sys

import msgspec

from trimtab.science.importance import parameter_importance


class Asked(msgspec.Struct):
    """For each run its parameters, and the metric's value."""

    params: list[dict[str, str]]
    values: list[float]


def main() -> None:
    """Read what is asked from standard input and write the answer to standard output."""
    asked = msgspec.json.decode(sys.stdin.buffer.read(), type=Asked)
    sys.stdout.buffer.write(msgspec.json.encode(parameter_importance(asked.params, asked.values)))


if __name__ == "__main__":
    main()
