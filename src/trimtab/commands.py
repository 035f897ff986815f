"""The root command: mounts the commands of each noun, whose modules are imported when they are called."""

from importlib import import_module
from typing import Annotated, Any

import typer
from typer.core import TyperGroup
from typer.main import get_command

GROUPS: dict[str, tuple[str, str]] = {
    "demo": ("trimtab.demo.cli:demo", "Run the whole loop on real data."),
    "config": ("trimtab.configuration:config", "Settings: what each is and where its value comes from."),
    "data": ("trimtab.domains.data.cli:data", "Datasets: add, get, list, show, validate, compare."),
    "pipelines": (
        "trimtab.domains.pipelines.cli:pipelines",
        "Pipelines: run a file, follow, list, retry, schedule.",
    ),
    "alerts": (
        "trimtab.domains.alerts.cli:alerts",
        "Alerts: list, acknowledge, resolve; rules and channels.",
    ),
    "experiments": ("trimtab.domains.tracking.cli:experiments", "Experiments: list, rm, restore."),
    "runs": (
        "trimtab.domains.tracking.cli:runs",
        "Runs: list, show, compare, reproduce, sync, export, rm, restore.",
    ),
    "models": (
        "trimtab.domains.registry.cli:models",
        "Models: list, show, versions, alias, tag, download, rm.",
    ),
    "trash": ("trimtab.loop.cli:trash", "What was deleted: list, restore, purge."),
    "holds": ("trimtab.loop.cli:holds", "Legal holds: list, place, release."),
    "gc": ("trimtab.loop.cli:gc", "Purge what lay in the trash long enough, and return the space."),
    "endpoints": ("trimtab.domains.deploy.cli:endpoints", "Endpoints: deploy, traffic, rollback, logs."),
    "rollouts": (
        "trimtab.domains.deploy.rollouts.cli:rollouts",
        "Rollouts: start by a strategy, watch, approve, promote, take back.",
    ),
    "predict": ("trimtab.domains.deploy.batch.cli:predict", "Predict a whole table with a model."),
    "edge": ("trimtab.domains.deploy.edge.cli:edge", "Devices: make signed bundles, run one, list devices."),
    "batch": ("trimtab.domains.deploy.batch.cli:batch", "Batch predictions: list, show, cancel."),
    "monitors": ("trimtab.domains.monitor.cli:monitors", "Monitors: create, list, show."),
    "import": (
        "trimtab.moving.cli:imports",
        "Bring runs in: from MLflow, TensorBoard, JSON.",
    ),
    "tokens": ("trimtab.domains.govern.cli:tokens", "Service tokens: create, list, revoke."),
    "audit": ("trimtab.domains.govern.cli:audit", "The audit trail: list, verify."),
}


class Root(TyperGroup):
    """A group whose sub-groups are imported when they are called."""

    def list_commands(self, ctx: Any) -> list[str]:
        return [*super().list_commands(ctx), *GROUPS]

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        if cmd_name not in GROUPS:
            return super().get_command(ctx, cmd_name)
        target, summary = GROUPS[cmd_name]
        module, _, attribute = target.partition(":")
        found = getattr(import_module(module), attribute)
        if not isinstance(found, typer.Typer):
            single = typer.Typer(pretty_exceptions_enable=False, add_completion=False)
            single.command(cmd_name)(found)
            found = single
        command = get_command(found)
        command.name, command.short_help = cmd_name, summary
        return command


app = typer.Typer(
    cls=Root, name="trimtab", help="The MLOps platform that closes the loop.", no_args_is_help=True,
    pretty_exceptions_enable=False, add_completion=False,
)  # fmt: skip


@app.command()
def up(
    home: Annotated[str | None, typer.Option(help="Folder for everything that is kept.")] = None,
    host: Annotated[str | None, typer.Option(help="Address to listen on.")] = None,
    port: Annotated[int | None, typer.Option(help="Port of the UI and the management APIs.")] = None,
    inference_port: Annotated[int | None, typer.Option(help="Port of the inference front.")] = None,
    grpc_port: Annotated[
        int | None, typer.Option(help="Port of inference by gRPC; off unless given.")
    ] = None,
    inference_tls_cert: Annotated[
        str | None, typer.Option(help="Certificate chain in PEM: inference by HTTPS.")
    ] = None,
    inference_tls_key: Annotated[str | None, typer.Option(help="The certificate's key in PEM.")] = None,
    inference_tls_client_ca: Annotated[
        str | None, typer.Option(help="Let in only clients with a certificate of this authority.")
    ] = None,
    replica_secret_file: Annotated[
        str | None, typer.Option(help="File shared with replicas on other hosts.")
    ] = None,
    database: Annotated[str | None, typer.Option(help="sqlite:///FILE or postgresql://...")] = None,
    blobs: Annotated[str | None, typer.Option(help="file://FOLDER")] = None,
    executor: Annotated[str | None, typer.Option(help="local://")] = None,
    sign_in: Annotated[str | None, typer.Option(help="auto or always")] = None,
    log_level: Annotated[str | None, typer.Option(help="debug, info, warning or error")] = None,
) -> None:
    """Start the server: UI, APIs, inference and background work in one command."""
    from trimtab.server import start

    start(
        {
            "home": home,
            "host": host,
            "port": port,
            "inference_port": inference_port,
            "grpc_port": grpc_port,
            "inference_tls_cert": inference_tls_cert,
            "inference_tls_key": inference_tls_key,
            "inference_tls_client_ca": inference_tls_client_ca,
            "replica_secret_file": replica_secret_file,
            "database": database,
            "blobs": blobs,
            "executor": executor,
            "sign_in": sign_in,
            "log_level": log_level,
        }
    )


@app.command()
def status(
    url: Annotated[
        str | None, typer.Option("--url", help="The server; default TRIMTAB_URL or this machine's.")
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Show every stage of the loop as it stands now."""
    from trimtab.sdk.client import connect
    from trimtab.sdk.terminal import show_json, show_table

    stages = connect(url).get("/overview")["stages"]
    if json:
        show_json(stages)
        return
    rows = [(stage["name"], stage["state"], stage["headline"], stage["detail"]) for stage in stages]
    show_table(["stage", "state", "", ""], rows, empty="")


@app.command()
def timeline(
    episode: Annotated[str | None, typer.Option(help="Only this episode.")] = None,
    limit: int = 30,
    url: Annotated[
        str | None, typer.Option("--url", help="The server; default TRIMTAB_URL or this machine's.")
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Show what the loop did and why, oldest first."""
    from trimtab.sdk.client import connect
    from trimtab.sdk.terminal import show_json, show_table, when

    steps = [*reversed(connect(url).get("/timeline", episode=episode, limit=limit)["items"])]
    if json:
        show_json(steps)
        return
    rows = [(when(one["at_us"]), one["kind"], one["state"], one["title"], one["detail"]) for one in steps]
    columns = ["at", "", "", "what", "why"]
    show_table(
        columns, rows, empty="Nothing has happened yet. A monitor's alarm or a release begins a story."
    )


@app.command()
def version() -> None:
    """Print the version."""
    from trimtab.version import __version__

    print(__version__)
