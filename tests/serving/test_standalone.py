"""One model without a control plane: what platforms ask for is kept, signals are passed on, failures have a code."""

import http.client
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import psutil
import pytest

from tests.processes import free_port
from trimtab.kernel.errors import Invalid, NotFound
from trimtab.serving.containers import contract, find_model
from trimtab.serving.standalone import Replica, plan, table

ROWS = {"dataframe_records": [{"a": 1.0, "b": 2, "c": 0.5}, {"a": -1.0, "b": 2, "c": 0.5}]}
VERTEX = {
    "AIP_HEALTH_ROUTE": "/v1/endpoints/7/deployedModels/8",
    "AIP_PREDICT_ROUTE": "/v1/endpoints/7/deployedModels/8:predict",
}


class Container:
    """The process as a container would run it."""

    def __init__(self, *arguments: str, **environment: str) -> None:
        self.port = free_port()
        command = [sys.executable, "-m", "trimtab.serving.standalone", *arguments]
        self.process = subprocess.Popen(
            command,
            env={**os.environ, "AIP_HTTP_PORT": str(self.port), **environment},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )

    def ask(self, method: str, path: str, body: Any = None, **headers: str) -> tuple[int, Any]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        try:
            content = None if body is None else msgspec.json.encode(body)
            given = {"content-type": "application/json", "host": "scans.models.svc.cluster.local", **headers}
            connection.request(method, path, content, given)
            answer = connection.getresponse()
            data = answer.read()
            return answer.status, msgspec.json.decode(data) if data[:1] in (b"{", b"[") else data.decode()
        finally:
            connection.close()

    def wait(self, path: str = "/ping") -> None:
        deadline = time.monotonic() + 40
        while time.monotonic() < deadline:
            assert self.process.poll() is None, self.process.communicate()
            try:
                if self.ask("GET", path)[0] == 200:
                    return
            except OSError:
                pass
            time.sleep(0.02)
        raise AssertionError("it did not become ready")

    def children(self) -> list[psutil.Process]:
        return psutil.Process(self.process.pid).children(recursive=True)

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        try:
            self.process.communicate(timeout=20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.communicate()


@pytest.fixture(scope="module")
def container(booster_folder: Path) -> Iterator[Container]:
    running = Container("serve", TRIMTAB_MODEL=str(booster_folder), TRIMTAB_ENDPOINT="scans", **VERTEX)
    try:
        running.wait()
        yield running
    finally:
        running.close()


def test_every_platforms_routes_answer_at_once(container: Container) -> None:
    positive, negative = container.ask("POST", "/invocations", ROWS)[1]["predictions"]
    assert positive > negative
    for path in ("/ping", "/healthz", "/readyz", "/v2/health/ready", "/v2/models/scans/ready", "/"):
        assert container.ask("GET", path)[0] == 200, path
    assert container.ask("GET", VERTEX["AIP_HEALTH_ROUTE"])[0] == 200
    instances = {"instances": ROWS["dataframe_records"]}
    for path in (VERTEX["AIP_PREDICT_ROUTE"], "/score", "/endpoints/scans/invocations"):
        body = instances if "predict" in path else ROWS
        status, said = container.ask("POST", path, body)
        assert (status, said["predictions"]) == (200, [positive, negative]), said
    inputs = [
        {"name": name, "shape": [1], "datatype": kind, "data": [value]}
        for name, kind, value in (("a", "FP64", 1.0), ("b", "INT64", 2), ("c", "FP64", 0.5))
    ]
    status, said = container.ask("POST", "/v2/models/scans/infer", {"inputs": inputs})
    assert (status, said["outputs"][0]["data"]) == (200, [positive])


def test_bad_requests_name_the_column(container: Container) -> None:
    for path in ("/invocations", "/score", "/endpoints/scans/invocations"):
        status, said = container.ask("POST", path, {"dataframe_records": [{"a": 1.0, "b": "two"}]})
        assert status == 400
        assert "'b'" in str(said)
    assert container.ask("GET", "/invocations")[0] == 405
    assert container.ask("POST", "/nothing", {})[0] == 404


def test_a_replica_that_dies_comes_back(container: Container) -> None:
    (replica,) = [one for one in container.children() if "trimtab.serving.replica" in one.cmdline()]
    replica.kill()
    assert container.ask("POST", "/invocations", ROWS)[0] == 200  # the gateway waits for the next one
    container.wait()


def test_a_signal_ends_all_of_it(booster_folder: Path) -> None:
    digest = "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824"  # of "hello"
    running = Container("--model", str(booster_folder), TRIMTAB_TOKEN_DIGESTS=digest)
    try:
        running.wait()
        assert running.ask("POST", "/invocations", ROWS)[0] == 401
        assert running.ask("POST", "/invocations", ROWS, authorization="Bearer hello")[0] == 200
        children = running.children()
        assert len(children) == 2
        running.process.send_signal(signal.SIGTERM)
        assert running.process.wait(20) == 0
        assert psutil.wait_procs(children, 5)[1] == []
    finally:
        running.close()


def test_a_compiled_model_that_cannot_be_loaded_has_the_native_one_answer(
    booster_folder: Path, tmp_path: Path
) -> None:
    running = Container(TRIMTAB_MODEL=str(booster_folder), TRIMTAB_COMPILED=str(tmp_path))
    try:
        running.wait()
        assert running.ask("POST", "/invocations", ROWS)[0] == 200
        assert len(running.children()) == 2
    finally:
        running.close()


def test_what_cannot_be_served_ends_with_a_code_and_a_reason(tmp_path: Path) -> None:
    missing = Container("--model", str(tmp_path))
    out, err = missing.process.communicate(timeout=30)
    assert (missing.process.returncode, out) == (2, b"")
    assert b"no MLmodel file" in err
    (tmp_path / "MLmodel").write_text(
        "flavors: {sklearn: {pickled_model: m.pkl, serialization_format: pickle}}"
    )
    (tmp_path / "m.pkl").write_bytes(b"\x80\x04N.")
    unsafe = Container("--model", str(tmp_path))
    _, err = unsafe.process.communicate(timeout=60)
    assert unsafe.process.returncode == 3
    assert b"load-failed" in err


@pytest.mark.parametrize(
    ("environment", "port"),
    [
        ({}, 8080),
        ({"PORT": "9000"}, 9000),
        ({"PORT": "9000", "AIP_HTTP_PORT": "9001"}, 9001),
        ({"SAGEMAKER_BIND_TO_PORT": "9002", "AIP_HTTP_PORT": "9001"}, 9002),
    ],
)
def test_the_port_is_the_platforms(environment: dict[str, str], port: int) -> None:
    assert contract(environment, endpoint="m", version="1").port == port


@pytest.mark.parametrize(
    "environment",
    [{"PORT": "http"}, {"AIP_HTTP_PORT": "0"}, {"AIP_HEALTH_ROUTE": "ping"}, {"AIP_PREDICT_ROUTE": "/a?b"}],
)
def test_an_environment_that_makes_no_sense_is_named(environment: dict[str, str]) -> None:
    with pytest.raises(Invalid) as refused:
        contract(environment, endpoint="m", version="1")
    assert refused.value.field in environment


def test_the_platforms_model_goes_before_the_images(tmp_path: Path, booster_folder: Path) -> None:
    own, theirs = tmp_path / "own", tmp_path / "azure"
    for folder in (own, theirs / "scans" / "3"):
        folder.mkdir(parents=True)
        (folder / "MLmodel").write_bytes((booster_folder / "MLmodel").read_bytes())
    baked = {"TRIMTAB_MODEL": str(own), "TRIMTAB_ALLOW_PICKLE": "1", "TRIMTAB_COMPILED": str(own / "onnx")}
    alone = plan(["serve"], baked)
    assert (alone.model, alone.allow_pickle, alone.compiled) == (own, True, own / "onnx")
    mounted = plan(
        ["--model_name", "scans", "--enable_grpc=false"], {**baked, "AZUREML_MODEL_DIR": str(theirs)}
    )
    assert (mounted.model, mounted.allow_pickle, mounted.compiled) == (theirs / "scans" / "3", False, None)
    made = table(mounted, [tmp_path / "s"])
    assert made.endpoints["scans"].versions[0].sockets == [str(tmp_path / "s")]
    (tmp_path / "settings.json").write_text('{"timeout_ms": 5000, "policies": {"sticky_by": "a"}}')
    limited = table(
        plan([], {**baked, "TRIMTAB_SETTINGS": str(tmp_path / "settings.json")}), [tmp_path / "s"]
    )
    assert limited.endpoints["model"].timeout_ms == 5000
    assert limited.endpoints["model"].policies.sticky_by == "a"
    with pytest.raises(NotFound, match="--model"):
        find_model([tmp_path / "nothing"])
    with pytest.raises(Invalid):
        plan(["--replicas", "0"], baked)
    with pytest.raises(Invalid, match="digests"):
        plan([], {**baked, "TRIMTAB_TOKEN_DIGESTS": "secret"})


def test_a_process_that_ran_for_long_is_started_again_at_once(tmp_path: Path) -> None:
    clock = [0.0]
    replica = Replica(["true"], tmp_path / "0.sock", clock=lambda: clock[0])

    def pause_after(ran_s: float) -> float:
        """Have the process end after so long; return when it is started again."""
        before = replica._process
        assert before is not None
        before.wait()
        clock[0] += ran_s
        ended = clock[0]
        while replica._process is before:
            replica.keep()
            clock[0] += 0.1
        return clock[0] - ended

    replica.keep()
    pauses = [pause_after(0.0) for _ in range(9)]
    assert pauses == sorted(pauses)
    assert pauses[-1] > 25
    assert pause_after(3600.0) < 1
    assert pause_after(0.0) < 1
