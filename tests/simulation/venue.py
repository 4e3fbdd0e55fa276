"""The venue of one schedule: the paper broker over a market that is pushed into it, surviving every life of the engine.

Laws: the exchange, its order entry and its fill rule are the product's own; only where touches, prints and bars come from is
replaced, because a tape costs more than the rest of a schedule.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from decimal import Decimal
from functools import partial
from typing import Any

from msgspec.structs import replace
from tests.simulation import path as p
from tests.simulation.loop import SimClock, SimLoop
from tests.simulation.schedule import Schedule

from tradeshell.core.inputs import Input
from tradeshell.core.market import Bar, DataKind, Instrument, Quote
from tradeshell.errors import BrokerError
from tradeshell.ports import BrokerContext, Handle, VenueOptions
from tradeshell_paper.broker import PaperBroker
from tradeshell_paper.market import stock
from tradeshell_paper.settings import Settings, read_settings
from tradeshell_paper.venue import Venue

OnBar = Callable[[Bar], None]


class _Tape:
    """The present touch of one symbol. Speaks as far as the broker asks a tape."""

    quotes_decide = True
    in_force = False

    def __init__(self, symbol: str) -> None:
        self.symbol = symbol
        self.touch: Quote | None = None
        self.earlier: list[Quote] = []
        self.halted = False
        self.halts: tuple[object, ...] = ()
        self.bars: dict[int, object] = {}
        self.prints = None

    def all_trades(self) -> tuple[object, ...]:
        """Say that prints are known: they elect stops, touches do not."""
        return (self,)

    def is_halted(self, now: datetime) -> bool:
        """Return whether trading is halted."""
        return self.halted

    def latest(self, now: datetime) -> Quote | None:
        """Return the touch of ``now``: what the host sees stands still while the link is down."""
        if self.touch is None or self.touch.at <= now:
            return self.touch
        return next((quote for quote in reversed(self.earlier) if quote.at <= now), None)

    standing = latest

    def show(self, quote: Quote) -> None:
        """Put a touch in force."""
        if self.touch is not None:
            self.earlier.append(self.touch)
        self.touch = quote

    def next_touch(self, after: datetime) -> None:
        """Say nothing: touches are pushed."""

    def mark(self) -> None:
        """Say nothing: a schedule has no end of its recording."""


class Market:
    """The tapes of one schedule."""

    words = "a simulated market"
    end = None

    def __init__(self, symbols: tuple[str, ...], start: datetime) -> None:
        self.start = start
        self.tapes = {symbol: _Tape(symbol) for symbol in symbols}

    def tape(self, symbol: str) -> Any:
        """Return the tape of a symbol."""
        found = self.tapes.get(symbol)
        if found is None:
            raise BrokerError(f"{symbol}: the simulated market has no such symbol")
        return found


class _Listener:
    """A bar subscription."""

    def __init__(self, venue: PushedMarket, key: tuple[str, int], on_bar: OnBar) -> None:
        self.on_bar = on_bar
        self._venue, self._key = venue, key

    def cancel(self) -> None:
        """End it; twice is harmless."""
        listeners = self._venue.listeners.get(self._key, [])
        if self in listeners:
            listeners.remove(self)


class PushedMarket(Venue):
    """A venue whose market is pushed into it by a schedule. ``set_up`` comes right after the venue's own beginning."""

    def set_up(self, schedule: Schedule, loop: SimLoop, clock: SimClock) -> None:
        """Take the schedule whose market this is."""
        self.listeners: dict[tuple[str, int], list[_Listener]] = {}
        self._loop, self._sim_clock = loop, clock
        self._schedule = schedule

    def subscribe(self, symbol: str, seconds: int, rth: bool, on_bar: OnBar) -> Handle:
        """Call ``on_bar`` for each bar of the schedule that closes from now on."""
        self._market.tape(symbol)
        listener = _Listener(self, (symbol, seconds), on_bar)
        self.listeners.setdefault((symbol, seconds), []).append(listener)
        for number in range(self._schedule.history, 0, -1):
            self._sim_clock.call_soon(partial(self._tell_old, symbol, seconds, number, listener))
        return listener

    async def history(self, symbol: str, seconds: int, count: int, rth: bool) -> tuple[Bar, ...]:
        """Return bars of the schedule that are closed by now, made of its own."""
        del rth
        now = self._loop.micros
        path = self._schedule.paths[symbol]
        made: dict[int, list[p.Bar]] = {}
        for bar in path.bars:
            made.setdefault(bar.begin // (seconds * p.SECOND), []).append(bar)
        found = []
        for number, bars in made.items():
            if (number + 1) * seconds * p.SECOND > now:
                break
            start = self._schedule.start + timedelta(seconds=number * seconds)
            prices = (bars[0].open, max(b.high for b in bars), min(b.low for b in bars), bars[-1].close)
            o, h, low, c = (path.shape.tick * price for price in prices)
            found.append(Bar(symbol, start, seconds, o, h, low, c, sum(b.volume for b in bars)))
        return tuple(found[-count:])

    def _tell_old(self, symbol: str, seconds: int, back: int, listener: _Listener) -> None:
        """Tell a bar that closed before anybody subscribed, as feeds do that fill up: above every level."""
        shape = self._schedule.paths[symbol].shape
        price = shape.price(shape.level + 2)
        now = self._sim_clock.now()
        begin = now - timedelta(seconds=back * seconds, microseconds=now.microsecond)
        listener.on_bar(Bar(symbol, begin, seconds, price, price, price, price, 100))

    def play(self) -> None:
        """Put the whole market on the loop."""
        for symbol, path in self._schedule.paths.items():
            self.play_moves(symbol)
            for bar in (*path.bars, *path.seconds):
                self._loop.at(bar.at, self.tell_bar, symbol, path.shape.tick, bar)

    def play_moves(self, symbol: str) -> None:
        """Put touches, prints and halts of a symbol on the loop."""
        path = self._schedule.paths[symbol]
        _Player(self, symbol, path.moves, path.shape.tick).start()

    def move(self, symbol: str, move: p.Move, tick: Decimal) -> None:
        """Do one thing that the market does."""
        now = self._sim_clock.now()
        tape: _Tape = self._market.tapes[symbol]  # type: ignore[attr-defined]  # a pushed market
        if move.kind == "halt":
            tape.halted, tape.halts = bool(move.a), (move,)
        if move.kind != "quote" and tape.touch is not None:
            kind = DataKind.HALTED if tape.halted else DataKind.LIVE
            if kind is not tape.touch.kind:
                tape.show(replace(tape.touch, kind=kind, at=now))
        if move.kind == "print":
            if symbol in self._live and not tape.halted:
                self.on_print(now, symbol, tick * move.a, move.size)
            return
        if move.kind == "quote":
            tape.show(
                Quote(
                    symbol=symbol,
                    at=now,
                    bid=tick * move.a,
                    ask=tick * move.b,
                    bid_size=move.size,
                    ask_size=move.size,
                    kind=DataKind.HALTED if tape.halted else DataKind.LIVE,
                )
            )
        if symbol in self._live or self._quotes.get(symbol):
            self.on_touch(now, symbol)

    def tell_bar(self, symbol: str, tick: Decimal, bar: p.Bar) -> None:
        """Tell a closed bar to whoever listens."""
        seconds = (bar.at - bar.begin) // p.SECOND
        listeners = self.listeners.get((symbol, seconds))
        if listeners and self._pump.is_up:
            start = self._schedule.start + timedelta(microseconds=bar.begin)
            o, h, low, c = (tick * price for price in (bar.open, bar.high, bar.low, bar.close))
            told = Bar(symbol, start, seconds, o, h, low, c, bar.volume)
            for listener in tuple(listeners):
                listener.on_bar(told)


class SimVenue(PushedMarket, PaperBroker):
    """The paper broker whose market is pushed."""

    def __init__(
        self,
        schedule: Schedule,
        loop: SimLoop,
        clock: SimClock,
        emit: Callable[[Input], None],
        settings: dict[str, Any],
    ) -> None:
        context = BrokerContext(
            emit=emit,
            clock=clock,
            venue_clock=clock,
            options=VenueOptions(),
            settings={},
            state_dir=None,  # type: ignore[arg-type]  # the venue keeps nothing on disk
        )
        market = Market(tuple(schedule.paths), schedule.start)
        super().__init__(context, clock, rules_of(schedule, settings), market)
        self.set_up(schedule, loop, clock)


def rules_of(schedule: Schedule, settings: dict[str, Any]) -> Settings:
    """Return the venue's settings with the schedule's account, which may be a live one."""
    known = read_settings(settings)  # which takes accounts of paper only
    return replace(known, rules=replace(known.rules, account=schedule.account))


class _Player:
    """Plays one symbol's moves, one timer at a time."""

    def __init__(self, venue: PushedMarket, symbol: str, moves: tuple[p.Move, ...], tick: Decimal) -> None:
        self._venue, self._symbol, self._moves, self._tick = venue, symbol, moves, tick
        self._next = 0

    def start(self) -> None:
        """Set the first timer."""
        if self._next < len(self._moves):
            self._venue._loop.at(self._moves[self._next].at, self._play)

    def _play(self) -> None:
        move = self._moves[self._next]
        self._next += 1
        self._venue.move(self._symbol, move, self._tick)
        self.start()


def contract(venue: Venue, symbol: str) -> Instrument:
    """Return the contract of a symbol, listed."""
    instrument = stock(symbol)
    venue.exchange.list_stock(instrument)
    return instrument
