"""Imports of heavy libraries without the parts that a replica never uses: a fifth of the time, a third of the memory."""

import sys
from collections.abc import Generator
from contextlib import contextmanager
from importlib.abc import MetaPathFinder
from typing import Any


@contextmanager
def without(*names: str) -> Generator[None]:
    """Let modules that import these packages only if they are there do without them.

    Packages that have been imported already stay. The others can still be imported after the block.
    """
    modules: dict[str, Any] = sys.modules
    hidden = [name for name in names if name not in modules]
    for name in hidden:
        modules[name] = None
    try:
        yield
    finally:
        for name in hidden:
            del modules[name]


def arrow_without_pandas() -> None:
    """Have pyarrow in this process not look for pandas, which it else imports to make its first array from a list.

    For processes that hand pyarrow no pandas objects; pandas itself can still be imported.
    """
    import pyarrow as pa

    if "pandas" in sys.modules:
        return
    finder = _WithoutPandas()
    sys.meta_path.insert(0, finder)
    try:
        pa.array([0])  # here it looks once, and remembers
    finally:
        sys.meta_path.remove(finder)


class _WithoutPandas(MetaPathFinder):
    """Says that there is no pandas. Compiled modules do not take None in `sys.modules` for that."""

    def find_spec(self, fullname: str, path: Any, target: Any = None) -> None:
        del path, target
        if fullname == "pandas":
            raise ModuleNotFoundError("hidden for a moment", name=fullname)


def import_skops() -> Any:
    """Return `skops.io` without its list of all estimators, for which it would import every module of scikit-learn.

    What it then no longer trusts by itself is for the caller to decide.
    """
    import sklearn.utils

    every = sklearn.utils.all_estimators
    sklearn.utils.all_estimators = list
    try:
        import skops.io
    finally:
        sklearn.utils.all_estimators = every
    return skops.io
