"""CRC-32C, the checksum of TFRecord files, of many short records or of one long one, without a loop over each byte.

The register of a cyclic redundancy check is linear over GF(2). Records of one length therefore advance side by side, two
bytes a step, as columns of a matrix; a long record is cut into lanes that advance side by side, and their registers are
put together by the operator that feeds a lane's length of zeros.

Source: G. Castagnoli, S. Brauer, M. Herrmann, "Optimization of Cyclic Redundancy-Check Codes with 24 and 32 Parity Bits",
IEEE Transactions on Communications 41(6), 1993 (the polynomial 0x1EDC6F41, reflected 0x82F63B78).
"""

from collections.abc import Sequence
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

_POLYNOMIAL = 0x82F63B78
_FULL = 0xFFFFFFFF
_MASK_DELTA = 0xA282EAD8
_LANE = 2048  # bytes
_LONG = 65_536  # from here on one record is cut into lanes
_FEW_BYTES = 2_000  # below, calling numpy costs more than it saves
_MOST_AT_ONCE = 4 << 20

Register = NDArray[np.uint32]
_EIGHT, _SIXTEEN = np.uint32(8), np.uint32(16)


def _byte_table() -> list[int]:
    table: list[int] = []
    for byte in range(256):
        register = byte
        for _ in range(8):
            register = (register >> 1) ^ (_POLYNOMIAL if register & 1 else 0)
        table.append(register)
    return table


_BYTES = _byte_table()


@lru_cache(maxsize=1)
def _tables() -> tuple[Register, Register]:
    """Return what one byte and what two bytes (little-endian) make of an empty register."""
    one = np.array(_BYTES, np.uint32)
    low = one[np.arange(65_536) & 0xFF]
    two = one[(low ^ (np.arange(65_536) >> 8)) & 0xFF] ^ (low >> 8)
    return one, two.astype(np.uint32)


def crc32c(data: bytes | memoryview) -> int:
    """Return the checksum of bytes.

    >>> hex(crc32c(b"123456789"))
    '0xe3069283'
    >>> crc32c(b"") , crc32c(bytes(70_001)) == crc32c(memoryview(bytes(70_001)))
    (0, True)
    """
    if len(data) >= _LONG:
        return _long(np.frombuffer(data, np.uint8))
    register = _FULL
    for byte in bytes(data):
        register = _BYTES[(register ^ byte) & 0xFF] ^ (register >> 8)
    return register ^ _FULL


def masked(checksum: int) -> int:
    """Return a checksum as TFRecord stores it, so that a record may hold checksums itself.

    >>> masked(0)
    2726488792
    """
    return (((checksum >> 15) | (checksum << 17)) + _MASK_DELTA) & _FULL


def masked_all(
    data: bytes | bytearray | memoryview, starts: Sequence[int], lengths: Sequence[int]
) -> list[int]:
    """Return the masked checksum of each record, which begins at ``starts`` in the data and has so many bytes.

    >>> masked_all(b"xx123456789123456789", [2, 11], [9, 9]) == [masked(0xE3069283)] * 2
    True
    """
    if sum(lengths) < _FEW_BYTES:
        view = memoryview(data)
        return [
            masked(crc32c(view[start : start + length]))
            for start, length in zip(starts, lengths, strict=True)
        ]
    everything = np.frombuffer(data, np.uint8)
    begin, size = np.asarray(starts, np.int64), np.asarray(lengths, np.int64)
    found = np.zeros(size.size, np.uint32)
    for length in np.unique(size).tolist():
        rows = np.flatnonzero(size == length)
        if length >= _LONG:
            for row in rows.tolist():
                found[row] = _long(everything[starts[row] : starts[row] + length])
            continue
        step = max(1, _MOST_AT_ONCE // max(1, length))
        for first in range(0, rows.size, step):
            part = rows[first : first + step]
            found[part] = _equal(everything, begin[part], length)
    wide = found.astype(np.uint64)
    return ((((wide >> 15) | (wide << 17)) + _MASK_DELTA) & _FULL).tolist()


def _equal(data: NDArray[np.uint8], starts: NDArray[np.int64], length: int) -> Register:
    rows = data[starts[:, None] + np.arange(length)]
    return _advance(np.full(starts.size, _FULL, np.uint32), rows) ^ np.uint32(_FULL)


def _advance(registers: Register, rows: NDArray[np.uint8]) -> Register:
    """Return the registers after each took its row of bytes."""
    one, two = _tables()
    pairs = rows.shape[1] // 2
    columns = np.ascontiguousarray(rows[:, : 2 * pairs]).view("<u2").T if pairs else ()
    for column in np.ascontiguousarray(columns) if pairs else ():
        registers = two[(registers ^ column) & 0xFFFF] ^ (registers >> _SIXTEEN)
    if rows.shape[1] % 2:
        registers = one[(registers ^ rows[:, -1]) & 0xFF] ^ (registers >> _EIGHT)
    return registers


def _long(data: NDArray[np.uint8]) -> int:
    head = data.size % _LANE  # the odd bytes come first, so that all lanes are equally long
    register = _FULL
    for byte in data[:head].tolist():
        register = _BYTES[(register ^ byte) & 0xFF] ^ (register >> 8)
    lanes = _advance(np.zeros(data.size // _LANE, np.uint32), data[head:].reshape(-1, _LANE))
    first, second, third, fourth = _after_zeros(_LANE)
    for part in lanes.tolist():
        register = (
            first[register & 0xFF]
            ^ second[(register >> 8) & 0xFF]
            ^ third[(register >> 16) & 0xFF]
            ^ fourth[register >> 24]
            ^ part
        )
    return register ^ _FULL


@lru_cache(maxsize=1)
def _after_zeros(count: int) -> tuple[list[int], list[int], list[int], list[int]]:
    """Return, for each byte of a register, what is left of it after so many zero bytes."""
    columns = [1 << bit for bit in range(32)]  # the operator's images of each bit, at first of no zeros
    power = [_zero_byte(1 << bit) for bit in range(32)]
    while count:
        if count & 1:
            columns = [_apply(power, column) for column in columns]
        power = [_apply(power, column) for column in power]
        count >>= 1
    tables = [[_apply(columns, byte << shift) for byte in range(256)] for shift in (0, 8, 16, 24)]
    return tables[0], tables[1], tables[2], tables[3]


def _zero_byte(register: int) -> int:
    return _BYTES[register & 0xFF] ^ (register >> 8)


def _apply(operator: list[int], register: int) -> int:
    found = 0
    for bit in range(32):
        if register >> bit & 1:
            found ^= operator[bit]
    return found
