"""One version on Ray Serve: compiled, in the replica itself; natively, in a process of its own beside it."""

import asyncio
import os
import shutil
import sys
import tempfile
import time
import weakref
from concurrent.futures import ThreadPoolExecutor
from importlib import import_module
from pathlib import Path

from trimtab.serving.batch import Output
from trimtab.serving.errors import ModelNotLoaded, NoReplica, first_line
from trimtab.serving.frames import (
    EXPLANATIONS,
    PROTOCOL,
    Answer,
    Call,
    Hello,
    decode_call,
    decode_columns,
    encode,
)
from trimtab.serving.links import LinkBroken, Replicas
from trimtab.serving.loaders import Model, Rows
from trimtab.serving.loaders.mlmodel import ModelFolder
from trimtab.serving.processes import Interpreter, replica_command
from trimtab.serving.ray_serve.scaling import Load
from trimtab.serving.ray_serve.spec import Member
from trimtab.serving.standalone import Replica

_LOAD_S = 600.0
_TURN_S = 0.05
_PATIENCE_S = 5.0
_LONGEST_S = 3600.0
"""How long a call may last here; the router's own time-out is what callers meet."""


class Native:
    """The model as its author saved it, in a process that is kept running."""

    def __init__(self, folder: Path, member: Member) -> None:
        """Start the process and wait until it has loaded the model; raises ModelNotLoaded."""
        place = Path(tempfile.mkdtemp(prefix="tt-"))
        weakref.finalize(self, shutil.rmtree, place, ignore_errors=True)
        self._socket = place / "0.sock"
        here = Interpreter(source=str(folder))
        self._process = Replica(
            replica_command(
                folder / member.model, self._socket, allow_pickle=member.allow_pickle, interpreter=here
            ),
            self._socket,
            interpreter=here,
        )
        until = time.monotonic() + _LOAD_S
        while not self._socket.exists():
            if not self._process.keep() or time.monotonic() > until:
                self._process.end()
                raise ModelNotLoaded(f"{member.model} cannot be loaded: its process has said why, above")
            time.sleep(_TURN_S)
        self._replica = Replicas().take(str(self._socket))
        self._loads = True
        self._keeper = asyncio.get_running_loop().create_task(self._keep())

    async def _keep(self) -> None:
        while self._loads:
            self._loads = self._process.keep()
            await asyncio.sleep(_TURN_S)

    async def hello(self) -> Hello:
        """Return what the model takes."""
        until = time.monotonic() + _PATIENCE_S
        while (link := self._replica.link) is None or link.hello is None:
            if time.monotonic() > until:
                raise NoReplica("the model's process is not up")
            await asyncio.sleep(_TURN_S)
        return link.hello

    async def answer(self, call: Call) -> Answer:
        """Have the process answer; raises LinkBroken or NoReplica where it cannot."""
        await self.hello()
        link = self._replica.link
        if link is None:
            raise LinkBroken
        deadline = asyncio.get_running_loop().time() + _LONGEST_S
        return await link.call(
            call.rows, call.want, packed=call.packed, columns=call.columns, deadline=deadline
        )

    def check(self) -> None:
        """Raise ModelNotLoaded where the model will not be loaded again."""
        if not self._loads:
            raise ModelNotLoaded("the model's process ended and cannot load its model again")

    def end(self) -> None:
        """End the process after the calls that it has read."""
        self._keeper.cancel()
        self._process.end()


class Compiled:
    """The compiled model, which is data and runs in this process."""

    def __init__(self, folder: Path, member: Member) -> None:
        """Load it; raises ModelNotLoaded."""
        from trimtab.serving.loaders.compiled import load_compiled

        assert member.compiled is not None
        signature = ModelFolder(folder / member.model).signature
        self._model: Model = load_compiled(folder / member.compiled, signature)
        self._threads = ThreadPoolExecutor(1, "model")

    async def hello(self) -> Hello:
        """Return what the model takes."""
        model = self._model
        return Hello(PROTOCOL, tuple(model.names), model.packed, model.flavor, os.getpid())

    async def answer(self, call: Call) -> Answer:
        """Predict on the model's thread."""
        if call.want & EXPLANATIONS:
            message = "a compiled model has no explanations here: set the endpoint's explain to on and export it again"
            return Answer(call.call, fault="input", message=message)
        loop = asyncio.get_running_loop()
        try:
            outputs = await loop.run_in_executor(self._threads, self._predict, call)
        except self._model.input_errors as error:
            return Answer(call.call, fault="input", message=first_line(error))
        except Exception as error:  # noqa: BLE001 - whatever a foreign library raises must not end the replica
            return Answer(call.call, fault="model", message=first_line(error))
        return Answer(call.call, outputs)

    def _predict(self, call: Call) -> list[Output]:
        from trimtab.serving.loaders.tables import unpacked

        if call.packed is not None:
            rows = Rows(call.rows, matrix=unpacked(call.packed, call.rows))
        else:
            rows = Rows(call.rows, columns=decode_columns(call.columns or b""))
        return self._model.predict(rows, call.want)

    def check(self) -> None:
        """Raise nothing: what was loaded stays."""

    def end(self) -> None:
        """Let the thread go."""
        self._threads.shutdown(wait=False)


class Served:
    """A replica of a version: it says what its model takes and answers calls, and tells how long they queue."""

    def __init__(self, module: str, member: Member) -> None:
        """``module`` is the application's, whose folder holds the models; raises ModelNotLoaded."""
        file = import_module(module).__file__
        assert file is not None
        folder = Path(file).resolve().parent
        self._load = Load()
        self._model = _loaded(folder, member)

    async def hello(self) -> bytes:
        """Return the model's Hello."""
        return encode(await self._model.hello())

    async def call(self, body: bytes) -> bytes:
        """Return the Answer to a Call."""
        call = decode_call(body)
        started_s = self._load.began(time.monotonic())
        try:
            answer = await self._model.answer(call)
        except LinkBroken:
            raise NoReplica("the model's process ended while it worked on this call") from None
        finally:
            self._load.ended(time.monotonic(), started_s)
        return encode(Answer(call.call, answer.outputs, answer.fault, answer.message))

    async def record_autoscaling_stats(self) -> dict[str, float]:
        """Return what `trimtab.serving.ray_serve.scaling.QueueDelay` decides by."""
        return self._load.told(time.monotonic())

    async def check_health(self) -> None:
        """Raise where Ray should start another replica in place of this one."""
        self._model.check()

    def __del__(self) -> None:
        model = getattr(self, "_model", None)
        if model is not None:
            model.end()


def _loaded(folder: Path, member: Member) -> Native | Compiled:
    if member.compiled is not None:
        try:
            return Compiled(folder, member)
        except ModelNotLoaded as error:
            sys.stderr.write(f"{member.model} is served natively: {error.message}\n")
    return Native(folder, member)
