"""The framed protocol between gateway and replica."""

import socket
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trimtab.serving.batch import Output
from trimtab.serving.frames import (
    Answer,
    Call,
    FrameReader,
    decode_answer,
    decode_call,
    frame,
    socket_address,
)


@given(st.lists(st.binary(max_size=40), max_size=6), st.lists(st.integers(1, 9), max_size=30))
def test_frames_come_out_whole_however_the_stream_is_cut(payloads: list[bytes], cuts: list[int]) -> None:
    stream = b"".join(len(payload).to_bytes(4, "little") + payload for payload in payloads)
    reader = FrameReader()
    found: list[bytes] = []
    at = 0
    for size in [*cuts, len(stream)]:
        found += reader.feed(stream[at : at + size])
        at += size
    assert found == payloads


def test_a_length_that_cannot_be_is_refused() -> None:
    with pytest.raises(ValueError, match="more than"):
        FrameReader().feed(b"\xff\xff\xff\xff1")


def test_messages_survive() -> None:
    call = Call(7, 1, 3, b"\x00" * 8)
    answer = Answer(7, [Output("predictions", "INT64", [1], [1])])
    assert decode_call(frame(call)[4:]) == call
    assert decode_answer(frame(answer)[4:]) == answer


def test_sockets_may_have_long_paths(tmp_path: Path) -> None:
    folder = tmp_path / ("long" * 30)
    folder.mkdir()
    path = folder / "s.sock"
    with socket.socket(socket.AF_UNIX) as listener, socket.socket(socket.AF_UNIX) as client:
        with socket_address(path) as address:
            listener.bind(address)
        listener.listen()
        with socket_address(path) as address:
            client.connect(address)
    assert path.is_socket()
