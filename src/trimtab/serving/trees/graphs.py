"""Takes the trees out of a graph: arrays of their nodes, and the graphs of what comes before and after them.

Only what can be put in XGBoost's terms exactly: one operator with comparisons in single precision, and leaves with one
weight each. The bytes are read without ONNX, of which a server has the runtime only (onnx.proto3 has the numbers of the
fields: https://github.com/onnx/onnx/blob/main/onnx/onnx.proto3).
"""

from collections.abc import Sequence

import msgspec
import numpy as np

from trimtab.kernel import protobuf

_GRAPH = 7
_NODE, _TITLE, _CONSTANT, _INPUT, _OUTPUT = 1, 2, 5, 11, 12
_FLOAT32 = 1
_MOST_NODES = 2_000_000
_END_OF_ATTRIBUTE = b"\xa0\x01"
"""The key of an attribute's type, which stands behind its values."""


class Trees(msgspec.Struct, frozen=True):
    """Nodes of all trees in their order: a row goes to ``yes`` where its feature is below ``value``.

    ``starts`` has each tree's first node and, last, the count of all; children are places within their tree. ``weight``
    is what a leaf adds to its tree's ``target``; ``base`` is added to each target's sum.
    """

    starts: np.ndarray
    feature: np.ndarray
    value: np.ndarray
    yes: np.ndarray
    no: np.ndarray
    missing_yes: np.ndarray
    leaf: np.ndarray
    weight: np.ndarray
    target: np.ndarray
    base: np.ndarray


class Cut(msgspec.Struct, frozen=True):
    """A graph in three parts. ``before`` is None where the trees take the graph's own input ``fed``."""

    before: bytes | None
    fed: str
    trees: Trees
    sums: str
    after: bytes


class _Node(msgspec.Struct, frozen=True):
    raw: bytes
    kind: str
    inputs: list[str]
    outputs: list[str]
    attributes: list[bytes]


class _Misfit(Exception):
    """The graph is none whose trees could be taken out."""


def cut(model: bytes) -> Cut | None:
    """Return the parts of a graph, None where its trees have no such form; raises BadProtobuf."""
    around = [(number, value) for number, _, value in protobuf.fields(model) if number != _GRAPH]
    graphs = [value for number, _, value in protobuf.fields(model) if number == _GRAPH]
    if len(graphs) != 1 or isinstance(graphs[0], int):
        return None
    fields = [(number, value) for number, _, value in protobuf.fields(graphs[0]) if isinstance(value, bytes)]
    nodes = [_node(value) for number, value in fields if number == _NODE]
    ensembles = [node for node in nodes if node.kind == "TreeEnsembleRegressor"]
    if len(ensembles) != 1:
        return None
    ensemble = ensembles[0]
    fed, sums = ensemble.inputs[0], ensemble.outputs[0]
    inputs = {_name(value): value for number, value in fields if number == _INPUT}
    before = _needed(nodes, [fed])
    after = _needed(nodes, [_name(value) for number, value in fields if number == _OUTPUT], without=ensemble)
    if {name for node in after for name in node.inputs} & set(inputs):
        return None  # what comes behind the trees looks at the rows again
    try:
        trees = _trees(ensemble)
    except _Misfit:
        return None
    constants = [(number, value) for number, value in fields if number in (_CONSTANT, _TITLE)]
    outputs = [(_OUTPUT, value) for number, value in fields if number == _OUTPUT]

    def written(kept: Sequence[_Node], taken: Sequence[bytes], given: Sequence[tuple[int, bytes]]) -> bytes:
        used = {name for node in kept for name in node.inputs}
        parts = [(_NODE, node.raw) for node in kept]
        parts += [
            (number, value) for number, value in constants if number == _TITLE or _constant(value) in used
        ]
        parts += [(_INPUT, value) for value in taken]
        graph = b"".join(protobuf.block(number, value) for number, value in (*parts, *given))
        return b"".join(_field(number, value) for number, value in around) + protobuf.block(_GRAPH, graph)

    summed = _tensor(sums, len(trees.base))
    return Cut(
        before=written(before, list(inputs.values()), [(_OUTPUT, _tensor(fed))]) if before else None,
        fed=fed,
        trees=trees,
        sums=sums,
        after=written(after, [summed], outputs),
    )


def _needed(nodes: Sequence[_Node], outputs: Sequence[str], *, without: _Node | None = None) -> list[_Node]:
    """Return the nodes that outputs need, in the order in which they stand."""
    wanted, kept = set(outputs), list[_Node]()
    for node in reversed(nodes):
        if node is not without and wanted & set(node.outputs):
            kept.append(node)
            wanted |= set(node.inputs)
    return kept[::-1]


def _node(raw: bytes) -> _Node:
    found = list(protobuf.fields(raw))
    return _Node(
        raw=raw,
        kind=next((protobuf.text(value) for number, _, value in found if number == 4), ""),
        inputs=[protobuf.text(value) for number, _, value in found if number == 1],
        outputs=[protobuf.text(value) for number, _, value in found if number == 2],
        attributes=[value for number, _, value in found if number == 5 and isinstance(value, bytes)],
    )


def _name(value_info: bytes) -> str:
    return next((protobuf.text(value) for number, _, value in protobuf.fields(value_info) if number == 1), "")


def _constant(tensor: bytes) -> str:
    return next((protobuf.text(value) for number, _, value in protobuf.fields(tensor) if number == 8), "")


def _field(number: int, value: int | bytes) -> bytes:
    return protobuf.count(number, value) if isinstance(value, int) else protobuf.block(number, value)


def _tensor(name: str, width: int = 0) -> bytes:
    """Return the description of a float32 array of any number of rows, of so many columns where it is said."""
    size = protobuf.count(1, width) if width else protobuf.block(2, b"columns")
    shape = protobuf.block(1, protobuf.block(2, b"count")) + protobuf.block(1, size)
    kind = protobuf.block(1, protobuf.count(1, _FLOAT32) + protobuf.block(2, shape))
    return protobuf.block(1, name.encode()) + protobuf.block(2, kind)


def _trees(node: _Node) -> Trees:
    """Return the operator's trees; raises _Misfit."""
    raw = dict(map(_attribute, node.attributes))
    for name, wanted in (("aggregate_function", b"SUM"), ("post_transform", b"NONE")):
        if _text(raw.pop(name, protobuf.block(4, wanted))) != wanted:
            raise _Misfit(name)
    targets = next(value for number, _, value in protobuf.fields(raw.pop("n_targets")) if number == 3)
    assert isinstance(targets, int)

    def ints(name: str) -> np.ndarray:
        return _ints(raw.pop(name)) if name in raw else np.zeros(0, np.int64)

    def floats(name: str) -> np.ndarray:
        return _floats(raw.pop(name)) if name in raw else np.zeros(0, np.float32)

    tree, place, feature = ints("nodes_treeids"), ints("nodes_nodeids"), ints("nodes_featureids")
    value, mode = floats("nodes_values"), _texts(raw.pop("nodes_modes", b""))
    yes, no, missing = (
        ints("nodes_truenodeids"),
        ints("nodes_falsenodeids"),
        ints("nodes_missing_value_tracks_true"),
    )
    at_tree, at_node = ints("target_treeids"), ints("target_nodeids")
    target, weight, base = ints("target_ids"), floats("target_weights"), floats("base_values")
    if raw:
        raise _Misfit(f"it has {', '.join(raw)}")
    count = len(tree)
    if not 0 < count <= _MOST_NODES or {len(one) for one in (place, feature, value, mode, yes, no)} != {
        count
    }:
        raise _Misfit("its arrays do not fit")
    starts = np.append(np.flatnonzero(np.diff(tree, prepend=-1)), count)
    sizes = np.diff(starts)
    leaf, equal = mode == b"LEAF", mode == b"BRANCH_LEQ"
    if (
        not (leaf | equal | (mode == b"BRANCH_LT")).all()
        or not np.isfinite(value).all()
        or not np.array_equal(tree, np.repeat(np.arange(len(sizes)), sizes))
        or not np.array_equal(place, np.arange(count) - np.repeat(starts[:-1], sizes))
        or len(missing) not in (0, count)
        or len(base) not in (0, targets)
    ):
        raise _Misfit("a comparison is of another kind, or nodes stand in another order")
    base = base.copy() if len(base) else np.zeros(targets, np.float32)
    alone = sizes[at_tree] == 1  # a tree of one leaf adds the same to every row
    np.add.at(base, target[alone], weight[alone])
    at_tree, at_node, target, weight = (one[~alone] for one in (at_tree, at_node, target, weight))
    grown = np.repeat(sizes > 1, sizes)
    leaves = np.flatnonzero(leaf & grown)
    if not (np.array_equal(at_tree, tree[leaves]) and np.array_equal(at_node, place[leaves])):
        raise _Misfit("a leaf has several weights")
    of_tree = np.zeros(len(sizes), np.int64)
    of_tree[at_tree] = target
    if not np.array_equal(target, of_tree[at_tree]):
        raise _Misfit("a tree adds to several targets")
    weights = np.zeros(count, np.float32)
    weights[leaves] = weight
    starts = np.append(0, np.cumsum(sizes[sizes > 1]))
    target = of_tree[sizes > 1]
    if not len(target):
        raise _Misfit("it has no trees")
    return Trees(
        starts=starts,
        feature=feature[grown].astype(np.int32),
        # What is not above a number is below the next one.
        value=np.where(equal, np.nextafter(value, np.float32(np.inf)), value)[grown].astype(np.float32),
        yes=yes[grown].astype(np.int32),
        no=no[grown].astype(np.int32),
        missing_yes=missing[grown].astype(np.uint8) if len(missing) else np.zeros(int(grown.sum()), np.uint8),
        leaf=leaf[grown],
        weight=weights[grown],
        target=target,
        base=base,
    )


def _attribute(raw: bytes) -> tuple[str, bytes]:
    """Return an attribute's name and what stands behind it; raises _Misfit where it is written in another order."""
    if len(raw) < 2 or raw[0] != 0x0A or raw[1] > 0x7F:
        raise _Misfit("an attribute does not begin with its name")
    return raw[2 : 2 + raw[1]].decode(errors="replace"), raw[2 + raw[1] :]


def _text(rest: bytes) -> bytes:
    return next((bytes(value) for number, _, value in protobuf.fields(rest) if number == 4), b"")


def _values(rest: bytes) -> np.ndarray:
    """Return the bytes of an attribute's values without its type."""
    end = len(rest) - 3 if rest[-3:-1] == _END_OF_ATTRIBUTE else len(rest)
    return np.frombuffer(rest, np.uint8, end)


def _ints(rest: bytes) -> np.ndarray:
    """Return numbers of which each has a key of its own, as ONNX writes them."""
    raw = _values(rest)
    ends = np.flatnonzero(raw < 0x80)
    starts = np.append(0, ends[:-1] + 1)
    if (
        len(ends) % 2
        or not (raw[starts[::2]] == 0x40).all()
        or len(raw) != (ends[-1] + 1 if len(ends) else 0)
    ):
        raise _Misfit("its numbers are written in another way")
    starts, ends = starts[1::2], ends[1::2]
    found = np.zeros(len(starts), np.uint64)
    sizes = ends - starts + 1
    for step in range(int(sizes.max(initial=0))):
        has = sizes > step
        found[has] |= (raw[starts[has] + step] & 0x7F).astype(np.uint64) << np.uint64(7 * step)
    return found.astype(np.int64)


def _floats(rest: bytes) -> np.ndarray:
    raw = _values(rest)
    if len(raw) % 5 or not (raw[::5] == 0x3D).all():
        raise _Misfit("its numbers are written in another way")
    return np.ascontiguousarray(raw.reshape(-1, 5)[:, 1:]).view("<f4").ravel()


def _texts(rest: bytes) -> np.ndarray:
    """Return texts, none of which has a J: what stands between the keys, less its length."""
    return np.array([part[1:] for part in _values(rest).tobytes().split(b"\x4a")[1:]])
