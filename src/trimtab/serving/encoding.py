"""Answers as they go over an HTTP/1.1 connection: status line, headers, body."""

from http import HTTPStatus

from trimtab.serving.http import Answer

_STATUS_LINES = {one.value: f"HTTP/1.1 {one.value} {one.phrase}\r\n".encode() for one in HTTPStatus}


def encode(answer: Answer, *, date: bytes, last: bool, bodiless: bool = False) -> bytes:
    """Return the bytes of an answer; ``date`` is that header's line, and ``last`` says that the connection ends."""
    status, content, content_type, headers = answer
    parts = [
        _STATUS_LINES[status],
        date,
        b"content-type: ",
        content_type,
        b"\r\ncontent-length: ",
        b"%d" % len(content),
        b"\r\n",
    ]
    for name, value in headers:
        parts += (name, b": ", value, b"\r\n")
    parts.append(b"connection: close\r\n\r\n" if last else b"\r\n")
    if not bodiless:
        parts.append(content)
    return b"".join(parts)
