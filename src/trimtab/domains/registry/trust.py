"""Which imported names a model file may hold. The list belongs to the server, never to the file that is judged."""

import re
from collections.abc import Iterable, Sequence

from trimtab.kernel.errors import Invalid
from trimtab.kernel.trusted import TRUSTED

PLAIN: frozenset[str] = frozenset(
    (
        *(f"builtins.{name}" for name in (
            "bool", "bytearray", "bytes", "complex", "dict", "float", "frozenset", "int", "list", "object", "range",
            "set", "slice", "str", "tuple",
        )),
        *(f"datetime.{name}" for name in ("date", "datetime", "time", "timedelta", "timezone")),
        *(f"collections.{name}" for name in ("Counter", "OrderedDict", "defaultdict", "deque")),
        "_codecs.encode",
        "copyreg._reconstructor",
        "decimal.Decimal",
        "fractions.Fraction",
        "joblib.numpy_pickle.NumpyArrayWrapper",
        "pathlib.PosixPath",
        "pathlib.PurePosixPath",
        "uuid.UUID",
    )
)  # fmt: skip
NUMERIC: frozenset[str] = frozenset(
    (
        *(f"{module}.{name}" for module in ("numpy.core.multiarray", "numpy._core.multiarray")
          for name in ("_reconstruct", "scalar")),
        *(f"{module}._frombuffer" for module in ("numpy.core.numeric", "numpy._core.numeric")),
        *(f"numpy.{name}" for name in (
            "bool_", "dtype", "float16", "float32", "float64", "int16", "int32", "int64", "int8", "matrix", "ndarray",
            "uint16", "uint32", "uint64", "uint8",
        )),
        *(f"numpy.random._pickle.{name}" for name in (
            "__bit_generator_ctor", "__generator_ctor", "__randomstate_ctor",
        )),
        *(f"numpy.random._{module}.{name}" for module, name in (("mt19937", "MT19937"), ("pcg64", "PCG64"))),
        *(f"numpy.random.{name}" for name in (
            "_generator.Generator", "bit_generator.SeedSequence", "bit_generator.__pyx_unpickle_SeedSequence",
            "mtrand.RandomState",
        )),
        "numpy.ma.core._mareconstruct",
        "numpy.ma.core.MaskedArray",
        *(f"pandas.{name}" for name in (
            "Categorical", "CategoricalDtype", "DataFrame", "DatetimeIndex", "Index", "MultiIndex", "RangeIndex", "Series",
            "StringDtype", "_libs.arrays.__pyx_unpickle_NDArrayBacked", "arrays.ArrowStringArray",
            "arrays.DatetimeArray", "core.indexes.datetimes._new_DatetimeIndex",
        )),
        *(f"pyarrow.lib.{name}" for name in ("_restore_array", "py_buffer", "type_for_alias")),
        "pandas._libs.internals._unpickle_block",
        *(f"pandas.core.{name}" for name in (
            "frame.DataFrame", "indexes.base.Index", "indexes.base._new_Index", "indexes.range.RangeIndex",
            "internals.managers.BlockManager", "internals.managers.SingleBlockManager", "series.Series",
        )),
    )
)  # fmt: skip
TENSORS: frozenset[str] = frozenset(
    (
        *(f"torch._utils.{name}" for name in (
            "_rebuild_parameter", "_rebuild_qtensor", "_rebuild_tensor", "_rebuild_tensor_v2", "_rebuild_tensor_v3",
        )),
        *(f"torch.{kind}Storage" for kind in (
            "BFloat16", "Bool", "Byte", "Char", "ComplexDouble", "ComplexFloat", "Double", "Float", "Half", "Int",
            "Long", "Short",
        )),
        *(f"torch.{name}" for name in ("Size", "Tensor", "device", "storage.UntypedStorage", "storage.TypedStorage")),
        "torch.nn.parameter.Parameter",
        "torch.serialization._get_layout",
    )
)  # fmt: skip
_CLASSES = re.compile(
    r"(?:sklearn(?:\.[a-z_][a-z0-9_]*)+|torch\.nn\.modules(?:\.[a-z_][a-z0-9_]*)*|scipy\.sparse\._[a-z]+"
    r"|xgboost\.(?:core|sklearn)|lightgbm\.(?:basic|sklearn))\._?[A-Z][A-Za-z0-9_]*"
)
"""Classes of these libraries hold a fitted model's numbers. Functions and names that reach deeper must be listed."""
_LISTED_FUNCTIONS = re.compile(r"sklearn(?:\.[a-z_][a-z0-9_]*)+\.(?:__pyx_unpickle_[A-Za-z]\w*|newObj)")
_NOT_MODELS = frozenset(
    ("tests", "_testing", "conftest", "datasets", "externals", "experimental", "_build_utils")
)
_RULE = re.compile(r"[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*(?:\.\*)?")


class Trust:
    """The names that are allowed: what comes with the server, and what its settings add."""

    def __init__(self, extra: Iterable[str] = ()) -> None:
        """``extra`` names more: ``package.module.Name``, or ``package.module.*`` for all of a package's. Raises Invalid."""
        rules = [rule for rule in (one.strip() for one in extra) if rule]
        for rule in rules:
            if not _RULE.fullmatch(rule):
                raise Invalid(
                    f"{rule[:200]!r} is neither package.module.Name nor package.module.*.",
                    field="trusted_names",
                )
        self._names = (
            PLAIN | NUMERIC | TENSORS | TRUSTED | {rule for rule in rules if not rule.endswith(".*")}
        )
        self._prefixes = tuple(rule[:-1] for rule in rules if rule.endswith(".*"))

    def allows(self, name: str) -> bool:
        """Whether a file may import a name; a name that reaches through attributes never is allowed."""
        if ":" in name or "(" in name:
            return False
        if name in self._names or (self._prefixes and name.startswith(self._prefixes)):
            return True
        if _NOT_MODELS & set(name.split(".")):
            return False
        return bool(_CLASSES.fullmatch(name) or _LISTED_FUNCTIONS.fullmatch(name))

    def strangers(self, names: Iterable[str]) -> Sequence[str]:
        """Return the names that are not allowed, in order."""
        return sorted(name for name in set(names) if not self.allows(name))
