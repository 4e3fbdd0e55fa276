"""Quote lines and snapshots: the requests behind a touch.

Laws: one line for each symbol, however many want its touch. A touch of an earlier request is never mixed with one of a later one;
when data stop because another session has them, there is no touch. A snapshot ends when both sides have come, when
the broker says so, or with its patience, and leaves nothing behind.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress

from tradeshell import BrokerError, DataKind, Quote, StreamNews, StreamWord
from tradeshell_ibkr.asking import ADVICE, one_line
from tradeshell_ibkr.quotes import Touch
from tradeshell_ibkr.source import DELAYED_INSTEAD, Lengths, Room, Source

OnQuote = Callable[[Quote], None]


class QuoteLine(Source):
    """The touch of one symbol, kept fresh. ``on_change`` is told when its listeners have something to hear."""

    def __init__(self, symbol: str, room: Room, on_change: Callable[[QuoteLine], None]) -> None:
        super().__init__(symbol, room)
        self.touch = Touch(symbol, room.contracts.grid(symbol))
        self._on_change = on_change
        self._users = 0
        self._listeners: tuple[OnQuote, ...] = ()
        self._told: Quote | None = None
        self._request_id: int | None = None
        self._now = room.link.clock.now

    def open(self) -> None:
        """Take a line and ask for quotes; raises ``BrokerError`` when no line is left."""
        self._budget.take(self.symbol)
        self._lines = 1
        if self._link.is_served:
            self.start()

    def add(self, on_quote: OnQuote | None) -> None:
        """Count a user; tell ``on_quote`` of each change."""
        self._users += 1
        if on_quote is not None:
            self._listeners = (*self._listeners, on_quote)
        if self._link.is_served and (not self.is_asked or self._is_dead):
            self.start()

    def remove(self, on_quote: OnQuote | None) -> bool:
        """Remove a user; return whether nobody is left."""
        self._users -= 1
        if on_quote is not None:
            left = list(self._listeners)
            left.remove(on_quote)
            self._listeners = tuple(left)
        if self._users == 0:
            self.stop()
            self._give_line()
        return self._users == 0

    def lengths(self) -> Lengths:
        """No bars come from here."""
        return ()

    def _tell(self, word: StreamWord, code: int, text: str, lengths: Lengths | None = None) -> None:
        """Tell what is about all data: who takes the quotes of this login takes its bars, which then fall silent."""
        del lengths
        if word is not StreamWord.BROKEN:
            self._room.report(StreamNews(word=word, code=code, text=one_line(text)))

    @property
    def is_asked(self) -> bool:
        """Whether the broker was asked."""
        return self._request_id is not None

    def start(self) -> None:
        """Ask for quotes: the touch begins anew."""
        self.stop()
        self.touch.clear()
        self.touch.halted = False  # one that lasts is told anew
        self.touch.grid = self._room.contracts.grid(self.symbol)
        self._asked_at, self._is_dead = self._now(), False
        self._request_id = self._request(self._on_tick, self._error, "reqMktData", "", False, False, [])

    def stop(self) -> None:
        """End the request; the touch stays as old as it is."""
        if self._request_id is not None:
            req_id, self._request_id = self._request_id, None
            self._cancel("cancelMktData", req_id)

    def lose(self) -> None:
        """Forget the request."""
        if self._request_id is not None:
            self._drop(self._request_id)
            self._request_id = None

    def close(self) -> None:
        """Nothing runs by the clock."""

    def block(self, code: int, text: str) -> None:
        """Another session of the login has the data."""
        super().block(code, text)
        self.touch.clear()

    def hand_on(self) -> None:
        """Tell the listeners of the touch, if it is another one."""
        quote = self.touch.quote()
        if quote is not None and quote != self._told:
            self._told = quote
            for listener in self._listeners:
                listener(quote)

    def _on_tick(self, fields: list[str]) -> None:
        kind = fields[0]
        now = self._now()
        if kind == "1":
            changed = self.touch.price(fields[3], fields[4], fields[5], now)
        elif kind == "2":
            changed = self.touch.size(fields[3], fields[4], now)
        elif kind == "45":
            changed = self.touch.generic(fields[3], fields[4])
        elif kind == "58":
            changed = self.touch.data_type(fields[3])
        else:
            changed = False
        self.heard_at = now
        if self._is_blocked or self._is_dead:
            self._hear()
        if changed and self._listeners:
            self._on_change(self)

    def _error(self, code: int, text: str) -> None:
        if code == DELAYED_INSTEAD:
            self.touch.set_kind(DataKind.DELAYED)
        elif self._fail(code, text) or self._is_blocked:
            self.touch.clear()
        else:
            return
        self._link.tell(code, f"{self.symbol}: {one_line(text)}")


class Snapshot:
    """One touch, requested for itself."""

    def __init__(self, symbol: str, room: Room, *, halted: bool) -> None:
        self._symbol, self._room, self._link = symbol, room, room.link
        self._touch = Touch(symbol, room.contracts.grid(symbol))
        self._touch.halted = halted
        self._done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._is_over = False  # at the broker: nothing is left to be cancelled

    async def wait(self, patience: float) -> Quote | None:
        """Return the touch, ``None`` when nothing of it came in time."""
        link = self._link
        req_id = link.request_id()
        self._room.routes[str(req_id)] = self._on_tick
        link.on_error(req_id, self._error)
        try:
            with suppress(BrokerError):  # late, or the link went: what has come by then is the answer
                link.ask(
                    "reqMktData", req_id, self._room.contracts.contract(self._symbol), "", True, False, []
                )
                await link.within(self._done, patience, "")
        finally:
            self._room.routes.pop(str(req_id), None)
            link.forget(req_id)
            if not self._is_over and link.is_ready:
                with suppress(BrokerError):
                    link.ask("cancelMktData", req_id)
        return self._touch.quote()

    def _on_tick(self, fields: list[str]) -> None:
        kind, now = fields[0], self._link.clock.now()
        if kind == "1":
            self._touch.price(fields[3], fields[4], fields[5], now)
        elif kind == "2":
            self._touch.size(fields[3], fields[4], now)
        elif kind == "45":
            self._touch.generic(fields[3], fields[4])
        elif kind == "58":
            self._touch.data_type(fields[3])
        elif kind == "57":
            self._is_over = True
            self._finish()
        if self._touch.has_both:
            self._link.clock.call_soon(
                self._finish
            )  # what else is in this packet (sizes, a halt) belongs to it

    def _error(self, code: int, text: str) -> None:
        del text
        if code == DELAYED_INSTEAD:
            self._touch.set_kind(DataKind.DELAYED)
        elif code not in ADVICE:
            self._is_over = True
            self._finish()

    def _finish(self) -> None:
        if not self._done.done():
            self._done.set_result(None)
