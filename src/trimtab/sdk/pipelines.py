"""``@step`` and ``@pipeline``: ordinary functions that run as they stand, and as a recorded graph on the server.

A step called by itself simply runs. A pipeline function calls steps; when the platform builds its graph, each call is
recorded and returns its future result, which can be passed to other steps, indexed and returned.
"""

import functools
import inspect
import os
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, ParamSpec, TypeVar, cast, overload

import msgspec

from trimtab.kernel import refs
from trimtab.kernel.errors import Invalid, did_you_mean
from trimtab.sdk.graph import Graph, Output, check_name, record, recording
from trimtab.sdk.parameters import Parameter, bind, parameters_of

if TYPE_CHECKING:
    from trimtab.sdk.client import Client

__all__ = [
    "Graph",
    "Output",
    "Pipeline",
    "Step",
    "current",
    "note_input",
    "note_moving",
    "note_output",
    "pipeline",
    "step",
]

P = ParamSpec("P")
R = TypeVar("R")
_RESOURCES = ("cpus",)


class StepOptions(msgspec.Struct, frozen=True):
    """How a step is run. Times are in seconds; ``cpus`` is how many of the machine's places it fills."""

    cache: bool = True
    retries: int = 0
    retry_delay_s: float = 1.0
    timeout_s: float | None = None
    cpus: int = 1
    version: str = ""


class Step(Generic[P, R]):
    """A function that can be a node of a pipeline."""

    def __init__(self, function: Callable[P, R], *, name: str, options: StepOptions) -> None:
        functools.update_wrapper(self, function)
        self.function = function
        self.name = check_name(name, "step")
        self.settings = options
        self._signature = inspect.signature(function)

    @property
    def target(self) -> str:
        """Where the function is found: ``module:name``; raises Invalid for one that another process could not find."""
        name = self.function.__qualname__
        if "<" in name or "." in name:
            raise Invalid(f"Step {self.name!r} must be defined at the top of a module to run in a pipeline.")
        return f"{self.function.__module__}:{name}"

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        graph = recording()
        if graph is None:
            return self.function(*args, **kwargs)
        return cast(R, graph.add(self, self.bind(*args, **kwargs)))

    def map(self, items: Iterable[Any], **common: Any) -> list[R]:
        """Call the step once for each item, as its first parameter, with the other arguments the same each time.

        The items must be known when the pipeline is built; each may be the result of a step.
        """
        if isinstance(items, Output):
            raise Invalid(
                f"Step {self.name!r} cannot be mapped over the result of {items.node.name!r}: how many items there "
                "will be is not known while the pipeline is built."
            )
        first = next(iter(self._signature.parameters), None)
        if first is None:
            raise Invalid(f"Step {self.name!r} takes no parameters, so there is nothing to map.")
        call = cast(Callable[..., R], self)
        return [call(**{first: item}, **common) for item in items]

    def options(self, *, name: str | None = None, **changes: Any) -> "Step[P, R]":
        """Return the same step under another name or with other options (those of ``@step``)."""
        resources = changes.pop("resources", None)
        _check_words(changes, StepOptions.__struct_fields__)
        if resources is not None:
            changes["cpus"] = _cpus(resources)
        changed = _checked(msgspec.structs.replace(self.settings, **changes))
        return Step(self.function, name=name or self.name, options=changed)

    def bind(self, *args: Any, **kwargs: Any) -> dict[str, Any]:
        """Return the arguments of a call by name; raises Invalid that names what is unknown or missing."""
        parameters = self._signature.parameters
        takes_any = any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters.values())
        for name in kwargs:
            if name not in parameters and not takes_any:
                hint = did_you_mean(name, parameters) or f" It takes {', '.join(parameters) or 'none'}."
                raise Invalid(f"Step {self.name!r} has no parameter {name!r}.{hint}", field=name)
        try:
            bound = self._signature.bind(*args, **kwargs)
        except TypeError as error:
            raise Invalid(f"Step {self.name!r}: {error}.") from error
        bound.apply_defaults()
        arguments: dict[str, Any] = {}
        for name, value in bound.arguments.items():
            match parameters[name].kind:
                case inspect.Parameter.VAR_KEYWORD:
                    arguments.update(value)
                case inspect.Parameter.VAR_POSITIONAL | inspect.Parameter.POSITIONAL_ONLY:
                    raise Invalid(f"Step {self.name!r} must take named parameters, which {name!r} is not.")
                case _:
                    arguments[name] = value
        return arguments


class Pipeline(Generic[P, R]):
    """A function that calls steps. Called by itself it runs them here and now, one after the other."""

    def __init__(self, function: Callable[P, R], *, name: str) -> None:
        functools.update_wrapper(self, function)
        self.function = function
        self.name = check_name(name, "pipeline")

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        return self.function(*args, **kwargs)

    @property
    def parameters(self) -> list[Parameter]:
        """What the pipeline takes, read from the function's signature."""
        return parameters_of(self.function)

    def submit(
        self, params: Mapping[str, Any] | None = None, *, client: "Client | None" = None, wait: bool = False
    ) -> dict[str, Any]:
        """Register the pipeline of this file and queue a run; return the run, once it has ended where ``wait``.

        Raises Invalid that names a wrong parameter, or where the function is not defined in a file.
        """
        from trimtab.sdk.client import connect
        from trimtab.sdk.submission import follow, submit_pipeline

        connection = client or connect()
        file = Path(inspect.getsourcefile(self.function) or "nowhere")
        if not file.is_file():
            raise Invalid(
                f"Pipeline {self.name!r} must be defined in a file to run on the server.", field="file"
            )
        run = submit_pipeline(connection, file.absolute(), self, params or {})
        if wait:
            *_, run = follow(connection, run["id"])
        return run

    def build(self, params: Mapping[str, Any] | None = None) -> Graph:
        """Return the graph of a run with these parameters (JSON values or text); raises Invalid that names a wrong one."""
        arguments = bind(self.function, params or {})
        with record() as graph:
            graph.result = cast(Callable[..., Any], self.function)(**arguments)
        return graph


@overload
def step(function: Callable[P, R], /) -> Step[P, R]: ...
@overload
def step(
    *,
    name: str | None = None,
    cache: bool = True,
    retries: int = 0,
    retry_delay_s: float = 1.0,
    timeout_s: float | None = None,
    resources: Mapping[str, int] | None = None,
    version: str | int = "",
) -> Callable[[Callable[P, R]], Step[P, R]]: ...
def step(
    function: Callable[..., Any] | None = None,
    /,
    *,
    name: str | None = None,
    cache: bool = True,
    retries: int = 0,
    retry_delay_s: float = 1.0,
    timeout_s: float | None = None,
    resources: Mapping[str, int] | None = None,
    version: str | int = "",
) -> Any:
    """Make a step of a function defined at the top of a module.

    ``cache``: take the result of an earlier call with the same code and inputs, in any run. The code is that of the
    function and of all it uses from the same folder; say ``version`` when something else changed. A step that asks
    the platform for the newest version of data, or for a model by its alias, is done again each time.
    ``retries``: how often a failed attempt is made again, after ``retry_delay_s`` seconds, doubled each time.
    ``timeout_s``: an attempt that takes longer is ended by force and counts as failed.
    ``resources``: ``{"cpus": 2}`` fills two of the machine's places.
    """
    options = _checked(
        StepOptions(
            cache=cache,
            retries=retries,
            retry_delay_s=retry_delay_s,
            timeout_s=timeout_s,
            cpus=_cpus(resources or {}),
            version=str(version),
        )
    )

    def decorate(decorated: Callable[P, R]) -> Step[P, R]:
        return Step(decorated, name=name or decorated.__name__, options=options)

    return decorate(function) if function is not None else decorate


@overload
def pipeline(function: Callable[P, R], /) -> Pipeline[P, R]: ...
@overload
def pipeline(*, name: str | None = None) -> Callable[[Callable[P, R]], Pipeline[P, R]]: ...
def pipeline(function: Callable[..., Any] | None = None, /, *, name: str | None = None) -> Any:
    """Make a pipeline of a function that calls steps; it is registered under its own name unless another is given."""

    def decorate(decorated: Callable[P, R]) -> Pipeline[P, R]:
        return Pipeline(decorated, name=name or decorated.__name__)

    return decorate(function) if function is not None else decorate


class Current:
    """The step that is running in this process.

    ``inputs`` and ``outputs`` are what its lineage will name; ``moving`` are names it has followed to what they mean
    at present, so that its result must not be taken for a later one.
    """

    def __init__(self, *, run_id: str, pipeline: str, step: str, attempt: int) -> None:
        self.run_id = run_id
        self.pipeline = pipeline
        self.step = step
        self.attempt = attempt
        self.inputs: dict[str, None] = {}
        self.outputs: dict[str, None] = {}
        self.moving: dict[str, None] = {}

    @property
    def ref(self) -> str:
        """The reference of the pipeline run."""
        return refs.make("pipeline-run", self.run_id)

    @property
    def tags(self) -> dict[str, str]:
        """Tags for what the step makes elsewhere, such as tracking runs."""
        return {
            "trimtab.pipeline": self.pipeline,
            "trimtab.pipeline_run": self.run_id,
            "trimtab.pipeline_step": self.step,
        }


_current: Current | None = None


def current() -> Current | None:
    """Return the step in which this code runs, or None outside of one.

    In a process that a step has started only the names are known.
    """
    if _current is None and "TRIMTAB_PIPELINE_RUN" in os.environ:
        return Current(
            run_id=os.environ["TRIMTAB_PIPELINE_RUN"],
            pipeline=os.environ.get("TRIMTAB_PIPELINE", ""),
            step=os.environ.get("TRIMTAB_PIPELINE_STEP", ""),
            attempt=int(os.environ.get("TRIMTAB_PIPELINE_ATTEMPT", "1")),
        )
    return _current


def note_input(ref: str) -> None:
    """Tell the lineage that the running step has read an object (``data:flights@3``); outside of a step do nothing."""
    refs.split(ref)
    if _current is not None:
        _current.inputs[ref] = None


def note_output(ref: str) -> None:
    """Tell the lineage that the running step has made an object (``model:delay/4``); outside of a step do nothing."""
    refs.split(ref)
    if _current is not None:
        _current.outputs[ref] = None


def note_moving(name: str) -> None:
    """Tell that the running step has asked what a name means now (a newest version, an alias): it is not cached."""
    if _current is not None:
        _current.moving[name] = None


def set_current(running: Current | None) -> None:
    """Say which step runs now; for the process that runs it."""
    global _current  # noqa: PLW0603 - a process runs one step at a time
    _current = running
    names = ("TRIMTAB_PIPELINE_RUN", "TRIMTAB_PIPELINE", "TRIMTAB_PIPELINE_STEP", "TRIMTAB_PIPELINE_ATTEMPT")
    if running is None:
        for name in names:
            os.environ.pop(name, None)
    else:
        values = (running.run_id, running.pipeline, running.step, str(running.attempt))
        os.environ.update(zip(names, values, strict=True))


def _cpus(resources: Mapping[str, int]) -> int:
    _check_words(resources, _RESOURCES)
    return resources.get("cpus", 1)


def _check_words(given: Mapping[str, Any], known: Iterable[str]) -> None:
    for word in given:
        if word not in known:
            raise Invalid(
                f"Unknown option {word!r} ({', '.join(known)}).{did_you_mean(word, known)}", field=word
            )


def _checked(options: StepOptions) -> StepOptions:
    if not 0 <= options.retries <= 100:
        raise Invalid(f"retries must be between 0 and 100, not {options.retries}.", field="retries")
    if options.retry_delay_s < 0:
        raise Invalid("retry_delay_s must not be negative.", field="retry_delay_s")
    if options.timeout_s is not None and options.timeout_s <= 0:
        raise Invalid("timeout_s must be positive.", field="timeout_s")
    if type(options.cpus) is not int or options.cpus < 1:
        raise Invalid(f"cpus must be a whole number of at least 1, not {options.cpus!r}.", field="resources")
    return options
