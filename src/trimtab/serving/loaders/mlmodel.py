"""The MLmodel folder: its flavours, signature, metadata and input example."""

from pathlib import Path
from typing import Any

import msgspec

from trimtab.serving.errors import ModelNotLoaded
from trimtab.serving.routes import Signature, signature_of


class ModelFolder:
    """One model's files on disk, with its MLmodel file read."""

    def __init__(self, path: Path) -> None:
        import yaml  # not at the top: whoever runs compiled models only has no use for it

        loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
        self.path = path
        try:
            text = (path / "MLmodel").read_text()
        except OSError as error:
            raise ModelNotLoaded(f"{path} is no model folder: {error.strerror} (MLmodel)") from None
        try:
            content: Any = yaml.load(text, Loader=loader)  # noqa: S506 - one of the safe ones
            self.flavors: dict[str, dict[str, Any]] = content["flavors"]
            self.signature: Signature | None = signature_of(content.get("signature"))
        except (yaml.YAMLError, KeyError, TypeError, ValueError) as error:
            raise ModelNotLoaded(f"{path}/MLmodel cannot be understood: {error!r}") from None
        self.content: dict[str, Any] = content

    @property
    def predict(self) -> str:
        """The method whose answer is served: ours from the metadata, MLflow's ``predict_fn``, or ``predict``."""
        ours = (self.content.get("metadata") or {}).get("trimtab") or {}
        return str(
            ours.get("predict") or self.flavors.get("python_function", {}).get("predict_fn") or "predict"
        )

    def file(self, flavor: str, *keys: str) -> Path:
        """Return the file that a flavour names under one of the keys; it must be inside the folder."""
        entry = self.flavors[flavor]
        name = next((entry[key] for key in keys if entry.get(key)), None)
        if not isinstance(name, str):
            raise ModelNotLoaded(f"flavour {flavor} does not name its file ({' or '.join(keys)})")
        path = (self.path / name).resolve()
        if not path.is_relative_to(self.path.resolve()):
            raise ModelNotLoaded(f"flavour {flavor} names {name!r}, which is outside of the model's folder")
        if not path.exists():
            raise ModelNotLoaded(f"flavour {flavor} names {name!r}, which is not there")
        return path

    def example(self) -> bytes | None:
        """Return the input example as the body of a scoring request, or None where there is none that can be one."""
        serving = self.path / "serving_input_example.json"
        if serving.exists():
            return serving.read_bytes()
        path = self.path / "input_example.json"
        if not path.exists():
            return None
        value: Any = msgspec.json.decode(path.read_bytes())
        if isinstance(value, dict) and "data" in value:
            return msgspec.json.encode({"dataframe_split": value})
        if isinstance(value, list) and value and isinstance(value[0], dict):
            return msgspec.json.encode({"dataframe_records": value})
        return msgspec.json.encode({"inputs": value})
