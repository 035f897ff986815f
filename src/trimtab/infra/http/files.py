"""Answers with a file, or the range of it that was asked for, in constant memory."""

import io
import re
from typing import BinaryIO, cast

import anyio.to_thread
from starlette.datastructures import Headers
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from trimtab.infra.http.direct import EXTENSION, LEAST_BYTES, Direct

_PIECE = 1 << 20
_RANGE = re.compile(r"bytes\s*=\s*(?:(\d{1,18})-(\d{0,18})|-(\d{1,18}))")


class FileAnswer(Response):
    """An open file as the answer to GET or HEAD; it is closed when the answer was sent.

    One range is served (206), with If-Range; several at once are answered with the whole file, as the protocol allows.
    """

    def __init__(
        self, file: BinaryIO, *, size_bytes: int, media_type: str, etag: str, headers: dict[str, str]
    ) -> None:
        super().__init__(None, 200, headers, media_type)
        del self.headers["content-length"]
        self.headers["content-type"] = media_type  # as it is: what character set a file has is not known
        self.headers["accept-ranges"] = "bytes"
        self.headers["etag"] = etag
        self._file = file
        self._size = size_bytes
        self._etag = etag

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002 - the shape of ASGI
        with self._file:
            await self._answer(scope, send)

    async def _answer(self, scope: Scope, send: Send) -> None:
        headers = Headers(scope=scope)
        start, count, said = 0, self._size, b""
        try:
            found = self._range(headers)
        except ValueError as wrong:
            self.status_code, count, said = 400, 0, str(wrong).encode()
            self.headers["content-type"] = "text/plain; charset=utf-8"
        else:
            if _among(self._etag, headers.get("if-none-match", "").replace("W/", "")):
                self.status_code, count = 304, 0
            elif found is not None:
                start, count = found
                self.status_code = 206 if count else 416
                shown = f"{start}-{start + count - 1}" if count else "*"
                self.headers["content-range"] = f"bytes {shown}/{self._size}"
        if self.status_code != 304:
            self.headers["content-length"] = str(count + len(said))
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        if scope["method"] != "HEAD" and count:
            direct: Direct | None = (scope.get("extensions") or {}).get(EXTENSION)
            if direct is not None and count >= LEAST_BYTES:
                if not await direct.send_file(cast("io.BufferedIOBase", self._file), start, count):
                    return
            else:
                await self._send_pieces(send, start, count)
        await send({"type": "http.response.body", "body": said, "more_body": False})

    async def _send_pieces(self, send: Send, start: int, count: int) -> None:
        self._file.seek(start)
        while count and (piece := await anyio.to_thread.run_sync(self._file.read, min(count, _PIECE))):
            count -= len(piece)
            await send({"type": "http.response.body", "body": piece, "more_body": True})

    def _range(self, headers: Headers) -> tuple[int, int] | None:
        """Return (start, count) of the range that was asked for, None for the whole; a count of 0 has no bytes.

        Raises ValueError for what is no range.
        """
        given = headers.get("range")
        if given is None or not _among(self._etag, headers.get("if-range", self._etag)):
            return None
        if "," in given:
            return None
        match = _RANGE.fullmatch(given.strip())
        if match is None:
            raise ValueError("Range header: range must be requested")
        first, last, suffix = match.groups()
        if suffix is not None:
            count = min(int(suffix), self._size)
            return self._size - count, count
        start = int(first)
        if last and int(last) < start:
            raise ValueError("Range header: start must be less than end")
        end = min(int(last), self._size - 1) if last else self._size - 1
        return start, max(end - start + 1, 0)


def _among(etag: str, given: str) -> bool:
    return given.strip() == "*" or etag in (one.strip() for one in given.split(","))
