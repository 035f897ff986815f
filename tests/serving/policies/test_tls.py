"""TLS on the inference port with certificates that the tests make."""

import datetime as dt
import http.client
import ipaddress
import signal
import socket
import ssl
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from tests.serving.conftest import Plane
from trimtab.serving.processes import EXIT_BAD_CERTIFICATE, Tls, gateway_command
from trimtab.serving.routes import Version

ROW = b'{"dataframe_records": [{"a": 1.0, "b": 2}]}'


class Authority:
    """Signs certificates."""

    def __init__(self, folder: Path, name: str) -> None:
        self._folder = folder
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        self.certificate = folder / f"{name}.pem"
        self._serials = 0
        made = self._signed(self._name, self._key.public_key(), authority=True)
        self.certificate.write_bytes(made.public_bytes(serialization.Encoding.PEM))

    def issue(self, name: str, *, certificate: Path | None = None, key: Path | None = None) -> Tls:
        """Write a certificate for this machine and its key."""
        secret = ec.generate_private_key(ec.SECP256R1())
        made = self._signed(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]), secret.public_key())
        files = Tls(certificate or self._folder / f"{name}.crt", key or self._folder / f"{name}.key")
        files.key.write_bytes(
            secret.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.NoEncryption(),
            )
        )
        files.certificate.write_bytes(made.public_bytes(serialization.Encoding.PEM))
        return files

    def _signed(
        self, subject: x509.Name, key: ec.EllipticCurvePublicKey, *, authority: bool = False
    ) -> x509.Certificate:
        now = dt.datetime.now(dt.UTC)
        self._serials += 1
        builder = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self._name)
            .public_key(key)
            .serial_number(self._serials)
            .not_valid_before(now - dt.timedelta(minutes=5))
            .not_valid_after(now + dt.timedelta(hours=1))
            .add_extension(x509.BasicConstraints(ca=authority, path_length=None), critical=True)
        )
        if not authority:
            names = x509.SubjectAlternativeName(
                [x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
            )
            builder = builder.add_extension(names, critical=False)
        return builder.sign(self._key, hashes.SHA256())


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path, "authority")


def context(authority: Authority, client: Tls | None = None) -> ssl.SSLContext:
    made = ssl.create_default_context(cafile=str(authority.certificate))
    if client is not None:
        made.load_cert_chain(client.certificate, client.key)
    return made


def ask(plane: Plane, trust: ssl.SSLContext) -> int:
    connection = http.client.HTTPSConnection("127.0.0.1", plane.port, timeout=5, context=trust)
    try:
        connection.request("POST", "/endpoints/m/invocations", ROW, {"content-type": "application/json"})
        return connection.getresponse().status
    finally:
        connection.close()


def serial(plane: Plane, trust: ssl.SSLContext) -> int:
    """Return the number of the certificate that new connections are shown."""
    with (
        socket.create_connection(("127.0.0.1", plane.port), 5) as plain,
        trust.wrap_socket(plain, server_hostname="127.0.0.1") as secured,
    ):
        shown = secured.getpeercert(binary_form=True)
        assert shown is not None
        return x509.load_der_x509_certificate(shown).serial_number


@pytest.fixture
def secured(
    authority: Authority, tmp_path_factory: pytest.TempPathFactory, booster_socket: str
) -> Iterator[tuple[Plane, Tls]]:
    files = authority.issue("server")
    plane = Plane(tmp_path_factory.mktemp("tls"), tls=files)
    plane.route(Version("1", "m/1", 100, "champion", [booster_socket]))
    plane.wait_up()
    yield plane, files
    plane.close()


def test_the_port_speaks_tls_and_takes_new_certificates(
    secured: tuple[Plane, Tls], authority: Authority
) -> None:
    plane, files = secured
    trust = context(authority)
    assert ask(plane, trust) == 200
    with pytest.raises(ssl.SSLCertVerificationError):
        ask(plane, ssl.create_default_context())
    with pytest.raises((http.client.HTTPException, OSError)):
        plane.request("GET", "/health")  # by plain HTTP
    old = context(authority)
    with pytest.warns(DeprecationWarning, match="TLSv1_1"):
        old.maximum_version = ssl.TLSVersion.TLSv1_1
    old.set_ciphers("ALL:@SECLEVEL=0")
    with pytest.raises((ssl.SSLError, ConnectionResetError)):
        ask(plane, old)

    kept = http.client.HTTPSConnection("127.0.0.1", plane.port, timeout=5, context=trust)
    kept.request("GET", "/health")
    assert kept.getresponse().read() == b"OK"
    first = serial(plane, trust)
    files.certificate.write_text("no certificate")
    plane.gateway.send_signal(signal.SIGHUP)
    time.sleep(0.1)
    assert serial(plane, trust) == first  # what cannot be used leaves the one before in force
    authority.issue("server", certificate=files.certificate, key=files.key)
    plane.gateway.send_signal(signal.SIGHUP)
    deadline = time.monotonic() + 5
    while serial(plane, trust) == first and time.monotonic() < deadline:
        time.sleep(0.02)
    second = serial(plane, trust)
    assert second != first
    authority.issue("server", certificate=files.certificate, key=files.key)  # found without a signal
    while serial(plane, trust) == second and time.monotonic() < deadline:
        time.sleep(0.05)
    assert serial(plane, trust) != second
    assert ask(plane, trust) == 200
    kept.request("GET", "/health")
    assert kept.getresponse().read() == b"OK"
    kept.close()


def test_only_clients_with_a_certificate_are_let_in(
    authority: Authority, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory, booster_socket: str
) -> None:
    clients, strangers = Authority(tmp_path, "clients"), Authority(tmp_path, "strangers")
    files = authority.issue("server")._replace(client_authority=clients.certificate)
    plane = Plane(tmp_path_factory.mktemp("mtls"), tls=files)
    try:
        plane.route(Version("1", "m/1", 100, "champion", [booster_socket]))
        plane.wait_up()
        assert ask(plane, context(authority, clients.issue("shop"))) == 200
        for stranger in (None, strangers.issue("thief")):
            with pytest.raises((ssl.SSLError, OSError, http.client.HTTPException)):
                ask(plane, context(authority, stranger))
    finally:
        plane.close()


def test_a_certificate_that_does_not_fit_is_told(authority: Authority, tmp_path: Path) -> None:
    files = authority.issue("server")._replace(key=authority.issue("other").key)
    ended = subprocess.run(
        gateway_command(tmp_path / "state", host="127.0.0.1", port=0, tls=files),
        capture_output=True,
        text=True,
        timeout=20,
        check=False,
    )
    assert ended.returncode == EXIT_BAD_CERTIFICATE
    assert "cannot use the certificate" in ended.stderr
