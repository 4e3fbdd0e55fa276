"""Cards about market data: bars as they close, past bars, the touch."""

from __future__ import annotations

import asyncio
import time
from datetime import UTC, datetime, timedelta
from functools import partial

from tradeshell.core.market import Bar, Quote
from tradeshell.testing.broker_contract_bench import BLOCKING, Bench, is_utc
from tradeshell.testing.broker_contract_play import card, cards_in
from tradeshell.testing.broker_contract_venue import Can, ensure

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
BARS = (("0", "0.10", "-0.05", "0.05"), ("0.02", "0.02", "0.01", "0.02"), ("0.20", "0.30", "0.20", "0.25"))


async def _begin_of_bar(bench: Bench) -> datetime:
    """Let time pass to shortly after a bar began, and return when it began."""
    length = timedelta(seconds=bench.venue.bar_seconds)
    left = length - (bench.now() - EPOCH) % length
    await bench.venue.pass_time(left.total_seconds() + 0.1)
    now = bench.now()
    return now - (now - EPOCH) % length


async def _end_of(bench: Bench, start: datetime) -> None:
    """Let time pass to shortly after the bar that began at ``start`` has ended."""
    end = start + timedelta(seconds=bench.venue.bar_seconds)
    await bench.venue.pass_time(max(0.0, (end - bench.now()).total_seconds()) + 0.1)


def _values(bench: Bench, bar: Bar) -> list[str]:
    return [str(price - bench.venue.price) for price in (bar.open, bar.high, bar.low, bar.close)]


async def _play(bench: Bench, prices: tuple[str, ...], start: datetime) -> None:
    """Let a bar have these trades, and time pass to its end."""
    for price in prices:
        await bench.trade(price, 100)
    await _end_of(bench, start)


async def _bars(bench: Bench, into: list[Bar]) -> list[datetime]:
    """Subscribe, let three bars have their trades, and return when they began."""
    await bench.ready()
    starts = [await _begin_of_bar(bench)]
    bench.broker.subscribe(bench.venue.symbol, bench.venue.bar_seconds, False, bench.listener(into))
    await bench.quiet()
    for prices in BARS:
        await _play(bench, prices, starts[-1])
        starts.append(starts[-1] + timedelta(seconds=bench.venue.bar_seconds))
    await bench.until(lambda: any(bar.start == starts[-2] for bar in into), "the third bar")
    return starts[:-1]


@card("B55", Can.BARS)
async def closed_bars(bench: Bench) -> None:
    """A bar is handed over when it has closed, not while it forms, and its start and length are right and in UTC."""
    await bench.ready()
    bars: list[Bar] = []
    start = await _begin_of_bar(bench)
    bench.broker.subscribe(bench.venue.symbol, bench.venue.bar_seconds, False, bench.listener(bars))
    for price in BARS[0]:
        await bench.trade(price, 100)
    await bench.quiet()
    ensure(all(bar.end <= start for bar in bars), f"a bar was handed over while it formed: {bars}")
    await _end_of(bench, start)
    await bench.until(lambda: any(bar.start >= start for bar in bars), "the bar, after its end")
    (bar, *_) = (bar for bar in bars if bar.start >= start)
    ensure(bar.start == start, f"the bar that began at {start} has the start {bar.start}")
    ensure(bar.seconds == bench.venue.bar_seconds, f"its length is {bar.seconds} s")
    ensure(bar.symbol == bench.venue.symbol, f"its symbol is {bar.symbol}")
    ensure(is_utc(bar.start), f"{bar.start} is not aware UTC")


@card("B56", Can.BARS)
async def values_of_bars(bench: Bench) -> None:
    """A bar has the first, highest, lowest and last price of its trades, those on its boundaries where they belong."""
    bars: list[Bar] = []
    starts = await _bars(bench, bars)
    found = {bar.start: _values(bench, bar) for bar in bars}
    wanted = dict(zip(starts, (["0", "0.10", "-0.05", "0.05"], *_rest()), strict=True))
    for start, prices in wanted.items():
        said = [float(price) for price in found.get(start, [])]
        ensure(said == [float(price) for price in prices], f"{start}: {said}, its trades made {prices}")


def _clocks(instants: list[datetime]) -> str:
    return " ".join(f"{at:%H:%M:%S}" for at in instants) or "none"


def _rest() -> list[list[str]]:
    return [[b[0], max(b, key=float), min(b, key=float), b[-1]] for b in BARS[1:]]


@card("B57", Can.BARS)
async def each_bar_once(bench: Bench) -> None:
    """Each listener gets each bar once and in order, however many listen; one that ended its subscription gets none."""
    await bench.ready()
    first: list[Bar] = []
    second: list[Bar] = []
    other = bench.broker.subscribe(bench.venue.symbol, bench.venue.bar_seconds, False, bench.listener(second))
    starts = await _bars(bench, first)
    for heard in (first, second):
        said = [bar.start for bar in heard if bar.start >= starts[0]]
        ensure(said == starts, f"bars of {_clocks(starts)} were handed over as {_clocks(said)}")
    other.cancel()
    other.cancel()  # twice is harmless
    known = len(second)
    await _play(bench, BARS[0], starts[-1] + timedelta(seconds=bench.venue.bar_seconds))
    await bench.until(lambda: len(first) > len(starts), "the fourth bar")
    ensure(len(second) == known, "a bar was handed over after its subscription had ended")


@card("B68", Can.BARS, Can.OUTSIDE_HOURS)
async def regular_bars(bench: Bench) -> None:
    """A stream of regular hours has no bar of extended hours; one of all hours has."""
    await bench.ready()
    regular: list[Bar] = []
    everything: list[Bar] = []
    await bench.venue.leave_regular_hours()
    for rth, into in ((True, regular), (False, everything)):
        bench.broker.subscribe(bench.venue.symbol, bench.venue.bar_seconds, rth, bench.listener(into))
    start = await _begin_of_bar(bench)
    await _play(bench, BARS[0], start)
    await bench.until(lambda: any(bar.start == start for bar in everything), "the bar of extended hours")
    ensure(not regular, f"a stream of regular hours has the bar of {start}")


@card("B58", Can.BARS, Can.HISTORY)
async def history(bench: Bench) -> None:
    """`history` returns at most as many bars as were asked for, closed by now, oldest first, without a repetition."""
    bars: list[Bar] = []
    starts = await _bars(bench, bars)
    await bench.trade("0.40", 100)  # in the bar that forms now
    seconds = bench.venue.bar_seconds
    found = await bench.broker.history(bench.venue.symbol, seconds, 2, False)
    said = [bar.start for bar in found]
    ensure(said == starts[1:], f"the last two of {_clocks(starts)} are {_clocks(said)}")
    ensure(all(bar.seconds == seconds and is_utc(bar.start) for bar in found), f"length or zone: {found}")
    live = {bar.start: _values(bench, bar) for bar in bars}
    same = all(_values(bench, bar) == live.get(bar.start) for bar in found)
    ensure(same, f"live {[live.get(bar.start) for bar in found]}, history {found}")


@card("B59", Can.HISTORY)
async def no_history(bench: Bench) -> None:
    """`history` of what cannot be had raises `BrokerError` with one line, or is empty; it never hangs."""
    await bench.ready()
    asked = bench.broker.history(bench.venue.unknown, bench.venue.bar_seconds, 2, False)
    try:
        found = await asyncio.wait_for(asked, bench.venue.patience)
    except TimeoutError:
        ensure(False, f"no answer within {bench.venue.patience:g} s")  # it is what happened
    except Exception as error:  # noqa: BLE001  # anything else but BrokerError is the finding
        await bench.fails(_raise(error), "history of an unknown symbol")
    else:
        ensure(found == (), f"bars of an unknown symbol: {found}")


async def _raise(error: Exception) -> None:
    raise error


@card("B60", Can.QUOTES)
async def latest(bench: Bench) -> None:
    """`latest` is the touch of a subscribed symbol as it is, without waiting; its instant is UTC and not in the future."""
    await bench.ready()
    bench.broker.subscribe_quotes(bench.venue.symbol)
    for bid, ask in (("-0.02", "0.02"), ("-0.05", "-0.01")):
        await bench.touch(bid, ask)
        await bench.until(partial(_shows, bench, bid, ask), f"{bid} x {ask}")
    before = time.perf_counter()
    quote = _latest(bench)
    ensure(time.perf_counter() - before < BLOCKING, "latest() waits")
    assert quote is not None
    ensure(quote.symbol == bench.venue.symbol, f"its symbol is {quote.symbol}")
    ensure(is_utc(quote.at), f"{quote.at} is not aware UTC")
    ensure(quote.age(bench.now()) > -1, f"{quote.at} lies in the future")


def _latest(bench: Bench) -> Quote | None:
    return bench.broker.latest(bench.venue.symbol)


def _shows(bench: Bench, bid: str, ask: str) -> bool:
    return _is_touch(bench, _latest(bench), bid, ask)


def _is_touch(bench: Bench, quote: Quote | None, bid: str, ask: str) -> bool:
    return quote is not None and (quote.bid, quote.ask) == (bench.at(bid), bench.at(ask))


@card("B61", Can.QUOTES)
async def quote_stream(bench: Bench) -> None:
    """`on_quote` is called with each change of the touch, and no more once its subscription has ended."""
    await bench.ready()
    quotes: list[Quote] = []
    handle = bench.broker.subscribe_quotes(bench.venue.symbol, bench.listener(quotes))
    for bid, ask in (("-0.02", "0.02"), ("-0.05", "-0.01")):
        await bench.touch(bid, ask)
        await bench.until(partial(_heard, bench, quotes, bid, ask), f"{bid} x {ask}")
    handle.cancel()
    handle.cancel()  # twice is harmless
    known = len(quotes)
    await bench.touch("-0.08", "-0.04")
    await bench.quiet()
    ensure(len(quotes) == known, "a quote was handed over after its subscription had ended")


def _heard(bench: Bench, quotes: list[Quote], bid: str, ask: str) -> bool:
    return _is_touch(bench, quotes[-1] if quotes else None, bid, ask)


@card("B62", Can.QUOTES)
async def one_side(bench: Bench) -> None:
    """A side of the touch without a price is `None`: not 0, not -1, not the price it had."""
    await bench.ready()
    bench.broker.subscribe_quotes(bench.venue.symbol)
    await bench.until(partial(_shows, bench, "-0.01", "0.01"), "the touch with two sides")
    await bench.touch(None, "0.02")

    def ask_only() -> bool:
        quote = _latest(bench)
        return quote is not None and quote.bid is None and quote.ask == bench.at("0.02")

    await bench.until(ask_only, "a touch with an ask and without a bid")


@card("B63", Can.QUOTES)
async def quote_on_request(bench: Bench) -> None:
    """`snapshot` returns the touch as it is when it is asked, also of a symbol that nobody subscribed."""
    await bench.ready()
    for bid, ask in (("-0.02", "0.02"), ("-0.05", "-0.01")):
        await bench.touch(bid, ask)
        await bench.quiet()
        quote = await bench.broker.snapshot(bench.venue.symbol, bench.venue.patience)
        ensure(
            _is_touch(bench, quote, bid, ask),
            f"the touch is {bid} x {ask} from {bench.venue.price}, not {quote}",
        )


@card("B64", Can.QUOTES, Can.NO_TOUCH)
async def patience(bench: Bench) -> None:
    """`snapshot` returns `None` when its patience is over and there is no touch; it does not raise and does not wait longer."""
    await bench.ready(touch=False)
    loop = asyncio.get_running_loop()
    began = loop.time()
    quote = await asyncio.wait_for(bench.broker.snapshot(bench.venue.symbol, 0.3), bench.venue.patience)
    ensure(quote is None, f"there is no touch, it returned {quote}")
    ensure(loop.time() - began < 1.3, f"asked for 0.3 s of patience, it took {loop.time() - began:.1f} s")


CARDS = cards_in(globals())
