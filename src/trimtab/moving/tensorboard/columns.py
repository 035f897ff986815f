"""Reads many records of scalars at once: those of one length whose bytes differ in time, step and value alone."""

from collections.abc import Callable, Iterator, Mapping, Sequence

import msgspec
import numpy as np
from numpy.typing import NDArray

_FEW = 64
_TIME, _STEP = 1, 10  # where the time and the step begin in a record that has both
_MOST_STEP_BYTES = 5
_MOST_US = 2**62
_MULTIPLIERS = np.random.default_rng(1).integers(1, 2**63, 1024, np.uint64) | np.uint64(1)

Bytes = NDArray[np.uint8]
Known = Mapping[bool, Mapping[bytes, str]]
"""The tag of what stands between step and value, where it is known; under True where the value is a double of our own."""


class Scalars(msgspec.Struct):
    """Points of one tag."""

    tag: str
    steps: list[int]
    at_us: list[int]
    values: list[float]


def scalars(
    data: bytes,
    starts: Sequence[int],
    lengths: Sequence[int],
    *,
    known: Known,
    learn: Callable[[int], None],
    mark: bytes,
) -> tuple[list[Scalars], list[int]]:
    """Return the points of the records that could be read at once, and the indexes of the others, in order.

    ``learn`` reads one record in full, by its index, so that ``known`` may name those like it afterwards. ``mark``
    stands before the double of our own that ends some records.
    """
    everything = np.frombuffer(data, np.uint8)
    begin, size = np.asarray(starts, np.int64), np.asarray(lengths, np.int64)
    taken = np.zeros(size.size, np.bool_)
    found: list[Scalars] = []
    for length in np.unique(size).tolist():
        rows = np.flatnonzero(size == length)
        if rows.size < _FEW or not 30 <= length <= _MULTIPLIERS.size:
            continue
        block = everything[begin[rows, None] + np.arange(length)]
        for part, step_bytes, exact in _shapes(block, np.frombuffer(mark, np.uint8)):
            for tag, which in _tags(
                block, part, rows, step_bytes=step_bytes, exact=exact, known=known, learn=learn, taken=taken
            ):
                found.append(_points(tag, block[which], step_bytes, exact=exact))
                taken[rows[which]] = True
    return found, np.flatnonzero(~taken).tolist()


def _shapes(block: Bytes, mark: Bytes) -> Iterator[tuple[NDArray[np.intp], int, bool]]:
    """Yield the rows that have a good time and a step of so many bytes, apart by the kind of their value."""
    seconds = np.ascontiguousarray(block[:, _TIME : _TIME + 8]).view("<f8")[:, 0]
    with np.errstate(invalid="ignore"):
        good = (block[:, 0] == 0x09) & (block[:, 9] == 0x10) & (seconds >= 0) & (seconds < _MOST_US / 1e6)
    exact = (block[:, -8 - mark.size : -8] == mark).all(axis=1)
    for step_bytes in range(1, _MOST_STEP_BYTES + 1):
        last = block[:, _STEP + step_bytes - 1] < 0x80
        for kind in (False, True):
            part = np.flatnonzero(good & last & (exact == kind))
            if part.size:
                yield part, step_bytes, kind
        good &= ~last


def _tags(
    block: Bytes,
    part: NDArray[np.intp],
    rows: NDArray[np.intp],
    *,
    step_bytes: int,
    exact: bool,
    known: Known,
    learn: Callable[[int], None],
    taken: NDArray[np.bool_],
) -> Iterator[tuple[str, NDArray[np.intp]]]:
    """Yield each tag with the rows that are like its template in every byte."""
    first, last = _STEP + step_bytes, block.shape[1] - (14 if exact else 4)
    between = np.ascontiguousarray(block[part, first:last])
    hashes = (between * _MULTIPLIERS[: between.shape[1]]).sum(axis=1, dtype=np.uint64)
    _, heads, groups = np.unique(hashes, return_index=True, return_inverse=True)
    like = (between == between[heads[groups]]).all(
        axis=1
    )  # whose hash is the same by chance is read by itself
    order = np.argsort(groups, kind="stable")
    edges = np.searchsorted(groups[order], np.arange(heads.size + 1))
    for group in range(heads.size):
        members = order[edges[group] : edges[group + 1]]
        members = members[like[members]]
        if members.size < 4:
            continue
        text = between[heads[group]].tobytes()
        tag = known[exact].get(text)
        if tag is None:
            index = int(rows[part[members[0]]])
            learn(index)
            taken[index] = True
            members, tag = members[1:], known[exact].get(text)
        if tag is not None:
            yield tag, part[members]


def _points(tag: str, block: Bytes, step_bytes: int, *, exact: bool) -> Scalars:
    seconds = np.ascontiguousarray(block[:, _TIME : _TIME + 8]).view("<f8")[:, 0]
    step = np.zeros(block.shape[0], np.int64)
    for place in range(step_bytes):
        step |= (block[:, _STEP + place].astype(np.int64) & 0x7F) << (7 * place)
    width, form = (8, "<f8") if exact else (4, "<f4")
    values = np.ascontiguousarray(block[:, -width:]).view(form)[:, 0].astype(np.float64)
    return Scalars(tag, step.tolist(), np.rint(seconds * 1e6).astype(np.int64).tolist(), values.tolist())
