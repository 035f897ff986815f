"""What an exported ``serve.yaml`` tells the deployments of an endpoint: what they are made of, and what may change."""

import msgspec

from trimtab.kernel.errors import Invalid, did_you_mean
from trimtab.serving import routes
from trimtab.serving.policies.settings import DEFAULT, Policies

ROUTER = "router"
"""The deployment that takes requests in."""


def deployment_of(version: str) -> str:
    """Return the name of the deployment that serves a version."""
    return f"version-{version}"


class Member(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """One version: its folders below the application's, and whether its format may run code when it is loaded."""

    model: str
    compiled: str | None = None
    allow_pickle: bool = False


class Arguments(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The application's ``args``. Where they change, Ray Serve starts every deployment anew."""

    endpoint: str
    model: str
    versions: dict[str, Member]


class Share(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A version's part of the requests, as `trimtab.serving.routes.Version` means it."""

    weight: float
    role: routes.Role


class Traffic(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """The router's ``user_config``. Where it changes, Ray Serve tells the routers that run, and restarts nothing."""

    versions: dict[str, Share]
    timeout_ms: int = routes.Endpoint([]).timeout_ms
    max_body_bytes: int = routes.Endpoint([]).max_body_bytes
    policies: Policies = DEFAULT


def place_of(version: str) -> str:
    """Return what stands for a version's deployment in a route table, where otherwise sockets are."""
    return f"ray:{version}"


def table(
    arguments: Arguments,
    traffic: Traffic,
    *,
    generation: int,
    auth: routes.Auth,
    aliases: dict[str, str],
    signature: routes.Signature | None,
) -> routes.RouteTable:
    """Return the route table by which a router serves; raises Invalid naming what it cannot."""
    for version in traffic.versions:
        if version not in arguments.versions:
            raise Invalid(
                f"version {version} is not in this application, which has {', '.join(arguments.versions)}."
                f"{did_you_mean(version, arguments.versions)}",
                field=f"user_config.versions.{version}",
            )
    versions = [
        routes.Version(version, arguments.model, share.weight, share.role, [place_of(version)])
        for version, share in traffic.versions.items()
    ]
    endpoint = routes.Endpoint(
        versions,
        signature=signature,
        timeout_ms=traffic.timeout_ms,
        max_body_bytes=traffic.max_body_bytes,
        policies=traffic.policies,
    )
    made = routes.RouteTable(generation, auth, {arguments.endpoint: endpoint}, aliases=aliases)
    routes.check(made)
    return made
