"""A pytest plugin: the whole run with one mutant in force, named by the environment; with none when it names none.

Laws: the mutant is in force before a test module is imported, so that what tests import by name is mutated, too; the venue is
imported before, and keeps the real functions.
"""

from __future__ import annotations

import importlib
import os
from contextlib import ExitStack

from tests.simulation.mutants.hunt import ENVIRONMENT
from tests.simulation.mutants.listed import named
from tests.simulation.mutants.patch import applied

_STACK = ExitStack()


def pytest_configure() -> None:
    """Put the mutant in force."""
    importlib.import_module("tests.simulation.world")
    if name := os.environ.get(ENVIRONMENT):
        _STACK.enter_context(applied(named(name)))


def pytest_unconfigure() -> None:
    """Take it back."""
    _STACK.close()
