"""XGBoost's predictor through its C interface, without its Python package: the library alone takes some 20 MB.

https://xgboost.readthedocs.io/en/stable/c.html, `XGBoosterPredictFromDense`.
"""

import ctypes
import weakref
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

_ASKED = (
    b'{"type":1,"training":false,"iteration_begin":0,"iteration_end":0,"missing":NaN,"strict_shape":true,'
    b'"cache_id":0}'
)
"""For margins, which are the sums of trees."""


class PredictorFailed(RuntimeError):
    """XGBoost's library is not there, or refuses what it was given."""


class Predictor:
    """A model of trees. Any thread may call it, several at a time too; each call takes one processor."""

    def __init__(self, model: bytes, *, columns: int) -> None:
        """Raises PredictorFailed."""
        self._library = _library()
        self._handle = ctypes.c_void_p()
        self._check(self._library.XGBoosterCreate(None, ctypes.c_uint64(0), ctypes.byref(self._handle)))
        weakref.finalize(self, self._library.XGBoosterFree, self._handle)
        self._check(
            self._library.XGBoosterLoadModelFromBuffer(self._handle, model, ctypes.c_uint64(len(model)))
        )
        self._check(self._library.XGBoosterSetParam(self._handle, b"nthread", b"1"))
        self.sums(
            np.zeros((1, columns), np.float32)
        )  # the first call sets the model up, for one thread alone

    def sums(self, rows: np.ndarray) -> np.ndarray:
        """Return the (rows, targets) sums for a C-contiguous (rows, columns) array of float32.

        Raises PredictorFailed.
        """
        array = b'{"data":[%d,true],"shape":[%d,%d],"typestr":"<f4","version":3}' % (
            rows.ctypes.data,
            *rows.shape,
        )
        shape, result = ctypes.POINTER(ctypes.c_uint64)(), ctypes.POINTER(ctypes.c_float)()
        dimensions = ctypes.c_uint64()
        self._check(
            self._library.XGBoosterPredictFromDense(
                self._handle,
                array,
                _ASKED,
                None,
                ctypes.byref(shape),
                ctypes.byref(dimensions),
                ctypes.byref(result),
            )
        )
        # The library keeps its answer until this thread asks again.
        return np.ctypeslib.as_array(result, tuple(shape[: dimensions.value])).reshape(len(rows), -1).copy()

    def _check(self, code: int) -> None:
        if code != 0:
            raise PredictorFailed(self._library.XGBGetLastError().decode(errors="replace").split("\n")[0])


@cache
def _library() -> Any:
    """Return the library that stands in the package; raises PredictorFailed."""
    spec = find_spec("xgboost")
    folder = Path((spec.submodule_search_locations or [""])[0], "lib") if spec else None
    file = next(folder.glob("libxgboost.*"), None) if folder and folder.is_dir() else None
    if file is None:
        raise PredictorFailed("XGBoost is not installed")
    try:
        library = ctypes.CDLL(str(file))
    except OSError as error:
        raise PredictorFailed(str(error)) from None
    library.XGBGetLastError.restype = ctypes.c_char_p
    return library
