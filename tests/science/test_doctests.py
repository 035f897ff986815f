"""Every example in a docstring of `science` runs."""

import doctest
import importlib
import pkgutil

import pytest

import trimtab.science

MODULES = [name for _, name, _ in pkgutil.walk_packages(trimtab.science.__path__, "trimtab.science.")]


@pytest.mark.parametrize("name", MODULES)
def test_examples(name):
    failed, _ = doctest.testmod(importlib.import_module(name))
    assert failed == 0
