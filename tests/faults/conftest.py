"""The stage as a fixture: ``stage`` is one on paper, ``make_stage`` opens others."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from tests.faults.kit import Stage, staged


@pytest.fixture
def make_stage(tmp_path: Path) -> Iterator[Callable[..., Stage]]:
    """Open stages with settings of their own; they are closed at the end of the test."""
    with ExitStack() as stack:
        opened = 0

        def make(**more: Any) -> Stage:
            nonlocal opened
            opened += 1
            folder = tmp_path / str(opened)
            folder.mkdir(mode=0o700)
            return stack.enter_context(staged(folder, **more))

        yield make


@pytest.fixture
def stage(make_stage: Callable[..., Stage]) -> Stage:
    """A stage on paper."""
    return make_stage()
