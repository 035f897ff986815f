"""Writes an endpoint as Ray Serve's configuration and the module that it names; the models lie beside them.

Each version is a deployment that scales by itself, behind a router that splits the requests as the gateway does. What
changes while an endpoint is served (shares, limits, policies) is the router's ``user_config``, which Ray Serve tells the
routers that run: nothing is restarted for it. Schema: ``ray.serve.schema.ServeDeploySchema`` of Ray 2.54 and later.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import msgspec

from trimtab.domains.deploy.exports import yaml
from trimtab.domains.deploy.exports.clusters import check_quantity, object_name
from trimtab.domains.deploy.exports.view import EndpointView, Upstream
from trimtab.domains.deploy.scaling import Scale
from trimtab.domains.deploy.settings.model import EndpointSettings
from trimtab.kernel.errors import Invalid
from trimtab.serving.ray_serve import spec

CONFIG, README = "serve.yaml", "README.md"

_POLICY = "trimtab.serving.ray_serve.scaling:QueueDelay"
_ONGOING = 64
"""Requests that one replica may have at once; further ones wait at the router, which knows of every replica."""
_ROUTER_ONGOING = 32
"""Requests in flight for which Ray adds a router: waiting for a version costs a router nothing."""
_CALM_S, _GROW_S, _LOOK_BACK_S = 60, 5, 15
_REPLACED = {"max_surge_percent": 100}
"""A replica is replaced by one that answers already."""
_MOST_REPLICAS = 1000
_URI = re.compile(r"(https|s3|gs|azure|abfss|file)://[^\s'\"]{1,900}\.(zip|whl|jar|tar\.gz)")
_UNITS = {"k": 10**3, "M": 10**6, "G": 10**9, "T": 10**12, "Ki": 2**10, "Mi": 2**20, "Gi": 2**30, "Ti": 2**40}


class RayWish(NamedTuple):
    """What the reader of an export asked for; bounds that are not said are the endpoint's own."""

    listen: Upstream = Upstream("127.0.0.1", 8000)
    replicas: int | None = None
    most_replicas: int | None = None
    cpu: str = "500m"
    memory: str = "512Mi"
    working_dir: str | None = None
    """Where the cluster gets the folder, as an archive; by default its nodes have it, or ``serve run`` sends it."""
    installed: bool = False
    """Whether the nodes have the packages, so that Ray installs none."""


class RayVersion(NamedTuple):
    """One version in the folder, and the packages that it needs."""

    member: spec.Member
    requirements: Sequence[str]


def module_name(endpoint: str) -> str:
    """Return the name of the application's module: one of its own for each endpoint, as a cluster may serve several."""
    return f"endpoint_{object_name(endpoint).replace('-', '_')}"


def scale_of(settings: EndpointSettings, wish: RayWish) -> Scale:
    """Return the bounds of each version's replicas; raises Invalid naming what Ray would not take."""
    least = settings.scale.least if wish.replicas is None else wish.replicas
    most = max(settings.scale.most, least, 1) if wish.most_replicas is None else wish.most_replicas
    if not 0 <= least <= most <= _MOST_REPLICAS or most < 1:
        raise Invalid("replicas is at least 0 and at most most_replicas.", field="replicas")
    return msgspec.structs.replace(settings.scale, least=least, most=most)


def check(wish: RayWish) -> None:
    """Raise Invalid naming what Ray would not take."""
    check_quantity("cpu", wish.cpu)
    check_quantity("memory", wish.memory)
    if wish.working_dir is not None and not _URI.fullmatch(wish.working_dir):
        raise Invalid(
            f"{wish.working_dir[:200]!r} is no archive that Ray can get, such as s3://bucket/screening.zip.",
            field="working_dir",
        )


def config(
    endpoint: EndpointView,
    versions: Mapping[str, RayVersion],
    settings: EndpointSettings,
    *,
    router: Sequence[str],
    wish: RayWish,
) -> str:
    """Return ``serve.yaml``; ``router`` are the packages that the router needs."""
    check(wish)
    scale = scale_of(settings, wish)
    arguments = spec.Arguments(endpoint.name, endpoint.model, {v: one.member for v, one in versions.items()})
    traffic = spec.Traffic(
        {one.version: spec.Share(one.weight, one.role) for one in endpoint.versions},
        settings.timeout_ms,
        settings.max_body_bytes,
        settings.policies,
    )
    runtime: dict[str, Any] = {"working_dir": wish.working_dir} if wish.working_dir else {}
    application = {
        "name": endpoint.name,
        "route_prefix": "/",
        "import_path": f"{module_name(endpoint.name)}:build",
        "runtime_env": {**runtime, **_installed(router, wish)},
        "args": msgspec.to_builtins(arguments),
        "autoscaling_policy": {
            "policy_function": _POLICY,
            "policy_kwargs": {"target_delay_ms": scale.delay_ms, "router_requests": _ROUTER_ONGOING},
        },
        "deployments": [
            {
                "name": spec.ROUTER,
                "user_config": msgspec.to_builtins(traffic),
                "max_ongoing_requests": settings.policies.max_in_flight,
                **_REPLACED,
                "autoscaling_config": _autoscaling(msgspec.structs.replace(scale, least=1)),
                "ray_actor_options": {"num_cpus": _number(wish.cpu)},
            },
            *(
                {
                    "name": spec.deployment_of(version),
                    "max_ongoing_requests": _ONGOING,
                    **_REPLACED,
                    "autoscaling_config": _autoscaling(scale),
                    "ray_actor_options": {
                        "num_cpus": _number(wish.cpu),
                        "memory": int(_number(wish.memory)),
                        **({"runtime_env": _installed(one.requirements, wish)} if not wish.installed else {}),
                    },
                }
                for version, one in versions.items()
            ),
        ],
    }
    whole = {
        "proxy_location": "EveryNode",
        "http_options": {"host": wish.listen.host, "port": wish.listen.port},
        "applications": [application],
    }
    return _HEAD.format(endpoint=endpoint.name) + yaml.document(whole)


def _installed(requirements: Sequence[str], wish: RayWish) -> dict[str, Any]:
    return {} if wish.installed else {"pip": {"packages": list(requirements), "pip_check": False}}


def _autoscaling(scale: Scale) -> dict[str, Any]:
    """Return the bounds and pauses of `trimtab.domains.deploy.scaling` in Ray's words."""
    return {
        "min_replicas": scale.least,
        "initial_replicas": max(1, scale.least),
        "max_replicas": scale.most,
        "upscale_delay_s": _GROW_S,
        "downscale_delay_s": _CALM_S,
        **({"downscale_to_zero_delay_s": scale.idle_s} if scale.least == 0 else {}),
        "look_back_period_s": _LOOK_BACK_S,
    }


def _number(quantity: str) -> float:
    """Return a cluster's quantity as a number: 500m is 0.5, 512Mi 536870912."""
    digits = quantity.rstrip("mkKMGTi")
    unit = quantity[len(digits) :]
    return float(digits) / 1000 if unit == "m" else float(digits) * _UNITS.get(unit, 1)


def application_module(endpoint: str) -> str:
    """Return the source of the module that ``import_path`` names."""
    return _MODULE.format(endpoint=endpoint)


def readme(endpoint: EndpointView, *, pythons: Mapping[str, str]) -> str:
    """Return what stands beside for people; ``pythons`` are the versions' Pythons."""
    needs = ", ".join(f"{version}: Python {python}" for version, python in pythons.items())
    return _README.format(endpoint=endpoint.name, module=module_name(endpoint.name), needs=needs)


_HEAD = """\
# {endpoint} for Ray Serve, written by Trimtab. Shares, limits and policies are the router's user_config: change them and
# run `serve deploy` again, and no replica restarts. What else changes restarts what it is about.
"""

_MODULE = '''\
"""The endpoint {endpoint} for Ray Serve: `serve.yaml` beside this file names `build`."""

from trimtab.serving.ray_serve.application import application


def build(args: dict) -> object:
    """Return the application of the models in this folder."""
    return application(__name__, args)
'''

_README = """\
# {endpoint} on Ray Serve

Made by `trimtab endpoints export --ray`. Models by version ({needs}), the code that serves them, `{module}.py`, which Ray
imports, and `serve.yaml`.

On one machine, or from a machine that reaches the cluster:

    serve run --working-dir . serve.yaml

For a cluster, export with `--working-dir s3://bucket/NAME.zip`, put the folder into that archive as its only entry
(`zip -r NAME.zip FOLDER`), and run `serve deploy serve.yaml`; or have the folder on every node and on its PYTHONPATH.

The router answers what the gateway does, by HTTP: Open Inference v2, KServe v1, MLflow, TensorFlow Serving, SageMaker,
Vertex AI, Azure ML. `TRIMTAB_TOKEN_DIGESTS` (SHA-256 of keys in hex, separated by commas) in the nodes' environment or in
`runtime_env.env_vars` has it ask for a key; without it, it is open to whoever reaches the port. Rate limits, quotas and
kept answers count for each router by itself. There is no gRPC, and predictions are not sent back.

`manifest.json` names every file with its SHA-256; `manifest.sig` is its Ed25519 signature. `trimtab endpoints verify .`
checks both, and says so where `serve.yaml` was changed. `versions/*/bom.cdx.json` say what is in each, as CycloneDX 1.6.
"""
