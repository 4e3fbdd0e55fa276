"""The generated market: any symbol at any price, from a seed, the same in every process.

Laws: a day of a symbol depends on (seed, symbol, date) alone, so that it does not matter who is looked at first; prices are whole
numbers until they are shown, never floats; what a symbol did before the start is its history, and is as real as what follows.

The model. Each second of a regular session has one print and the touch around it. The price is a random walk with a drift that
holds for 4 to 20 minutes, so that levels are approached, broken and left again: about 2 % a day, 0.5 % to 1 % an hour. Extended
hours print every quarter of a minute or so, with a fifth of the movement and a wider spread. Spreads are 1 to 5 price increments.
Between days the price gaps by up to 1 %. Days are those of the NYSE.
"""

from __future__ import annotations

import zlib
from bisect import bisect_left
from collections.abc import Iterable
from datetime import date, datetime
from decimal import Decimal
from itertools import accumulate
from random import Random

from tradeshell import BrokerError, ConfigError, Price, VenueOptions, parse_price, parse_symbol
from tradeshell_paper.calendar import new_york_day, next_trading_day, previous_trading_day, session_on
from tradeshell_paper.market import open_of, parse_start
from tradeshell_paper.series import Prints, Touches, to_ms
from tradeshell_paper.tape import Tape

FIRST_DAY = date(2025, 7, 8)  # a Tuesday without news
HISTORY_DAYS = 60  # trading days that can be looked back
MILLION = 1_000_000  # offsets of the walk are millionths of the day's first price
UNIT = 10_000  # prices are whole numbers of 0.0001 USD, the finest price increment; one dollar
CENT = 100
DOLLAR_STEP, PENNY_STEP = Decimal("0.01"), Decimal("0.0001")
FINE = 1_000_000  # a day's first price is kept this much finer still

# Symbols of the documentation's examples, near the prices that these examples use.
KNOWN_PRICES = {"AAPL": "189.40", "DEMO": "100.00", "XRTX": "0.4100"}


def _table(weights: tuple[int, ...]) -> bytes:
    """Return a table that turns a random byte into an index, as likely as ``weights`` (of 256) say."""
    assert sum(weights) == 256
    return b"".join(bytes([index]) * weight for index, weight in enumerate(weights))


_STEPS, _STEP_TABLE = (-240, -120, -60, 0, 60, 120, 240), _table((5, 26, 51, 92, 51, 26, 5))
_DRIFTS = (-9, -5, -2, 0, 0, 2, 5, 9)  # millionths a second
_QUIET_STEPS, _QUIET_TABLE = (-120, -60, 0, 60, 120), _table((10, 51, 134, 51, 10))
_SPREAD_TABLE = _table((0, 128, 64, 33, 20, 11))  # 1 to 5 price increments
_QUIET_SPREAD_TABLE = _table((0, 0, 52, 52, 52, 100))
_SIZES, _SIZE_TABLE = (100, 200, 300, 500, 800, 1500), _table((102, 51, 38, 31, 21, 13))
_SIDE_TABLE = _table((128, 128))
_GAP = 10_000  # millionths
_FLOOR = -900_000  # a day loses at most nine tenths


class GeneratedDay:
    """The walk of one symbol on one day: seconds, offsets in millionths, spreads, sides and sizes."""

    def __init__(self, seed: int, symbol: str, day: date) -> None:
        session = session_on(day)
        assert session is not None, f"{day} is no trading day"
        rng = Random(f"{seed}:{symbol}:{day.isoformat()}")
        self.seconds: list[int] = []  # since the start of extended hours
        self.offsets: list[int] = []
        self.first_ms = to_ms(session.extended_open)
        opens = int((session.open - session.extended_open).total_seconds())
        closes = int((session.close - session.extended_open).total_seconds())
        ends = int((session.extended_close - session.extended_open).total_seconds())
        self.spreads = (
            self._quiet(rng, 0, opens) + self._busy(rng, opens, closes) + self._quiet(rng, closes, ends)
        )
        count = len(self.seconds)
        self.at_ask = rng.randbytes(count).translate(_SIDE_TABLE)
        self.sizes = self._some_sizes(rng, count)
        self.bid_sizes = self._some_sizes(rng, count)
        self.ask_sizes = self._some_sizes(rng, count)

    @property
    def last(self) -> int:
        """The offset at the day's end."""
        return self.offsets[-1]

    def offset_at(self, at: datetime) -> int:
        """Return the offset of the first print at or after ``at``."""
        row = bisect_left(self.seconds, -(-(to_ms(at) - self.first_ms) // 1000))
        return self.offsets[row] if row < len(self.offsets) else self.last

    @staticmethod
    def _some_sizes(rng: Random, count: int) -> list[int]:
        return [_SIZES[index] for index in rng.randbytes(count).translate(_SIZE_TABLE)]

    def _walk(self, steps: Iterable[int], start: int) -> int:
        """Append a walk from ``start`` and return where it ends."""
        walk = list(accumulate(steps, initial=start))[1:]
        self.offsets += walk if min(walk) > _FLOOR else [max(offset, _FLOOR) for offset in walk]
        return self.offsets[-1]

    def _busy(self, rng: Random, first: int, after: int) -> bytes:
        at, offset = first, self.offsets[-1]
        while at < after:
            length = min(rng.randrange(240, 1200), after - at)
            drift = rng.choice(_DRIFTS)
            steps = [step + drift for step in _STEPS]
            offset = self._walk(
                [steps[index] for index in rng.randbytes(length).translate(_STEP_TABLE)], offset
            )
            at += length
        self.seconds += range(first, after)
        return rng.randbytes(after - first).translate(_SPREAD_TABLE)

    def _quiet(self, rng: Random, first: int, after: int) -> bytes:
        seconds = [first]
        while (at := seconds[-1] + rng.randrange(5, 26)) < after:
            seconds.append(at)
        count = len(seconds)
        indices = rng.randbytes(count).translate(_QUIET_TABLE)
        self._walk([_QUIET_STEPS[index] for index in indices], self.offsets[-1] if self.offsets else 0)
        self.seconds += seconds
        return rng.randbytes(count).translate(_QUIET_SPREAD_TABLE)


def gap_before(seed: int, symbol: str, day: date) -> int:
    """Return by how many millionths a day opens away from the close before it."""
    return Random(f"gap:{seed}:{symbol}:{day.isoformat()}").randrange(-_GAP, _GAP)


class GeneratedSymbol:
    """A symbol's days, one after the other, from the first price onwards and backwards."""

    def __init__(self, seed: int, symbol: str, price: Price, start: datetime) -> None:
        self.symbol = symbol
        self._seed = seed
        self._prices: dict[int, Price] = {}
        self._days: dict[date, GeneratedDay] = {}
        first = new_york_day(start)
        if session_on(first) is None:
            first = next_trading_day(first)
        # Whole numbers of 0.0001 USD / FINE: at the start of the clock the market stands at the price asked for.
        wanted = int(price * UNIT) * FINE
        offset = self._day(first).offset_at(start)
        self._first_prices = {first: wanted * MILLION // (MILLION + offset)}
        self._last = first
        self._looked_back = 0
        self.tape = Tape(symbol, in_force=False)
        self.tape.prints, self.tape.touches = self._columns(first)
        self.tape.grow = self._grow
        self.tape.earlier = self._earlier

    def _day(self, day: date) -> GeneratedDay:
        if day not in self._days:
            self._days[day] = GeneratedDay(self._seed, self.symbol, day)
        return self._days[day]

    def _grow(self) -> bool:
        """Append the next day to the tape; there always is one."""
        before = self._day(self._last)
        day = next_trading_day(self._last)
        factor = (MILLION + before.last) * (MILLION + gap_before(self._seed, self.symbol, day))
        self._first_prices[day] = max(FINE, self._first_prices[self._last] * factor // MILLION**2)
        prints, touches = self._columns(day)
        assert self.tape.prints is not None
        assert self.tape.touches is not None
        self.tape.prints.extend(prints)
        self.tape.touches.extend(touches)
        del self._days[self._last]
        self._last = day
        return True

    def _earlier(self, day: date) -> Prints | None:
        """Return the trading day before ``day``, for history."""
        before = previous_trading_day(day)
        if before not in self._first_prices:
            if self._looked_back >= HISTORY_DAYS:
                return None
            self._looked_back += 1
            after = next_trading_day(before)
            gap = gap_before(self._seed, self.symbol, after)
            factor = (MILLION + self._day(before).last) * (MILLION + gap)
            self._first_prices[before] = max(FINE, self._first_prices[after] * MILLION**2 // factor)
        prints = self._prints(before, self._lasts(before))
        del self._days[before]
        return prints

    def _lasts(self, day: date) -> list[int]:
        """Return the prices of a day's prints in units of 0.0001 USD, on the grid, with room for the bid below."""
        path, first = self._day(day), self._first_prices[day]
        scale, half = MILLION * FINE, MILLION * FINE // 2
        units = [(first * (MILLION + offset) + half) // scale for offset in path.offsets]
        if min(units) >= UNIT:
            return [unit // CENT * CENT for unit in units]
        return [
            unit // CENT * CENT if unit >= UNIT else max(unit, spread + 1)
            for unit, spread in zip(units, path.spreads, strict=True)
        ]

    def _prints(self, day: date, lasts: list[int]) -> Prints:
        path = self._day(day)
        prints = Prints(self.symbol)
        prints.ms.extend(path.first_ms + second * 1000 for second in path.seconds)
        prints.prices = self._as_prices(lasts)
        prints.sizes.extend(path.sizes)
        return prints

    def _columns(self, day: date) -> tuple[Prints, Touches]:
        path, lasts = self._day(day), self._lasts(day)
        rows = list(zip(lasts, path.spreads, path.at_ask, strict=True))
        if min(lasts) >= UNIT:
            bids = [last - spread * CENT if at_ask else last for last, spread, at_ask in rows]
            asks = [last if at_ask else last + spread * CENT for last, spread, at_ask in rows]
        else:
            widths = [
                (last, spread if last < UNIT else spread * CENT, at_ask) for last, spread, at_ask in rows
            ]
            bids = [last - width if at_ask else last for last, width, at_ask in widths]
            # From one dollar upwards prices are cents: an ask in between is one dollar.
            asks = [
                last if at_ask else max(last + width, UNIT) if last + width > UNIT > last else last + width
                for last, width, at_ask in widths
            ]
            asks = [ask // CENT * CENT if ask > UNIT else ask for ask in asks]
        prints, touches = self._prints(day, lasts), Touches(self.symbol)
        touches.ms.extend(prints.ms)
        touches.bids += self._as_prices(bids)
        touches.asks += self._as_prices(asks)
        touches.bid_sizes.extend(path.bid_sizes)
        touches.ask_sizes.extend(path.ask_sizes)
        return prints, touches

    def _as_prices(self, units: list[int]) -> list[Price]:
        known = self._prices
        for unit in set(units) - known.keys():
            known[unit] = (Decimal(unit) / UNIT).quantize(DOLLAR_STEP if unit >= UNIT else PENNY_STEP)
        return [known[unit] for unit in units]


class GeneratedMarket:
    """The market of all symbols; one that nobody asks for is not simulated."""

    end: datetime | None = None

    def __init__(self, options: VenueOptions) -> None:
        self.start = open_of(FIRST_DAY) if options.start is None else parse_start(options.start, FIRST_DAY)
        self.words = f"generated market, seed {options.seed}"
        self._seed = options.seed
        self._prices = dict(_named_price(item) for item in options.market)
        self._symbols: dict[str, GeneratedSymbol] = {}

    @property
    def names(self) -> tuple[str, ...]:
        """The symbols whose price was set, and those that examples use."""
        return tuple(dict.fromkeys((*self._prices, *KNOWN_PRICES)))

    def tape(self, symbol: str) -> Tape:
        """Return the tape of a symbol; every symbol that can exist does."""
        known = self._symbols.get(symbol)
        if known is None:
            try:
                name = parse_symbol(symbol)
            except ValueError as error:
                raise BrokerError(f"{symbol}: {error}") from None
            price = self._prices.get(name)
            price = default_price(name) if price is None else price
            known = self._symbols[symbol] = GeneratedSymbol(self._seed, name, price, self.start)
        return known.tape


def default_price(symbol: str) -> Price:
    """Return the price in USD of a symbol that was given none: 20 to 220, by its name."""
    known = KNOWN_PRICES.get(symbol)
    return Decimal(known) if known is not None else Decimal(2000 + zlib.crc32(symbol.encode()) % 20_000) / 100


def _named_price(item: str) -> tuple[str, Price]:
    name, _, price = item.partition("=")
    try:
        return parse_symbol(name), parse_price(price)
    except ValueError as error:
        raise ConfigError(f"--market {item}: {error} · example: --market DEMO=100") from None
