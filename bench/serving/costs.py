"""What the parts of a request cost ours: each part is switched off in turn, and the rest measured again.

Where a setting switches a part off, the setting is used (open access, no signature). Where none does, the gateway of
that measurement is started with one function of it replaced, by a `sitecustomize` that no other process heeds.
"""

from pathlib import Path

import msgspec

_HEAD = """
import sys
if any("trimtab.serving.gateway" in word for word in sys.orig_argv):
"""


class Part(msgspec.Struct, frozen=True):
    """One part of the path. ``code`` replaces it in the gateway; without it a setting does."""

    title: str
    code: str = ""
    sign_in: str = "always"
    signature: bool = True
    native: bool = False
    kinds: tuple[str, ...] = ("logistic", "xgboost", "forest", "python")


_NO_LOG = """
from trimtab.serving import segments
assert segments.SegmentWriter.append
segments.SegmentWriter.append = lambda self, record: None
"""
_NO_MODEL = """
from trimtab.serving import links
from trimtab.serving.batch import Output
assert links.Pool.infer
async def infer(self, schema, batch, *, want, timeout_s):
    return [Output("predictions", "FP64", [batch.rows], [0.12345678901234567] * batch.rows)]
links.Pool.infer = infer
"""
_ANSWER_AT_ONCE = """
from trimtab.serving import front
from trimtab.serving.http import answer, read_body
assert front.Front.__call__
async def call(self, scope, receive, send):
    await read_body(receive, dict(scope["headers"]), 1 << 24)
    await answer(send, 200, b'{"outputs":[{"name":"predictions","shape":[1],"datatype":"FP64","data":[0.5]}]}')
front.Front.__call__ = call
"""

PARTS: dict[str, Part] = {
    "all": Part("everything on"),
    "key check": Part("open access", sign_in="auto"),
    "validation": Part("no signature", signature=False, kinds=("logistic", "xgboost", "forest")),
    "prediction log": Part("no prediction log", code=_NO_LOG),
    "model and its hop": Part("a constant instead of the model", code=_NO_MODEL),
    "all but HTTP": Part("an answer at once", code=_ANSWER_AT_ONCE),
}
"""By what is missing then."""


def environment(part: Part, folder: Path) -> dict[str, str]:
    """Return the variables with which a server runs without a part."""
    if not part.code:
        return {}
    folder.mkdir(parents=True)
    body = "".join(f"    {line}\n" for line in part.code.strip().splitlines())
    (folder / "sitecustomize.py").write_text(_HEAD + body)
    return {"PYTHONPATH": str(folder)}
