"""What every subscription has in common: its numbers, its signs of life, its troubles; and the lines that all of them share.

Laws: a request that was made anew has a new number, and what comes for an old one is nobody's. What the broker says about a
subscription of bars goes to whoever looks after streams. Nothing is requested while there is no link.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime
from typing import Any, TypeAlias

from tradeshell import BrokerError, StreamNews, StreamWord
from tradeshell_ibkr.asking import ADVICE, Link, one_line
from tradeshell_ibkr.contracts import Contracts

Routes: TypeAlias = dict[str, Callable[[list[str]], None]]
Report: TypeAlias = Callable[[StreamNews], None]
Lengths: TypeAlias = tuple[tuple[int, bool], ...]  # of bars: seconds, regular hours only
SILENT = 15.0  # seconds: three 5-second bars
NEW_REAL_TIME = (55, 600.0)  # new requests for 5-second bars in so many seconds; IBKR allows 60
TICK_PAUSE = 15.0  # seconds between two tick-by-tick requests for one symbol

COMPETING_SESSION = 10197
HISTORY_FAILED = 162
DELAYED_INSTEAD = 10167
BUSTED = 10225  # a trade was broken and the subscription has ended
UNKNOWN_ID = frozenset({300, 366})  # answers to a cancel of something that was gone


def is_competing(code: int, text: str) -> bool:
    """Return whether the data go to another session of the same login."""
    return code == COMPETING_SESSION or (code == HISTORY_FAILED and "different ip" in text.lower())


class Budget:
    """Market-data lines, and how many requests for 5-second bars are left. Shared by all streams and quotes."""

    def __init__(self, lines: int, tick_lines: int) -> None:
        self.lines = lines
        self.used = 0
        self.tick_lines = tick_lines
        self.ticking = 0
        self.ticked_at: dict[str, datetime] = {}  # the last tick-by-tick request for each symbol
        self._real_time: deque[float] = deque()
        self.found_quiet = 0  # bars in a row that history found complete although parts were missing
        self.sends_quiet = False  # five seconds without a trade are sent, too: a missing part is a lost one

    def take(self, symbol: str) -> None:
        """Take a line; raises ``BrokerError`` when none is left."""
        if self.used >= self.lines:
            raise BrokerError(
                f"{symbol}: all {self.lines} market data lines are in use; end a watcher, "
                "or set market_lines under [brokers.ibkr] if your account has more"
            )
        self.used += 1

    def give(self) -> None:
        """Give a line back."""
        self.used -= 1

    def may_ask_real_time(self, now: float) -> bool:
        """Return whether a new request for 5-second bars may leave, and count it."""
        most, window = NEW_REAL_TIME
        while self._real_time and self._real_time[0] <= now - window:
            self._real_time.popleft()
        if len(self._real_time) >= most:
            return False
        self._real_time.append(now)
        return True


class Room:
    """What the subscriptions of one connection share."""

    def __init__(
        self, link: Link, contracts: Contracts, budget: Budget, routes: Routes, report: Report
    ) -> None:
        self.link, self.contracts, self.budget = link, contracts, budget
        self.routes, self.report = routes, report


class Source(ABC):
    """One symbol's subscription, made of one or more requests."""

    def __init__(self, symbol: str, room: Room) -> None:
        self.symbol = symbol
        self.heard_at: datetime | None = None
        self._room, self._link, self._budget = room, room.link, room.budget
        self._asked_at: datetime | None = None
        self._is_dead = self._is_blocked = False
        self._lines = 0

    # --- what a subscription is -----------------------------------------------------------------------------------------

    @property
    @abstractmethod
    def is_asked(self) -> bool:
        """Whether the broker was asked for it."""

    @abstractmethod
    def start(self) -> None:
        """Ask for it, anew if it was asked for before."""

    @abstractmethod
    def stop(self) -> None:
        """End the requests."""

    @abstractmethod
    def lose(self) -> None:
        """Forget the requests of a connection that is gone, or of subscriptions that the broker has lost."""

    @abstractmethod
    def lengths(self) -> Lengths:
        """Return the bars that depend on it."""

    def restore(self) -> None:
        """The link is back and subscriptions are said to live: what never spoke may not have left before the link went."""
        asked, heard = self._asked_at, self.heard_at
        if not self.is_asked or asked is None or heard is None or heard < asked:
            self.start()

    @abstractmethod
    def close(self) -> None:
        """End what is under way."""

    # --- signs of life --------------------------------------------------------------------------------------------------

    def must_be_renewed(self) -> bool:
        """Return whether it is dead, or silent for so long that a new listener should not inherit the silence."""
        heard = max(filter(None, (self.heard_at, self._asked_at)), default=None)
        return self._is_dead or heard is None or (self._link.clock.now() - heard).total_seconds() > SILENT

    def _hear(self) -> datetime:
        """Take note of a sign of life; return the present instant."""
        now = self._link.clock.now()
        self.heard_at = now
        self._is_dead = False
        if self._is_blocked:
            self._is_blocked = False
            self._tell(StreamWord.CLEARED, 0, "data are back")
        return now

    # --- errors ---------------------------------------------------------------------------------------------------------

    def block(self, code: int, text: str) -> None:
        """Another session of the login has the data: of everything, the broker did not say of what."""
        if self.is_asked:
            self._fail(code, text)

    def _fail(self, code: int, text: str, lengths: Lengths | None = None) -> bool:
        """Take an error that has no other answer; return whether the subscription has ended."""
        if code in ADVICE or code in UNKNOWN_ID:
            return False
        if is_competing(code, text):
            if not self._is_blocked:
                self._is_blocked = True
                self._tell(StreamWord.BLOCKED, code, text, lengths)
            return False
        self._is_dead = True
        self._tell(StreamWord.BROKEN, code, text, lengths)
        return True

    def _tell(self, word: StreamWord, code: int, text: str, lengths: Lengths | None = None) -> None:
        """Tell whoever looks after the streams."""
        for seconds, rth in self.lengths() if lengths is None else lengths:
            self._room.report(
                StreamNews(
                    word=word, symbol=self.symbol, seconds=seconds, rth=rth, code=code, text=one_line(text)
                )
            )

    # --- requests -------------------------------------------------------------------------------------------------------

    def _request(
        self,
        on_message: Callable[[list[str]], None],
        on_error: Callable[[int, str], None],
        method: str,
        *args: Any,
    ) -> int:
        link = self._link
        req_id = link.request_id()
        self._room.routes[str(req_id)] = on_message
        link.on_error(req_id, on_error)
        with suppress(BrokerError):  # the link is just going: everything is asked for again when it is back
            link.ask(method, req_id, self._room.contracts.contract(self.symbol), *args)
        return req_id

    def _cancel(self, method: str, req_id: int) -> None:
        self._drop(req_id)
        if self._link.is_ready:
            with suppress(BrokerError):
                self._link.ask(method, req_id)

    def _drop(self, req_id: int) -> None:
        self._room.routes.pop(str(req_id), None)
        self._link.forget(req_id)

    def _take_line(self) -> bool:
        """Take a line if one is left."""
        if self._lines == 0:
            try:
                self._budget.take(self.symbol)
            except BrokerError:
                return False
            self._lines = 1
        return True

    def _give_line(self) -> None:
        if self._lines:
            self._lines = 0
            self._budget.give()
