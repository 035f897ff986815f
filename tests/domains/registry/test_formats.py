"""What MLmodel files say, and what makes a model unsafe."""

import pickle
import time

import pytest

from trimtab.domains.registry.formats import MLmodelUnreadable, facts_of, read_mlmodel

SKOPS = b"""
flavors:
  python_function: {loader_module: mlflow.sklearn, model_path: model.skops}
  sklearn: {code: null, pickled_model: model.skops, serialization_format: skops}
"""


def _facts(text: bytes, **heads: bytes):
    return facts_of(
        text, {"MLmodel": text[:4], **{name.replace("__", "."): head for name, head in heads.items()}}
    )


@pytest.mark.parametrize(
    ("flavor", "kind", "flavor_name"),
    [
        ("sklearn: {pickled_model: model.skops, serialization_format: skops}", "skops", "sklearn"),
        ("xgboost: {data: model.ubj, model_format: ubj}", "xgboost", "xgboost"),
        ("xgboost: {data: model.json, model_format: json}", "xgboost", "xgboost"),
        ("lightgbm: {data: model.lgb, serialization_format: skops}", "lightgbm", "lightgbm"),
        ("lightgbm: {data: model.skops, serialization_format: skops}", "skops", "lightgbm"),
        ("onnx: {data: model.onnx}", "onnx", "onnx"),
    ],
)
def test_plain_formats_are_safe(flavor: str, kind: str, flavor_name: str) -> None:
    facts = _facts(f"flavors:\n  {flavor}\n  python_function: {{loader_module: mlflow.x}}".encode())
    assert (facts.format, facts.safe, facts.flavor, facts.unsafe_because) == (kind, True, flavor_name, [])


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("flavors: {sklearn: {pickled_model: model.pkl, serialization_format: cloudpickle}}", "cloudpickle"),
        ("flavors: {sklearn: {pickled_model: model.pkl}}", "pickle"),
        ("flavors: {lightgbm: {data: model.pkl}}", "pickle"),
        (
            "flavors: {python_function: {loader_module: mlflow.pyfunc.model, python_model: python_model.pkl}}",
            "pickle",
        ),
        ("flavors: {tensorflow: {data: x}}", "tensorflow"),
        ("flavors: {}", "unknown"),
    ],
)
def test_others_are_not(text: str, kind: str) -> None:
    facts = _facts(text.encode())
    assert (facts.format, facts.safe) == (kind, False)
    assert facts.unsafe_because


def test_a_pickle_under_another_name_is_found() -> None:
    for protocol in (2, 3, 4, 5):
        facts = _facts(SKOPS, model__skops=pickle.dumps([], protocol)[:4])
        assert not facts.safe
        assert "model.skops is a pickle" in facts.unsafe_because[0]
    assert not _facts(SKOPS, extra__joblib=b"....").safe
    assert not _facts(SKOPS, code__py=b"impo").safe
    assert _facts(SKOPS, model__skops=b"PK\x03\x04").safe


def test_a_foreign_loader_or_code_is_unsafe() -> None:
    assert not _facts(SKOPS.replace(b"mlflow.sklearn", b"evil")).safe
    assert not _facts(SKOPS.replace(b"mlflow.sklearn", b"[1, 2]")).safe
    assert not _facts(SKOPS.replace(b"code: null", b"code: code")).safe


def test_without_an_mlmodel_nothing_is_known() -> None:
    assert facts_of(None, {}).format == "none"
    facts = facts_of(None, {"a": b""})
    assert (facts.format, facts.safe) == ("files", False)


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"- a list",
        b"flavors: [",
        b"\xff\xfe\x00",
        b"a: !!python/object/apply:os.system ['true']",
        b"[" * 100_000,
        b"x" * (5 << 20),
    ],
)
def test_what_is_no_mlmodel_is_unknown_and_unsafe(text: bytes) -> None:
    facts = _facts(text)
    assert (facts.format, facts.safe) == ("unknown", False)


def test_anchors_that_expand_are_refused_quickly() -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 12)]
    started = time.monotonic()
    with pytest.raises(MLmodelUnreadable, match="too many"):
        read_mlmodel("\n".join(lines).encode())
    with pytest.raises(MLmodelUnreadable):
        read_mlmodel(b"a: &a [*a]")
    assert time.monotonic() - started < 5


def test_signatures_are_decoded_and_bad_ones_left_out() -> None:
    signed = (
        SKOPS
        + b"""signature: {inputs: '[{"type": "double", "name": "a"}]', outputs: 'not json', params: null}"""
    )
    assert _facts(signed).signature == {
        "inputs": [{"type": "double", "name": "a"}],
        "outputs": None,
        "params": None,
    }
    assert _facts(SKOPS + b"signature: null").signature is None
    assert _facts(SKOPS + b"signature: [1]").signature is None
