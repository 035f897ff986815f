"""The route table: what the control plane tells the gateway to serve, and the rules that a table must keep."""

from collections.abc import Mapping
from typing import Any, Literal

import msgspec

from trimtab.kernel.errors import Invalid
from trimtab.kernel.names import is_name
from trimtab.serving.policies import settings
from trimtab.serving.policies.settings import Policies
from trimtab.serving.tunnel import SCHEME, address_of

Role = Literal["champion", "challenger", "shadow", "warm"]

SCALARS = ("boolean", "integer", "long", "float", "double", "string", "binary", "datetime", "any")
"""Column types: MLflow's scalar names, and ``any`` for values that pass unchecked (nested arrays, objects)."""

NUMERIC = frozenset(("boolean", "integer", "long", "float", "double"))

_TENSOR_TYPES = {
    "bool": "boolean",
    "int8": "integer",
    "int16": "integer",
    "int32": "integer",
    "uint8": "integer",
    "uint16": "integer",
    "int64": "long",
    "uint32": "long",
    "uint64": "long",
    "float16": "float",
    "float32": "float",
    "float64": "double",
    "str": "string",
    "object": "string",
}


class Field(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One column of a signature. ``shape`` is that of one row's value where it is a tensor, else null.

    A column that is not ``required`` may be left out, and its values may be null or NaN; a required one is finite.
    """

    name: str
    type: str
    required: bool = True
    shape: list[int] | None = None


class Signature(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a model takes and gives. ``tensor`` says that the inputs are the columns of one unnamed 2-D array."""

    inputs: list[Field]
    outputs: list[Field] = []
    tensor: bool = False


class Version(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One model version behind an endpoint and the sockets of its replicas.

    ``weight`` is relative among champion and challengers; for a shadow it is the percentage of requests copied
    (0-100); for a warm version it is 0: it gets no traffic, but can be addressed by its version. ``compiled`` is the
    folder of a compiled model, which the gateway then runs itself. An ``asleep`` version has no process; requests wait until one was started for them.
    """

    version: str
    model: str
    weight: float
    role: Role
    sockets: list[str] = []
    compiled: str | None = None
    asleep: bool = False


class Endpoint(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The versions that answer under one name, the signature that requests are checked against, and limits."""

    versions: list[Version]
    signature: Signature | None = None
    max_body_bytes: int = 16 * 1024 * 1024
    timeout_ms: int = 60_000
    policies: Policies = settings.DEFAULT


class Token(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Whom a bearer token belongs to; ``expires_us`` null means never, ``endpoints`` null that it opens them all."""

    principal: str
    role: Literal["viewer", "editor", "approver", "admin"]
    expires_us: int | None = None
    id: str = ""
    endpoints: list[str] | None = None


class Auth(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Who may call: everyone on this machine (``open``), or holders of a token, keyed by its SHA-256 in hex.

    ``anywhere`` opens it to whoever reaches the port: in a container, whose platform asks for keys before it.
    """

    open: bool
    tokens: dict[str, Token] = {}
    anywhere: bool = False


class RouteTable(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Everything that the gateway serves, replaced as a whole; the generation only ever grows."""

    generation: int
    auth: Auth
    endpoints: dict[str, Endpoint]
    default: str | None = None
    """The endpoint of addresses that name none; where it is not said, the only one there is."""
    aliases: dict[str, str] = {}
    """Paths that a platform chooses, each with the address that it stands for; they stay for the gateway's life."""


class Applied(msgspec.Struct):
    """What became of a new table: it is served; ``problem`` says why it could not also be put on disk."""

    generation: int
    problem: str = ""


def decode(body: bytes) -> RouteTable:
    """Return the checked table in a JSON document; raises Invalid naming the field."""
    try:
        table = msgspec.json.decode(body, type=RouteTable)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise Invalid(f"not a route table: {error}") from None
    check(table)
    return table


def check(table: RouteTable) -> None:
    """Raise Invalid, naming the field, where a table could not be served."""
    for name, endpoint in table.endpoints.items():
        where = f"endpoints.{name}"
        if not is_name(name):
            raise Invalid("an endpoint's name has letters, digits, '.', '_' and '-' only", field=where)
        if endpoint.max_body_bytes < 1 or endpoint.timeout_ms < 1:
            raise Invalid("max_body_bytes and timeout_ms are at least 1", field=where)
        if endpoint.policies is not settings.DEFAULT:
            settings.check(endpoint.policies, where=f"{where}.policies")
        _check_versions(where, endpoint.versions)
        if endpoint.signature is not None:
            _check_signature(where, endpoint.signature)


def _check_versions(where: str, versions: list[Version]) -> None:
    seen: set[str] = set()
    champions = 0
    for version in versions:
        place = f"{where}.versions.{version.version}"
        if not is_name(version.version):
            raise Invalid("a version has letters, digits, '.', '_' and '-' only", field=place)
        if version.version in seen:
            raise Invalid("this version is listed twice", field=place)
        seen.add(version.version)
        if not 0 <= version.weight < 1e9:
            raise Invalid("a weight is a number from 0", field=place)
        for place_of in version.sockets:
            if place_of.startswith(SCHEME):
                address_of(place_of)
        if version.role == "shadow" and version.weight > 100:
            raise Invalid("a shadow's weight is a percentage from 0 to 100", field=place)
        if version.role == "warm" and version.weight:
            raise Invalid("a warm version has weight 0", field=place)
        champions += version.role == "champion"
    if champions > 1:
        raise Invalid("an endpoint has one champion at most", field=f"{where}.versions")


def _check_signature(where: str, signature: Signature) -> None:
    seen: set[str] = set()
    for column in signature.inputs:
        place = f"{where}.signature.{column.name}"
        if column.type not in SCALARS:
            raise Invalid(f"type {column.type!r} is not one of {', '.join(SCALARS)}", field=place)
        if column.name in seen:
            raise Invalid("this column is listed twice", field=place)
        seen.add(column.name)


def signature_of(signature: Mapping[str, Any] | None) -> Signature | None:
    """Return the signature in an MLmodel file's ``signature`` entry (JSON texts or lists), or None without inputs."""
    if not signature:
        return None
    inputs, tensor = _fields(signature.get("inputs"))
    outputs, _ = _fields(signature.get("outputs"))
    return Signature(inputs=inputs, outputs=outputs, tensor=tensor) if inputs else None


def _fields(specs: str | list[dict[str, Any]] | None) -> tuple[list[Field], bool]:
    """Return columns and whether they are one unnamed 2-D tensor of known width, spread into its columns."""
    entries: list[dict[str, Any]] = msgspec.json.decode(specs) if isinstance(specs, str) else (specs or [])
    fields: list[Field] = []
    for position, entry in enumerate(entries):
        name = str(entry.get("name") or position)
        if entry.get("type") != "tensor":
            kind = entry.get("type")
            known = isinstance(kind, str) and kind in SCALARS
            fields.append(Field(name, str(kind) if known else "any", entry.get("required", True)))
            continue
        spec = entry["tensor-spec"]
        kind = _TENSOR_TYPES.get(str(spec["dtype"]), "any")
        row = [int(size) for size in spec["shape"][1:]]
        if len(entries) == 1 and not entry.get("name") and len(row) == 1 and row[0] > 0:
            # NumPy's floats can always be NaN and the specification says nothing of missing values.
            required = kind not in ("float", "double")
            return [Field(str(column), kind, required) for column in range(row[0])], True
        fields.append(Field(name, kind, shape=row) if row else Field(name, kind))
    return fields, False
