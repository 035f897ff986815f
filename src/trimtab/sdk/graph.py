"""What calling a pipeline function records: the calls of its steps, and which takes the result of which."""

import inspect
import re
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, NoReturn, get_args, get_origin

from trimtab.kernel.errors import Invalid

if TYPE_CHECKING:
    from trimtab.sdk.pipelines import Step

_MOST_NODES = 10_000
_recording: "ContextVar[Graph | None]" = ContextVar("trimtab_graph", default=None)


class Node:
    """One call of a step. ``arguments`` hold outputs of other nodes wherever the pipeline passed them."""

    def __init__(self, name: str, step: "Step[..., Any]", arguments: dict[str, Any]) -> None:
        self.name = name
        self.step = step
        self.arguments = arguments

    @property
    def needs(self) -> list[str]:
        """The names of the nodes whose results this call takes, each once."""
        found: dict[str, None] = {}
        for output in outputs_in(self.arguments):
            found[output.node.name] = None
        return list(found)


class Output:
    """The future result of a step, or a part of it: to be passed to other steps, indexed, or returned."""

    __slots__ = ("node", "path")

    def __init__(self, node: Node, path: tuple[str | int, ...] = ()) -> None:
        object.__setattr__(self, "node", node)
        object.__setattr__(self, "path", path)

    def __getitem__(self, key: str | int) -> "Output":
        if type(key) not in (str, int):
            raise Invalid(
                f"The result of step {self.node.name!r} can be indexed by text and whole numbers only."
            )
        return Output(self.node, (*self.path, key))

    def __iter__(self) -> Iterator["Output"]:
        length = _tuple_length(self.node.step.function) if not self.path else None
        if length is None:
            raise Invalid(
                f"The result of step {self.node.name!r} cannot be unpacked while the pipeline is built: "
                "annotate the step's return as tuple[...], or take its parts by index."
            )
        return iter([self[index] for index in range(length)])

    def __repr__(self) -> str:
        return f"<result of step {self.node.name}{''.join(f'[{key!r}]' for key in self.path)}>"

    __hash__ = object.__hash__

    def _refuse(self, *_: Any) -> NoReturn:
        raise Invalid(
            f"The result of step {self.node.name!r} is not known while the pipeline is built: "
            "pass it to another step and work with it there."
        )

    __bool__ = __len__ = __int__ = __float__ = __index__ = __str__ = __format__ = __call__ = _refuse
    __eq__ = __ne__ = __lt__ = __le__ = __gt__ = __ge__ = __contains__ = _refuse
    __add__ = __radd__ = __sub__ = __rsub__ = __mul__ = __rmul__ = __truediv__ = __rtruediv__ = _refuse
    __and__ = __or__ = __neg__ = __setitem__ = __setattr__ = __enter__ = _refuse

    def __getattr__(self, name: str) -> NoReturn:
        if name.startswith("__"):
            raise AttributeError(name)
        self._refuse()


class Graph:
    """The calls in the order in which the pipeline made them, which is an order in which they can run."""

    def __init__(self) -> None:
        self.nodes: list[Node] = []
        self._names: set[str] = set()
        self.result: Any = None

    def add(self, step: "Step[..., Any]", arguments: dict[str, Any]) -> Output:
        """Record a call and return its future result; raises Invalid for results that belong to another graph."""
        if len(self.nodes) >= _MOST_NODES:
            raise Invalid(f"The pipeline has more than {_MOST_NODES} steps.")
        known = set(map(id, self.nodes))
        for output in outputs_in(arguments):
            if id(output.node) not in known:
                raise Invalid(f"Step {step.name!r} was given the result of a step of another pipeline run.")
        name = self._free_name(step.name)
        node = Node(name, step, arguments)
        self.nodes.append(node)
        return Output(node)

    def _free_name(self, wanted: str) -> str:
        name, number = wanted, 1
        while name in self._names:
            number += 1
            name = f"{wanted}-{number}"
        self._names.add(name)
        return name


def recording() -> Graph | None:
    """Return the graph that is being built, if one is."""
    return _recording.get()


@contextmanager
def record() -> Generator[Graph]:
    """Have step calls within the block recorded and not run."""
    graph = Graph()
    token = _recording.set(graph)
    try:
        yield graph
    finally:
        _recording.reset(token)


def outputs_in(value: Any) -> Iterator[Output]:
    """Go through every output within lists, tuples and dicts."""
    if isinstance(value, Output):
        yield value
    elif isinstance(value, dict):
        for item in value.values():
            yield from outputs_in(item)
    elif isinstance(value, (list, tuple)):
        for item in value:
            yield from outputs_in(item)


def check_name(name: str, what: str) -> str:
    """Return the name of a step or pipeline; raises Invalid where it could not stand in an address."""
    if not re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,99}", name):
        raise Invalid(
            f"{name!r} is no name for a {what}: use letters, digits, dots, dashes and underscores.",
            field="name",
        )
    return name


def _tuple_length(function: Callable[..., Any]) -> int | None:
    annotation = inspect.signature(function).return_annotation
    if isinstance(annotation, str):
        annotation = getattr(function, "__globals__", {}).get(annotation, annotation)
        if isinstance(annotation, str):
            from trimtab.sdk.parameters import hints_of

            annotation = hints_of(function).get("return")
    if get_origin(annotation) is not tuple:
        return None
    members = get_args(annotation)
    return None if Ellipsis in members else len(members)
