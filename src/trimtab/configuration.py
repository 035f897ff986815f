"""Commands that explain the settings."""

from typing import Annotated

import typer

from trimtab.kernel.errors import NotFound, did_you_mean
from trimtab.sdk.terminal import show_json, show_table
from trimtab.settings import ENVIRONMENT_PREFIX, Origin, load

config = typer.Typer(no_args_is_help=True)

Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]


@config.command("ls")
def list_settings(json: Json = False) -> None:
    """List every setting with its value and where that comes from."""
    _, origins = load()
    if json:
        show_json([_plain(origin) for origin in origins.values()])
        return
    rows = [(one.key, _shown(one), one.source) for one in origins.values()]
    show_table(["setting", "value", "from"], rows, empty="")


@config.command("explain")
def explain(key: str, json: Json = False) -> None:
    """Say what a setting is, its value, and how to change it."""
    _, origins = load()
    name = key.replace("-", "_")
    if name not in origins:
        raise NotFound(f"There is no setting {key!r}.{did_you_mean(name, origins)}")
    origin = origins[name]
    if json:
        show_json(_plain(origin))
        return
    print(f"{origin.key} = {_shown(origin)!r}   from {origin.source}; the default is {origin.default!r}")
    print(origin.explanation)
    print(
        f"Set it by --{name.replace('_', '-')}, {ENVIRONMENT_PREFIX}{name.upper()}, or {name} = ... in config.toml."
    )


def _shown(origin: Origin) -> object:
    """Return the value without a password that a database URL may hold."""
    if origin.key == "database" and "@" in str(origin.value):
        scheme, _, rest = str(origin.value).partition("://")
        account, _, place = rest.rpartition("@")
        return f"{scheme}://{account.partition(':')[0]}@{place}"
    return origin.value


def _plain(origin: Origin) -> dict[str, object]:
    return {"key": origin.key, "value": _shown(origin), "source": origin.source, "default": origin.default,
            "explanation": origin.explanation}  # fmt: skip
