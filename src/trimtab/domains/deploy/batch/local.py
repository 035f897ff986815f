"""Batch predictions on this machine, without a job on the server: for files, and for whoever wants the result here.

Heavy: imported only where it runs, by the command line.
"""

import shutil
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path

import msgspec

from trimtab.domains.data.tables import format_of
from trimtab.domains.deploy.batch.errors import BadTable
from trimtab.domains.deploy.batch.model import Options, Summary, check_options
from trimtab.domains.deploy.batch.parts import join
from trimtab.domains.deploy.batch.processes import Start, start
from trimtab.domains.deploy.batch.run import Run, Tell
from trimtab.domains.deploy.batch.sources import Table, digest_of_file, digest_of_folder
from trimtab.domains.deploy.settings.model import DEFAULT, change_fields, stricter
from trimtab.kernel.errors import Invalid, NotFound, did_you_mean
from trimtab.sdk import data as datasets
from trimtab.sdk import models
from trimtab.sdk.client import Client
from trimtab.serving.policies.settings import FieldRule

_PARQUET = (".parquet", ".pq")


class Written(msgspec.Struct, frozen=True):
    """Where the predictions are: a file of this machine or a data version, and the refused rows, where there are any."""

    output: str
    refused: str | None
    summary: Summary


def _is_file(output: str) -> bool:
    """Whether an output is a file of this machine and not the name of a dataset."""
    return output.lower().endswith(_PARQUET) or "/" in output


def predict_here(
    *,
    model: str,
    data: str,
    output: str,
    options: Options,
    resume: bool,
    path: str = "",
    connect: Callable[[], Client],
    tell: Tell,
    ray: str = "",
) -> Written:
    """Predict a table in processes of this machine, or of the Ray cluster at an address, and write the predictions.

    ``model`` is a folder with an MLmodel file or a registered version, ``data`` a file, a folder of files with the
    same columns, or a data version, ``output`` a Parquet file or the name of a dataset. ``path`` chooses one file of a
    folder or version that holds several tables. The rules of what is written down hold for datasets, and not for files
    of this machine. What an earlier call was cut
    off from is continued with ``resume`` and begun anew without.
    """
    check_options(options)
    output = output or _default_output(data)
    if _is_file(output) and not output.lower().endswith(_PARQUET):
        raise Invalid(f"{output} does not end with .parquet, which is what is written.", field="output")
    folder, model_digest, model_ref = _model(model, connect)
    table, data_ref = _table(data, path, connect)
    target = Path(output)
    rules = rules_of(model_ref, connect()) if model_ref and not _is_file(output) else {}
    parts_folder = target.with_name(f"{target.name}.parts")
    if not resume:
        shutil.rmtree(parts_folder, ignore_errors=True)
    with _processes(ray, folder) as (begin, most):
        run = Run(
            table,
            folder,
            model_digest=model_digest,
            options=msgspec.structs.replace(options, workers=options.workers or most),
            folder=parts_folder,
            rules=rules,
            start=begin,
        )
        done = run.carry_out(tell)
    files, refused = run.parts.files(done.parts), run.parts.refused_files(done.parts)
    if _is_file(output):
        left_out = target.with_name(f"{target.stem}.refused{target.suffix}")
        if refused:
            join(refused, left_out)
        join(files, target)
        written = Written(str(target), str(left_out) if refused else None, done.summary)
    else:
        parents = [ref for ref in (data_ref, model_ref) if ref]
        what = f"of {model} on {data}"
        upload = _Upload(parts_folder, connect(), parents)
        left_out = upload.add(f"{output}-refused", refused, f"Rows refused, {what}") if refused else None
        written = Written(upload.add(output, files, f"Predictions {what}"), left_out, done.summary)
    run.parts.remove()
    return written


@contextmanager
def _processes(ray: str, model: Path) -> Generator[tuple[Start, int]]:
    """Lend what starts processes, and how many there are to be; 0 leaves that to this machine."""
    if not ray:
        yield start, 0
        return
    from trimtab.domains.deploy.batch.ray import Cluster

    with Cluster(ray, model) as cluster:
        yield cluster.start, cluster.processors


class _Upload:
    """Adds parts as the next version of a dataset."""

    def __init__(self, folder: Path, client: Client, parents: list[str]) -> None:
        self._folder = folder
        self._client = client
        self._parents = parents

    def add(self, name: str, files: list[Path], message: str) -> str:
        gathered = self._folder / "upload"
        shutil.rmtree(gathered, ignore_errors=True)
        gathered.mkdir()
        for file in files:
            (gathered / file.name).hardlink_to(file)
        added = datasets.add(name, gathered, message=message, derived_from=self._parents, client=self._client)
        return added.ref


def _default_output(data: str) -> str:
    if data.startswith("data:"):
        return f"{data.removeprefix('data:').partition('@')[0]}-predictions"
    return f"{Path(data).name.partition('.')[0]}-predictions.parquet"


def _model(model: str, connect: Callable[[], Client]) -> tuple[Path, str, str | None]:
    """Return the model's folder, the digest of its content, and its reference where it is registered."""
    if not model.startswith("models:/"):
        folder = Path(model)
        if not (folder / "MLmodel").is_file():
            raise NotFound(
                f"{model} is neither a folder with an MLmodel file nor a registered version such as models:/NAME/3.",
                field="model",
            )
        return folder, digest_of_folder(folder), None
    client = connect()
    found = models.get(model, client=client)
    folder = models.cached(found, client=client)
    return folder, found.digest, f"model:{found.name}/{found.version}"


def rules_of(model_ref: str, client: Client) -> dict[str, FieldRule]:
    """Return what is done to a registered model's inputs before they are written on the server; raises Invalid for hashes."""
    name = model_ref.removeprefix("model:").rpartition("/")[0]
    rules: dict[str, FieldRule] = {}
    for endpoint in client.get("/endpoints")["items"]:
        if endpoint["model"] != name:
            continue
        texts = client.get(f"/endpoints/{endpoint['name']}/settings")["fields"]
        for column, rule in change_fields(DEFAULT, texts).policies.fields.items():
            rules[column] = stricter(rules.get(column, rule), rule)
    hashed = sorted(column for column, rule in rules.items() if rule.kind == "hash")
    if hashed:
        raise Invalid(
            f"Column {hashed[0]!r} is hashed before it is written, by a key that only the server has: predict there, "
            "without --local, or write a file of this machine.",
            field="output",
        )
    return rules


def _table(data: str, chosen: str, connect: Callable[[], Client]) -> tuple[Table, str | None]:
    if data.startswith("data:"):
        name, _, version = data.removeprefix("data:").partition("@")
        if version and version != "latest" and not version.isdigit():
            raise Invalid(f"{data[:80]!r} is not a data version such as data:flights@3.", field="data")
        client = connect()
        found = datasets.show(name, int(version) if version.isdigit() else None, client=client)
        folder = datasets.get(name, found.version, client=client)
        return Table(_files(folder, chosen), digest=f"{found.digest}/{chosen}"), found.ref
    path = Path(data)
    if path.is_dir():
        return Table(_files(path, chosen), digest=f"{digest_of_folder(path)}/{chosen}"), None
    if not path.is_file():
        raise NotFound(f"There is no file {data}.", field="data")
    if format_of(path.name) is None:
        raise Invalid(f"{data} is not a table: Parquet, Arrow, CSV or JSON lines.", field="data")
    return Table([(path, path.name)], digest=digest_of_file(path)), None


def _files(folder: Path, chosen: str) -> list[tuple[Path, str]]:
    names = sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())
    tables = [name for name in names if format_of(name)]
    if chosen and chosen not in tables:
        raise BadTable(
            f"There is no table file {chosen[:200]!r}.{did_you_mean(chosen, tables)}", field="path"
        )
    return [(folder / name, name) for name in tables if not chosen or name == chosen]
