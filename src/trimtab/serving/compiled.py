"""Compiled models inside the gateway: data, not code, so that they need no process of their own and no hop to it."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from time import perf_counter_ns
from typing import Any

from trimtab.kernel.errors import Invalid
from trimtab.serving.batch import Batch, Output
from trimtab.serving.errors import ModelFailed, first_line
from trimtab.serving.loaders import Model, Rows
from trimtab.serving.routes import Signature
from trimtab.serving.schema import Schema

_INLINE_NS = 500_000
"""What may be predicted on the event loop, by what rows took so far; more goes to a thread, so that others are answered."""
_FIRST_ROWS_NS = 50_000
"""What a row is taken to cost before anything is known."""
_LEARN = 0.1


class Compiled:
    """One compiled model, on one thread at a time for each request."""

    def __init__(
        self, model: Model, threads: ThreadPoolExecutor, *, matrix: Callable[[bytes, int], Any]
    ) -> None:
        self._model = model
        self._matrix = matrix
        self._threads = threads
        self._row_ns = float(_FIRST_ROWS_NS)

    def is_quick(self, rows: int) -> bool:
        """Say whether so many rows may be predicted right on the event loop."""
        return rows * self._row_ns < _INLINE_NS

    def predict(self, schema: Schema, batch: Batch, want: int) -> list[Output]:
        """Return the outputs; raises Invalid or ModelFailed."""
        started_ns = perf_counter_ns()
        model = self._model
        try:
            return model.predict(self._rows(schema, batch), want)
        except model.input_errors as error:
            raise Invalid(first_line(error)) from error
        except Exception as error:
            # Whatever a foreign library raises must not end the gateway.
            raise ModelFailed(first_line(error)) from error
        finally:
            row_ns = (perf_counter_ns() - started_ns) / batch.rows
            self._row_ns += _LEARN * (row_ns - self._row_ns)

    async def predict_aside(self, schema: Schema, batch: Batch, want: int) -> list[Output]:
        """Return the outputs like `predict`, while the event loop goes on."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._threads, self.predict, schema, batch, want)

    def _rows(self, schema: Schema, batch: Batch) -> Rows:
        if self._model.packed and self._model.names == schema.names:
            packed = batch.packed = schema.packed(batch)
            if packed is not None:
                return Rows(batch.rows, matrix=self._matrix(packed, batch.rows))
        return Rows(batch.rows, columns=batch.by_name(schema.fields))


def loader(threads: ThreadPoolExecutor) -> Callable[[Path, Signature | None], Compiled]:
    """Return what loads a compiled model's folder; raises ModelNotLoaded."""

    def load(folder: Path, signature: Signature | None) -> Compiled:
        from trimtab.serving.loaders.compiled import load_compiled
        from trimtab.serving.loaders.tables import unpacked

        return Compiled(load_compiled(folder, signature), threads, matrix=unpacked)

    return load
