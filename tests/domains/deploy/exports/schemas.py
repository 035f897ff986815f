"""The real schemas of Kubernetes and KServe, from the wheels that `make exports` installs."""

import ast
import json
from functools import cache
from pathlib import Path
from typing import Any

from jsonschema import Draft202012Validator
from referencing import Registry, Resource

from tests.domains.deploy.exports.conftest import EXPORTS

OLDEST, NEWEST = "1.30.0", "1.37.0"


def _folder(package: str) -> Path | None:
    return next(EXPORTS.glob(f"lib/python3*/site-packages/{package}"), None)


@cache
def _definitions(release: str) -> Any:
    folder = _folder("kubernetes_validate/kubernetes-json-schema")
    assert folder is not None
    return json.loads((folder / f"v{release}-local-strict" / "_definitions.json").read_text())


def installed() -> bool:
    """Whether the schemas are here."""
    return _folder("kubernetes_validate") is not None and _folder("kserve") is not None


def check_kubernetes(item: dict[str, Any], release: str = NEWEST) -> None:
    """Raise where an object, or a part of one, is not what a release of Kubernetes takes: strictly, unknown keys too."""
    folder = _folder("kubernetes_validate/kubernetes-json-schema")
    assert folder is not None
    group, _, version = item["apiVersion"].rpartition("/")
    kind = "-".join(one for one in (item["kind"].lower(), group.partition(".")[0], version) if one)
    schema = json.loads((folder / f"v{release}-local-strict" / f"{kind}.json").read_text())
    _validator(schema, release).validate(item)


def _validator(schema: Any, release: str) -> Draft202012Validator:
    definitions = _definitions(release)
    registry: Any = Registry().with_resource(definitions["$id"], Resource.from_contents(definitions))
    return Draft202012Validator(schema, registry=registry)


def check_kserve(item: Any, kind: str, where: str = "") -> None:
    """Raise AssertionError where a value has keys or types that KServe's own API types do not have.

    ``kind`` is a type of its client, such as ``V1beta1InferenceService``; core types are Kubernetes' own.
    """
    if kind.startswith("list["):
        assert isinstance(item, list), f"{where} is no list"
        for at, one in enumerate(item):
            check_kserve(one, kind[5:-1], f"{where}[{at}]")
    elif kind.startswith("dict("):
        assert isinstance(item, dict), f"{where} is no object"
        for key, one in item.items():
            check_kserve(one, kind[5:-1].partition(", ")[2], f"{where}.{key}")
    elif kind in ("str", "int", "bool", "float"):
        types = {"str": str, "int": int, "bool": bool, "float": (int, float)}[kind]
        assert isinstance(item, types), f"{where} is {item!r}, not {kind}"
    elif kind in ("V1ObjectMeta", "object"):
        assert isinstance(item, dict)
    elif (own := _kserve_type(kind)) is not None:
        types_of, names = own
        keys = {json_name: attribute for attribute, json_name in names.items()}
        for key, one in item.items():
            assert key in keys, f"{where}.{key} is unknown to {kind}; it has {sorted(keys)}"
            check_kserve(one, types_of[keys[key]], f"{where}.{key}")
    else:
        definitions = _definitions(NEWEST)
        core = f"io.k8s.api.core.v1.{kind.removeprefix('V1')}"
        assert core in definitions["$defs"], f"{kind} of {where} is no type that is known"
        _validator({"$ref": f"{definitions['$id']}#/$defs/{core}"}, NEWEST).validate(item)


@cache
def _kserve_type(kind: str) -> tuple[dict[str, str], dict[str, str]] | None:
    """Return a type's attributes with their types, and their names in JSON; read, since to import it needs a hundred packages."""
    folder = _folder("kserve/models")
    assert folder is not None
    for file in folder.glob("*.py"):
        if file.stem.replace("_", "") != kind.lower():
            continue
        (made,) = [node for node in ast.parse(file.read_text()).body if isinstance(node, ast.ClassDef)]
        found = {
            ast.unparse(node.targets[0]): ast.literal_eval(node.value)
            for node in made.body
            if isinstance(node, ast.Assign) and isinstance(node.value, ast.Dict)
        }
        return found["openapi_types"], found["attribute_map"]
    return None
