"""Writes spans as lines of JSON, compressed together, and reads them back."""

from collections.abc import Sequence
from functools import cached_property

import msgspec

from trimtab.domains.traces.spans.model import Span
from trimtab.infra.compression import zstd

LARGEST_OPEN_BYTES = 64_000  # a chunk of more than this takes no further span
_LEVEL = 3
_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(Span)


class Line:
    """A span as it is written, read only when it is asked for."""

    def __init__(self, raw: bytes) -> None:
        self.raw = raw

    @cached_property
    def text(self) -> str:
        return self.raw.decode()

    @cached_property
    def span(self) -> Span:
        return _decoder.decode(self.raw)


def line(span: Span) -> bytes:
    """Return a span as JSON on one line."""
    return _encoder.encode(span)


def pack(written: Sequence[bytes]) -> tuple[int, bytes]:
    """Return the size of the lines and the compressed chunk."""
    raw = b"\n".join(written)
    return len(raw), zstd.compress(raw, _LEVEL)


def opened(content: bytes) -> bytes:
    """Return a chunk decompressed."""
    return zstd.decompress(content)


def lines(whole: bytes) -> list[bytes]:
    """Return the lines of a decompressed chunk."""
    return whole.split(b"\n")


def unpack(content: bytes) -> list[bytes]:
    """Return the lines of a chunk."""
    return lines(opened(content))


def read(written: bytes) -> Span:
    return _decoder.decode(written)


def arranged(chunks: Sequence[bytes]) -> list[Span]:
    """Return the spans of a trace's chunks, each as it came last; roots first, then by their start."""
    spans = {span.span_id: span for chunk in chunks for span in map(read, unpack(chunk))}
    return sorted(spans.values(), key=lambda one: (one.parent_span_id is not None, one.start_time_unix_nano))
