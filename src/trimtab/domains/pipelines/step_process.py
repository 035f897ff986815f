"""What runs inside a step process: imports the bundle, builds the plan of a run, and makes the calls of steps.

This is the only place where code and objects of users are loaded.
"""

import os
import sys
import traceback
from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from types import TracebackType
from typing import Any

import msgspec

from trimtab.domains.pipelines.code import Sources
from trimtab.domains.pipelines.codec import Codec
from trimtab.domains.pipelines.model import Plan, PlanStep, Result
from trimtab.domains.pipelines.values import Argument, Constant, Given, Listed, Mapped, Reference
from trimtab.infra import blobs
from trimtab.kernel.errors import Invalid, did_you_mean
from trimtab.sdk.graph import Graph, Node, Output, outputs_in
from trimtab.sdk.pipelines import Current, Pipeline, Step, set_current

_HERE = __name__
PREPARE = f"{_HERE}:prepare"
MAKE_PLAN = f"{_HERE}:make_plan"
RUN_STEP = f"{_HERE}:run_step"


class PlanOrder(msgspec.Struct, frozen=True):
    """What is needed to build the graph of a run. ``entry`` is ``module:pipeline function``."""

    folder: str
    entry: str
    params: dict[str, Any]
    blobs_url: str


class StepOrder(msgspec.Struct, frozen=True):
    """What is needed to make one call of a step."""

    folder: str
    target: str
    arguments: dict[str, Argument]
    blobs_url: str
    run_id: str
    pipeline: str
    step: str
    attempt: int


class Report(msgspec.Struct, frozen=True):
    """What became of an order: a plan, or the result of a step, or what went wrong in a line."""

    plan: Plan | None = None
    result: Result | None = None
    error: str = ""


def _connect(url: str) -> blobs.Blobs:
    """Open the store. What a step stores waits for its run to be noted, however long the step still takes."""
    return blobs.connect(url).keeping(blobs.KEEP_LONG_S)


def prepare(payload: bytes) -> bytes:
    """Import a pipeline's module ahead of the first call; what is wrong with it is reported by that call."""
    order = msgspec.json.decode(payload, type=PlanOrder)
    _module(order.folder, order.entry.partition(":")[0])
    return b""


def make_plan(payload: bytes) -> bytes:
    """Call the pipeline function with its steps recorded, and return the graph as a Report."""
    order = msgspec.json.decode(payload, type=PlanOrder)
    try:
        pipeline = load_pipeline(order.folder, order.entry)
        graph = pipeline.build(order.params)
        planner = _Planner(Path(order.folder), Codec(_connect(order.blobs_url), scratch=Path.cwd()))
        return msgspec.json.encode(Report(plan=planner.plan(graph)))
    except BaseException as error:  # noqa: BLE001 - the pipeline function is the user's
        return msgspec.json.encode(Report(error=_explain(error, order.folder)))


def run_step(payload: bytes) -> bytes:
    """Load the arguments, call the step, store what it returns, and return a Report."""
    order = msgspec.json.decode(payload, type=StepOrder)
    codec = Codec(_connect(order.blobs_url), scratch=Path.cwd())
    running = Current(run_id=order.run_id, pipeline=order.pipeline, step=order.step, attempt=order.attempt)
    set_current(running)
    try:
        function = load_step(order.folder, order.target).function
        arguments = {name: _load(argument, codec) for name, argument in order.arguments.items()}
        value = codec.encode(function(**arguments))
        result = Result(value, list(running.inputs), list(running.outputs), list(running.moving))
        return msgspec.json.encode(Report(result=result))
    except BaseException as error:  # noqa: BLE001 - a step may raise anything, an exit too
        return msgspec.json.encode(Report(error=_explain(error, order.folder)))
    finally:
        set_current(None)


def load_pipeline(folder: str, entry: str) -> Pipeline[..., Any]:
    """Import a bundle's module and return its pipeline; raises Invalid that says which pipelines there are."""
    module, _, name = entry.partition(":")
    loaded = _module(folder, module)
    found = getattr(loaded, name, None)
    if not isinstance(found, Pipeline):
        known = [key for key, value in vars(loaded).items() if isinstance(value, Pipeline)]
        listed = f" It has {', '.join(known)}." if known else " Mark a function with @trimtab.pipeline."
        raise Invalid(
            f"{module}.py has no pipeline {name!r}.{did_you_mean(name, known) or listed}", field="entry"
        )
    return found


def load_step(folder: str, target: str) -> Step[..., Any]:
    """Import the module of a step and return the step."""
    module, _, name = target.partition(":")
    found = getattr(_module(folder, module), name, None)
    if not isinstance(found, Step):
        raise Invalid(f"{target} is no step: the name means something else once the module is imported.")
    return found


def _module(folder: str, name: str) -> Any:
    if sys.path[0] != folder:
        sys.path.insert(0, folder)
    return import_module(name)


def _load(argument: Argument, codec: Codec) -> Any:
    match argument:
        case Constant(value):
            return codec.decode(value)
        case Given(value, path):
            loaded = codec.decode(value)
            for key in path:
                loaded = loaded[key]
            return loaded
        case Listed(items, is_tuple):
            parts = [_load(item, codec) for item in items]
            return tuple(parts) if is_tuple else parts
        case Mapped(fields):
            return {key: _load(part, codec) for key, part in fields.items()}
        case Reference(step):
            raise AssertionError(f"the result of {step} was not followed")


class _Planner:
    """Turns a graph of Python objects into a plan of values and references."""

    def __init__(self, folder: Path, codec: Codec) -> None:
        self._sources = Sources(folder)
        self._codec = codec
        self._digests: dict[str, str] = {}

    def plan(self, graph: Graph) -> Plan:
        steps = [self._step(node) for node in graph.nodes]
        return Plan(steps, self._outputs(graph.result))

    def _step(self, node: Node) -> PlanStep:
        options = node.step.settings
        target = node.step.target
        if target not in self._digests:
            self._digests[target] = self._sources.digest(target)
        return PlanStep(
            name=node.name,
            target=target,
            code=self._digests[target],
            arguments={
                name: self._argument(value, node.name, name) for name, value in node.arguments.items()
            },
            needs=node.needs,
            cache=options.cache,
            version=options.version,
            retries=options.retries,
            retry_delay_s=options.retry_delay_s,
            timeout_s=options.timeout_s,
            cpus=options.cpus,
        )

    def _outputs(self, result: Any) -> dict[str, Argument]:
        if result is None:
            return {}
        if isinstance(result, dict) and all(isinstance(key, str) for key in result):
            named: Mapping[str, Any] = result
        elif isinstance(result, (list, tuple)):
            named = {str(position): part for position, part in enumerate(result)}
        else:
            named = {"result": result}
        return {name: self._argument(part, "the pipeline", name) for name, part in named.items()}

    def _argument(self, value: Any, where: str, name: str) -> Argument:
        if isinstance(value, Output):
            return Reference(value.node.name, list(value.path))
        if any(True for _ in outputs_in(value)):
            if isinstance(value, dict):
                if not all(isinstance(key, str) for key in value):
                    raise Invalid(
                        f"The keys of {name!r} of {where} must be text, as it holds results of steps."
                    )
                return Mapped({key: self._argument(part, where, name) for key, part in value.items()})
            return Listed([self._argument(part, where, name) for part in value], isinstance(value, tuple))
        return Constant(self._codec.constant(value))


def _explain(error: BaseException, folder: str) -> str:
    """Write the traceback from the first line of the user's code on to the log, and return the error in a line."""
    start: TracebackType | None = error.__traceback__
    while start is not None and not start.tb_frame.f_code.co_filename.startswith(folder):
        start = start.tb_next
    shown = error.with_traceback(start) if start is not None else error
    traceback.print_exception(shown)
    words = " ".join(str(error).split())
    kind = type(error).__name__
    return f"{kind}: {words}"[:2000] if words else kind


def environment_for_steps(
    url: str, token: str | None, variables: Mapping[str, str] = os.environ
) -> dict[str, str]:
    """Return what step processes see of an environment: everything but our own settings, and where the server is."""
    kept = {name: value for name, value in variables.items() if not name.startswith("TRIMTAB_")}
    kept["TRIMTAB_URL"] = url
    kept["MLFLOW_TRACKING_URI"] = (
        url  # whatever the server was started with: runs of a step belong to its server
    )
    if token is not None:
        kept["TRIMTAB_TOKEN"] = token
        kept["MLFLOW_TRACKING_TOKEN"] = token
    return kept
