"""Reads B in the forms in which venues and harnesses tell it.

Laws: only names and instants are put into their form; nothing is added but the lives that a harness tells apart from B.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any

MESSAGES = frozenset(("status", "position", "refusal", "commission"))
INSTANTS = ("t", "orders_as_of", "executions_as_of", "positions_as_of")


def as_told(
    b: list[dict[str, Any]], start: datetime | None = None, lives: Iterable[dict[str, Any]] = ()
) -> list[dict[str, Any]]:
    """Return the records with ``event`` and seconds; ``b`` itself when it has them already.

    A record whose kind is called ``kind`` may be a message to the host that has a ``kind`` of its own: an execution without a
    client and a quote with its own instant (``at``) are such messages.
    """
    if not b or "event" in b[0]:
        return b
    told = [_record(record, start) for record in b]
    if not any(record["event"] == "start" for record in told):
        for life in lives:
            told.append({"event": "start", "t": float(life["from"])})
            if life["to"] is not None:
                told.append({"event": "kill", "t": float(life["to"])})
        told.sort(key=lambda record: float(record["t"]))
    return told


def _record(record: dict[str, Any], start: datetime | None) -> dict[str, Any]:
    kind = record["kind"]
    is_message = (
        kind in MESSAGES
        or (kind == "exec" and "client" not in record)
        or (kind == "quote" and "at" in record)
    )
    told = {**record, "event": "to_host" if is_message else kind}
    for name in INSTANTS:
        if isinstance(told.get(name), str):
            if start is None:
                raise ValueError("instants as text need the schedule's start")
            told[name] = (datetime.fromisoformat(told[name]) - start).total_seconds()
    return told
