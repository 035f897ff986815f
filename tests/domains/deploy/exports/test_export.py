"""What the service, the HTTP route and the command write for endpoints as they stand."""

from pathlib import Path
from typing import Any

import pytest
import yaml
from starlette.testclient import TestClient

from tests.domains.deploy.conftest import Models, models  # noqa: F401 - a fixture
from tests.domains.deploy.test_service import deploy
from trimtab.app import App
from trimtab.domains.deploy.errors import EndpointNotFound, VersionNotServed
from trimtab.domains.deploy.exports.errors import NotExportable, UnknownFormat
from trimtab.domains.deploy.exports.formats import FORMATS
from trimtab.domains.deploy.exports.view import EndpointView, VersionView, Wish, parse_upstream
from trimtab.kernel.errors import Invalid
from trimtab.kernel.who import Principal


@pytest.fixture
def split(app: App, models: Models, editor: Principal) -> App:  # noqa: F811
    """An endpoint whose versions 1 and 2 share the requests 75 to 25, and a warm version 3."""
    for version in (1, 2, 3):
        models.version()
        deploy(app, editor, version, weight=100.0 if version == 1 else None)
    app.deploy.traffic(editor, "churn", {"1": 75, "2": 25})
    return app


def test_the_present_split_is_written_for_this_servers_gateway(split: App, viewer: Principal) -> None:
    found, text = split.exports.export(viewer, "churn", "haproxy", wish=Wish())
    assert found.file_name == "haproxy.cfg"
    assert "server s1 127.0.0.1:5001" in text
    assert "lt 25000 }" in text
    assert "backend churn-v3" in text
    _, text = split.exports.export(viewer, "*", "envoy", wish=Wish())
    (bootstrap,) = yaml.safe_load_all(text)
    assert len(bootstrap["static_resources"]["clusters"]) == 3
    _, text = split.exports.export(viewer, "churn", "kserve", wish=Wish(), version="2")
    assert "canaryTrafficPercent" not in text


def test_what_is_set_for_the_endpoint_holds_in_the_proxy_too(split: App, editor: Principal) -> None:
    changes = {"timeout": "5s", "max_body": "1MB", "sticky_by": "a"}
    split.deploy.settings.change(editor, "churn", changes)
    _, text = split.exports.export(editor, "churn", "haproxy", wish=Wish())
    assert "timeout server 5000ms" in text
    assert "req.body_size gt 1000000 }" in text
    assert "# churn keeps rows with the same 'a' to one version" in text
    _, text = split.exports.export(editor, "*", "envoy", wish=Wish(split="gateways"))
    assert "timeout: 5s" in text
    assert "max_request_bytes: 1000000" in text
    assert "keeps rows" not in text


def test_every_format_is_written(split: App, viewer: Principal, http: TestClient) -> None:
    for name, one in FORMATS.items():
        answer = http.get("/api/v1/endpoints/churn/export", params={"format": name})
        assert answer.status_code == 200
        assert answer.headers["content-type"] == one.media_type
        assert one.file_name in answer.headers["content-disposition"]
        assert answer.text == split.exports.export(viewer, "churn", name, wish=Wish()).text
    both = {
        "format": "haproxy",
        "upstream": ["1=10.0.0.1:8080", "2=10.0.0.2:8080"],
        "sticky_header": "x-user",
    }
    text = http.get("/api/v1/endpoints/churn/export", params=both).text
    assert "10.0.0.1:8080" in text
    assert "req.hdr(x-user)" in text


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
@pytest.mark.parametrize(
    ("query", "field", "says"),
    [
        ({"format": "haprxy"}, "format", "Did you mean 'haproxy'?"),
        ({"format": "ray-serve"}, "format", "needs a folder"),
        ({}, "format", "format"),
        ({"format": "haproxy", "upstrem": "a:1"}, "upstrem", "Did you mean 'upstream'?"),
        ({"format": "haproxy", "upstream": "9=a:1"}, "upstream", "served are 1, 2, 3"),
        ({"format": "haproxy", "upstream": "1=a:1"}, "upstream", "Version 2 of churn has 25 %"),
        ({"format": "haproxy", "upstream": "ftp://a:1"}, "upstream", "by HTTP"),
        ({"format": "haproxy", "upstream": ["https://a:1", "b:1"]}, "upstream", "all or none"),
        ({"format": "haproxy", "upstream": "https://a:1", "ca_file": "a b"}, "ca_file", "path"),
        ({"format": "haproxy", "upstream": "a b:1"}, "upstream", "HOST:PORT"),
        ({"format": "haproxy", "upstream": "a:70000"}, "upstream", "HOST:PORT"),
        ({"format": "haproxy", "listen": "8000"}, "listen", "HOST:PORT"),
        ({"format": "haproxy", "sticky_header": "x key"}, "sticky_header", "header"),
        ({"format": "haproxy", "split": "gateway"}, "split", "Did you mean 'gateways'?"),
        ({"format": "haproxy", "split": "gateways", "upstream": "1=a:1"}, "upstream", "Gateways choose"),
        ({"format": "kubernetes", "replicas": "two"}, "replicas", ""),
        ({"format": "kubernetes", "image": "one:v1"}, "image", "{version}"),
    ],
)
def test_bad_wishes_name_what_is_wrong(
    split: App, http: TestClient, query: dict[str, Any], field: str, says: str
) -> None:
    answer = http.get("/api/v1/endpoints/churn/export", params=query)
    problem = answer.json()
    assert answer.status_code == 400, problem
    assert problem["field"] == field
    assert says in problem["detail"]


def test_what_is_not_there_is_not_written(app: App, models: Models, viewer: Principal) -> None:  # noqa: F811
    with pytest.raises(EndpointNotFound):
        app.exports.export(viewer, "churm", "haproxy", wish=Wish())
    with pytest.raises(NotExportable, match="No endpoint"):
        app.exports.export(viewer, "*", "haproxy", wish=Wish())
    with pytest.raises(UnknownFormat):
        app.exports.export(viewer, "*", "nginx", wish=Wish())
    models.version()
    app.deploy.deploy(Principal("token:e", "e", "editor"), "churn", "models:/churn/1")
    with pytest.raises(NotExportable, match="takes requests"):
        app.exports.export(viewer, "churn", "haproxy", wish=Wish())
    with pytest.raises(VersionNotServed):
        app.exports.export(viewer, "churn", "haproxy", wish=Wish(), version="8")


def test_parts_add_up_and_nobody_is_left_out() -> None:
    thirds = [VersionView(str(at), 100 / 3, "challenger") for at in range(3)]
    assert sum(EndpointView("a", "a", thirds).parts().values()) == 100_000
    rare = [VersionView("1", 99.9999, "champion"), VersionView("2", 0.0001, "challenger")]
    assert EndpointView("a", "a", rare).parts() == {"1": 99_999, "2": 1}


@pytest.mark.parametrize(
    "text",
    [
        "",
        ":",
        "a",
        "a:",
        ":1",
        "a:0",
        "a:x",
        "a:1:2",
        "[a]:1",
        "1=",
        "=a:1",
        "v 1=a:1",
        "a\n:1",
        "a:1 x",
        "a:٣",
    ],
)
def test_texts_that_are_no_upstreams(text: str) -> None:
    with pytest.raises(Invalid):
        parse_upstream(text)


def test_upstreams_of_every_kind() -> None:
    assert parse_upstream("2=[::1]:80").address == "[::1]:80"
    assert parse_upstream("http://gateway.internal:5001").is_name
    assert not parse_upstream("10.0.0.1:5001").is_name


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_the_command_writes_a_file(
    split: App, http: TestClient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from tests.commands import trimtab
    from trimtab.domains.deploy.exports import cli

    class Near:
        """A client whose server is in this process."""

        def download(self, path: str, **query: Any) -> list[bytes]:
            given = {key: value for key, value in query.items() if value is not None}
            answer = http.get(f"/api/v1{path}", params=given)
            if answer.status_code >= 400:
                raise Invalid(answer.json()["detail"])
            return [answer.content]

    monkeypatch.setattr(cli, "connect", lambda _url: Near())
    printed = trimtab("endpoints", "export", "churn", "--haproxy", "--upstream", "10.0.0.9:5001")
    assert printed.returncode == 0
    assert "10.0.0.9:5001" in printed.stdout
    file = tmp_path / "envoy.yaml"
    assert trimtab("endpoints", "export", "--envoy", "--output", str(file)).returncode == 0
    assert "weighted_clusters" in file.read_text()
    refused = trimtab("endpoints", "export", "churn")
    assert refused.returncode == 2
    assert "--haproxy" in refused.stderr
    assert trimtab("endpoints", "export", "churn", "--haproxy", "--envoy").returncode == 2
    assert "Did you mean 'kserve'?" in trimtab("endpoints", "export", "churn", "--format", "kserv").stderr
