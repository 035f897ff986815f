"""TLS on the inference port: a certificate that is read again when its files change or on SIGHUP."""

import asyncio
import ssl
import sys
from contextlib import suppress
from pathlib import Path

_LOOK_S = 1.0


class Certificate:
    """A certificate chain and its key, and the authority whose clients alone are let in where one is named.

    Connections take the certificate that is there when they begin; those that are open go on with theirs. A changed
    pair that does not fit, or cannot be read, leaves the one before in force. Another authority takes a restart.
    """

    def __init__(self, certificate: Path, key: Path, *, client_authority: Path | None = None) -> None:
        """Raises OSError or ssl.SSLError where the files are no certificate and its key."""
        self._files = (certificate, key)
        self._stamp = self._stamped()
        self.context = context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.options |= ssl.OP_NO_COMPRESSION | ssl.OP_NO_RENEGOTIATION
        context.set_alpn_protocols(["http/1.1"])
        context.load_cert_chain(certificate, key)
        if client_authority is not None:
            context.load_verify_locations(client_authority)
            context.verify_mode = ssl.CERT_REQUIRED

    def reload(self) -> str:
        """Take what the files hold now; return why that could not be, or nothing."""
        self._stamp = self._stamped()
        certificate, key = self._files
        try:
            # Tried apart first: a pair that does not fit would leave the context with half of it.
            ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(certificate, key)
            self.context.load_cert_chain(certificate, key)
        except (OSError, ssl.SSLError) as error:
            return f"{certificate} and {key} were not taken: {error}"
        return ""

    async def follow(self) -> None:
        """Take each change of the files, until cancelled."""
        while True:
            await asyncio.sleep(_LOOK_S)
            if self._stamped() != self._stamp:
                problem = self.reload()
                if problem:
                    sys.stderr.write(problem + "\n")

    def _stamped(self) -> tuple[object, ...]:
        stamps: list[object] = []
        for file in self._files:
            with suppress(OSError):  # between the removal of the old file and the arrival of the new one
                found = file.stat()
                stamps.append((found.st_mtime_ns, found.st_size, found.st_ino))
        return tuple(stamps)
