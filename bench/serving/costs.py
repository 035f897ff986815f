"""What the parts of a request cost ours: each part is switched off in turn, and the rest measured again.

Where a setting switches a part off, the setting is used (open access, a native model in a process of its own). Where
none does, the gateway of that measurement is started with a function of it replaced, by a `sitecustomize` that no other
process heeds and that leaves a file behind when it was heeded.
"""

from pathlib import Path

import msgspec

_HEAD = """
import sys
if any("trimtab.serving.gateway" in word for word in sys.orig_argv):
    from pathlib import Path
"""
_HEEDED = "heeded"


class Part(msgspec.Struct, frozen=True):
    """A server with one part missing, or done otherwise. ``code`` replaces it in the gateway."""

    title: str
    code: str = ""
    sign_in: str = "always"
    native: bool = False


# Takes what was sent as right: no check of names, shapes, types or ranges, for one tensor of 12 columns.
_NO_VALIDATION = """
import msgspec
from array import array
from trimtab.serving.batch import Batch
from trimtab.serving.protocols import v2
class Tensor(msgspec.Struct):
    shape: list[int]
    data: list[float]
class Body(msgspec.Struct):
    inputs: list[Tensor]
read = msgspec.json.Decoder(Body).decode
def decode(schema, body, headers):
    tensor = read(body).inputs[0]
    return Batch({}, 1, outputs=("predictions",), packed=array("d", tensor.data).tobytes())
assert v2.decode
v2.decode = decode
"""
_NO_LOG = """
from trimtab.serving.front import Front
assert Front._write
Front._write = lambda self, *given, **named: None
"""
_NO_MODEL = """
from trimtab.serving.batch import Output
from trimtab.serving.compiled import Compiled
from trimtab.serving.table import LiveVersion
assert Compiled.predict and LiveVersion.infer
def predict(self, schema, batch, want):
    return [Output("predictions", "FP64", [batch.rows], [0.12345678901234567] * batch.rows)]
async def infer(self, schema, batch, *, want, timeout_s):
    return predict(self, schema, batch, want)
Compiled.predict, LiveVersion.infer = predict, infer
"""
_ANSWER_AT_ONCE = """
from trimtab.serving.front import Front
from trimtab.serving.http import Answer
same = Answer(200, b'{"outputs":[{"name":"predictions","shape":[1],"datatype":"FP64","data":[0.12345]}]}')
assert Front.admit and Front.handle
Front.admit = lambda self, request: 1 << 24
Front.handle = lambda self, request: same
"""

PARTS: dict[str, Part] = {
    "nothing": Part("everything on"),
    "key check": Part("open access", sign_in="auto"),
    "validation": Part("rows taken as they are", code=_NO_VALIDATION),
    "prediction log": Part("no prediction log", code=_NO_LOG),
    "model": Part("a constant instead of the model", code=_NO_MODEL),
    "all but HTTP": Part("an answer at once", code=_ANSWER_AT_ONCE),
    "compiled form": Part("the native model in a process of its own", native=True),
}
"""By what is missing then."""

OF_MANY = ("nothing", "prediction log", "model", "all but HTTP")
"""What is measured with many rows a request, too: what they cost is nearly all in these."""


def environment(part: Part, folder: Path) -> dict[str, str]:
    """Return the variables with which a server runs without a part; they name the folder, which is made."""
    folder.mkdir(parents=True)
    if not part.code:
        return {}
    body = "".join(f"    {line}\n" for line in part.code.strip().splitlines())
    heeded = f"    Path({str(folder / _HEEDED)!r}).touch()\n"
    (folder / "sitecustomize.py").write_text(_HEAD + body + heeded)
    return {"PYTHONPATH": str(folder)}


def took_effect(part: Part, folder: Path) -> bool:
    """Say whether the part was really switched off: the names that it goes by may have changed."""
    return not part.code or (folder / _HEEDED).exists()
