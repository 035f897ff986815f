"""The parameters of a pipeline: read from the signature of its function, checked by name, converted by type."""

import enum
import inspect
import math
import types
from collections.abc import Callable, Mapping, Sequence
from datetime import date, datetime
from pathlib import Path
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

import msgspec

from trimtab.kernel.errors import Invalid, did_you_mean

Kind = Literal["integer", "number", "boolean", "text", "date", "datetime", "path", "choice", "json"]

_KINDS: dict[Any, Kind] = {
    int: "integer",
    float: "number",
    bool: "boolean",
    str: "text",
    date: "date",
    datetime: "datetime",
    Path: "path",
}
_TYPES: dict[Kind, Any] = {kind: known for known, kind in _KINDS.items()}
_WORDS: dict[Kind, str] = {
    "integer": "a whole number",
    "number": "a number",
    "boolean": "true or false",
    "text": "text",
    "date": "a date such as 2013-03-01",
    "datetime": "a date and time such as 2013-03-01T05:00:00Z",
    "path": "a path",
    "choice": "one of its choices",
    "json": "JSON",
}


class Parameter(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a pipeline takes under one name. ``default`` is JSON; a required parameter has none."""

    name: str
    kind: Kind
    required: bool = False
    nullable: bool = False
    default: Any = None
    choices: list[str | int] = []


def parameters_of(function: Callable[..., Any]) -> list[Parameter]:
    """Return the parameters of a pipeline function in their order; raises Invalid for ``*args`` and ``**kwargs``."""
    hints = hints_of(function)
    found: list[Parameter] = []
    for parameter in inspect.signature(function).parameters.values():
        if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD, parameter.POSITIONAL_ONLY):
            raise Invalid(f"A pipeline takes named parameters only, which {parameter.name!r} is not.")
        required = parameter.default is parameter.empty
        kind, nullable, choices = _kind_of(_annotation(hints, parameter))
        default = None if required else to_json(parameter.default)
        found.append(Parameter(parameter.name, kind, required, nullable, default, choices))
    return found


def hints_of(function: Callable[..., Any]) -> dict[str, Any]:
    """Return the annotations of a function; those that cannot be resolved are left out."""
    try:
        return get_type_hints(function)
    except (NameError, TypeError, AttributeError):
        return {}


def check(parameters: Sequence[Parameter], given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the values of a run as JSON, with defaults filled in.

    Text is converted where another type is expected. Raises Invalid that names the parameter when one is unknown,
    missing, or of the wrong type.
    """
    by_name = {parameter.name: parameter for parameter in parameters}
    for name in given:
        if name not in by_name:
            known = f" It takes {', '.join(by_name)}." if by_name else " It takes none."
            hint = did_you_mean(name, by_name)
            raise Invalid(f"The pipeline has no parameter {name!r}.{hint or known}", field=f"params.{name}")
    values: dict[str, Any] = {}
    for name, parameter in by_name.items():
        if name in given:
            values[name] = to_json(_convert_by_kind(parameter, given[name]))
        elif parameter.required:
            raise Invalid(
                f"The pipeline needs the parameter {name!r} ({_WORDS[parameter.kind]}).",
                field=f"params.{name}",
            )
        else:
            values[name] = parameter.default
    return values


def bind(function: Callable[..., Any], given: Mapping[str, Any]) -> dict[str, Any]:
    """Return keyword arguments for a pipeline function from JSON values or text; raises Invalid like ``check``."""
    declared = parameters_of(function)
    values = check(declared, given)
    defaults = {parameter.name: parameter.default for parameter in declared if not parameter.required}
    hints = hints_of(function)
    arguments: dict[str, Any] = {}
    for parameter in inspect.signature(function).parameters.values():
        name = parameter.name
        if name in defaults and values[name] == defaults[name]:
            arguments[name] = parameter.default  # itself: JSON may not hold it
        else:
            arguments[name] = _convert(name, values[name], _annotation(hints, parameter))
    return arguments


def to_json(value: Any) -> Any:
    """Return a value as JSON can hold it; what it cannot hold becomes its text."""
    if isinstance(value, enum.Enum):
        return value.value
    if isinstance(value, Path):
        return str(value)
    return msgspec.to_builtins(value, builtin_types=(), str_keys=True, enc_hook=str)


def _annotation(hints: dict[str, Any], parameter: inspect.Parameter) -> Any:
    if parameter.name in hints:
        return hints[parameter.name]
    if type(parameter.default) in _KINDS:
        return type(parameter.default)
    return Any


def _kind_of(annotation: Any) -> tuple[Kind, bool, list[str | int]]:
    """Return (kind, nullable, choices) of an annotation."""
    if get_origin(annotation) in (Union, types.UnionType):
        members = [member for member in get_args(annotation) if member is not type(None)]
        if len(members) == 1 and len(get_args(annotation)) == 2:
            kind, _, choices = _kind_of(members[0])
            return kind, True, choices
        return "json", type(None) in get_args(annotation), []
    if get_origin(annotation) is Literal:
        return "choice", False, list(get_args(annotation))
    if isinstance(annotation, type) and issubclass(annotation, enum.Enum):
        return "choice", False, [member.value for member in annotation]
    if isinstance(annotation, type) and issubclass(annotation, Path):
        return "path", False, []
    return _KINDS.get(annotation, "json"), annotation is Any, []


def _convert_by_kind(parameter: Parameter, value: Any) -> Any:
    if value is None or (parameter.nullable and value in ("null", "none", "None")):
        if parameter.nullable or parameter.kind == "json":
            return None
        raise _wrong(parameter.name, _WORDS[parameter.kind], value)
    if parameter.kind == "choice":
        for choice in parameter.choices:
            if value == choice or str(value) == str(choice):
                return choice
        listed = ", ".join(map(str, parameter.choices))
        hint = did_you_mean(str(value), map(str, parameter.choices))
        raise Invalid(
            f"Parameter {parameter.name!r} is one of {listed}, not {value!r}.{hint}",
            field=f"params.{parameter.name}",
        )
    if parameter.kind == "path":
        return _convert(parameter.name, value, str)
    if parameter.kind == "json":
        return from_text(value)
    return _convert(parameter.name, value, _TYPES[parameter.kind])


def from_text(value: Any) -> Any:
    """Return what a text means as JSON where it is JSON, and every other value as it is."""
    if not isinstance(value, str):
        return value
    try:
        return msgspec.json.decode(value)
    except (msgspec.DecodeError, UnicodeEncodeError):
        return value


def _convert(name: str, value: Any, annotation: Any) -> Any:
    if annotation is Any:
        return value
    if isinstance(value, bool) and annotation in (int, float):
        raise _wrong(name, _WORDS[_KINDS[annotation]], value)
    try:
        converted = msgspec.convert(value, annotation, strict=False, dec_hook=_from_hook)
    except (msgspec.ValidationError, ValueError, TypeError) as error:
        kind = _KINDS.get(annotation)
        raise _wrong(name, _WORDS[kind] if kind else f"{annotation} ({error})", value) from error
    if isinstance(converted, float) and not math.isfinite(converted):
        raise _wrong(name, "a finite number", value)
    return converted


def _from_hook(kind: type, value: Any) -> Any:
    if issubclass(kind, Path) and isinstance(value, str):
        return kind(value)
    raise NotImplementedError(f"{kind.__name__} cannot be made of {value!r}")


def _wrong(name: str, expected: str, value: Any) -> Invalid:
    return Invalid(f"Parameter {name!r} must be {expected}, not {value!r}.", field=f"params.{name}")
