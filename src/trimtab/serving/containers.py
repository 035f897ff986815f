"""What platforms promise a model's container, and expect of it: ports, folders and paths, each by its own names.

One image meets SageMaker (argument ``serve``, ``/ping``, ``/invocations``), Vertex AI (``AIP_*``), Azure ML (liveness,
readiness and scoring routes), KServe (``/mnt/models``, ``--model_name``, protocols v1 and v2) and Cloud Run (``PORT``).
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec

from trimtab.kernel.errors import Invalid, NotFound
from trimtab.serving import addresses
from trimtab.serving.http import MethodNotAllowed

DEFAULT_PORT = 8080
PORTS = ("SAGEMAKER_BIND_TO_PORT", "AIP_HTTP_PORT", "PORT")
"""Variables that say where to listen, the most particular first."""

MODELS = ("/mnt/models", "/opt/ml/model")
"""Where KServe and SageMaker put a model that is not in the image."""


class Contract(msgspec.Struct, frozen=True):
    """What the surroundings ask for: the port, the paths of their own, and where a model may lie, the first found."""

    port: int
    aliases: dict[str, str]
    folders: Sequence[Path]


def contract(environment: Mapping[str, str], *, endpoint: str, version: str | None) -> Contract:
    """Return what the environment asks for, of one version or of all; raises Invalid naming the variable that is wrong."""
    given = next((name for name in PORTS if environment.get(name)), None)
    port = _port(given, environment[given]) if given else DEFAULT_PORT
    folders = [Path(environment[name]) for name in ("AZUREML_MODEL_DIR",) if environment.get(name)]
    folders += [Path(folder) for folder in MODELS]
    if environment.get("TRIMTAB_MODEL"):
        folders.append(Path(environment["TRIMTAB_MODEL"]))
    return Contract(port, _aliases(environment, endpoint, version), folders)


def _port(name: str, text: str) -> int:
    if not (text.isascii() and text.isdigit() and 0 < int(text[:6]) < 65536):
        raise Invalid(f"{name}={text[:40]!r} is not a port.", field=name)
    return int(text)


def _aliases(environment: Mapping[str, str], endpoint: str, version: str | None) -> dict[str, str]:
    """Return the paths of platforms that the gateway does not know by itself, and what each stands for.

    Ready means in every one of them that the model answers, and not only the gateway before it.
    """
    ready = f"/v2/models/{endpoint}/versions/{version}/ready" if version else f"/v2/models/{endpoint}/ready"
    invocations = f"/endpoints/{endpoint}/invocations"
    known = _first_known("POST", f"/v1/models/{endpoint}:predict", invocations)
    wanted = {
        "/ping": ("GET", ready),
        "/readyz": ("GET", ready),
        "/healthz": ("GET", "/v2/health/live"),
        "/invocations": ("POST", invocations),
        "/score": ("POST", invocations),
        "/": ("GET", "/v2/health/live"),
    }
    for name, method, meaning in (
        ("AIP_HEALTH_ROUTE", "GET", ready),
        ("AIP_PREDICT_ROUTE", "POST", known),
        ("TRIMTAB_LIVENESS_ROUTE", "GET", "/v2/health/live"),
        ("TRIMTAB_READINESS_ROUTE", "GET", ready),
        ("TRIMTAB_SCORING_ROUTE", "POST", invocations),
    ):
        path = environment.get(name)
        if path:
            if not path.startswith("/") or "?" in path or "#" in path:
                raise Invalid(f"{name}={path[:200]!r} is not a path.", field=name)
            wanted[path] = (method, meaning)
    return {path: meaning for path, (method, meaning) in wanted.items() if not _is_known(method, path)}


def _first_known(method: str, *paths: str) -> str:
    return next(path for path in paths if _is_known(method, path))


def _is_known(method: str, path: str) -> bool:
    try:
        addresses.find(method, path)
    except (NotFound, MethodNotAllowed):
        return False
    return True


def find_model(folders: Sequence[Path]) -> Path:
    """Return the first folder with an MLmodel file in it, or in its only folder; raises NotFound."""
    for folder in folders:
        if (folder / "MLmodel").is_file():
            return folder
        inner = [
            path.parent for path in sorted(folder.glob("*/MLmodel")) + sorted(folder.glob("*/*/MLmodel"))
        ]
        if len(inner) == 1:
            return inner[0]
    looked = ", ".join(str(folder) for folder in folders)
    raise NotFound(f"There is no model: no MLmodel file in {looked}. Name its folder with --model.")
