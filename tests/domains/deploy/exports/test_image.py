"""The image is really built and started, and answers by every platform's rules: opt-in by 'make image-test'."""

import http.client
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.domains.deploy.conftest import Models, models  # noqa: F401 - a fixture
from tests.domains.deploy.exports.test_package import packed, served  # noqa: F401 - a fixture
from tests.processes import free_port
from trimtab.app import App
from trimtab.kernel.who import Principal

ROOT = os.environ.get("TRIMTAB_IMAGE_ROOT")
BASE = "localhost/trimtab-test-base:1"

pytestmark = [
    pytest.mark.skipif(ROOT is None, reason="building an image takes minutes: run by 'make image-test'"),
    pytest.mark.timeout(900),
    pytest.mark.parametrize("database_url", ["sqlite"], indirect=True),
]


class Builder:
    """buildah with a store of its own, in which neither a registry nor a kernel's namespaces are needed."""

    def __init__(self, folder: Path) -> None:
        self._command = ["buildah", "--root", str(folder / "root"), "--runroot", str(folder / "run")]
        self._command += ["--storage-driver", "vfs"]

    def run(self, *words: str) -> str:
        done = subprocess.run([*self._command, *words], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr[-3000:]
        return done.stdout.strip()

    def start(self, container: str, environment: dict[str, str], *arguments: str) -> subprocess.Popen[bytes]:
        """Start the image's entry point as its user, the way that a platform would."""
        words = [word for name, value in environment.items() for word in ("--env", f"{name}={value}")]
        entry = json.loads(self.run("inspect", "--type", "container", container))["OCIv1"]["config"][
            "Entrypoint"
        ]
        command = [
            *self._command,
            "run",
            "--isolation",
            "chroot",
            *words,
            container,
            "--",
            *entry,
            *arguments,
        ]
        return subprocess.Popen(command)


@pytest.fixture
def image(served: App, editor: Principal, tmp_path: Path) -> Iterator[tuple[Builder, str]]:  # noqa: F811
    """A container of the packaged model, built without a network from a Debian root and downloaded wheels."""
    folder = packed(served, editor, tmp_path / "context", base=BASE)
    wheels = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary", ":all:"]
    wheels += ["--requirement", str(folder / "requirements.lock"), "--dest", str(folder / "wheels")]
    subprocess.run(wheels, check=True)
    builder = Builder(tmp_path / "store")
    base = builder.run("from", "scratch")
    builder.run("add", "--quiet", base, str(ROOT), "/")
    builder.run("commit", "--quiet", base, BASE)
    started = time.monotonic()
    builder.run(
        "bud", "--isolation", "chroot", "--layers=false", "--pull-never",
        "--file", str(folder / "Containerfile"), "--tag", "churn:v1", str(folder),
    )  # fmt: skip
    size = builder.run("images", "--format", "{{.Size}}", "localhost/churn:v1")
    print(f"built in {time.monotonic() - started:.0f} s: {size}")
    yield builder, builder.run("from", "localhost/churn:v1")
    builder.run("rm", "--all")
    builder.run("rmi", "--all", "--force")


def ask(port: int, method: str, path: str, body: Any = None) -> tuple[int, Any]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    try:
        content = None if body is None else json.dumps(body)
        headers = {"content-type": "application/json", "host": "churn.models.svc"}
        connection.request(method, path, content, headers)
        answer = connection.getresponse()
        data = answer.read()
        return answer.status, json.loads(data) if data[:1] in (b"{", b"[") else data
    finally:
        connection.close()


def test_the_image_answers_by_every_platforms_rules(image: tuple[Builder, str]) -> None:
    builder, container = image
    port = free_port()
    vertex = {"AIP_HEALTH_ROUTE": "/v1/endpoints/7", "AIP_PREDICT_ROUTE": "/v1/endpoints/7:predict"}
    started = time.monotonic()
    process = builder.start(container, {"SAGEMAKER_BIND_TO_PORT": str(port), **vertex}, "serve")
    try:
        while True:
            assert process.poll() is None
            assert time.monotonic() - started < 60
            try:
                if ask(port, "GET", "/ping")[0] == 200:
                    break
            except OSError:
                pass
            time.sleep(0.02)
        print(f"ready after {time.monotonic() - started:.1f} s")
        row = {"a": 2.0, "b": 0.0}
        status, said = ask(port, "POST", "/invocations", {"dataframe_records": [row]})
        assert status == 200
        (score,) = said["predictions"]
        for path in ("/v1/models/churn:predict", "/v1/endpoints/7:predict"):
            assert ask(port, "POST", path, {"instances": [row]}) == (200, {"predictions": [score]})
        assert ask(port, "POST", "/score", {"dataframe_records": [row]})[0] == 200
        inputs = [
            {"name": name, "shape": [1], "datatype": "FP64", "data": [value]} for name, value in row.items()
        ]
        assert ask(port, "POST", "/v2/models/churn/infer", {"inputs": inputs})[1]["outputs"][0]["data"] == [
            score
        ]
        for path in ("/v1/endpoints/7", "/healthz", "/readyz", "/", "/v2/models/churn/versions/1/ready"):
            assert ask(port, "GET", path)[0] == 200, path
        status, said = ask(port, "POST", "/invocations", {"dataframe_records": [{"a": "x", "b": 0.0}]})
        assert (status, "'a'" in said["message"]) == (400, True)
        inside = [
            one for one in psutil.Process(process.pid).children(recursive=True) if "python" in one.name()
        ]
        assert len(inside) == 3
        assert {one.uids().real for one in inside} == {10001}
        inside[0].terminate()
        assert process.wait(30) == 0
        assert psutil.wait_procs(inside, 5)[1] == []
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()
