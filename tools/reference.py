"""Writes docs/reference from the code: settings, commands, routes, events and errors. ``--check`` only compares."""

import ast
import pkgutil
import sys
import tempfile
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import msgspec
import typer.main

import trimtab
from trimtab.app import App, build
from trimtab.cli import EXIT_CODES
from trimtab.commands import app as root
from trimtab.http import native_routes
from trimtab.infra.http import Route
from trimtab.infra.http.problems import STATUS
from trimtab.kernel.errors import TrimtabError
from trimtab.kernel.events import Event
from trimtab.serving.addresses import ADDRESSES
from trimtab.serving.http import _STATUS_OF_CODE
from trimtab.settings import ENVIRONMENT_PREFIX, EXPLANATIONS, Settings
from trimtab.wire.mlflow import (
    artifacts,
    assessments,
    datasets,
    experiments,
    logged_models,
    metrics,
    old_traces,
    registry,
    runs,
    server,
    trace_figures,
    traces,
    transfers,
    webhooks,
)
from trimtab.wire.mlflow.binding import Handler

FOLDER = Path(__file__).resolve().parent.parent / "docs" / "reference"
_MADE = "<!-- Made by `make docs` from the code. Changes here are overwritten. -->\n"
PLAIN = [
    ("GET", "/health", "Answers `OK` while the server runs."),
    ("GET", "/version", "The MLflow release whose client is tested against this server."),
    ("GET", "/metrics", "Metrics of the server in the Prometheus text format."),
    ("POST", "/v1/traces", "Spans by OpenTelemetry's protocol, in protobuf or JSON."),
    ("GET", "/api/v1/openapi.json", "The OpenAPI 3.1 document of the native API."),
    (
        "GET",
        "/api/v1/events/stream",
        "Server-sent events as they happen; `after` or `Last-Event-ID` resumes.",
    ),
]


def pages() -> dict[str, str]:
    """Return every page of the reference by its file name."""
    import_everything()
    with tempfile.TemporaryDirectory(prefix="trimtab-reference-") as home:
        app = build(Settings(home=home))
        try:
            http = routes_page(app)
        finally:
            app.close()
    return {
        "settings.md": settings_page(),
        "cli.md": commands_page(),
        "http.md": http,
        "events.md": events_page(),
        "errors.md": errors_page(),
    }


def import_everything() -> None:
    """Import every module that declares an error or an event, so that their classes are known."""
    folder = str(Path(trimtab.__file__).parent)
    for found in pkgutil.walk_packages([folder], "trimtab.", onerror=lambda _: None):
        file = Path(folder, *found.name.split(".")[1:])
        source = file / "__init__.py" if found.ispkg else file.with_suffix(".py")
        if declares(source.read_text()):
            import_module(found.name)


def declares(source: str) -> bool:
    """Tell whether a module has a class with a ``code`` or a ``tag`` of its own."""
    if "class " not in source or ("code" not in source and "tag=" not in source):
        return False
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.ClassDef):
            names = [target.id for one in node.body for target in _targets(one)]
            if "code" in names or any(keyword.arg == "tag" for keyword in node.keywords):
                return True
    return False


def settings_page() -> str:
    """Return the settings with their defaults."""
    defaults = Settings()
    rows = [
        (
            f"`{key}`",
            f"`{getattr(defaults, key)!r}`",
            f"`{ENVIRONMENT_PREFIX}{key.upper()}`",
            EXPLANATIONS[key],
        )
        for key in Settings.__struct_fields__
    ]
    text = (
        "Defaults give way to `config.toml` in the home (or the file that `TRIMTAB_CONFIG` names), that to the "
        "environment, and that to the flags of `trimtab up`. `trimtab config explain KEY` says where a value comes "
        "from."
    )
    return page("Settings", text, table(("Setting", "Default", "Environment", "What it is"), rows))


def commands_page() -> str:
    """Return every command with its arguments and options."""
    intro = (
        "Commands find the server by `--url`, else by `TRIMTAB_URL`, else on this machine. `TRIMTAB_TOKEN` signs in. "
        "`--json` prints JSON where a command shows something."
    )
    parts = [intro, table(("Exit code", "Meaning"), exit_codes())]
    for path, command in commands():
        lines = [f"## `{path}`", (command.help or "").strip().partition("\f")[0]]
        rows = [row for parameter in command.params if (row := parameter_row(parameter))]
        usage = " ".join(piece for parameter in command.params if (piece := metavar(parameter)))
        lines.append(f"```text\n{path} [OPTIONS]{f' {usage}' if usage else ''}\n```")
        if rows:
            lines.append(table(("Argument or option", "Default", "What it is"), rows))
        parts.append("\n\n".join(lines))
    return page("Commands", *parts)


def commands() -> Iterator[tuple[str, Any]]:
    """Yield every command that does something, with the words that call it."""
    yield from _walk("trimtab", typer.main.get_command(root))


def _walk(path: str, command: Any) -> Iterator[tuple[str, Any]]:
    if not hasattr(command, "list_commands"):
        yield path, command
        return
    context = typer.Context(command)
    for name in command.list_commands(context):
        child = command.get_command(context, name)
        assert child is not None
        yield from _walk(f"{path} {name}", child)


def exit_codes() -> list[tuple[str, str]]:
    """Return the exit codes in order, with what they mean."""
    meanings: dict[int, str] = {0: "done", 1: "a check, a gate or a run failed"}
    for kind, code in EXIT_CODES.items():
        meanings[code] = f"{meanings[code]}, {kind}" if code in meanings else kind
    return [(str(code), meanings[code]) for code in sorted(meanings)]


def metavar(parameter: Any) -> str:
    """Return an argument as it stands in the usage line, or nothing for an option."""
    if parameter.param_type_name != "argument":
        return ""
    name = parameter.metavar or parameter.name.upper()
    if not parameter.required and not name.startswith("["):
        name = f"[{name}]"
    return f"{name}..." if parameter.nargs == -1 else name


def parameter_row(parameter: Any) -> tuple[str, str, str] | None:
    """Return one argument or option as a row."""
    if getattr(parameter, "hidden", False) or parameter.name == "help":
        return None
    if parameter.param_type_name == "argument":
        return f"`{metavar(parameter)}`", "", parameter.help or ""
    names = ", ".join(f"`{name}`" for name in [*parameter.opts, *parameter.secondary_opts])
    default = parameter.default
    shown = "" if default in (None, "", False) or callable(default) else f"`{default}`"
    return names, "required" if parameter.required else shown, parameter.help or ""


def routes_page(app: App) -> str:
    """Return every route of the server, of the MLflow API and of the inference port."""
    groups: dict[str, list[tuple[str, str, str]]] = {}
    for one in native_routes(app):
        groups.setdefault(one.tags[0] if one.tags else "other", []).append(_row(one))
    intro = (
        'The native API takes and gives JSON. Lists are `{"items": [...], "next_cursor": ...}`; errors are '
        "[problem documents](errors.md). The OpenAPI document at `/api/v1/openapi.json` has every field."
    )
    parts = [intro, "## Server\n\n" + _routes_table(PLAIN)]
    parts += [f"## {name.capitalize()}\n\n{_routes_table(rows)}" for name, rows in sorted(groups.items())]
    wire = [(one.method, one.paths()[0], operation(one)) for one in mlflow_handlers(app)]
    parts.append(
        "## MLflow\n\nWhat the `mlflow` client speaks; each route answers below `/ajax-api` too.\n\n"
        + table(("Method", "Path", "Operation"), [(method, f"`{path}`", what) for method, path, what in wire])
    )
    parts.append(
        "## Inference\n\nOn the inference port, in processes of their own. Every prediction carries "
        "`x-prediction-id`.\n\n"
        + _routes_table([(one.method, one.template, one.summary) for one in ADDRESSES])
    )
    return page("HTTP routes", *parts)


def mlflow_handlers(app: App) -> list[Handler]:
    """Return the routes of the MLflow API."""
    return [
        *runs.handlers(app.tracking),
        *metrics.handlers(app.tracking),
        *experiments.handlers(app.tracking),
        *logged_models.handlers(app.tracking),
        *artifacts.handlers(app.tracking),
        *transfers.handlers(app.tracking, app.registry),
        *registry.handlers(app.registry),
        *webhooks.handlers(app.registry.webhooks),
        *traces.handlers(app.traces),
        *trace_figures.handlers(app.traces),
        *old_traces.handlers(app.traces),
        *assessments.handlers(app.traces),
        *datasets.handlers(app.traces),
        *server.handlers(),
    ]


def operation(one: Handler) -> str:
    """Return what a route of the MLflow API does, as its module and function name it."""
    noun = one.call.__module__.rpartition(".")[2].replace("_", " ")
    return f"{noun}: {one.call.__name__.strip('_').replace('_', ' ')}"


def _row(one: Route) -> tuple[str, str, str]:
    return one.method, one.path, one.summary


def _routes_table(rows: list[tuple[str, str, str]]) -> str:
    return table(
        ("Method", "Path", "What it does"), [(method, f"`{path}`", what) for method, path, what in rows]
    )


def events_page() -> str:
    """Return every event with its fields."""
    intro = (
        "Facts are stored in the transaction that makes them true, then delivered at least once to what reacts to "
        "them. Live pages read them from `/api/v1/events/stream`; an alert rule may watch any of them."
    )
    parts = [intro]
    for event in sorted(descendants(Event), key=lambda one: one.kind()):
        rows = [(f"`{field.name}`", f"`{type_name(field.type)}`") for field in msgspec.structs.fields(event)]
        told = (event.__doc__ or "").strip()
        parts.append(
            "\n\n".join(filter(None, [f"## `{event.kind()}`", told, table(("Field", "Type"), rows)]))
        )
    return page("Events", *parts)


def errors_page() -> str:
    """Return every error code with its kind and what it means to a caller."""
    found: dict[str, list[type[TrimtabError]]] = {}
    for error in sorted(descendants(TrimtabError), key=lambda one: (len(one.__mro__), one.__module__)):
        if "code" in error.__dict__:
            found.setdefault(error.code, []).append(error)
    rows = [
        (
            f"`{code}`",
            ", ".join(sorted({error.kind for error in errors})),
            ", ".join(sorted({status(error) for error in errors})),
            ", ".join(sorted({str(EXIT_CODES[error.kind]) for error in errors})),
            " ".join(dict.fromkeys(sentence(error) for error in errors)),
        )
        for code, errors in sorted(found.items())
    ]
    text = (
        "Errors are problem documents (RFC 9457): `type`, `title`, `status`, `detail`, `code`, `request_id`, and "
        "`field` where one field is at fault. Codes are stable; texts are for people."
    )
    return page("Errors", text, table(("Code", "Kind", "HTTP status", "Exit code", "When"), rows))


def descendants(kind: type[Any]) -> set[type[Any]]:
    """Return the subclasses of a class, and theirs, that belong to the product."""
    found: set[type[Any]] = set()
    for child in kind.__subclasses__():
        if child.__module__.startswith("trimtab."):
            found |= {child, *descendants(child)}
    return found


def status(error: type[TrimtabError]) -> str:
    """Return the HTTP status; the inference port has a few of its own."""
    if error.__module__.startswith("trimtab.serving"):
        return str(_STATUS_OF_CODE.get(error.code) or STATUS[error.kind])
    return str(STATUS[error.kind])


def sentence(error: type[TrimtabError]) -> str:
    """Return the class's own words, or its name as words."""
    own = error.__dict__.get("__doc__")
    if own:
        return " ".join(own.split())
    words = "".join(f" {letter.lower()}" if letter.isupper() else letter for letter in error.__name__).strip()
    return f"{words.capitalize()}."


def type_name(kind: Any) -> str:
    """Return a type as it is written in code."""
    return (
        kind.__name__
        if isinstance(kind, type) and not hasattr(kind, "__args__")
        else str(kind).replace("typing.", "")
    )


def page(title: str, *parts: str) -> str:
    return "\n\n".join([f"# {title}", _MADE.strip(), *(part.strip() for part in parts)]) + "\n"


def table(head: tuple[str, ...], rows: list[Any]) -> str:
    lines = [head, tuple("---" for _ in head), *rows]
    return "\n".join(
        "| " + " | ".join(" ".join(str(cell).split()).replace("|", "\\|") for cell in row) + " |"
        for row in lines
    )


def main() -> None:
    made = pages()
    stale = [name for name, text in made.items() if not _same(FOLDER / name, text)]
    if "--check" in sys.argv:
        sys.exit(f"{', '.join(stale)} in docs/reference is stale: run 'make docs'." if stale else 0)
    FOLDER.mkdir(parents=True, exist_ok=True)
    for name in stale:
        (FOLDER / name).write_text(made[name])
        print(f"docs/reference/{name}")


def _same(file: Path, text: str) -> bool:
    return file.exists() and file.read_text() == text


def _targets(node: ast.stmt) -> list[ast.Name]:
    match node:
        case ast.Assign(targets=targets):
            return [target for target in targets if isinstance(target, ast.Name)]
        case ast.AnnAssign(target=ast.Name() as target):
            return [target]
        case _:
            return []


if __name__ == "__main__":
    main()
