"""States as plain data: frozen dataclasses of numbers, texts and tuples to dicts and lists that JSON keeps,
and back.

Every state in `science` is such a dataclass, so it can be stored between two updates by anything that
speaks JSON. (`msgspec.json.encode` takes them as they are, too.)
"""

from collections.abc import Mapping, Sequence
from dataclasses import fields, is_dataclass
from functools import cache
from types import NoneType, UnionType
from typing import Any, TypeVar, Union, cast, get_args, get_origin, get_type_hints

T = TypeVar("T")


def dump(state: Any) -> Any:
    """Dicts, lists and scalars for `state` (a dataclass, tuple, dict or scalar).

    >>> from trimtab.science.interval import Interval
    >>> dump(Interval(0.5, 0.25, 0.75))
    {'estimate': 0.5, 'low': 0.25, 'high': 0.75}
    """
    if is_dataclass(state) and not isinstance(state, type):
        return {field.name: dump(getattr(state, field.name)) for field in fields(state)}
    if isinstance(state, tuple | list):
        return [dump(item) for item in cast(Sequence[Any], state)]
    if isinstance(state, Mapping):
        return {key: dump(value) for key, value in cast(Mapping[str, Any], state).items()}
    return state


def load(kind: type[T], data: Mapping[str, Any]) -> T:
    """The dataclass `kind` which `dump` took apart; unknown keys are an error, missing ones take defaults.

    >>> from trimtab.science.interval import Interval
    >>> load(Interval, {"estimate": 0.5, "low": 0.25, "high": 0.75})
    Interval(estimate=0.5, low=0.25, high=0.75)
    """
    hints = _hints(kind)
    unknown = set(data) - set(hints)
    if unknown:
        raise ValueError(f"{kind.__name__} has no field {', '.join(sorted(unknown))}")
    return kind(**{name: _restore(hints[name], value) for name, value in data.items()})


@cache
def _hints(kind: type) -> dict[str, Any]:
    return get_type_hints(kind)


def _restore(hint: Any, value: Any) -> Any:  # noqa: PLR0911 - one return for each shape of type
    if value is None:
        return None
    origin = get_origin(hint)
    if origin in (Union, UnionType):
        options = [option for option in get_args(hint) if option is not NoneType]
        if len(options) == 1:
            return _restore(options[0], value)
        return tuple(cast(list[Any], value)) if isinstance(value, list) else value
    if origin is tuple:
        inner = get_args(hint)
        if len(inner) == 2 and inner[1] is Ellipsis:
            return tuple(_restore(inner[0], item) for item in value)
        return tuple(_restore(part, item) for part, item in zip(inner, value, strict=True))
    if origin is dict:
        return {key: _restore(get_args(hint)[1], item) for key, item in value.items()}
    if isinstance(hint, type) and is_dataclass(hint):
        return load(hint, value)
    if hint is float:
        return float(value)
    return value
