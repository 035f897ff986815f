"""Signed bundles of a real model, as the server makes them."""

import base64
import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from tests.serving.conftest import write_mlmodel
from trimtab.domains.deploy.edge.building import build
from trimtab.serving.routes import Field, Signature

KEY = Ed25519PrivateKey.generate()
PUBLIC = base64.b64encode(KEY.public_key().public_bytes_raw()).decode()
_X = np.random.default_rng(4).normal(size=(300, 2)).astype(np.float32)


def sign(message: bytes, key: Ed25519PrivateKey = KEY) -> bytes:
    return base64.b64encode(key.sign(message))


@pytest.fixture(scope="session")
def onnx_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A logistic regression of columns a and b as an ONNX graph, with an input example."""
    from skl2onnx import to_onnx
    from sklearn.linear_model import LogisticRegression

    model = LogisticRegression().fit(_X, _X[:, 0] > 0)
    graph = to_onnx(model, _X[:1], options={"zipmap": False})
    folder = tmp_path_factory.mktemp("onnx")
    (folder / "model.onnx").write_bytes(graph.SerializeToString())
    example = {"columns": ["a", "b"], "data": [[0.5, 1.0], [-2.0, 0.25], [3.0, -1.0]]}
    (folder / "input_example.json").write_text(json.dumps(example))
    return write_mlmodel(
        folder,
        {"onnx": {"data": "model.onnx"}},
        Signature([Field("a", "double"), Field("b", "double")]),
        metadata={"trimtab": {"predict": "predict_proba_1"}},
    )


@pytest.fixture(scope="session")
def first_zip(tmp_path_factory: pytest.TempPathFactory, onnx_folder: Path) -> Path:
    """Bundle 1 of the channel scans@champion."""
    target = tmp_path_factory.mktemp("bundle") / "bundle.zip"
    build(
        target,
        model=onnx_folder,
        compiled=None,
        reference=None,
        manifest={
            "channel": "scans@champion", "model": "scans", "version": "3", "digest": "sha256:0",
            "sequence": 1, "endpoint": "scans-edge", "created_us": 1,
        },
        server="http://127.0.0.1:9",
        public=PUBLIC,
        sign=sign,
    )  # fmt: skip
    return target


Change = Callable[[dict[str, Any], dict[str, bytes]], None]


def changed(
    first: Path, target: Path, change: Change, *, key: Ed25519PrivateKey = KEY, hashes: bool = True
) -> Path:
    """Write a bundle whose manifest and files were changed, signed again."""
    import hashlib

    with zipfile.ZipFile(first) as archive:
        files = {name: archive.read(name) for name in archive.namelist()}
    manifest = json.loads(files.pop("bundle.json"))
    files.pop("bundle.sig")
    trust = files.pop("trust.json")
    change(manifest, files)
    if hashes:
        manifest["files"] = {
            name: [hashlib.sha256(data).hexdigest(), len(data)] for name, data in files.items()
        }
    content = json.dumps(manifest).encode()
    from trimtab.serving.edge.verify import CONTEXT

    with zipfile.ZipFile(target, "w") as archive:
        for name, data in {
            **files, "bundle.json": content, "bundle.sig": sign(CONTEXT + content, key), "trust.json": trust,
        }.items():  # fmt: skip
            archive.writestr(name, data)
    return target


@pytest.fixture
def device(first_zip: Path, tmp_path: Path) -> Path:
    """The unpacked first bundle on a device."""
    folder = tmp_path / "device"
    with zipfile.ZipFile(first_zip) as archive:
        archive.extractall(folder)
    return folder
