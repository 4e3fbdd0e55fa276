"""The kit for plugin authors: shells to type into, transcripts, the broker contract, a broker whose answers a test scripts.

``docs/transcripts.md`` and ``docs/broker-contract.md`` show how to use it. Importing this package is cheap: what a name takes is
loaded when it is asked for.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tradeshell.testing.broker_contract import BrokerContract, BrokerUnderTest, Can
    from tradeshell.testing.json_lines import JsonLineError, JsonLines
    from tradeshell.testing.outcome import Outcome, Runner
    from tradeshell.testing.scripted import ScriptedVenue, accepts, fills, refuses, silent, unheard
    from tradeshell.testing.session import open_runner, open_shell
    from tradeshell.testing.transcript import Mismatch, TranscriptError, compile_expected, replay

__all__ = [
    "BrokerContract",
    "BrokerUnderTest",
    "Can",
    "JsonLineError",
    "JsonLines",
    "Mismatch",
    "Outcome",
    "Runner",
    "ScriptedVenue",
    "TranscriptError",
    "accepts",
    "compile_expected",
    "fills",
    "open_runner",
    "open_shell",
    "refuses",
    "replay",
    "silent",
    "unheard",
]

_HOME = {
    **dict.fromkeys(("BrokerContract", "BrokerUnderTest", "Can"), "broker_contract"),
    **dict.fromkeys(("JsonLineError", "JsonLines"), "json_lines"),
    **dict.fromkeys(("Outcome", "Runner"), "outcome"),
    **dict.fromkeys(("ScriptedVenue", "accepts", "fills", "refuses", "silent", "unheard"), "scripted"),
    **dict.fromkeys(("open_runner", "open_shell"), "session"),
}


def __getattr__(name: str) -> Any:
    """Import a name when it is asked for (PEP 562)."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOME.get(name, 'transcript')}"), name)
