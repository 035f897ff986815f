"""What commands for models take alike: which model or version is meant, the server, the form of the answer."""

from typing import Annotated, Any
from urllib.parse import quote

import typer

from trimtab.kernel.errors import Invalid

Target = Annotated[
    str, typer.Argument(metavar="NAME[/VERSION|@ALIAS]", help="A model, or one version of it.")
]


def split(target: str) -> tuple[str, str | None]:
    """Return (name, what follows it): a number, an alias with its ``@``, or None."""
    text = target.removeprefix("models:/")
    name, slash, version = text.rpartition("/")
    if slash:
        if not name or not (version == "latest" or (version.isascii() and version.isdigit())):
            raise Invalid(f"{target[:200]!r} is not NAME, NAME/VERSION or NAME@ALIAS.", field="target")
        return name, "@latest" if version == "latest" else version
    name, at, alias = text.rpartition("@")
    if at and (not name or not alias):
        raise Invalid(f"{target[:200]!r} is not NAME, NAME/VERSION or NAME@ALIAS.", field="target")
    return (name, f"@{alias}") if at else (text, None)


def path_of(name: str, version: str | None, *, client: Any = None) -> str:
    """Return the path of a model or version; with a client, an alias is looked up."""
    root = f"/models/{quote(name, safe='')}"
    if version is None:
        return root
    if not version.startswith("@"):
        return f"{root}/versions/{version}"
    path = f"{root}/aliases/{quote(version[1:], safe='')}"
    return path if client is None else f"{root}/versions/{client.get(path)['version']}"
