"""Clients that few have installed, against a real gateway: Amazon's and KServe's (`make clients`)."""

import hashlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.serving.conftest import OPEN, Plane
from trimtab.serving.routes import Auth, Token, Version

PYTHON = os.environ.get("TRIMTAB_CLIENTS_PYTHON", "")
SCRIPT = Path(__file__).with_name("other_clients.py")

pytestmark = pytest.mark.skipif(not PYTHON, reason="run `make clients`")


@pytest.fixture(scope="module")
def rules() -> Iterator[tuple[Plane, Version]]:
    """A gateway with gRPC and one version of a rule as endpoint ``m``."""
    state = Path(tempfile.mkdtemp(prefix="tts-"))
    running = Plane(state, grpc_port=0)
    version = Version("1", "m/1", 100, "champion", [running.wait_socket("r", running.start_rule("r"))])
    running.route(version)
    running.wait_up()
    yield running, version
    running.close()
    shutil.rmtree(state, ignore_errors=True)


@pytest.mark.parametrize(
    "name", ["boto3_predicts", "boto3_signs_in", "kserve_rest_v2", "kserve_rest_v1", "kserve_grpc"]
)
def test_client(rules: tuple[Plane, Version], name: str) -> None:
    plane, version = rules
    digest = hashlib.sha256(b"key").hexdigest()
    closed = Auth(open=False, tokens={digest: Token("ada", "viewer")})
    plane.route(version, auth=closed if name == "boto3_signs_in" else OPEN)
    ports = [str(plane.port), str(plane.control.state().grpc_port)]
    command = [PYTHON, SCRIPT, name, *ports]
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=100)
    assert done.returncode == 0, done.stderr[-3000:]
