"""What ``notify`` answers with in ``--json``: the shapes of ``Answer.data``."""

from __future__ import annotations

from tradeshell import Result
from tradeshell_notify.sender import Delivery


class Notifying(Result, frozen=True, kw_only=True):
    """How notifications do: messages that somebody and that nobody got, events that wait and that came too fast; the filter."""

    silent: bool
    sent: int
    failed: int
    waiting: int
    missed: int
    per_minute: int
    weights: tuple[str, ...]
    events: tuple[str, ...]
    never: tuple[str, ...]
    symbols: tuple[str, ...]
    addresses: tuple[Delivery, ...]


class Tested(Result, frozen=True, kw_only=True):
    """What became of a test at each address."""

    addresses: tuple[Delivery, ...]
