"""Imports of heavy libraries without the parts that a replica never uses: half the start-up time, 75 MB less."""

import sys
from collections.abc import Generator
from contextlib import contextmanager
from typing import Any


@contextmanager
def without_pandas() -> Generator[None]:
    """Let modules that import pandas only if it is there do without it.

    scikit-learn does so on import, and looks for pandas again whenever it is given a table: it can still come later.
    """
    if "pandas" in sys.modules:
        yield
        return
    modules: dict[str, Any] = sys.modules
    modules["pandas"] = None
    try:
        yield
    finally:
        del modules["pandas"]


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
