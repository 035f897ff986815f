"""Trimtab's Python surface: every name a notebook needs, imported only when it is used."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from trimtab.version import __version__

if TYPE_CHECKING:
    from trimtab import moving
    from trimtab.sdk import batch, data, endpoints, features, models, monitors, rollouts
    from trimtab.sdk.client import Client, connect
    from trimtab.sdk.pipelines import pipeline, step
    from trimtab.sdk.reproduction import reproduce
    from trimtab.sdk.runs import run

_NAMES = {
    "connect": "trimtab.sdk.client:connect",
    "Client": "trimtab.sdk.client:Client",
    "run": "trimtab.sdk.runs:run",
    "reproduce": "trimtab.sdk.reproduction:reproduce",
    "step": "trimtab.sdk.pipelines:step",
    "pipeline": "trimtab.sdk.pipelines:pipeline",
    "batch": "trimtab.sdk.batch",
    "data": "trimtab.sdk.data",
    "features": "trimtab.sdk.features",
    "models": "trimtab.sdk.models",
    "endpoints": "trimtab.sdk.endpoints",
    "monitors": "trimtab.sdk.monitors",
    "rollouts": "trimtab.sdk.rollouts",
    "moving": "trimtab.moving",
}

__all__ = [
    "Client",
    "__version__",
    "batch",
    "connect",
    "data",
    "endpoints",
    "features",
    "models",
    "monitors",
    "moving",
    "pipeline",
    "reproduce",
    "rollouts",
    "run",
    "step",
]


def __getattr__(name: str) -> Any:
    target = _NAMES.get(name)
    if target is None:
        raise AttributeError(f"module 'trimtab' has no attribute {name!r}")
    module, _, attribute = target.partition(":")
    value = import_module(module)
    if attribute:
        value = getattr(value, attribute)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_NAMES})
