"""Puts an endpoint's deployments together for Ray Serve, as the application module of an exported folder asks."""

from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

import msgspec

from trimtab.kernel.errors import Invalid
from trimtab.serving.asgi import Receive, Scope, Send, lifespan
from trimtab.serving.loaders.mlmodel import ModelFolder
from trimtab.serving.ray_serve.router import Router
from trimtab.serving.ray_serve.served import Served
from trimtab.serving.ray_serve.spec import ROUTER, Arguments, deployment_of


class Ingress:
    """Hands a request to the router of the replica that runs it, which Ray makes after it has copied this."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] == "lifespan":
            await lifespan(receive, send)
            return
        serve: Any = import_module("ray.serve")
        router: Router = serve.get_replica_context().servable_object
        await router.answer(scope, receive, send)


def application(module: str, arguments: Mapping[str, Any]) -> Any:
    """Return the Serve application of the folder in which a module lies; raises Invalid and ModelNotLoaded."""
    serve: Any = import_module("ray.serve")
    try:
        wanted = msgspec.convert(arguments, Arguments)
    except msgspec.ValidationError as error:
        raise Invalid(f"the application's args: {error}", field="args") from None
    file = import_module(module).__file__
    assert file is not None
    folder = Path(file).resolve().parent
    first = next(iter(wanted.versions.values()), None)
    if first is None:
        raise Invalid("the application's args name no version", field="args.versions")
    signature = ModelFolder(folder / first.model).signature
    handles = {
        version: serve.deployment(Served, name=deployment_of(version)).bind(module, member)
        for version, member in wanted.versions.items()
    }
    router = serve.deployment(serve.ingress(Ingress())(Router), name=ROUTER)
    return router.bind(msgspec.json.encode(wanted), msgspec.json.encode(signature), handles)
