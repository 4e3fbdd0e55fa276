"""How much a client may ask: messages a second, historical requests in ten minutes. Pure of clocks: every call takes ``now``.

Laws: what is refused does not count; the limits are those of the real gateway. Bars of a minute and more are not limited.
"""

from __future__ import annotations

from collections import deque
from datetime import datetime, timedelta

from tradeshell_paper.tws.requests import HistoryRequest

IDENTICAL = timedelta(seconds=15)
BURST, BURST_TIME = 6, timedelta(seconds=2)
MOST, MOST_TIME = 60, timedelta(minutes=10)
SMALL = 30  # seconds: bars up to this length are limited in number
SECOND = timedelta(seconds=1)


class MessagePacing:
    """Counts messages in a sliding second."""

    def __init__(self) -> None:
        self._times: deque[datetime] = deque()
        self.breaches = 0

    def allows(self, now: datetime, limit: int) -> bool:
        """Return whether one more message may come, and count it if so."""
        times = self._times
        while times and times[0] <= now - SECOND:
            times.popleft()
        if len(times) >= limit:
            return False
        times.append(now)
        return True

    def free_at(self, now: datetime) -> datetime:
        """Return when the next message may come."""
        return self._times[0] + SECOND if self._times else now


class HistoryPacing:
    """The rules of historical requests for one client."""

    def __init__(self) -> None:
        self._asked: dict[tuple[object, ...], datetime] = {}
        self._same: dict[tuple[object, ...], deque[datetime]] = {}
        self._small: deque[datetime] = deque()
        self._real_time: deque[datetime] = deque()

    def allows(self, request: HistoryRequest, seconds: int, now: datetime) -> bool:
        """Return whether a request may be answered, and count it if so."""
        c = request.contract
        stock = (c.con_id, c.symbol, c.exchange, request.what)
        whole = (*stock, request.end, request.bar_size, request.duration, request.rth, request.keep)
        if seconds > SMALL:
            return True
        last = self._asked.get(whole)
        if last is not None and now - last < IDENTICAL:
            return False
        same = self._same.setdefault(stock, deque())
        weight = 2 if request.what == "BID_ASK" else 1
        _forget(same, now - BURST_TIME)
        _forget(self._small, now - MOST_TIME)
        if len(same) >= BURST - 1 or len(self._small) + weight > MOST:
            return False
        same.append(now)
        self._small.extend([now] * weight)
        self._asked = {key: at for key, at in self._asked.items() if now - at < IDENTICAL} | {whole: now}
        return True

    def allows_real_time(self, now: datetime) -> bool:
        """Return whether one more subscription to 5-second bars may begin, and count it if so."""
        _forget(self._real_time, now - MOST_TIME)
        if len(self._real_time) >= MOST:
            return False
        self._real_time.append(now)
        return True


def _forget(times: deque[datetime], before: datetime) -> None:
    while times and times[0] <= before:
        times.popleft()
