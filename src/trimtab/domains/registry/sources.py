"""Finds what a new version is made of: the files behind a source, the run they came from, and what they say."""

from contextlib import suppress
from typing import BinaryIO

import msgspec

from trimtab.domains.registry.errors import BadSource, ModelCorrupt
from trimtab.domains.registry.formats import HEAD_BYTES, MLMODEL, MOST_MLMODEL_BYTES, facts_of
from trimtab.domains.registry.model import Facts, File, ModelVersion
from trimtab.domains.registry.scan import AT_ONCE, FileScan, scan
from trimtab.domains.registry.trust import Trust
from trimtab.domains.registry.uris import ArtifactSource, ExternalSource, LoggedModelSource, RunSource
from trimtab.domains.tracking import TrackingService
from trimtab.domains.tracking.errors import LoggedModelNotFound, RunNotFound
from trimtab.domains.tracking.metrics.model import finite
from trimtab.domains.tracking.runs.model import RunHead
from trimtab.infra.blobs import Blobs
from trimtab.infra.blobs.port import BlobNotFound
from trimtab.infra.db import Tx
from trimtab.kernel import refs
from trimtab.kernel.who import Principal

_SCHEME = "mlflow-artifacts:/"
_PROMPT_SOURCES = ("dummy-source", "prompt-template")  # what MLflow's clients send for a prompt


_OF_THE_MACHINE = "system/"
"""Metrics that tell of the machine which trained, not of the model."""


class Origin(msgspec.Struct, frozen=True):
    """Everything about a version that its source decides. ``location`` is None where there are no files."""

    source: str
    location: str | None
    run_id: str | None
    model_id: str | None
    files: list[File]
    facts: Facts
    metrics: dict[str, float | None]
    copied_from: str | None = None


class Sources:
    """Looks sources up in tracking and reads the files' own words from the blobs."""

    def __init__(self, tracking: TrackingService, blobs: Blobs) -> None:
        self._tracking = tracking
        self._blobs = blobs

    def find(
        self,
        who: Principal,
        source: str,
        parsed: RunSource | LoggedModelSource | ArtifactSource | ExternalSource,
        *,
        run_id: str | None,
        model_id: str | None,
    ) -> Origin:
        """Return what a source holds; raises BadSource where it is not there or belongs to someone else."""
        match parsed:
            case ExternalSource():
                return self._elsewhere(who, parsed, run_id=run_id, model_id=model_id)
            case LoggedModelSource():
                place = self._logged_model(who, source, parsed.model_id)
            case RunSource():
                place = self._run_folder(who, source, parsed)
            case ArtifactSource():
                place = self._artifacts(who, source, parsed)
        prefix, owner_run, owner_model = place
        if run_id and run_id != owner_run and (owner_model is None or isinstance(parsed, RunSource)):
            raise BadSource(f"The run {run_id[:64]} does not own {source[:200]!r}.", field="run_id")
        if model_id and model_id != owner_model:
            raise BadSource(
                f"The logged model {model_id[:64]} does not own {source[:200]!r}.", field="model_id"
            )
        files = self._files(who, prefix)
        origin_run = run_id or owner_run
        return Origin(
            source=source,
            location=f"{_SCHEME}{prefix}",
            run_id=origin_run,
            model_id=owner_model,
            files=files,
            facts=self.facts(files),
            metrics=self.metrics(who, origin_run) if origin_run else {},
        )

    def _elsewhere(
        self, who: Principal, parsed: ExternalSource, *, run_id: str | None, model_id: str | None
    ) -> Origin:
        """Return the origin of files that clients keep in a store of their own: nothing is known of what they hold."""
        if model_id and not run_id:
            _, run_id, _ = self._logged_model(who, parsed.uri, model_id)
        return Origin(
            source=parsed.uri,
            location=parsed.uri,
            run_id=run_id,
            model_id=model_id,
            files=[],
            facts=Facts(
                format="external", safe=False, unsafe_because=["its files are not kept by this server"]
            ),
            metrics=self.metrics(who, run_id) if run_id else {},
        )

    def unchanged(self, who: Principal, version: ModelVersion, files: list[File]) -> bool:
        """Whether tracking still has exactly the version's files where the version came from."""
        if version.location is None or not version.location.startswith(_SCHEME):
            return True
        now = self._files(who, version.location.removeprefix(_SCHEME).strip("/"))
        return {(one.path, one.blob) for one in now} == {(one.path, one.blob) for one in files}

    def of_version(
        self, other: ModelVersion, files: list[File], *, run_id: str | None, model_id: str | None
    ) -> Origin:
        """Return what a copy of another version holds; raises BadSource where the ids are not the other's."""
        if (run_id and run_id != other.run_id) or (model_id and model_id != other.model_id):
            raise BadSource(
                f"Invalid model version source: the run and the model must be those of {other.name}"
                f" version {other.version}.",
                field="run_id" if run_id and run_id != other.run_id else "model_id",
            )
        return Origin(
            source=f"models:/{other.name}/{other.version}",
            location=other.location,
            run_id=other.run_id,
            model_id=other.model_id,
            files=files,
            facts=self.facts(files)
            if files
            else Facts(format=other.format, safe=other.safe, unsafe_because=other.unsafe_because),
            metrics=other.metrics,
            copied_from=refs.model(other.name, other.version),
        )

    def of_prompt(self, source: str) -> Origin:
        """Return the origin of an MLflow prompt, whose text is in its tags; raises BadSource for a real source."""
        if source not in _PROMPT_SOURCES:
            raise BadSource(f"A prompt has no files; its source is {_PROMPT_SOURCES[0]!r}.", field="source")
        return Origin(
            source=source,
            location=None,
            run_id=None,
            model_id=None,
            files=[],
            facts=Facts(format="prompt", safe=True),
            metrics={},
        )

    def scan(
        self, origin: Origin, *, trust: Trust, now_us: int, limits: tuple[int, int] = AT_ONCE
    ) -> FileScan:
        """Look into the files and return what would run when they are loaded; raises ModelCorrupt."""
        return scan(
            origin.files,
            origin.facts,
            open_file=self._open,
            trust=trust,
            loaded=origin.facts.loaded,
            limits=limits,
            now_us=now_us,
        )

    def rescan(
        self, version: ModelVersion, files: list[File], *, trust: Trust, now_us: int, limits: tuple[int, int]
    ) -> FileScan:
        """Look into the files of a version that is registered already; raises ModelCorrupt."""
        facts = self.facts(files) if files else Facts(format=version.format, safe=version.safe)
        return scan(
            files,
            facts,
            open_file=self._open,
            trust=trust,
            loaded=facts.loaded,
            limits=limits,
            now_us=now_us,
        )

    def _open(self, file: File) -> BinaryIO:
        try:
            return self._blobs.open(file.blob)
        except BlobNotFound as error:
            raise ModelCorrupt(f"The bytes of {file.path} are gone.") from error

    def facts(self, files: list[File]) -> Facts:
        """Return what the files say of the model; raises ModelCorrupt where their bytes are gone."""
        heads = {file.path: self._read(file, HEAD_BYTES) for file in files}
        described = next((file for file in files if file.path == MLMODEL), None)
        text = self._read(described, MOST_MLMODEL_BYTES + 1) if described is not None else None
        return facts_of(text, heads)

    def metrics(self, who: Principal, run_id: str) -> dict[str, float | None]:
        """Return the latest value of each metric of a run, None where it is not finite; nothing for a run that is gone."""
        try:
            run = self._tracking.runs.get(who, run_id)
        except RunNotFound:
            return {}
        return {
            key: finite(latest.value)
            for key, latest in run.metrics.items()
            if not key.startswith(_OF_THE_MACHINE)
        }

    def params(self, who: Principal, version: ModelVersion) -> dict[str, str]:
        """Return the parameters of a version's run and of its logged model, which take precedence."""
        found: dict[str, str] = {}
        if version.run_id:
            with suppress(RunNotFound):
                found |= self._tracking.runs.get(who, version.run_id).params
        if version.model_id:
            with suppress(LoggedModelNotFound):
                found |= self._tracking.logged_models.get(who, version.model_id, allow_deleted=True).params
        return found

    def text(self, file: File, most: int) -> str:
        """Return the beginning of a file as text; raises ModelCorrupt."""
        return self._read(file, most).decode("utf-8", "replace")

    def note_version(self, tx: Tx, version: ModelVersion) -> None:
        """Have the logged model of a version say that it is registered, in the caller's transaction; idempotent."""
        if version.model_id is not None:
            self._tracking.logged_models.note_version(
                tx, version.model_id, name=version.name, version=version.version
            )

    def _logged_model(self, who: Principal, source: str, model_id: str) -> tuple[str, str | None, str | None]:
        try:
            model = self._tracking.logged_models.get(who, model_id)
        except LoggedModelNotFound as error:
            raise BadSource(f"There is no logged model {model_id}.", field="source") from error
        return _prefix(model.artifact_uri, source), model.source_run_id, model_id

    def _run_folder(
        self, who: Principal, source: str, parsed: RunSource
    ) -> tuple[str, str | None, str | None]:
        root = _prefix(self._run(who, parsed.run_id).artifact_uri, source)
        prefix = f"{root}/{parsed.path}" if parsed.path else root
        if self._files(who, prefix):
            return prefix, parsed.run_id, None
        # MLflow 3 keeps models beside their runs and still lets them be named by run and name.
        for output in reversed(self._tracking.runs.get(who, parsed.run_id).model_outputs):
            with suppress(LoggedModelNotFound):
                model = self._tracking.logged_models.get(who, output.model_id)
                if model.name == parsed.path:
                    return _prefix(model.artifact_uri, source), parsed.run_id, model.id
        return prefix, parsed.run_id, None

    def _artifacts(
        self, who: Principal, source: str, parsed: ArtifactSource
    ) -> tuple[str, str | None, str | None]:
        if parsed.owner == "logged-model":
            root, run_id, model_id = self._logged_model(who, source, parsed.owner_id)
        else:
            root = _prefix(self._run(who, parsed.owner_id).artifact_uri, source)
            run_id, model_id = parsed.owner_id, None
        if parsed.prefix != root and not parsed.prefix.startswith(f"{root}/"):
            raise BadSource(f"{source[:200]!r} is not among the artifacts of its owner.", field="source")
        return parsed.prefix, run_id, model_id

    def _run(self, who: Principal, run_id: str) -> RunHead:
        try:
            return self._tracking.runs.head(who, run_id)
        except RunNotFound as error:
            raise BadSource(f"There is no run {run_id[:64]}.", field="source") from error

    def _files(self, who: Principal, prefix: str) -> list[File]:
        found = self._tracking.artifacts.files(who, prefix)
        return [File(one.path.removeprefix(f"{prefix}/"), one.blob, one.size_bytes) for one in found]

    def _read(self, file: File, most: int) -> bytes:
        with self._open(file) as stream:
            return stream.read(most)


def _prefix(uri: str, source: str) -> str:
    """Return the path in our artifact store; raises BadSource for a run that keeps its artifacts elsewhere."""
    if not uri.startswith(_SCHEME) or uri.startswith(f"{_SCHEME}/"):
        raise BadSource(
            f"The files of {source[:200]!r} are not in this server's artifact store.", field="source"
        )
    return uri.removeprefix(_SCHEME).strip("/")
