"""What gateways and replicas on other hosts know each other by: one certificate and its key, the same file on each host.

Whoever has the file may call and may answer; nobody else can read, change or make a call. It is a shared secret that
is never sent.
"""

import os
import ssl
from pathlib import Path
from urllib.parse import urlsplit

from trimtab.kernel.errors import Invalid

SCHEME = "tcp://"
_YEARS = 30


def address_of(place: str, *, free: bool = False) -> tuple[str, int]:
    """Return host and port of ``tcp://HOST:PORT``; port 0 is one only where a ``free`` one will do. Raises Invalid."""
    try:
        parts = urlsplit(place)
        host, port = parts.hostname, parts.port
    except ValueError:
        host, port = None, None
    if (
        not (place.startswith(SCHEME) and host)
        or port is None
        or not (port or free)
        or place.count("/") > 2
        or "@" in place
    ):
        raise Invalid(f"{place[:200]!r} is not a replica on another host, such as tcp://10.0.0.2:7001")
    return host, port


def caller(secret: Path) -> ssl.SSLContext:
    """Return how a gateway calls replicas; raises OSError where the file is no certificate with its key."""
    return _context(ssl.PROTOCOL_TLS_CLIENT, secret)


def answerer(secret: Path) -> ssl.SSLContext:
    """Return how a replica is called; raises OSError where the file is no certificate with its key."""
    return _context(ssl.PROTOCOL_TLS_SERVER, secret)


def _context(side: int, secret: Path) -> ssl.SSLContext:
    context = ssl.SSLContext(side)
    context.check_hostname = False  # the key is what is known, wherever it is
    context.verify_mode = ssl.CERT_REQUIRED
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.load_verify_locations(secret)
    context.load_cert_chain(secret)
    return context


def make_secret(file: Path) -> None:
    """Write a new certificate and its key, readable for the owner only; raises FileExistsError."""
    import datetime as dt

    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "trimtab replicas")])
    now = dt.datetime.now(dt.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=365 * _YEARS))
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    pem = certificate.public_bytes(serialization.Encoding.PEM) + key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    handle = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with os.fdopen(handle, "wb") as out:
        out.write(pem)
