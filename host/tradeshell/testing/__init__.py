"""The kit for plugin authors: a shell to type into, transcripts as tests, and a recorder of transcripts.

``docs/transcripts.md`` shows how to use it. Importing this package is cheap; the shell is loaded when one is opened.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tradeshell.testing.outcome import Outcome, Runner
    from tradeshell.testing.session import open_runner, open_shell
    from tradeshell.testing.transcript import Mismatch, TranscriptError, compile_expected, replay

__all__ = [
    "Mismatch",
    "Outcome",
    "Runner",
    "TranscriptError",
    "compile_expected",
    "open_runner",
    "open_shell",
    "replay",
]

_HOME = {"Outcome": "outcome", "Runner": "outcome", "open_runner": "session", "open_shell": "session"}


def __getattr__(name: str) -> Any:
    """Import a name when it is asked for (PEP 562)."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOME.get(name, 'transcript')}"), name)
