"""One attempt to compile a model: load it, convert it, compare both, take the times, and say what came out."""

import platform
import time
from collections.abc import Callable, Mapping, Sequence
from importlib import import_module, metadata
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from trimtab.kernel.errors import TrimtabError
from trimtab.serving.batch import Batch, Output
from trimtab.serving.compiling import inspection
from trimtab.serving.compiling.compare import Comparison, answering, one_row, timings
from trimtab.serving.compiling.convert import Source, convert
from trimtab.serving.compiling.errors import Unsupported
from trimtab.serving.compiling.rows import RANDOM_ROWS, Hint, References, hints_of, packed
from trimtab.serving.compiling.verdict import FLAVORS, Tolerance, Verdict
from trimtab.serving.errors import ModelNotLoaded
from trimtab.serving.frames import PREDICTIONS
from trimtab.serving.loaders import Model, Rows, load
from trimtab.serving.loaders.compiled import load_compiled
from trimtab.serving.loaders.contract import MODEL_FILE
from trimtab.serving.loaders.mlmodel import ModelFolder
from trimtab.serving.protocols import mlflow
from trimtab.serving.routes import NUMERIC, Field
from trimtab.serving.schema import Schema

_LIBRARIES = ("onnx", "onnxruntime", "skl2onnx", "numpy", "scikit-learn", "xgboost", "lightgbm", "catboost")
_TIMED_ROWS = (1, 1000)


def compile_model(
    model: Path,
    out: Path,
    *,
    allow_pickle: bool = False,
    given: bytes | None = None,
    tolerance: Tolerance | None = None,
) -> Verdict:
    """Compile the model in a folder and write ``model.onnx`` into another where it is exact enough.

    ``given`` is a scoring request in MLflow's form whose rows are compared too. Every way in which a model can be unfit
    is a verdict; what raises is a fault of this code.
    """
    started = time.monotonic()
    try:
        verdict = _Attempt(model, out, given=given, tolerance=tolerance or Tolerance()).run(
            allow_pickle=allow_pickle
        )
    except Unsupported as error:
        verdict = Verdict("unsupported", f"The native model serves: {error}.")
    except ModelNotLoaded as error:
        verdict = Verdict("unsupported", f"The model cannot be loaded here: {error.message}.")
    except MemoryError:
        verdict = Verdict("failed", "The native model serves: compiling takes more memory than is allowed.")
    if verdict.state != "compiled":
        (out / MODEL_FILE).unlink(missing_ok=True)
    return msgspec.structs.replace(verdict, versions=_versions(), took_s=round(time.monotonic() - started, 2))


class _Attempt:
    def __init__(self, model: Path, out: Path, *, given: bytes | None, tolerance: Tolerance) -> None:
        self._folder = ModelFolder(model)
        self._file = out / MODEL_FILE
        self._given = given
        self._tolerance = tolerance

    def run(self, *, allow_pickle: bool) -> Verdict:
        _require_libraries()
        fields = self._fields()
        native = load(self._folder, allow_pickle=allow_pickle)
        if native.flavor not in FLAVORS:
            raise Unsupported(f"models of the flavour {native.flavor} are not converted")
        if not native.names or not set(native.names) <= {field.name for field in fields}:
            raise Unsupported("its signature does not name the columns that it takes")
        examples = self._examples()
        source = Source(self._folder, native, fields, ())
        references = References(fields, self._hints(source), examples[0].columns or {} if examples else {})
        source.native = tuple(self._probe(native, fields, [*examples, references.random()]))
        return self._try_each(source, references, examples)

    def _fields(self) -> Sequence[Field]:
        signature = self._folder.signature
        if signature is None:
            raise Unsupported("it has no signature, so that its columns are not known")
        for field in signature.inputs:
            if field.shape is not None or field.type not in (*NUMERIC, "string"):
                kind = "a tensor" if field.shape is not None else field.type
                raise Unsupported(f"its column {field.name!r} is {kind}, which is not compiled")
        return signature.inputs

    def _examples(self) -> list[Rows]:
        found: list[Rows] = []
        schema = Schema(self._folder.signature)
        for body in (self._given, self._folder.example()):
            if body is None:
                continue
            try:
                decoded = mlflow.decode(schema, body)
                batch = decoded if isinstance(decoded, Batch) else decoded()
            except TrimtabError as error:
                raise Unsupported(
                    f"its input example does not keep its signature: {error.message}"
                ) from error
            found.append(Rows(batch.rows, columns=batch.by_name(schema.fields)))
        return found

    def _hints(self, source: Source) -> list[Hint]:
        """Return what the model betrays of the signature's columns, in their order."""
        if source.estimator is not None:
            found = hints_of(source.estimator, source.model.names)
        else:
            ensemble = source.ensemble()
            thresholds: Mapping[int, np.ndarray] = ensemble.forest.thresholds() if ensemble else {}
            found = [Hint() for _ in source.model.names]
            for at, values in thresholds.items():
                found[at].thresholds = values
        by_name = dict(zip(source.model.names, found, strict=True))
        return [by_name.get(name) or Hint() for name in source.names]

    def _probe(self, native: Model, fields: Sequence[Field], candidates: Sequence[Rows]) -> list[Output]:
        """Return what the native model answers, for the names, types and shapes of its outputs."""
        answer = answering(native, _packing(native, fields))
        problem: Exception | None = None
        for rows in candidates:
            try:
                return answer(rows)
            except native.input_errors as error:
                problem = error
        raise Unsupported(f"it refuses every row that it was tried with: {problem}")

    def _try_each(self, source: Source, references: References, examples: Sequence[Rows]) -> Verdict:
        best: Verdict | None = None
        for real in _precisions(source):
            try:
                verdict = self._try(source, references, examples, real)
            except (Unsupported, ModelNotLoaded) as error:
                if best is None:
                    raise
                del error  # the single precision was at least converted: its difference says more
                break
            if verdict.state == "compiled":
                return verdict
            if best is None or _share(verdict) < _share(best):
                best = verdict
        assert best is not None
        return best

    def _try(self, source: Source, references: References, examples: Sequence[Rows], real: Any) -> Verdict:
        packing = _packing(source.model, source.fields)
        native = answering(source.model, packing)
        gaps = references.gaps()
        complete = [name for name, rows in gaps.items() if _refuses(source.model, native, rows)]
        model, contract = convert(source, real, complete=complete)
        raw = model.SerializeToString()
        self._file.write_bytes(raw)
        wrong = inspection.problem(self._file)
        if wrong:
            raise Unsupported(wrong)
        compiled_model = load_compiled(self._file, self._folder.signature)
        compiled_packing = _packing(compiled_model, source.fields)
        compiled = answering(compiled_model, compiled_packing)
        comparison = Comparison(
            native, compiled, tolerance=self._tolerance, refusals=source.model.input_errors
        )
        compiled_model.in_blocks = False
        self._compare(comparison, references, examples, gaps, complete)
        compiled_model.in_blocks = True
        many = references.random()
        if compiled_model.prepare_batches(compiled_packing(many) if compiled_packing else many):
            comparison.take("random, in blocks", many)
        verdict = Verdict(
            state="differs" if comparison.differs else "compiled",
            message="",
            runtime=f"onnxruntime {metadata.version('onnxruntime')}",
            opset={one.domain or "ai.onnx": one.version for one in model.opset_import},
            contract=contract,
            rows=comparison.rows,
            refused=comparison.refused,
            ties=comparison.ties,
            largest=comparison.largest,
            tolerance=self._tolerance,
            size_bytes=len(raw),
        )
        if verdict.state == "differs":
            return msgspec.structs.replace(verdict, message=_difference(comparison))
        if comparison.rows.get("random", 0) < RANDOM_ROWS:
            raise Unsupported("it refuses some of the ordinary rows that were made to compare it")
        timed = timings(
            lambda rows: source.model.predict(rows, PREDICTIONS),
            lambda rows: compiled_model.predict(rows, PREDICTIONS),
            [
                (
                    [packing(rows) if packing else rows for rows in batches],
                    [compiled_packing(rows) if compiled_packing else rows for rows in batches],
                )
                for batches in map(references.batches, _TIMED_ROWS)
            ],
        )
        if timed[0].compiled_us > timed[0].native_us:
            raise Unsupported(
                f"compiled, one row would take {_us(timed[0].compiled_us)} instead of {_us(timed[0].native_us)}"
            )
        message = (
            f"Answers as the native model does on {sum(comparison.rows.values()):,} rows; one row takes"
            f" {_us(timed[0].compiled_us)} instead of {_us(timed[0].native_us)}."
        )
        return msgspec.structs.replace(verdict, message=message, timings=timed)

    def _compare(
        self,
        comparison: Comparison,
        references: References,
        examples: Sequence[Rows],
        gaps: Mapping[str, Rows],
        complete: Sequence[str],
    ) -> None:
        for at, rows in enumerate(examples):
            comparison.take("given" if self._given is not None and at == 0 else "example", rows)
        comparison.take("random", references.random())
        near = references.near()
        if near is not None:
            comparison.take("thresholds", near)
        for rows in gaps.values():
            comparison.take("missing", rows)
        holey = references.holey([name for name in gaps if name not in complete])
        if holey is not None:
            comparison.take("missing", holey)
        strangers = references.strangers()
        if strangers is not None:
            for at in range(strangers.count):
                comparison.take("unknown text", one_row(strangers, at))


def _packing(model: Model, fields: Sequence[Field]) -> Callable[[Rows], Rows] | None:
    """Return what turns columns into the matrix that a model takes, None where it takes columns."""
    if not model.packed:
        return None
    by_name = {field.name: field for field in fields}
    ordered = [by_name[name] for name in model.names]

    def pack(rows: Rows) -> Rows:
        return packed(rows, ordered)

    return pack


def _refuses(model: Model, native: Any, rows: Rows) -> bool:
    try:
        native(rows)
    except model.input_errors:
        return True
    return False


def _precisions(source: Source) -> Sequence[Any]:
    """Return the types of numbers to try, the quicker one first where it can be exact."""
    ensemble = source.ensemble() if source.numeric else None
    if ensemble is not None:
        return (np.float32,) if ensemble.rounded else (np.float64,)
    return (np.float32, np.float64)


def _share(verdict: Verdict) -> float:
    return verdict.largest.share if verdict.largest is not None else float("inf")


def _difference(comparison: Comparison) -> str:
    if comparison.problem:
        return f"The native model serves: the compiled one is not the same, because {comparison.problem}."
    largest = comparison.largest
    assert largest is not None
    where = "" if largest.position is None else f" of class {largest.position}"
    many = "" if largest.share >= 1e300 else f" ({largest.share:,.1f} times what is tolerated)"
    return (
        f"The native model serves: on one row ({largest.kind}) {largest.output}{where} is {largest.native}, and"
        f" {largest.compiled} compiled{many}."
    )


def _us(value: float) -> str:
    return f"{value / 1000:,.1f} ms" if value >= 10_000 else f"{value:,.0f} \N{MICRO SIGN}s"


def _require_libraries() -> None:
    for name in ("onnx", "onnxruntime"):
        try:
            import_module(name)
        except ImportError:
            raise Unsupported("compiling needs more libraries: pip install 'trimtab[compile]'") from None


def _versions() -> dict[str, str]:
    found = {"python": platform.python_version()}
    for name in _LIBRARIES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found
