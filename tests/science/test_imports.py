"""`science` needs numpy, scipy.special and the standard library, nothing else, and not the slow scipy.stats."""

import json
import subprocess
import sys

import pytest

from tests.science.test_doctests import MODULES


@pytest.fixture(scope="module")
def loaded():
    code = f"""
import importlib, json, sys
for name in {MODULES!r}:
    importlib.import_module(name)
print(json.dumps(sorted(sys.modules)))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(json.loads(done.stdout))


@pytest.mark.parametrize(
    "name", ["scipy.stats", "pandas", "pyarrow", "sklearn", "duckdb", "msgspec", "sqlite3"]
)
def test_stays_lean(loaded, name):
    assert name not in loaded


def test_imports_only_science_and_kernel(loaded):
    ours = {name for name in loaded if name.startswith("trimtab.")}
    allowed = ("trimtab.science", "trimtab.kernel", "trimtab.version")
    assert [name for name in ours if not name.startswith(allowed)] == []
