"""The deployment that takes requests in: the gateway's front over the deployments of versions."""

import os
import shutil
import tempfile
import weakref
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from trimtab.kernel.errors import Invalid
from trimtab.serving import containers, segments
from trimtab.serving.asgi import AsgiApplication, Receive, Scope, Send
from trimtab.serving.errors import ModelNotLoaded
from trimtab.serving.front import Front
from trimtab.serving.ray_serve import spec
from trimtab.serving.ray_serve.handles import HandleReplicas
from trimtab.serving.routes import Signature
from trimtab.serving.standalone import auth_of, prune_log
from trimtab.serving.table import LiveTable


class Router:
    """Checks, splits and answers. What it is told by ``user_config`` holds for every request to come."""

    def __init__(self, arguments: bytes, signature: bytes, handles: dict[str, Any]) -> None:
        """``arguments`` and ``signature`` are JSON; ``handles`` are the versions' deployments."""
        self._arguments = msgspec.json.decode(arguments, type=spec.Arguments)
        self._signature = msgspec.json.decode(signature, type=Signature | None)
        self._folder = Path(tempfile.mkdtemp(prefix="tt-"))
        weakref.finalize(self, shutil.rmtree, self._folder, ignore_errors=True)
        self._log = segments.SegmentWriter(self._folder / "log")
        replicas = HandleReplicas({spec.place_of(version): one for version, one in handles.items()})
        self._table = LiveTable(replicas, self._folder, load=_never)
        self._answer = AsgiApplication(Front(self._table, self._log), before_sending=self._write)

    async def reconfigure(self, user_config: Mapping[str, Any]) -> None:
        """Serve by these shares, limits and policies from now on; raises Invalid."""
        try:
            traffic = msgspec.convert(user_config, spec.Traffic)
        except msgspec.ValidationError as error:
            raise Invalid(f"the router's user_config: {error}", field="user_config") from None
        endpoint = self._arguments.endpoint
        made = spec.table(
            self._arguments,
            traffic,
            generation=self._table.generation + 1,
            auth=auth_of(os.environ),
            aliases=containers.contract({}, endpoint=endpoint, version=None).aliases,
            signature=self._signature,
        )
        await self._table.replace(msgspec.json.encode(made))

    async def answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        await self._answer(scope, receive, send)

    def _write(self) -> None:
        self._log.flush()

    def check_health(self) -> None:
        """Keep the log small, since nobody takes it in here; a router is well while it answers this."""
        prune_log(self._folder)


def _never(folder: Path, signature: Signature | None) -> Any:
    """Load nothing: models are the business of the versions' deployments."""
    del signature
    raise ModelNotLoaded(f"{folder} is not loaded by a router")
