"""The floor: what an event-driven program in Python costs when it does nothing but the rule.

One object for each bar, one synchronous call to a matching engine, one to a strategy. No clock, no loop, no journal, no audit,
no orders, floats for prices. It matches by the paper venue's rule for recorded bars: an open beyond a price fills at the open,
then the stop at its price, then the target at its own.
"""

from __future__ import annotations

import time
from collections.abc import Sequence

from tests.bench.market import Columns, Market, Plan, Trade

COLLAR = 0.03  # an open further than this from the trigger's close is not believed
LAST_MOMENT = 59_999  # ms after a bar's start: when what filled within its range is dated


class Bar:
    """A closed bar."""

    __slots__ = ("close", "high", "low", "open", "start", "symbol", "volume")

    def __init__(
        self, symbol: str, start: int, open_: float, high: float, low: float, close: float, volume: int
    ) -> None:
        self.symbol = symbol
        self.start = start
        self.open = open_
        self.high = high
        self.low = low
        self.close = close
        self.volume = volume


class Setup:
    """A plan in floats."""

    __slots__ = ("chase", "day", "level", "sl", "tp")

    def __init__(self, plan: Plan) -> None:
        self.day = plan.day
        self.level = plan.level / 100
        self.sl = plan.sl / 100
        self.tp = plan.tp / 100
        self.chase = plan.chase / 100


class Position:
    """A trade whose exits work."""

    __slots__ = ("entered", "entry", "sl", "tp")

    def __init__(self, entered: int, entry: float, setup: Setup) -> None:
        self.entered = entered
        self.entry = entry
        self.sl = setup.sl
        self.tp = setup.tp


class Exchange:
    """Fills entries at the next open and exits by the rule, for one symbol."""

    def __init__(self, symbol: str) -> None:
        self.trades: list[Trade] = []
        self._symbol = symbol
        self._asked: tuple[Setup, Bar] | None = None
        self._positions: list[Position] = []

    def buy(self, setup: Setup, bar: Bar) -> None:
        """Enter at the next open of the same day."""
        self._asked = (setup, bar)

    def on_bar(self, bar: Bar) -> None:
        """Match one bar."""
        if self._positions or self._asked is not None:
            self._match(bar)

    def _match(self, bar: Bar) -> None:
        for position in tuple(self._positions):
            if bar.open <= position.sl:
                self._exit(position, bar, bar.open, "sl", 0)
        if self._asked is not None:
            (setup, trigger), self._asked = self._asked, None
            price = bar.open
            near = abs(price - trigger.close) <= trigger.close * COLLAR
            if bar.start == trigger.start + 60 and near and setup.sl < price < min(setup.tp, setup.chase):
                self._positions.append(Position(bar.start * 1000, price, setup))
        for position in tuple(self._positions):
            if bar.low <= position.sl:
                self._exit(position, bar, position.sl, "sl", LAST_MOMENT)
            elif bar.high >= position.tp:
                # Stop first, also where the open lies beyond the target; on the entry bar the target is the price.
                was_there = position.entered < bar.start * 1000
                price = max(bar.open, position.tp) if was_there else position.tp
                self._exit(position, bar, price, "tp", LAST_MOMENT)

    def _exit(self, position: Position, bar: Bar, price: float, kind: str, after: int) -> None:
        self._positions.remove(position)
        self._book(position, bar.start * 1000 + after, price, kind)

    def _book(self, position: Position, at: int | None, price: float | None, kind: str) -> None:
        exit_ = None if price is None else round(price * 100)
        self.trades.append(
            Trade(self._symbol, position.entered, round(position.entry * 100), at, exit_, kind)
        )

    def finish(self) -> None:
        """Book what is still open."""
        for position in self._positions:
            self._book(position, None, None, "open")


class Breakout:
    """The rule: the first close of the day at or above the level asks for one entry."""

    def __init__(self, setups: Sequence[Setup], exchange: Exchange) -> None:
        self._setups = iter(setups)
        self._exchange = exchange
        self._setup: Setup
        self._level = 0.0
        self._day_ends = 0
        self._armed = False

    def on_bar(self, bar: Bar) -> None:
        """Look at one closed bar."""
        if bar.start >= self._day_ends:
            self._setup = next(self._setups)
            self._level = self._setup.level
            self._day_ends = self._setup.day + 86_400
            self._armed = True
        if self._armed and bar.close >= self._level:
            self._armed = False
            self._exchange.buy(self._setup, bar)


def in_dollars(columns: Columns) -> tuple[list[float], ...]:
    """Return the four prices as floats; made before the clock starts."""
    return tuple(
        [cents / 100 for cents in prices]
        for prices in (columns.opens, columns.highs, columns.lows, columns.closes)
    )


def run(market: Market) -> tuple[float, float, list[Trade]]:
    """Return the seconds that the loop took, wall and CPU, and its trades."""
    prepared = [
        (symbol, columns, in_dollars(columns), [Setup(plan) for plan in market.plans_of(symbol)])
        for symbol, columns in market.bars.items()
    ]
    trades: list[Trade] = []
    began, cpu = time.perf_counter(), time.thread_time()
    for symbol, columns, (opens, highs, lows, closes), setups in prepared:
        exchange = Exchange(symbol)
        match, look = exchange.on_bar, Breakout(setups, exchange).on_bar
        for row in zip(columns.starts, opens, highs, lows, closes, columns.volumes, strict=True):
            bar = Bar(symbol, *row)
            match(bar)
            look(bar)
        exchange.finish()
        trades += exchange.trades
    return time.perf_counter() - began, time.thread_time() - cpu, trades
