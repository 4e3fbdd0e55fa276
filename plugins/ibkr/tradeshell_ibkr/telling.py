"""Words of the gateway that are about no order of ours, told without a flood."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta

from tradeshell import Clock, Input, OrderRefusedByBroker, RefusedWhat

AGAIN_AFTER = timedelta(seconds=60)
MOST = 200  # words that are remembered


class Teller:
    """Tells the same words once a minute at most, and of messages that cannot be read one a minute."""

    def __init__(self, clock: Clock, emit: Callable[[Input], None]) -> None:
        self._clock, self._emit = clock, emit
        self._told: dict[tuple[int, str], datetime] = {}

    def tell(self, code: int, text: str, about: str | None = None) -> None:
        """Tell it. ``about``: what counts as the same, else the words themselves."""
        now, key = self._clock.now(), (code, text if about is None else about)
        told = self._told.get(key)
        if told is not None and timedelta() <= now - told < AGAIN_AFTER:
            return
        if len(self._told) >= MOST:
            self._told.clear()
        self._told[key] = now
        self._emit(OrderRefusedByBroker(at=now, ref="", what=RefusedWhat.NOTHING, code=code, text=text))

    def tell_unreadable(self, complaint: str) -> None:
        """Tell of a message that was dropped."""
        self.tell(0, f"a message of the gateway cannot be read and was dropped: {complaint}", "unreadable")
