"""The real HAProxy and the real Envoy route as the endpoint does: shares, health, sizes, time-outs, sticky callers."""

import time
from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from tests.domains.deploy.exports.conftest import Proxy, Upstream
from tests.serving.conftest import Plane, plane  # noqa: F401 - a fixture
from trimtab.domains.deploy.exports.formats import FORMATS
from trimtab.domains.deploy.exports.view import (
    EndpointView,
    VersionView,
    Wish,
    check_upstreams,
    parse_upstream,
)
from trimtab.serving.routes import Version

SPLIT = EndpointView(
    "scans.v2",
    "tumours",
    [
        VersionView("1", 60, "champion"),
        VersionView("2", 30, "challenger"),
        VersionView("3", 10, "challenger"),
        VersionView("4", 0, "warm"),
    ],
    max_body_bytes=200_000,
)
OTHER = EndpointView("scans", "tumours", [VersionView("7", 100, "champion")])
TENSORS = (
    b'{"inputs": [{"name": "a", "shape": [1], "datatype": "FP64", "data": [1.0]},'
    b' {"name": "b", "shape": [1], "datatype": "INT64", "data": [2]}]}'
)
INFER = "/v2/models/scans.v2/infer"


def start(proxy: Proxy, *upstreams: str, endpoints: tuple[EndpointView, ...] = (SPLIT, OTHER)) -> None:
    wish = Wish([parse_upstream(one) for one in upstreams], parse_upstream(f"127.0.0.1:{proxy.port}"))
    check_upstreams(endpoints, wish)
    proxy.start(FORMATS[proxy.kind].render(endpoints, wish))


def settle(proxy: Proxy, *versions: str, servers: int = 2) -> None:
    """Wait until every server of the split's versions is known as healthy, which Envoy finds out one by one."""
    deadline = time.monotonic() + 30
    for version in versions:
        path = f"/v2/models/scans.v2/versions/{version}/infer"
        proxy.settle(path)
        while len({proxy.post(path)[1].get("server") for _ in range(24)}) < servers:
            assert time.monotonic() < deadline


def test_requests_split_by_weight_and_carry_their_version(
    proxy: Proxy, upstreams: tuple[Upstream, Upstream]
) -> None:
    """Two gateways have every version: each request is pinned to one, whatever its client sent."""
    start(proxy, upstreams[0].address, upstreams[1].address)
    settle(proxy, "1", "2", "3", "4")
    proxy.settle("/v2/models/scans/infer")
    versions: Counter[str] = Counter()
    servers: Counter[str] = Counter()
    for at in range(600):
        path = (INFER, "/endpoints/scans.v2/invocations", "/v1/models/scans.v2:predict")[at % 3]
        status, said = proxy.post(path, x_model_version="99")
        assert status == 200, said
        assert said["path"] == path
        (version,) = said["versions"]
        versions[version] += 1
        servers[str(said["server"])] += 1
    # Six standard deviations of a binomial of 600.
    assert abs(versions["1"] - 360) < 72, versions
    assert abs(versions["2"] - 180) < 68, versions
    assert 15 < versions["3"] < 105, versions
    assert set(versions) == {"1", "2", "3"}
    assert set(servers) == {"a", "b"}
    assert proxy.post("/v2/models/scans/infer")[1]["versions"] == ["7"]
    assert proxy.post("/v2/models/scans.v2/versions/4/infer")[1]["versions"] == ["4"]
    assert proxy.post("/v2/models/scans.v3/infer")[0] == 404
    assert proxy.post("/v2/models/scansXv2/infer")[0] == 404
    assert proxy.post("/")[0] == 404
    checked = upstreams[0].checked + upstreams[1].checked
    assert checked.keys() - {"/health"} <= {
        *(f"/v2/models/scans.v2/versions/{version}/ready" for version in range(1, 5)),
        "/v2/models/scans/versions/7/ready",
    }
    assert checked


def test_gateways_may_choose_for_themselves(proxy: Proxy, upstreams: tuple[Upstream, Upstream]) -> None:
    start(proxy, upstreams[0].address, upstreams[1].address, endpoints=(SPLIT.unsplit(), OTHER.unsplit()))
    proxy.settle(INFER)
    deadline = time.monotonic() + 15
    while len({proxy.post(INFER)[1].get("server") for _ in range(24)}) < 2:
        assert time.monotonic() < deadline
    said = [proxy.post(INFER, x_model_version="3")[1] for _ in range(40)]
    assert {str(one["server"]) for one in said} == {"a", "b"}
    assert said[0]["versions"] == ["3"]
    assert proxy.post(INFER)[1]["versions"] == []
    assert set(upstreams[0].checked + upstreams[1].checked) <= {
        "/v2/models/scans.v2/ready",
        "/v2/models/scans/ready",
    }


def test_bodies_beyond_the_limit_are_refused(proxy: Proxy, upstreams: tuple[Upstream, Upstream]) -> None:
    start(proxy, upstreams[0].address)
    settle(proxy, "1", "2", "3", servers=1)
    assert proxy.post(INFER, b"x" * 200_000)[1]["size"] == 200_000
    assert proxy.post(INFER, b"x" * 200_001)[0] == 413
    assert proxy.post("/v2/models/scans/infer", b"x" * 200_001)[0] in (200, 503)  # its own limit is larger


def test_servers_of_one_version_get_its_share_and_lose_it_with_their_health(
    proxy: Proxy, upstreams: tuple[Upstream, Upstream]
) -> None:
    """Packaged images answer for one version each: the share of a dead one goes to the champion where a proxy can."""
    first, second = upstreams
    split = EndpointView("m", "m", [VersionView("1", 50, "champion"), VersionView("2", 50, "challenger")])
    start(proxy, f"1={first.address}", f"2={second.address}", endpoints=(split,))
    path = "/v2/models/m/infer"
    proxy.settle("/v2/models/m/versions/1/infer")
    proxy.settle("/v2/models/m/versions/2/infer")
    found = {(str(said["server"]), *said["versions"]) for _, said in (proxy.post(path) for _ in range(60))}
    assert found == {("a", "1"), ("b", "2")}
    second.healthy = False
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        statuses = Counter(proxy.post(path)[0] for _ in range(40))
        if proxy.post("/v2/models/m/versions/2/infer")[0] == 503:
            break
        time.sleep(0.2)
    statuses = Counter(proxy.post(path)[0] for _ in range(40))
    assert statuses == {200: 40} if proxy.kind == "haproxy" else set(statuses) == {200, 503}


def test_a_server_that_breaks_is_not_the_callers_problem(
    proxy: Proxy, upstreams: tuple[Upstream, Upstream]
) -> None:
    start(proxy, upstreams[0].address, upstreams[1].address)
    settle(proxy, "1", "2", "3")
    upstreams[0].broken = True
    assert Counter(proxy.post(INFER)[0] for _ in range(100)) == {200: 100}


def test_callers_with_a_key_meet_the_same_version(proxy: Proxy, upstreams: tuple[Upstream, Upstream]) -> None:
    start(
        proxy,
        upstreams[0].address,
        endpoints=(
            EndpointView(
                "m",
                "m",
                [VersionView("1", 75, "champion"), VersionView("2", 25, "challenger")],
                sticky_header="x-customer",
            ),
        ),
    )
    path = "/v2/models/m/infer"
    for version in ("1", "2"):
        proxy.settle(f"/v2/models/m/versions/{version}/infer")
    met: Counter[str] = Counter()
    for customer in range(200):
        seen = {tuple(proxy.post(path, x_customer=f"c{customer}")[1]["versions"]) for _ in range(2)}
        assert len(seen) == 1
        met[seen.pop()[0]] += 1
    assert 20 < met["2"] < 90, met


def certificate_of(name: str, file: Path) -> Path:
    """Write a certificate that signs itself, with its key, for a host."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder(subject, subject, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    file.write_bytes(private + made.public_bytes(Encoding.PEM))
    return file


@pytest.mark.parametrize(("name", "answers"), [("localhost", True), ("elsewhere.example.com", False)])
def test_upstreams_by_tls_are_believed_under_their_own_name_alone(
    proxy: Proxy, tmp_path: Path, name: str, answers: bool
) -> None:
    file = certificate_of(name, tmp_path / "certificate.pem")
    secured = Upstream("a", certificate=file)
    try:
        upstream = parse_upstream(f"https://localhost:{secured.address.rpartition(':')[2]}")
        wish = Wish([upstream], parse_upstream(f"127.0.0.1:{proxy.port}"), ca_file=str(file))
        check_upstreams([OTHER], wish)
        proxy.start(FORMATS[proxy.kind].render([OTHER], wish))
        if answers:
            proxy.settle("/v2/models/scans/infer")
            assert proxy.post("/v2/models/scans/infer")[1]["versions"] == ["7"]
        else:
            time.sleep(1.2)
            assert proxy.post("/v2/models/scans/infer")[0] == 503
    finally:
        secured.close()


@pytest.mark.parametrize("address", ["localhost:5001", "[::1]:5001"])
def test_names_and_addresses_of_both_families_are_taken(proxy: Proxy, address: str) -> None:
    wish = Wish([parse_upstream(address)], parse_upstream("127.0.0.1:8000"))
    proxy.file.write_text(FORMATS[proxy.kind].render([OTHER], wish))
    proxy.check(proxy.file)


def test_a_real_gateway_behind_a_proxy_answers_as_the_split_says(
    proxy: Proxy,
    plane: Plane,  # noqa: F811
) -> None:
    """The whole way: the proxy draws, the gateway obeys, and the answer says which version it was."""
    sockets = [plane.wait_socket(name, plane.start_rule(name)) for name in ("one", "two")]
    plane.route(
        *(Version(str(at), "m", 50, role, [socket])
          for at, (role, socket) in enumerate(zip(("champion", "challenger"), sockets, strict=True), start=1))
    )  # fmt: skip
    plane.wait_up()
    view = EndpointView("m", "m", [VersionView("1", 80, "champion"), VersionView("2", 20, "challenger")])
    start(proxy, f"127.0.0.1:{plane.port}", endpoints=(view,))
    rows = b'{"dataframe_records": [{"a": 1.0, "b": 2}]}'
    path, answered = "/endpoints/m/invocations", Counter[str]()
    for version in ("1", "2"):
        proxy.settle(f"/v2/models/m/versions/{version}/infer", TENSORS)
    for _ in range(300):
        status, headers = proxy.answer(path, rows)
        assert status == 200
        answered[headers["x-model-version"]] += 1
    assert set(answered) == {"1", "2"}
    # Six standard deviations of a binomial of 300; the gateway's own split is half and half.
    assert abs(answered["2"] - 60) < 42, answered
