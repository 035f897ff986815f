"""Pipelines, their runs and steps: the states they pass through, the plan of a run, and the key of the cache."""

import contextlib
from collections.abc import Iterator, Mapping
from typing import Any, Literal

import msgspec

from trimtab.domains.pipelines.values import (
    Argument,
    Constant,
    Given,
    Listed,
    Mapped,
    Reference,
    Value,
    digest_of,
    select,
    show,
)
from trimtab.kernel import refs
from trimtab.kernel.errors import Invalid, did_you_mean
from trimtab.kernel.time import SECOND_US
from trimtab.sdk.parameters import Parameter

RunState = Literal["queued", "running", "succeeded", "failed", "cancelled"]
StepState = Literal["waiting", "running", "succeeded", "failed", "skipped", "cancelled"]
RUN_STATES: tuple[RunState, ...] = ("queued", "running", "succeeded", "failed", "cancelled")
ENDED: frozenset[RunState] = frozenset({"succeeded", "failed", "cancelled"})
STEP_ENDED: frozenset[StepState] = frozenset({"succeeded", "failed", "skipped", "cancelled"})

_KEY_FORMAT = "trimtab-step-1"  # part of every cache key: a change of meaning changes this
_LONGEST_DELAY_US = 600 * SECOND_US
MOST_ATTEMPTS = 20


class SpecStep(msgspec.Struct, frozen=True):
    """A node of the graph as it looks with a pipeline's defaults; a run's own graph may differ."""

    name: str
    needs: list[str] = []


class Spec(msgspec.Struct, frozen=True):
    """What can be known of a pipeline without running it. ``commit`` is the git commit of its source, if it has one."""

    parameters: list[Parameter] = []
    steps: list[SpecStep] = []
    description: str = ""
    commit: str = ""


class Pipeline(msgspec.Struct, frozen=True):
    """A registered pipeline. ``version`` counts the changes of its source or spec, from 1."""

    name: str
    version: int
    entry: str
    source_blob: str
    spec: Spec
    created_us: int
    updated_us: int
    updated_by: str
    cron: str | None = None
    cron_params: dict[str, Any] = {}


class Run(msgspec.Struct, frozen=True):
    """One run of a pipeline with everything it needs to be done again."""

    id: str
    pipeline: str
    pipeline_version: int
    entry: str
    source_blob: str
    params: dict[str, Any]
    trigger: dict[str, Any]
    submitted_by: str
    state: RunState
    created_us: int
    started_us: int | None = None
    ended_us: int | None = None
    cancel_us: int | None = None
    outputs: dict[str, Any] = {}
    error: str | None = None
    job_id: str = ""
    fence: int = 0
    token_id: str | None = None


class StepRow(msgspec.Struct, frozen=True):
    """A step of a run. ``attempt`` counts from 1; ``failures`` are the attempts that count against its retries."""

    run_id: str
    position: int
    name: str
    state: StepState = "waiting"
    cached: bool = False
    attempt: int = 0
    failures: int = 0
    due_us: int = 0
    started_us: int | None = None
    ended_us: int | None = None
    needs: list[str] = []
    error: str | None = None
    value: Value | None = None
    log_tail: str = ""
    log_blob: str | None = None


class PlanStep(msgspec.Struct, frozen=True, omit_defaults=True):
    """A node of a run's graph: what to call with what, and how."""

    name: str
    target: str
    code: str
    arguments: dict[str, Argument]
    needs: list[str] = []
    cache: bool = True
    version: str = ""
    retries: int = 0
    retry_delay_s: float = 1.0
    timeout_s: float | None = None
    cpus: int = 1


class Plan(msgspec.Struct, frozen=True):
    """The graph of one run, fixed when it first started, and what the pipeline returns."""

    steps: list[PlanStep]
    outputs: dict[str, Argument]


class Result(msgspec.Struct, frozen=True):
    """What a successful step leaves: its value, the objects that its lineage names, and moving names it followed."""

    value: Value
    inputs: list[str] = []
    outputs: list[str] = []
    moving: list[str] = []


def resolve(argument: Argument, values: dict[str, Value]) -> Argument:
    """Return an argument with every reference followed; raises Invalid for a part that the result does not have."""
    match argument:
        case Reference(step, path):
            return select(values[step], path, step=step)
        case Listed(items, is_tuple):
            return Listed([resolve(item, values) for item in items], is_tuple)
        case Mapped(fields):
            return Mapped({key: resolve(part, values) for key, part in fields.items()})
        case _:
            return argument


def argument_digest(argument: Argument) -> str:
    """Return the digest of a resolved argument."""
    match argument:
        case Constant(value):
            return value.digest
        case Given(value, path):
            return digest_of("part", value.digest, msgspec.json.encode(path)) if path else value.digest
        case Listed(items, is_tuple):
            return digest_of("tuple" if is_tuple else "list", *[argument_digest(item) for item in items])
        case Mapped(fields):
            pieces = [piece for key, part in fields.items() for piece in (key, argument_digest(part))]
            return digest_of("dict", *pieces)
        case Reference(step):
            raise AssertionError(f"the result of {step} was not followed")


def cache_key(step: PlanStep, digests: dict[str, str]) -> str:
    """Return the key under which a call is remembered: its code, declared version, and the digest of each argument."""
    named = [piece for name in sorted(digests) for piece in (name, digests[name])]
    return digest_of(_KEY_FORMAT, step.code, step.version, *named)


def shown_outputs(plan: Plan, values: dict[str, Value]) -> dict[str, Any]:
    """Return what a pipeline returned as people see it; parts of steps that did not succeed are left out."""

    def shown(argument: Argument) -> Any:
        match argument:
            case Constant(value):
                return show(value)
            case Given(value, path):
                return show(value) if not path else {"part": path, "of": show(value)}
            case Listed(items):
                return [shown(item) for item in items]
            case Mapped(fields):
                return {key: shown(part) for key, part in fields.items()}
            case Reference(step):
                raise AssertionError(f"the result of {step} was not followed")

    outputs: dict[str, Any] = {}
    for name, argument in plan.outputs.items():
        with contextlib.suppress(KeyError, Invalid):
            outputs[name] = shown(resolve(argument, values))
    return outputs


def retry_delay_us(step: PlanStep, failures: int) -> int:
    """Return the wait after so many failed attempts: the step's delay, doubled each time, at most ten minutes."""
    return int(min(_LONGEST_DELAY_US, step.retry_delay_s * SECOND_US * 2 ** (failures - 1)))


def check_spec(spec: Spec) -> None:
    """Raise Invalid where a spec contradicts itself."""
    seen: set[str] = set()
    for parameter in spec.parameters:
        if parameter.name in seen:
            raise Invalid(f"The spec names the parameter {parameter.name!r} twice.", field="spec.parameters")
        seen.add(parameter.name)
    steps: set[str] = set()
    for step in spec.steps:
        if step.name in steps:
            raise Invalid(f"The spec names the step {step.name!r} twice.", field="spec.steps")
        unknown = [name for name in step.needs if name not in steps]
        if unknown:
            raise Invalid(
                f"Step {step.name!r} needs {unknown[0]!r}, which does not come before it.", field="spec.steps"
            )
        steps.add(step.name)


def constants(plan: Plan) -> Iterator[Value]:
    """Yield the values that a plan itself holds."""
    waiting: list[Argument] = [*plan.outputs.values()]
    for step in plan.steps:
        waiting += step.arguments.values()
    while waiting:
        match waiting.pop():
            case Constant(value):
                yield value
            case Listed(items):
                waiting += items
            case Mapped(fields):
                waiting += fields.values()
            case Reference() | Given():
                pass


def check_entry(entry: str, files: Mapping[str, bytes]) -> None:
    """Raise Invalid unless the entry is ``module:function`` and the module is a file of the bundle."""
    module, _, function = entry.partition(":")
    if not function.isidentifier() or not all(part.isidentifier() for part in module.split(".")):
        raise Invalid(f"{entry[:100]!r} does not name a pipeline as module:function.", field="entry")
    file = module.replace(".", "/") + ".py"
    if file not in files:
        raise Invalid(f"The bundle has no file {file}.{did_you_mean(file, files)}", field="entry")


def check_trigger(trigger: dict[str, Any]) -> dict[str, Any]:
    """Return why a run was submitted; raises Invalid for one without a kind or with what is no reference."""
    kind, ref = trigger.get("kind"), trigger.get("ref")
    if not isinstance(kind, str) or not kind or len(kind) > 50:
        raise Invalid("A trigger says its kind, such as manual, schedule or alarm.", field="trigger.kind")
    if ref is not None:
        try:
            refs.split(ref)
        except (ValueError, AttributeError) as error:
            raise Invalid(f"{ref!r} is not a reference such as alert:0af3.", field="trigger.ref") from error
    return trigger
