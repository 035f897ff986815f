"""Reads the opcodes of a pickle without ever loading it, and says which names the pickle would import.

A small stack machine follows texts, numbers, tuples and dictionaries through the stack and the memo, so that names which
are put together on the stack are seen too. What it cannot follow is reported as a name of its own, never left out.
"""

import math
import pickletools
import struct
from _compat_pickle import IMPORT_MAPPING, NAME_MAPPING
from typing import Any, BinaryIO

import msgspec

COMPUTED = "(a name that the file computes)"
_EXTENSION = "(a name by number, from copyreg's registry)"
_LONGEST_TEXT = 1 << 16
_LONGEST_LINE = 1 << 20
_PIECE = 1 << 20
_JOBLIB_ARRAY = "joblib.numpy_pickle.NumpyArrayWrapper"
_DTYPE = "numpy.dtype"

_COUNTED = {"string1": 1, "string4": 4, "bytes1": 1, "bytes4": 4, "bytes8": 8, "bytearray8": 8, "unicodestring1": 1,
            "unicodestring4": 4, "unicodestring8": 8, "long1": 1, "long4": 4}  # fmt: skip
_FIXED = {"uint1": "<B", "uint2": "<H", "int4": "<i", "uint4": "<I", "uint8": "<Q", "float8": ">d"}


class TooLong(Exception):
    """There is more to read than the budget allows."""


class Malformed(Exception):
    """The bytes are no pickle from here on; what came before would still have run."""


class Budget:
    """How much may still be read; shared by all files of one model."""

    def __init__(self, *, opcodes: int, bytes_: int) -> None:
        self.opcodes = opcodes
        self.bytes = bytes_

    def read(self, count: int) -> None:
        """Count bytes; raises TooLong."""
        self.bytes -= count
        if self.bytes < 0:
            raise TooLong("it holds more bytes than are scanned")


class Imported(msgspec.Struct, frozen=True):
    """A name on the stack: what the pickle would import."""

    name: str


class Called:
    """What a call of an imported name gave; ``state`` is what was set on it afterwards."""

    def __init__(self, name: str, arguments: Any) -> None:
        self.name = name
        self.arguments = arguments
        self.state: Any = None


class _Mark:
    """Where a list of arguments begins on the stack."""


class _Opaque:
    """A value whose content does not matter."""


_MARK = _Mark()
_OPAQUE = _Opaque()


class _Opcode(msgspec.Struct, frozen=True):
    name: str
    argument: str | None
    pops: int
    to_mark: bool
    pushes: int


def _table() -> list[_Opcode | None]:
    table: list[_Opcode | None] = [None] * 256
    for code in pickletools.opcodes:
        names = [item.name for item in code.stack_before]
        to_mark = "mark" in names
        pops = names.index("mark") if to_mark else len(names)
        argument = code.arg.name if code.arg else None
        table[ord(code.code)] = _Opcode(code.name, argument, pops, to_mark, len(code.stack_after))
    return table


_TABLE = _table()


class Walk:
    """One pass over one pickle: afterwards ``names`` holds every name that it would import, and more where unsure."""

    def __init__(self, stream: BinaryIO, budget: Budget) -> None:
        self._stream = stream
        self._budget = budget
        self._stack: list[Any] = []
        self._memo: dict[int, Any] = {}
        self._protocol = 0
        self.names: set[str] = set()

    def run(self) -> None:
        """Read to the end of the pickle; raises Malformed and TooLong, with the names up to there in ``names``."""
        while True:
            self._budget.opcodes -= 1
            if self._budget.opcodes < 0:
                raise TooLong("it holds more instructions than are scanned")
            code = _TABLE[self._exactly(1)[0]]
            if code is None:
                raise Malformed("it holds an unknown instruction")
            argument = self._argument(code.argument)
            if code.name == "STOP":
                return
            try:
                self._step(code, argument)
            except (IndexError, KeyError, ValueError) as error:
                raise Malformed("its instructions do not fit together") from error

    def _step(self, code: _Opcode, argument: Any) -> None:  # noqa: C901, PLR0912, PLR0915 - one case for each kind of instruction
        stack = self._stack
        match code.name:
            case "MARK":
                stack.append(_MARK)
            case "PROTO":
                self._protocol = argument
            case "GLOBAL":
                module, _, name = argument.partition(" ")
                stack.append(self._import(module, name))
            case "STACK_GLOBAL":
                name, module = stack.pop(), stack.pop()
                stack.append(self._import(module, name))
            case "INST":
                module, _, name = argument.partition(" ")
                arguments = self._to_mark()
                stack.append(Called(self._import(module, name).name, tuple(arguments)))
            case "OBJ":
                made, *arguments = self._to_mark()
                stack.append(self._call(made, tuple(arguments)))
            case "REDUCE" | "NEWOBJ":
                arguments, made = stack.pop(), stack.pop()
                stack.append(self._call(made, arguments))
            case "NEWOBJ_EX":
                stack.pop()
                arguments, made = stack.pop(), stack.pop()
                stack.append(self._call(made, arguments))
            case "EXT1" | "EXT2" | "EXT4":
                self.names.add(_EXTENSION)
                stack.append(_OPAQUE)
            case "BUILD":
                self._build(stack.pop(), stack[-1])
            case "TUPLE":
                stack.append(tuple(self._to_mark()))
            case "EMPTY_TUPLE" | "TUPLE1" | "TUPLE2" | "TUPLE3":
                parts = [stack.pop() for _ in range(code.pops)]
                stack.append(tuple(reversed(parts)))
            case "EMPTY_DICT":
                stack.append({})
            case "DICT":
                stack.append(_pairs({}, self._to_mark()))
            case "SETITEM":
                value, key = stack.pop(), stack.pop()
                _pairs(stack[-1], [key, value])
            case "SETITEMS":
                values = self._to_mark()
                _pairs(stack[-1], values)
            case "APPEND" | "APPENDS" | "ADDITEMS":
                _ = self._to_mark() if code.to_mark else stack.pop()
                _ = stack[-1]  # there must be something to add to
            case "POP":
                stack.pop()
            case "POP_MARK":
                self._to_mark()
            case "DUP":
                stack.append(stack[-1])
            case "GET" | "BINGET" | "LONG_BINGET":
                stack.append(self._memo[argument])
            case "PUT" | "BINPUT" | "LONG_BINPUT":
                self._memo[argument] = stack[-1]
            case "MEMOIZE":
                self._memo[len(self._memo)] = stack[-1]
            case "NONE":
                stack.append(None)
            case "NEWTRUE" | "NEWFALSE":
                stack.append(code.name == "NEWTRUE")
            case _:
                self._any(code, argument)

    def _any(self, code: _Opcode, argument: Any) -> None:
        """Follow an instruction that only moves values: constants, lists, sets, persistent ids, buffers."""
        if code.to_mark:
            self._to_mark()
        for _ in range(code.pops):
            self._stack.pop()
        for _ in range(code.pushes):
            self._stack.append(_OPAQUE if argument is None or code.name == "PERSID" else argument)

    def _to_mark(self) -> list[Any]:
        for place in range(len(self._stack) - 1, -1, -1):
            if self._stack[place] is _MARK:
                values = self._stack[place + 1 :]
                del self._stack[place:]
                return values
        raise IndexError

    def _import(self, module: Any, name: Any) -> Imported:
        if not isinstance(module, str) or not isinstance(name, str):
            self.names.add(COMPUTED)
            return Imported(COMPUTED)
        if self._protocol < 3:
            module, name = NAME_MAPPING.get((module, name), (module, name))
            module = IMPORT_MAPPING.get(module, module)
        # A full stop in the name reaches through attributes; the colon keeps that from looking like a plain name.
        full = f"{module}.{name}" if "." not in name else f"{module}:{name}"
        self.names.add(full[:500])
        return Imported(full)

    def _call(self, made: Any, arguments: Any) -> Called:
        if not isinstance(made, Imported):
            # Calling what a call gave, or anything else that was not imported by name.
            self.names.add(COMPUTED)
            return Called(COMPUTED, arguments)
        return Called(made.name, arguments)

    def _build(self, state: Any, target: Any) -> None:
        if not isinstance(target, Called):
            return
        target.state = state
        if target.name == _JOBLIB_ARRAY:
            self._skip_array(state)

    def _skip_array(self, state: Any) -> None:
        """Pass over the bytes of an array, which joblib writes between the instructions."""
        if not isinstance(state, dict):
            raise Malformed("an array does not say how large it is")
        shape, kind = state.get("shape"), state.get("dtype")
        if not isinstance(shape, tuple) or not all(isinstance(one, int) and one >= 0 for one in shape):
            raise Malformed("an array does not say how large it is")
        if holds_objects(kind):
            inner = Walk(self._stream, self._budget)
            try:
                inner.run()
            finally:
                self.names |= inner.names
            return
        if state.get("numpy_array_alignment_bytes") is not None:
            self._skip(self._exactly(1)[0])
        self._skip(math.prod(shape) * item_size(kind))

    def _argument(self, kind: str | None) -> Any:
        if kind is None:
            return None
        if kind in _FIXED:
            return struct.unpack(_FIXED[kind], self._exactly(struct.calcsize(_FIXED[kind])))[0]
        if kind in _COUNTED:
            size = int.from_bytes(self._exactly(_COUNTED[kind]), "little", signed=kind == "string4")
            return self._counted(kind, size)
        first = self._line()
        if kind == "stringnl_noescape_pair":
            return f"{first} {self._line()}"
        if kind.startswith("decimalnl"):
            try:
                return int(first.rstrip("L"))
            except ValueError as error:
                raise Malformed("it holds a number that is none") from error
        if kind == "stringnl":
            return first.strip("'\"")
        return first

    def _counted(self, kind: str, size: int) -> Any:
        if size < 0:
            raise Malformed("it holds a text of negative length")
        if kind.startswith(("bytes", "bytearray")) or size > _LONGEST_TEXT:
            self._skip(size)
            return _OPAQUE
        raw = self._exactly(size)
        if kind.startswith("long"):
            return int.from_bytes(raw, "little", signed=True)
        if not kind.startswith("unicode"):
            return raw.decode("utf-8", "replace")
        try:
            return raw.decode("utf-8", "surrogatepass")
        except UnicodeDecodeError as error:
            raise Malformed("it holds a text that is none") from error

    def _line(self) -> str:
        raw = self._stream.readline(_LONGEST_LINE)
        self._budget.read(len(raw))
        if not raw.endswith(b"\n"):
            raise Malformed("it ends in the middle")
        return raw[:-1].decode("utf-8", "replace")

    def _exactly(self, count: int) -> bytes:
        raw = self._stream.read(count)
        self._budget.read(count)
        if len(raw) < count:
            raise Malformed("it ends in the middle")
        return raw

    def _skip(self, count: int) -> None:
        while count > 0:
            piece = self._stream.read(min(count, _PIECE))
            self._budget.read(len(piece))
            if not piece:
                raise Malformed("it ends in the middle")
            count -= len(piece)


def _pairs(target: Any, values: list[Any]) -> Any:
    """Put keys and values into a dictionary that is followed; others are not."""
    if isinstance(target, dict):
        for key, value in zip(values[::2], values[1::2], strict=True):
            if isinstance(key, str | int) and len(target) < 1000:
                target[key] = value
    return target


def _code(kind: Any) -> str:
    """Return the letter and size of a pickled numpy dtype, such as ``f8``; raises Malformed."""
    if isinstance(kind, Called) and kind.name == _DTYPE and isinstance(kind.arguments, tuple):
        first = kind.arguments[0] if kind.arguments else None
        if isinstance(first, str) and first[:1].isalpha() and first[1:].isdigit():
            return first
    raise Malformed("an array is of a kind that is not known")


def holds_objects(kind: Any) -> bool:
    """Whether arrays of a pickled dtype hold Python objects, also in a field; raises Malformed where that is unclear."""
    code = _code(kind)
    if code[0] != "V":
        return code[0] == "O"
    state = kind.state
    if not isinstance(state, tuple) or len(state) < 5:
        raise Malformed("an array is of a kind that is not known")
    base, fields = state[2], state[4]  # (version, byte order, shape of items, names, fields, ...)
    if base is not None:
        raise Malformed("an array is of a kind that is not known")
    if fields is None:
        return False
    if not isinstance(fields, dict):
        raise Malformed("an array is of a kind that is not known")
    return any(isinstance(one, tuple) and one and holds_objects(one[0]) for one in fields.values())


def item_size(kind: Any) -> int:
    """Return the bytes of one item of a pickled dtype; raises Malformed."""
    code = _code(kind)
    return int(code[1:]) * (4 if code[0] == "U" else 1)
