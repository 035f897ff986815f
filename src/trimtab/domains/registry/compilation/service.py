"""Has versions compiled, keeps the verdicts, and lays compiled models out for whoever runs them."""

import os
import tempfile
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import msgspec
from blake3 import blake3

from trimtab.domains.registry.compilation import store
from trimtab.domains.registry.compilation.model import COMPILE, Compilation
from trimtab.domains.registry.errors import ModelCorrupt
from trimtab.domains.registry.events import ModelCompiled
from trimtab.domains.registry.files import Files
from trimtab.domains.registry.model import ModelVersion
from trimtab.domains.registry.runtimes import store as runtimes
from trimtab.domains.registry.runtimes.model import Runtime
from trimtab.infra.blobs.port import BlobNotFound
from trimtab.infra.db import Tx
from trimtab.kernel import refs
from trimtab.kernel.time import now_us
from trimtab.kernel.who import Principal
from trimtab.serving.compiling import process
from trimtab.serving.compiling.process import Limits
from trimtab.serving.compiling.verdict import FLAVORS, VERDICT_FILE, Verdict
from trimtab.serving.loaders.contract import MODEL_FILE

_NEEDED = ("onnx", "onnxruntime", "skl2onnx")


class Compilations(Files):
    """Compiled forms by version."""

    def compilation(self, who: Principal, name: str, version: int) -> Compilation:
        """Return whether a version was compiled, with the evidence; raises ModelVersionNotFound."""
        self.govern.permit(who, "read", refs.model(name, version))
        with self._db.read() as tx:
            found = self._version(tx, name, version)
            kept = store.get(tx, name=name, version=version)
        return kept.compilation if kept is not None else Compilation("none", found.created_us, 0, None)

    def compile_new(self, who: Principal, name: str, version: int) -> str | None:
        """Have a version compiled that has just been registered; return the id of the job, None where none is needed.

        What another version with the same files came to is taken over.
        """
        self.govern.permit(who, "write", refs.model(name, version))
        with self._db.write() as tx:
            found = self._version(tx, name, version)
            if not found.files or found.format == "prompt":
                return None
            if store.get(tx, name=name, version=version) is not None:  # told twice
                return None
            known = store.of_digest(tx, digest=found.digest)
            if known is not None and known.compilation.verdict is not None:
                self._keep(tx, who, found, known.compilation.verdict, known.blob)
                return None
            return self._begin(tx, found)

    def recompile(self, who: Principal, name: str, version: int) -> str:
        """Have a version compiled again by the libraries of now; return the id of the job.

        What was compiled before goes on serving until there is a new verdict. Raises ModelVersionNotFound.
        """
        self.govern.permit(who, "write", refs.model(name, version))
        with self._db.write() as tx:
            found = self._version(tx, name, version)
            self.govern.audit(tx, who, "registry.version.recompile", refs.model(name, version))
            return self._begin(tx, found)

    def environment_settled(self, who: Principal, name: str, version: int) -> str | None:
        """Have a version compiled again whose environment was settled after it was compiled; return the id of the job."""
        self.govern.permit(who, "write", refs.model(name, version))
        with self._db.write() as tx:
            found = self._version(tx, name, version)
            kept = store.get(tx, name=name, version=version)
            if kept is None or kept.compilation.state == "pending":
                return None
            return self._begin(tx, found)

    def carry_out_compilation(
        self,
        who: Principal,
        name: str,
        version: int,
        *,
        limits: Limits | None = None,
        tick: Callable[[], None] = lambda: None,
    ) -> Verdict:
        """Compile a version in a process of its own and keep the verdict; runs in a worker process."""
        self.govern.permit(who, "write", refs.model(name, version))
        with self._db.read() as tx:
            found = self._version(tx, name, version)
            runtime = runtimes.get(tx, digest=found.digest)
        blob: str | None = None
        refusal = _refusal(found, runtime)
        if refusal:
            verdict = Verdict("unsupported", refusal)
        else:
            with tempfile.TemporaryDirectory(prefix="trimtab-compile-") as scratch:
                out = Path(scratch, "out")
                model = self.materialize(who, name, version, Path(scratch, "model"))
                verdict = process.run(model, out, allow_pickle=not found.safe, limits=limits, tick=tick)
                if verdict.state == "compiled":
                    verdict = _inspected(out / MODEL_FILE, verdict)
                if verdict.state == "compiled":
                    with (out / MODEL_FILE).open("rb") as file:
                        blob = self._blobs.put(file)
        with self._db.write() as tx:
            self._keep(tx, who, self._version(tx, name, version), verdict, blob)
        return verdict

    def give_up_compilation(self, who: Principal, name: str, version: int, *, why: str) -> None:
        """Say of a version that it could not be tried whether it can be compiled."""
        self.govern.permit(who, "write", refs.model(name, version))
        verdict = Verdict("failed", f"The native model serves: compiling failed, {why[:500]}.")
        with self._db.write() as tx:
            self._keep(tx, who, self._version(tx, name, version), verdict, None)

    def materialize_compiled(self, who: Principal, name: str, version: int, folder: Path) -> Path | None:
        """Write a version's compiled model and its verdict into a folder and return it, None where there is none.

        A model that is there already is compared and, where it is another, replaced in one step. Raises
        ModelVersionNotFound, and ModelCorrupt where the bytes are gone or changed.
        """
        self.govern.permit(who, "read", refs.model(name, version))
        with self._db.read() as tx:
            kept = store.get(tx, name=name, version=version)
            if kept is None or kept.blob is None:
                self._version(tx, name, version)
                return None
        target = folder / MODEL_FILE
        if target.exists() and f"b3:{_digest(target)}" == kept.blob:
            return folder
        folder.mkdir(parents=True, exist_ok=True)
        verdict = msgspec.json.encode(kept.compilation.verdict)
        try:
            with self._blobs.open(kept.blob) as stream:
                _replace(target, stream.read())
        except BlobNotFound as error:
            raise ModelCorrupt(f"The compiled model of {name} version {version} is gone.") from error
        if f"b3:{_digest(target)}" != kept.blob:
            target.unlink()
            raise ModelCorrupt(f"The compiled model of {name} version {version} is not what was kept.")
        _replace(folder / VERDICT_FILE, verdict)
        return folder

    def _begin(self, tx: Tx, version: ModelVersion) -> str:
        store.begin(tx, name=version.name, version=version.version, at_us=now_us())
        payload = {"name": version.name, "version": version.version}
        key = f"{version.name}/{version.version}"
        return self._jobs.enqueue(tx, COMPILE, payload, queue="heavy", dedupe_key=key, max_attempts=2)

    def _keep(
        self, tx: Tx, who: Principal, version: ModelVersion, verdict: Verdict, blob: str | None
    ) -> None:
        name, number = version.name, version.version
        ref = refs.model(name, number)
        store.put(tx, name=name, version=number, at_us=now_us(), verdict=verdict, blob=blob)
        detail = {"state": verdict.state, "message": verdict.message[:500]}
        self.govern.audit(tx, who, "registry.version.compile", ref, detail=detail)
        timing = verdict.timings[0] if verdict.timings else None
        event = ModelCompiled(
            name=name,
            version=number,
            state=verdict.state,
            message=verdict.message[:500],
            native_us=timing.native_us if timing else None,
            compiled_us=timing.compiled_us if timing else None,
        )
        self._bus.emit(tx, event, subject=ref, actor=who.id)


def _refusal(version: ModelVersion, runtime: Runtime | None) -> str:
    """Return why no process is even started for a version, or nothing."""
    if "onnx" in version.flavors:
        return "It is a graph of ONNX already, which ONNX Runtime serves as it is."
    if not set(version.flavors) & set(FLAVORS):
        kind = version.flavor or version.format
        return f"The native model serves: only {', '.join(FLAVORS)} are compiled, and this is {kind}."
    if not version.safe and version.verdict not in ("safe", "allowed"):
        named = f" ({', '.join(version.strangers[:3])})" if version.strangers else ""
        return (
            f"The native model serves: its files are {version.verdict}{named}, and what may run code of its own is"
            " not loaded to be compiled."
        )
    if runtime is not None and runtime.state != "own":
        return (
            "The native model serves: it asks for other packages than the server has, and what it answers with them"
            " can only be known in its own environment."
        )
    if any(find_spec(name) is None for name in _NEEDED):
        return "The native model serves: compiling needs more libraries here, pip install 'trimtab[compile]'."
    return ""


def _inspected(file: Path, verdict: Verdict) -> Verdict:
    """Return the verdict, or another where the file is not what its process said: it will run in the gateway."""
    from trimtab.serving.compiling import inspection  # needs libraries that the server does not load

    wrong = inspection.problem(file) if file.exists() else "its file is not there"
    return Verdict("failed", f"The native model serves: {wrong}.") if wrong else verdict


def _digest(path: Path) -> str:
    digest = blake3()
    digest.update_mmap(path)
    return digest.hexdigest()


def _replace(path: Path, content: bytes) -> None:
    incoming = path.with_name(f".{path.name}-{os.getpid()}")
    incoming.write_bytes(content)
    incoming.replace(path)
