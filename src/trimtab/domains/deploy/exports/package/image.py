"""The Containerfile of a packaged model, and what its surroundings are told by it."""

import sys
from typing import NamedTuple

from trimtab.domains.deploy.exports.clusters import PORT, USER
from trimtab.version import __version__

OUR_PYTHON = f"{sys.version_info.major}.{sys.version_info.minor}"


def default_base(python: str) -> str:
    """Return a Debian with a Python, such as 3.11."""
    return f"docker.io/library/python:{python}-slim"


class Packed(NamedTuple):
    """What a Containerfile has to know of the model."""

    endpoint: str
    model: str
    version: str
    digest: str
    allow_pickle: bool
    compiled: bool
    complete: bool
    """Whether the lock names every package, so that nothing else may come with them."""


def containerfile(packed: Packed, *, base: str) -> str:
    """Return the Containerfile: packages in a first stage, then nothing but them, the server and the model."""
    variables = {
        "TRIMTAB_ENDPOINT": packed.endpoint,
        "TRIMTAB_VERSION": packed.version,
        "TRIMTAB_MODEL": "/opt/app/model",
        "TRIMTAB_SETTINGS": "/opt/app/settings.json",
    }
    if packed.compiled:
        variables["TRIMTAB_COMPILED"] = "/opt/app/compiled"
    if packed.allow_pickle:
        variables["TRIMTAB_ALLOW_PICKLE"] = "1"
    labels = {
        "org.opencontainers.image.title": packed.endpoint,
        "org.opencontainers.image.version": packed.version,
        "dev.trimtab.model": f"{packed.model}/{packed.version}",
        "dev.trimtab.digest": packed.digest,
        "com.amazonaws.sagemaker.capabilities.accept-bind-to-port": "true",
    }
    return _TEXT.format(
        endpoint=packed.endpoint,
        model=packed.model,
        version=packed.version,
        trimtab=__version__,
        base=base,
        alone=" --no-deps" if packed.complete else "",
        compiled="COPY compiled/ /opt/app/compiled/\n" if packed.compiled else "",
        variables=" \\\n    ".join(f"{key}={_quoted(value)}" for key, value in variables.items()),
        labels=" \\\n      ".join(f"{key}={_quoted(value)}" for key, value in labels.items()),
        port=PORT,
        user=USER,
    )


def _quoted(value: str) -> str:
    """Return a text as one word of a Containerfile, which would replace what begins with a dollar."""
    escaped = value.replace("\\", "\\\\").replace('"', '\\"').replace("$", "\\$")
    return f'"{escaped}"'


_TEXT = """\
# {endpoint}: version {version} of {model}, packed by Trimtab {trimtab}. Build it with any of
#   buildah bud -t NAME .     podman build -t NAME .     docker build -t NAME -f Containerfile .
# Packages come from the registry that pip knows, or from wheels/ where that has any.
ARG BASE={base}

FROM ${{BASE}} AS build
COPY requirements.lock server.lock /build/
COPY wheels/ /build/wheels/
RUN python3 -m venv /opt/venv \\
 && if ls /build/wheels/*.whl >/dev/null 2>&1; then set -- --no-index --find-links /build/wheels; fi \\
 && set -- --no-cache-dir --disable-pip-version-check --only-binary :all: "$@" \\
 && /opt/venv/bin/python -m pip install{alone} "$@" -r /build/requirements.lock \\
 && if [ -s /build/server.lock ]; then \\
      /opt/venv/bin/python -m pip install --no-deps "$@" -r /build/server.lock; \\
    fi \\
 && /opt/venv/bin/python -m pip uninstall --yes --quiet --disable-pip-version-check pip setuptools
# Tests of the numeric libraries are a tenth of the image.
RUN cd /opt/venv/lib/python3*/site-packages \\
 && for name in numpy scipy sklearn pandas; do \\
      if [ -d "$name" ]; then find "$name" -type d -name tests -prune -exec rm -rf {{}} +; fi; \\
    done \\
 && echo /opt/app > trimtab.pth
COPY app/ /opt/app/
RUN /opt/venv/bin/python -m compileall -q /opt/app

FROM ${{BASE}}
LABEL {labels}
COPY --from=build /opt/venv /opt/venv
COPY --from=build /opt/app /opt/app
COPY settings.json /opt/app/settings.json
COPY model/ /opt/app/model/
{compiled}ENV PATH="/opt/venv/bin:/usr/local/bin:/usr/bin:/bin" \\
    PYTHONUNBUFFERED="1" \\
    PYTHONDONTWRITEBYTECODE="1" \\
    {variables}
USER {user}:{user}
EXPOSE {port}
STOPSIGNAL SIGTERM
ENTRYPOINT ["/opt/venv/bin/python", "-m", "trimtab.serving.standalone"]
"""


def readme(packed: Packed) -> str:
    """Return what stands beside the Containerfile for people."""
    return _README.format(**packed._asdict(), port=PORT)


_README = """\
# {endpoint}, version {version}

A container image of {model} version {version}, made by `trimtab endpoints package`. The image answers by every
platform's rules at once:

| platform | asks |
|---|---|
| Amazon SageMaker | argument `serve`, `/ping`, `/invocations`, port {port} or `SAGEMAKER_BIND_TO_PORT` |
| Vertex AI | `AIP_HTTP_PORT`, `AIP_HEALTH_ROUTE`, `AIP_PREDICT_ROUTE` |
| Azure Machine Learning | liveness and readiness `/`, `/ping`; scoring `/score` |
| KServe | `/v1/models/{endpoint}:predict`, `/v2/models/{endpoint}/infer`, `--model_name`, a model in `/mnt/models` |
| Cloud Run, Kubernetes | `PORT`, `/healthz`, `/readyz`, SIGTERM |

`manifest.json` names every file with its SHA-256; `manifest.sig` is its Ed25519 signature. `trimtab endpoints verify .`
checks both, and so does
`openssl pkeyutl -verify -pubin -inkey KEY.pem -rawin -in manifest.json -sigfile manifest.sig`
with the public key that the server tells. `bom.cdx.json` says what is in the image, as CycloneDX 1.6.
"""
