"""Sends messages to addresses that people configured, and to no machine of the private network unless that is allowed.

The check is made on the very address that is connected to, after the name was resolved, so that a name which changes its
address in between gains nothing. Redirects are not followed and proxies are not used.
"""

import http.client
import ipaddress
import socket
import ssl
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from urllib.parse import urlsplit

import msgspec

from trimtab.kernel.errors import Invalid

_NAT64 = ipaddress.ip_network("64:ff9b::/96")
_MOST_ANSWER = 64 << 10
_Address = ipaddress.IPv4Address | ipaddress.IPv6Address


class AddressRefused(OSError):
    """The name leads to an address that messages may not be sent to."""


class Answer(msgspec.Struct, frozen=True):
    """What came of one attempt: a status, or an error. ``retry_after_s`` is what the receiver asked for."""

    status_code: int | None
    error: str | None
    seconds: float
    body: str = ""
    retry_after_s: float | None = None


class Outbound:
    """Posts to configured addresses."""

    def __init__(self, *, private: bool) -> None:
        """``private`` allows addresses of this machine and of private networks."""
        self.private = private

    def check_host(self, url: str) -> None:
        """Raise Invalid where the host of a URL cannot be resolved or leads to an address that is not allowed."""
        if self.private:
            return
        parts = urlsplit(url)
        try:
            found = socket.getaddrinfo(parts.hostname, parts.port or 443, type=socket.SOCK_STREAM)
        except (OSError, UnicodeError) as error:
            raise Invalid(f"The host {parts.hostname!r} cannot be resolved: {error}.", field="url") from error
        for *_, address in found:
            if not is_public(str(address[0])):
                raise Invalid(
                    f"{parts.hostname!r} leads to {address[0]}, which is no public address. The setting private_webhooks"
                    " can allow that.",
                    field="url",
                )

    def post(self, url: str, body: bytes, headers: Mapping[str, str], *, timeout_s: float) -> Answer:
        """Send a message once and return what came of it; never raises for what the network or receiver does.

        ``timeout_s`` holds for each wait; the whole takes twice that at the most, however little comes at a time.
        """
        started = time.monotonic()
        parts = urlsplit(url)
        path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        connection: http.client.HTTPConnection | None = None
        watch: threading.Timer | None = None
        try:
            connection = self._connection(parts.scheme, parts.hostname or "", parts.port, timeout_s)
            watch = threading.Timer(2 * timeout_s, _cut, (connection.sock,))
            watch.daemon = True
            watch.start()
            connection.request("POST", path, body=body, headers={**headers, "connection": "close"})
            answer = connection.getresponse()
            text = answer.read(_MOST_ANSWER).decode("utf-8", "replace")
            seconds = time.monotonic() - started
            return Answer(
                answer.status, None, seconds, text, retry_after_s=_seconds(answer.getheader("retry-after"))
            )
        except (OSError, http.client.HTTPException, ValueError) as error:
            said = f"{type(error).__name__}: {error}"[:500]
            return Answer(None, said, time.monotonic() - started)
        finally:
            if watch is not None:
                watch.cancel()
            if connection is not None:
                connection.close()

    def _connection(
        self, scheme: str, host: str, port: int | None, timeout_s: float
    ) -> http.client.HTTPConnection:
        raw = self._dial(host, port or (443 if scheme == "https" else 80), timeout_s)
        connection = http.client.HTTPConnection(host, port, timeout=timeout_s)
        if scheme == "https":
            context = ssl.create_default_context()
            connection = http.client.HTTPSConnection(host, port, timeout=timeout_s, context=context)
            raw = context.wrap_socket(raw, server_hostname=host)
        connection.sock = raw
        return connection

    def _dial(self, host: str, port: int, timeout_s: float) -> socket.socket:
        failure: OSError = AddressRefused(f"{host} has no address")
        for family, kind, protocol, _, address in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM):
            if not self.private and not is_public(str(address[0])):
                failure = AddressRefused(f"{host} leads to {address[0]}, which is no public address")
                continue
            connection = socket.socket(family, kind, protocol)
            connection.settimeout(timeout_s)
            try:
                connection.connect(address)
            except OSError as error:
                connection.close()
                failure = error
                continue
            return connection
        raise failure


def _cut(connection: socket.socket) -> None:
    """End what takes too long: whoever reads from it meets its end."""
    with suppress(OSError):
        connection.shutdown(socket.SHUT_RDWR)


def is_public(address: str) -> bool:
    """Whether an IP address belongs to the public network, also when it is wrapped in one of version 6."""
    try:
        found: _Address = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return False
    if isinstance(found, ipaddress.IPv6Address):
        inner = found.ipv4_mapped or found.sixtofour or (found.teredo[1] if found.teredo else None)
        if inner is None and found in _NAT64:
            inner = ipaddress.IPv4Address(int(found) & 0xFFFFFFFF)
        if inner is not None:
            found = inner
    return found.is_global and not found.is_multicast


def _seconds(text: str | None) -> float | None:
    return min(float(text), 3600.0) if text and text.isascii() and text.isdigit() else None
