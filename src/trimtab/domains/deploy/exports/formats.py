"""The formats that endpoints can be written in, and which of them can hold several endpoints."""

from collections.abc import Callable, Sequence
from importlib import import_module
from typing import NamedTuple

from trimtab.domains.deploy.exports.errors import UnknownFormat
from trimtab.domains.deploy.exports.view import EndpointView, Wish
from trimtab.kernel.errors import did_you_mean

YAML = "application/yaml"
TEXT = "text/plain; charset=utf-8"


class Format(NamedTuple):
    """One format: the module whose ``render(endpoints, wish)`` writes it, and what becomes of the text."""

    name: str
    title: str
    file_name: str
    media_type: str
    upstreams: bool
    """Whether it needs to know where versions answer."""

    @property
    def render(self) -> Callable[[Sequence[EndpointView], Wish], str]:
        """The function that writes it."""
        return import_module(f"trimtab.domains.deploy.exports.{self.name}").render


FORMATS: dict[str, Format] = {
    one.name: one
    for one in (
        Format("haproxy", "HAProxy", "haproxy.cfg", TEXT, upstreams=True),
        Format("envoy", "Envoy", "envoy.yaml", YAML, upstreams=True),
        Format("kubernetes", "Kubernetes", "kubernetes.yaml", YAML, upstreams=False),
        Format("kserve", "KServe", "kserve.yaml", YAML, upstreams=False),
    )
}

_RAY = (
    "Ray Serve needs a folder, with the models in it: trimtab endpoints export NAME --ray --output FOLDER, or"
    " POST /api/v1/endpoints/NAME/ray."
)
ELSEWHERE = {"ray": _RAY, "ray-serve": _RAY}
"""Formats that are no single file, and where they are written."""


def format_of(name: str) -> Format:
    """Return a format by its name; raises UnknownFormat with the nearest one."""
    if name in FORMATS:
        return FORMATS[name]
    reason = ELSEWHERE.get(name) or f"Formats are {', '.join(FORMATS)}.{did_you_mean(name, FORMATS)}"
    raise UnknownFormat(f"There is no export as {name[:100]!r}. {reason}", field="format")
