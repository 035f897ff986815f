"""A model that needs packages which the server lacks, from its registration to its answers, by a real server."""

import socket
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx2
import pytest

from tests.domains.registry.conftest import Tracked
from tests.domains.registry.test_runtimes import FILES
from tests.processes import Server
from tests.wheels import Index
from trimtab.app import build
from trimtab.kernel.who import Principal
from trimtab.settings import Settings

EDITOR = Principal("token:e", "editor", "editor")
ROW = {"dataframe_split": {"columns": ["a", "b"], "data": [[1.0, 2.0]]}}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server whose only package index is a folder, and on it a model that tries to reach the server."""
    folder = tmp_path_factory.mktemp("environments")
    index = Index(folder)
    index.add_real()
    index.add_lightgbm()
    server = Server(folder / "home")
    app = build(Settings(home=str(server.home)))
    address = f"127.0.0.1:{server.port}".encode()
    model = Tracked(app).model({**FILES, "model.txt": address})
    app.registry.create_version(EDITOR, "m", source=f"models:/{model}", create_model=True)
    app.close()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("UV_CONFIG_FILE", str(index.config))
        patch.setenv("SECRET_OF_THE_SERVER", "x")
        try:
            server.start()
            wait_for_front(server)
            yield server
        finally:
            server.stop()


def wait_for_front(server: Server) -> None:
    deadline = time.monotonic() + 30
    while True:
        with suppress(OSError):
            socket.create_connection(("127.0.0.1", server.inference_port), 1).close()
            return
        assert time.monotonic() < deadline, server.log.read_text()[-2000:]
        time.sleep(0.05)


def deployed(server: Server, endpoint: str, **body: Any) -> tuple[dict[str, Any], float, float]:
    """Deploy and return the view of the version, its first answer, and the seconds from the command to that."""
    began = time.monotonic()
    with httpx2.Client(timeout=30) as client:
        path = f"{server.url}/api/v1/endpoints/{endpoint}"
        answer = client.post(f"{path}/deploy", json={"model": "models:/m/1", **body})
        assert answer.status_code == 200, answer.text
        while True:
            said = client.post(f"{server.inference_url}/endpoints/{endpoint}/invocations", json=ROW)
            if said.status_code == 200:
                took_s = time.monotonic() - began
                return client.get(path).json()["versions"][0], said.json()["predictions"][0], took_s
            version = client.get(path).json()["versions"][0]
            assert version["state"] != "failed", version["error"]
            assert time.monotonic() - began < 60
            time.sleep(0.01)


def test_it_answers_in_its_own_environment_and_reaches_nothing(server: Server) -> None:
    version, reached, _ = deployed(server, "first")
    environment = httpx2.get(f"{server.url}/api/v1/models/m/versions/1/environment").json()
    assert (environment["state"], environment["trial"]) == ("ready", "passed"), environment["message"]
    assert (version["environment"], version["network"], reached) == (environment["key"], "none", 0.0)
    variables = Path(f"/proc/{version['pid']}/environ").read_bytes()
    assert b"SECRET" not in variables
    assert (
        f"environments/{environment['key']}/bin/python".encode()
        in Path(f"/proc/{version['pid']}/cmdline").read_bytes()
    )


def test_the_second_start_takes_the_environment_that_is_there(server: Server) -> None:
    made = {one: one.stat().st_mtime_ns for one in server.home.glob("**/environments/*")}
    assert made
    version, _, took_s = deployed(server, "second")
    print(f"command to first answer with the environment there: {took_s:.2f} s")
    assert version["environment"] in {one.name for one in made}
    assert {one: one.stat().st_mtime_ns for one in server.home.glob("**/environments/*")} == made


def test_the_network_is_there_where_it_is_allowed(server: Server) -> None:
    version, reached, _ = deployed(server, "open", allow_network=True)
    assert (version["network"], version["allow_network"], reached) == ("allowed", True, 1.0)
    audited = httpx2.get(f"{server.url}/api/v1/audit").json()["items"]
    deploys = [one["detail"] for one in audited if one["action"] == "deploy.endpoint.deploy"]
    assert [one["model"] for one in deploys if one.get("allow_network")] == ["m"]
