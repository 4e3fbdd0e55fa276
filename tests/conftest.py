"""Tests that measure against the computer's own time have the computer to themselves.

A test marked ``alone`` plays a real process, or a day at sixty times its speed, against real time limits: with another worker
busy beside it, it would judge the computer. It waits until the tests that run have ended; no other begins until it is over.
"""

from __future__ import annotations

import fcntl
from collections.abc import Generator
from pathlib import Path

import pytest

ROOM = Path(__file__)  # any file does: what is locked is the name, for all workers on this machine
DOOR = Path(__file__).parents[1] / "pyproject.toml"


@pytest.hookimpl(wrapper=True, tryfirst=True)  # outside of the time limit: who waits does not run
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    """Run the test when nobody runs alone, or alone."""
    kind = fcntl.LOCK_EX if item.get_closest_marker("alone") is not None else fcntl.LOCK_SH
    with ROOM.open("rb") as room:  # locks end with their files, or with the worker
        with DOOR.open("rb") as door:  # who waits for the room holds the door, so that nobody slips in before
            fcntl.flock(door, fcntl.LOCK_EX)
            fcntl.flock(room, kind)
        return (yield)
