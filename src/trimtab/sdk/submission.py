"""Takes a pipeline from a file to a run on the server: packs its source, registers it, submits it, follows it."""

import importlib.util
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import msgspec

from trimtab.kernel.errors import Invalid, NotFound, did_you_mean
from trimtab.sdk.bundles import collect, pack
from trimtab.sdk.client import Client
from trimtab.sdk.parameters import bind
from trimtab.sdk.pipelines import Pipeline

ENDED = ("succeeded", "failed", "cancelled")
_FIRST_WAIT_S = 0.02
_LONGEST_WAIT_S = 0.5


def load(target: str) -> tuple[Path, Pipeline[..., Any]]:
    """Import ``FILE.py:NAME`` and return the file with its pipeline; without ``:NAME`` the file must have just one.

    Raises NotFound for a missing file or name, and Invalid for what is no pipeline.
    """
    text, _, name = target.partition(":")
    file = Path(text).absolute()
    if not file.is_file():
        raise NotFound(f"There is no file {text}.", field="file")
    module = _import(file)
    pipelines = {key: value for key, value in vars(module).items() if isinstance(value, Pipeline)}
    if not name and len(pipelines) == 1:
        name = next(iter(pipelines))
    if name not in pipelines:
        listed = ", ".join(pipelines) or "none; mark a function with @trimtab.pipeline"
        hint = did_you_mean(name, pipelines)
        raise NotFound(f"{file.name} has no pipeline {name!r} (it has {listed}).{hint}", field="file")
    return file, pipelines[name]


def publish(client: Client, target: str, params: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Upload the source of ``FILE.py:NAME`` and register it; return the pipeline as the server has it.

    ``params`` are only for drawing its graph; where they do not suffice the graph is drawn at the first run.
    """
    return _publish(client, *load(target), params or {})


def _publish(
    client: Client, file: Path, pipeline: Pipeline[..., Any], params: Mapping[str, Any]
) -> dict[str, Any]:
    files = collect(file)
    bundle = client.upload("/pipeline-bundles", pack(files), method="POST")
    body = {
        "name": pipeline.name,
        "source_blob": bundle["blob"],
        "entry": f"{file.stem}:{pipeline.function.__name__}",
        "spec": spec_of(file, pipeline, params),
    }
    return client.post("/pipelines", body)


def spec_of(file: Path, pipeline: Pipeline[..., Any], params: Mapping[str, Any]) -> dict[str, Any]:
    """Return what is known of a pipeline without running it: parameters, graph, description and git commit."""
    needed = {parameter.name for parameter in pipeline.parameters if parameter.required}
    steps: list[dict[str, Any]] = []
    if needed <= params.keys():
        graph = pipeline.build(params)
        steps = [{"name": node.name, "needs": node.needs} for node in graph.nodes]
    return {
        "parameters": msgspec.to_builtins(pipeline.parameters),
        "steps": steps,
        "description": (pipeline.__doc__ or "").strip(),
        "commit": git_commit(file),
    }


def submit(client: Client, target: str, params: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Publish ``FILE.py:NAME`` and queue a run of it; return the run. Raises Invalid that names a wrong parameter.

    Paths among the parameters are made absolute, as the run does not work in this folder.
    """
    return submit_pipeline(client, *load(target), params or {})


def submit_pipeline(
    client: Client, file: Path, pipeline: Pipeline[..., Any], params: Mapping[str, Any]
) -> dict[str, Any]:
    """Do as ``submit`` for a pipeline that was imported from its file already."""
    given = absolute_paths(pipeline, params)
    bind(pipeline.function, given)
    registered = _publish(client, file, pipeline, given)
    return client.post("/pipeline-runs", {"pipeline": registered["name"], "params": given})


def absolute_paths(pipeline: Pipeline[..., Any], params: Mapping[str, Any]) -> dict[str, Any]:
    """Return the parameters with those that are paths made absolute."""
    paths = {parameter.name for parameter in pipeline.parameters if parameter.kind == "path"}
    return {
        name: str(Path(value).expanduser().absolute()) if name in paths and isinstance(value, str) else value
        for name, value in params.items()
    }


def follow(client: Client, run_id: str) -> Iterator[dict[str, Any]]:
    """Yield a run again and again until it has ended, the end included."""
    wait_s = _FIRST_WAIT_S
    while True:
        run = client.get(f"/pipeline-runs/{run_id}")
        yield run
        if run["state"] in ENDED:
            return
        time.sleep(wait_s)
        wait_s = min(_LONGEST_WAIT_S, wait_s * 1.5)


def git_commit(file: Path) -> str:
    """Return the commit at which a file stands unchanged in its git repository, else nothing."""
    try:
        changed = _git(file, "status", "--porcelain", "--", ".")
        return _git(file, "rev-parse", "HEAD") if not changed else ""
    except (OSError, subprocess.SubprocessError):
        return ""


def _git(file: Path, *words: str) -> str:
    command = ["git", "-C", str(file.parent), *words]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=5)
    return done.stdout.strip()


def _import(file: Path) -> Any:
    collect(file)  # says what is wrong with the name or the syntax better than the import would
    sys.path.insert(0, str(file.parent))
    spec = importlib.util.spec_from_file_location(file.stem, file)
    if spec is None or spec.loader is None:
        raise Invalid(f"{file} cannot be imported.", field="file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[file.stem] = module
    spec.loader.exec_module(module)
    return module
