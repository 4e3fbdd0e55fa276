"""Messages about orders on their way, and how their order is changed."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal

from msgspec import Struct

from tradeshell_paper.tws.encode_orders import ExecutionView
from tradeshell_paper.tws.records import Record

Build = Callable[[int], bytes]


class Told(Struct, frozen=True):
    """A message on its way. ``kind`` is ``ack``, ``status``, ``execution``, ``commission`` or ``error``."""

    kind: str
    record: Record
    build: Build
    status: str = ""


class Booked(Struct, frozen=True):
    """An execution as it is kept for replays."""

    view: ExecutionView
    symbol: str
    record: Record
    commission: Decimal | None = None
    realized: Decimal | None = None


def has(told: list[Told], record: Record, kind: str) -> bool:
    return any(each.record is record and each.kind == kind for each in told)


def moved_up(told: list[Told], wanted: Callable[[Told], bool], before: str) -> list[Told]:
    """Return the messages with each wanted one before the ``before`` of its order that precedes it."""
    result: list[Told] = []
    for each in told:
        if wanted(each):
            at = next(
                (n for n, other in enumerate(result) if other.record is each.record and other.kind == before),
                len(result),
            )
            result.insert(at, each)
        else:
            result.append(each)
    return result
