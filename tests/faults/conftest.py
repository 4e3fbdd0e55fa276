"""The stage as a fixture: ``stage`` is one on paper, ``make_stage`` opens others; each test plays on the venue and over the wire.

``venue_only(reason)`` marks what the wire cannot have; ``wire`` and ``make_wire`` are stages over the wire and nothing else.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from tests.faults.kit import Stage, staged
from tests.faults.wire_kit import WireStage, wired


def pytest_configure(config: pytest.Config) -> None:
    """Make the mark known."""
    config.addinivalue_line("markers", "venue_only(reason): the wire cannot have this")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Play each test on both stages."""
    if "make_stage" in metafunc.fixturenames:
        is_venue_only = metafunc.definition.get_closest_marker("venue_only") is not None
        metafunc.parametrize("make_stage", ["venue"] if is_venue_only else ["venue", "wire"], indirect=True)


def _opened(folder: Path, open_: Callable[..., Any]) -> Iterator[Callable[..., Any]]:
    with ExitStack() as stack:
        opened = 0

        def make(**more: Any) -> Any:
            nonlocal opened
            opened += 1
            own = folder / str(opened)
            own.mkdir(mode=0o700)
            return stack.enter_context(open_(own, **more))

        yield make


@pytest.fixture
def make_stage(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Callable[..., Stage]]:
    """Open stages with settings of their own; they are closed at the end of the test."""
    yield from _opened(tmp_path, staged if request.param == "venue" else wired)


@pytest.fixture
def stage(make_stage: Callable[..., Stage]) -> Stage:
    """A stage on paper."""
    return make_stage()


@pytest.fixture
def make_wire(tmp_path: Path) -> Iterator[Callable[..., WireStage]]:
    """Open stages over the wire."""
    yield from _opened(tmp_path, wired)


@pytest.fixture
def wire(make_wire: Callable[..., WireStage]) -> WireStage:
    """A stage over the wire."""
    return make_wire()
