"""How many distinct values: HyperLogLog with 4096 registers, 1.6 % standard error, mergeable, the same in any
process.

Source: Flajolet, Fusy, Gandouet & Meunier, "HyperLogLog", AofA 2007, with linear counting for small numbers
and 64-bit hashes, after Heule, Nunkesser & Hall, EDBT 2013.
"""

import hashlib
import math
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

BITS = 12
REGISTERS = 1 << BITS

_ZERO = ord("0")
"""Rank 0 is the character 0, and all ranks are printable: JSON then keeps one byte for each."""


@dataclass(frozen=True)
class Distinct:
    """Largest rank seen by each of `REGISTERS` registers, one character each; empty before any value."""

    registers: str = ""


def add_numbers(sketch: Distinct, values: ArrayLike) -> Distinct:
    """The sketch with more numbers (n,).

    >>> abs(estimate(add_numbers(Distinct(), range(100_000))) / 100_000 - 1) < 0.05
    True
    """
    x = np.asarray(values, dtype=np.float64).ravel()
    return _add(sketch, _mixed((x + 0.0).view(np.uint64)))  # + 0.0 makes -0.0 the same value as 0.0


def add_texts(sketch: Distinct, values: Iterable[str]) -> Distinct:
    """The sketch with more texts; give each once, for speed."""
    digests = b"".join(hashlib.blake2b(text.encode(), digest_size=8).digest() for text in values)
    return _add(sketch, np.frombuffer(digests, dtype="<u8").astype(np.uint64))


def merge(first: Distinct, second: Distinct) -> Distinct:
    """The sketch of both streams."""
    if not first.registers or not second.registers:
        return first if first.registers else second
    return _from(np.maximum(_ranks(first), _ranks(second)))


def estimate(sketch: Distinct) -> int:
    """About how many distinct values were added."""
    ranks = _ranks(sketch)
    empty = int((ranks == 0).sum())
    raw = 0.7213 / (1 + 1.079 / REGISTERS) * REGISTERS**2 / float((2.0 ** -ranks.astype(np.float64)).sum())
    if raw <= 2.5 * REGISTERS and empty:
        return round(REGISTERS * math.log(REGISTERS / empty))
    return round(raw)


def _add(sketch: Distinct, hashes: NDArray[np.uint64]) -> Distinct:
    ranks = _ranks(sketch).copy()
    register = (hashes >> np.uint64(64 - BITS)).astype(np.intp)
    rest = hashes << np.uint64(BITS)
    # Rank = leading zeros + 1: from the exponent of the top 52 bits as a float, which keeps them exactly.
    top = (rest >> np.uint64(12)).astype(np.float64)
    _, exponent = np.frexp(top)
    rank = np.where(top > 0, 52 - exponent + 1, 53).astype(np.uint8)
    np.maximum.at(ranks, register, rank)
    return _from(ranks)


def _mixed(bits: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """splitmix64 (Steele, Lea & Flood, OOPSLA 2014)."""
    with np.errstate(over="ignore"):
        z = bits + np.uint64(0x9E3779B97F4A7C15)
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        return z ^ (z >> np.uint64(31))


def _ranks(sketch: Distinct) -> NDArray[np.uint8]:
    if not sketch.registers:
        return np.zeros(REGISTERS, dtype=np.uint8)
    return np.frombuffer(sketch.registers.encode("latin-1"), dtype=np.uint8) - np.uint8(_ZERO)


def _from(ranks: NDArray[np.uint8]) -> Distinct:
    return Distinct((ranks + np.uint8(_ZERO)).tobytes().decode("latin-1"))
