"""The executor contract on every adapter."""

import pytest

from trimtab.infra.executors import Executor, connect
from trimtab.testing.executors import ExecutorContract


class TestLocalExecutor(ExecutorContract):
    @pytest.fixture
    def executor(self) -> Executor:
        return connect("local://2")
