"""Runs MLflow's own server, of any interpreter that has it installed, on a fresh home."""

import base64
import os
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.processes import free_port

HOW_TO_INSTALL = (
    "name an interpreter with MLflow's server: python -m venv ORACLE && ORACLE/bin/pip install mlflow==3.17.2, "
    "then MLFLOW=ORACLE/bin/python"
)


@contextmanager
def serving(interpreter: str, home: Path) -> Iterator[str]:
    """Run the server on SQLite with proxied artifacts, as ``mlflow server`` does, and yield its address."""
    home.mkdir(parents=True, exist_ok=True)
    port = free_port()
    store = f"sqlite:///{home / 'mlflow.db'}"
    environment = {
        **{key: value for key, value in os.environ.items() if not key.startswith(("MLFLOW_", "PYTHON"))},
        "_MLFLOW_SERVER_FILE_STORE": store,
        "_MLFLOW_SERVER_REGISTRY_STORE": store,
        "_MLFLOW_SERVER_ARTIFACT_ROOT": "mlflow-artifacts:/",
        "_MLFLOW_SERVER_ARTIFACT_DESTINATION": (home / "artifacts").as_uri(),
        "_MLFLOW_SERVER_SERVE_ARTIFACTS": "true",
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "MLFLOW_TRACKING_URI": f"http://127.0.0.1:{port}",
        "MLFLOW_WEBHOOK_ALLOW_PRIVATE_IPS": "true",  # as ours allows while it listens on this machine only
        "MLFLOW_WEBHOOK_ALLOWED_SCHEMES": "http,https",
        "MLFLOW_WEBHOOK_SECRET_ENCRYPTION_KEY": base64.urlsafe_b64encode(bytes(32)).decode(),
    }
    command = [
        interpreter,
        "-m",
        "uvicorn",
        "--port",
        str(port),
        "--log-level",
        "warning",
        "mlflow.server.fastapi_app:app",
    ]
    with (home / "server.log").open("wb") as log:
        process = subprocess.Popen(command, env=environment, cwd=home, stdout=log, stderr=log)
    url = f"http://127.0.0.1:{port}"
    try:
        _wait(url, process, home / "server.log")
        yield url
    finally:
        process.terminate()
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()


def _wait(url: str, process: "subprocess.Popen[bytes]", log: Path) -> None:
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline and process.poll() is None:
        try:
            with urllib.request.urlopen(f"{url}/health", timeout=2):
                return
        except OSError:
            time.sleep(0.2)
    raise RuntimeError(f"MLflow's server did not start; {HOW_TO_INSTALL}.\n{log.read_text()[-2000:]}")
