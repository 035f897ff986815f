"""The scan of model files: malicious ones built by hand are named, honest ones of the real libraries are let through."""

import bz2
import gzip
import io
import json
import pickle
import pickletools
import struct
import tarfile
import zipfile
import zlib
from pathlib import Path

import joblib
import numpy as np
import pytest
import skops.io
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from trimtab.domains.registry.archives import FileFinding, Inspector
from trimtab.domains.registry.formats import facts_of
from trimtab.domains.registry.model import File
from trimtab.domains.registry.pickles import COMPUTED, Budget
from trimtab.domains.registry.scan import AT_ONCE, FileScan, scan
from trimtab.domains.registry.trust import Trust
from trimtab.kernel.errors import Invalid

SKLEARN = b"""flavors:
  python_function: {loader_module: mlflow.sklearn, model_path: model.pkl}
  sklearn: {code: null, pickled_model: model.pkl, serialization_format: cloudpickle}
"""
OS_SYSTEM = b"cos\nsystem\n(S'true'\ntR."
POSIX = "posix.system"  # what os.system is called in a pickle


class Evil:
    def __reduce__(self):
        import os

        return os.system, ("true",)


def names_in(content: bytes, path: str = "model.pkl") -> set[str]:
    return {name for one in inspect(content, path) for name in one.names}


def inspect(content: bytes, path: str = "model.pkl", *, opcodes: int = 1_000_000) -> list[FileFinding]:
    return Inspector(Budget(opcodes=opcodes, bytes_=1 << 26)).file(path, io.BytesIO(content), loaded=True)


def judged(
    files: dict[str, bytes], *, extra: tuple[str, ...] = (), limits: tuple[int, int] = AT_ONCE
) -> FileScan:
    heads = {path: content[:4] for path, content in files.items()}
    facts = facts_of(files.get("MLmodel"), heads)
    listed = [File(path, path, len(content)) for path, content in sorted(files.items())]
    return scan(
        listed,
        facts,
        open_file=lambda file: io.BytesIO(files[file.blob]),
        trust=Trust(extra),
        loaded=facts.loaded,
        limits=limits,
        now_us=1,
    )


def zipped(**members: bytes) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name.replace("__", "/").replace("_DOT_", "."), content)
    return out.getvalue()


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_a_payload_is_named_in_every_protocol(protocol: int) -> None:
    content = pickle.dumps({"weights": [1.0] * 100, "model": Evil()}, protocol)
    assert names_in(content) == {POSIX}
    found = judged({"MLmodel": SKLEARN, "model.pkl": content})
    assert (found.verdict, found.strangers) == ("suspicious", [POSIX])


@pytest.mark.parametrize(
    ("content", "name"),
    [
        (OS_SYSTEM, "os.system"),
        (b"(S'true'\nios\nsystem\n.", "os.system"),
        (b"(cos\nsystem\nS'true'\no.", "os.system"),
        (b"c__builtin__\neval\n(S'1'\ntR.", "builtins.eval"),
        (b"\x80\x04\x8c\x02os\x8c\x06system\x93\x8c\x04true\x85R.", "os.system"),
        # The names wait in the memo, in a tuple's place, and come back by number.
        (b"\x80\x04\x8c\x02os\x940\x8c\x06system\x940h\x00h\x01\x93\x8c\x04true\x85R.", "os.system"),
        # The module's name is the result of a call: it cannot be known and is said to be so.
        (b"\x80\x04cbuiltins\nstr\n\x8c\x02os\x85R\x8c\x06system\x93.", COMPUTED),
        # Reaching through attributes of an allowed module.
        (b"\x80\x04\x8c\x0csklearn.base\x8c\tos.system\x93\x8c\x04true\x85R.", "sklearn.base:os.system"),
        (b"\x80\x02\x82\x01.", "(a name by number, from copyreg's registry)"),
        # What follows the payload is broken, and would have run all the same.
        (OS_SYSTEM[:-1] + b"\xff\xff", "os.system"),
        (OS_SYSTEM[:-1], "os.system"),
        # A second pickle after the first.
        (pickle.dumps([1]) + pickle.dumps(Evil()), POSIX),
        # Text between the names, and a name in a unicode escape.
        (b"\x80\x02X\x03\x00\x00\x00abc0cos\nsystem\n.", "os.system"),
    ],
)
def test_tricks_are_seen_through(content: bytes, name: str) -> None:
    assert name in names_in(content)
    assert judged({"MLmodel": SKLEARN, "model.pkl": content}).verdict == "suspicious"


def test_other_callables_with_harmful_reach_are_not_allowed() -> None:
    trust = Trust()
    for name in (
        "builtins.getattr", "builtins.exec", "builtins.__import__", "functools.partial", "operator.attrgetter",
        "importlib.import_module", "subprocess.Popen", "runpy.run_path", "webbrowser.open", "numpy.load",
        "numpy.testing._private.utils.runstring", "torch.load", "torch.hub.load", "joblib.load", "pickle.loads",
        "sklearn.datasets._base.load_files", "sklearn.utils._testing.SkipTest", "sklearn.base.clone",
        "sklearn.externals.Something", "cloudpickle.cloudpickle._make_function", "pandas.eval", "types.CodeType",
        "sklearn:os.system", "os.system", "shutil.rmtree", "builtins.open", "codecs.decode", "",
    ):  # fmt: skip
        assert not trust.allows(name), name


def _trained(model, **options):
    rows = np.random.default_rng(1).normal(size=(60, 3))
    return model(**options).fit(rows, rows[:, 0] > 0)


def test_honest_models_of_scikit_learn_are_allowed(tmp_path: Path) -> None:
    models = [
        _trained(LogisticRegression),
        _trained(RandomForestClassifier, n_estimators=3),
        _trained(HistGradientBoostingClassifier, max_iter=3),
        make_pipeline(StandardScaler(), LogisticRegression()).fit([[0.0], [1.0]], [0, 1]),
    ]
    for model in models:
        for protocol in (2, 4, 5):
            found = judged({"MLmodel": SKLEARN, "model.pkl": pickle.dumps(model, protocol)})
            assert (found.verdict, found.strangers, found.problems) == ("allowed", [], []), model
        for compress in (0, 3, ("gzip", 3), ("bz2", 3), ("xz", 3), ("lzma", 3)):
            file = tmp_path / "model.joblib"
            joblib.dump(model, file, compress=compress)
            found = judged({"MLmodel": SKLEARN, "model.pkl": file.read_bytes()})
            assert (found.verdict, found.strangers, found.problems) == ("allowed", [], []), (model, compress)
        content = skops.io.dumps(model)
        text = SKLEARN.replace(b"model.pkl", b"model.skops").replace(b"cloudpickle", b"skops")
        found = judged({"MLmodel": text, "model.skops": content})
        assert (found.verdict, found.strangers, found.problems) == ("safe", [], []), model


def test_an_evil_array_in_a_joblib_file_is_named(tmp_path: Path) -> None:
    file = tmp_path / "model.joblib"
    honest = np.arange(10.0)
    joblib.dump({"a": honest, "b": np.array([Evil(), None], dtype=object), "c": honest}, file)
    assert POSIX in names_in(file.read_bytes(), "model.joblib")


def test_archives_of_every_kind_are_opened() -> None:
    evil = pickle.dumps(Evil())
    tape = io.BytesIO()
    with tarfile.open(fileobj=tape, mode="w") as archive:
        member = tarfile.TarInfo("pickle")
        member.size = len(evil)
        archive.addfile(member, io.BytesIO(evil))
    array = io.BytesIO()
    np.save(array, np.array([Evil()], dtype=object), allow_pickle=True)
    torch = zipped(archive__data_DOT_pkl=evil, archive__data__0=b"\x00" * 64, archive__version=b"3\n")
    for path, content in {
        "model.pt": torch,
        "renamed.onnx": torch,
        "model.npz": zipped(arr_0_DOT_npy=array.getvalue()),
        "a.npy": array.getvalue(),
        "nested.zip": zipped(inner_DOT_zip=zipped(x_DOT_bin=evil)),
        "model.tar": tape.getvalue(),
        "model.pkl.gz": gzip.compress(evil),
        "m.joblib": zlib.compress(evil),
        "model.bz2": bz2.compress(evil),
        "after-rubbish.pt": b"rubbish" + torch,
    }.items():
        assert POSIX in names_in(content, path), path
        assert judged({"MLmodel": SKLEARN, path: content}).verdict == "suspicious", path


def test_tensors_of_pytorch_are_allowed() -> None:
    storage = b"(X\x07\x00\x00\x00storagectorch\nFloatStorage\nX\x01\x00\x00\x000X\x03\x00\x00\x00cpuK\x04tQ"
    tensor = (
        b"ctorch._utils\n_rebuild_tensor_v2\n("
        + storage
        + b"K\x00K\x02K\x02\x86K\x02K\x01\x86\x89ccollections\nOrderedDict\n)RtR"
    )
    content = b"\x80\x02ccollections\nOrderedDict\n)RX\x06\x00\x00\x00weight" + tensor + b"s."
    pickletools.dis(content, out=io.StringIO())
    archive = zipped(m__data_DOT_pkl=content, m__data__0=b"\x00" * 16, m__version=b"3\n")
    text = b"flavors: {pytorch: {model_data: data}, python_function: {loader_module: mlflow.pytorch, data: data}}"
    found = judged({"MLmodel": text, "data/model.pth": archive})
    assert (found.verdict, found.strangers) == ("allowed", [])


def test_layers_of_keras_that_carry_code_are_named() -> None:
    def saved(config: object) -> bytes:
        return zipped(config_DOT_json=json.dumps(config).encode(), metadata_DOT_json=b"{}")

    plain = {
        "module": "keras",
        "class_name": "Sequential",
        "config": {"layers": [{"module": "keras.layers", "class_name": "Dense"}]},
    }
    assert names_in(saved(plain), "model.keras") == set()
    code = {"module": "keras.layers", "class_name": "Lambda", "config": {"function": "4wEAAA=="}}
    assert names_in(saved({"config": [code]}), "model.keras") == {"keras.layers.Lambda"}
    reach = {"module": "subprocess", "class_name": "run", "config": {}}
    assert names_in(saved({"config": {"x": reach}}), "model.keras") == {"subprocess.run"}
    header = b"\x89HDF\r\n\x1a\n" + b"\x00" * 50
    assert names_in(header + b'model_config {"class_name": "Dense"}', "model.h5") == set()
    for lambda_ in (b'{"class_name": "Lambda"}', b'{"class_name": "\\u004cambda"}'):
        assert names_in(header + b"model_config " + lambda_, "model.h5") == {"keras.layers.Lambda"}


def test_types_of_skops_are_held_against_the_servers_list() -> None:
    schema = {"__class__": "system", "__module__": "os", "__loader__": "FunctionNode", "content": {}}
    text = SKLEARN.replace(b"model.pkl", b"model.skops").replace(b"cloudpickle", b"skops")
    found = judged({"MLmodel": text, "model.skops": zipped(schema_DOT_json=json.dumps(schema).encode())})
    assert (found.verdict, found.strangers) == ("suspicious", ["os.system"])


def test_the_list_belongs_to_the_server() -> None:
    content = b"cmy_package.models\nThing\n)R."
    files = {"MLmodel": SKLEARN, "model.pkl": content, "trusted.json": b'["my_package.models.Thing"]'}
    assert judged(files).strangers == ["my_package.models.Thing"]
    assert judged(files, extra=("my_package.*",)).verdict == "allowed"
    assert judged(files, extra=(" my_package.models.Thing ", "")).verdict == "allowed"
    with pytest.raises(Invalid, match="neither"):
        Trust(["*"])


@pytest.mark.parametrize(
    ("path", "content"),
    [
        ("model.zip", zipped(a=b"x" * 1000)[:-40]),
        ("model.pt", b"PK\x03\x04" + b"\x00" * 30),
        ("model.gz", gzip.compress(b"x" * 1000)[:-9]),
        ("a.npy", b"\x93NUMPY\x01\x00\x10\x00{'descr': [[[[["),
        ("model.h5", b"\x89HDF\r\n\x1a\n" + b"\x00" * ((64 << 20) + 1)),
        ("tape.tar", b"\x00" * 257 + b"ustar" + b"\xff" * 400),
    ],
    ids=["zip", "torch", "gzip", "npy", "hdf5", "tar"],  # the contents hold the time
)
def test_what_cannot_be_read_is_never_called_safe(path: str, content: bytes) -> None:
    assert judged({"MLmodel": SKLEARN.replace(b"pkl", b"skops"), path: content}).verdict in (
        "unknown",
        "suspicious",
    )


def test_bombs_and_endless_files_end_at_the_limits() -> None:
    bomb = zipped(data_DOT_pkl=b"\x00" * (64 << 20))
    found = judged({"MLmodel": SKLEARN, "model.pt": bomb}, limits=(1000, 1 << 20))
    assert (found.verdict, found.unfinished) == ("unknown", True)
    long = b"\x80\x02" + b"N0" * 100_000 + b"."
    assert judged({"MLmodel": SKLEARN, "model.pkl": long}, limits=(1000, 1 << 30)).unfinished
    assert judged({"MLmodel": SKLEARN, "model.pkl": long}).verdict == "allowed"
    nested = pickle.dumps(1)
    for _ in range(8):
        nested = zipped(x_DOT_zip=nested)
    assert judged({"MLmodel": SKLEARN, "model.zip": nested}).verdict == "unknown"


def test_code_beside_the_model_and_foreign_loaders_are_suspicious() -> None:
    skops_ml = SKLEARN.replace(b"pkl", b"json").replace(b"cloudpickle", b"skops")
    assert judged({"MLmodel": skops_ml, "code/helper.py": b"import os"}).verdict == "suspicious"
    assert judged({"MLmodel": skops_ml, "lib": b"\x7fELF" + b"\x00" * 20}).verdict == "suspicious"
    foreign = SKLEARN.replace(b"loader_module: mlflow.sklearn", b"loader_module: mine.loader")
    assert judged({"MLmodel": foreign, "model.pkl": pickle.dumps(1)}).verdict == "suspicious"


def test_random_bytes_never_break_the_scan() -> None:
    rng = np.random.default_rng(7)
    opcodes = [ord(code.code) for code in pickletools.opcodes]
    for size in range(1, 300):
        mixed = bytes(rng.choice(opcodes, size).astype(np.uint8)) + rng.bytes(20)
        for path in ("model.pkl", "model.pt"):
            inspect(mixed, path)
            inspect(b"\x80\x04" + mixed, path)
            inspect(struct.pack("<4sI", b"PK\x03\x04", size) + mixed, path)
