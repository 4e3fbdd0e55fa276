"""The terminal that runs the tests has no say in what they see."""

from __future__ import annotations

import pytest

from tradeshell.testing.pytest_plugin import fix_terminal


@pytest.fixture(autouse=True)
def _same_screen_everywhere(monkeypatch: pytest.MonkeyPatch) -> None:
    fix_terminal(monkeypatch, "100")
