"""Cards about the link, the account, contracts and trading hours."""

from __future__ import annotations

import time
from datetime import datetime
from datetime import time as clock_time
from zoneinfo import ZoneInfo

from tradeshell.core.inputs import LinkChanged
from tradeshell.core.market import Bar, Quote, Session
from tradeshell.core.orders import OrderState
from tradeshell.testing.broker_contract_bench import BLOCKING, Bench, is_utc
from tradeshell.testing.broker_contract_play import card, cards_in
from tradeshell.testing.broker_contract_venue import Can, ensure

NEW_YORK = ZoneInfo("America/New_York")


@card("B01")
async def connecting(bench: Bench) -> None:
    """Connecting emits one `LinkChanged` that is up, before any other input; connecting again emits none."""
    await bench.connect()
    await bench.quiet()
    ensure(isinstance(bench.inputs[0], LinkChanged), f"the first input is {type(bench.inputs[0]).__name__}")
    ensure([link.up for link in bench.links] == [True], f"{len(bench.links)} LinkChanged were emitted")
    await bench.broker.connect()
    await bench.quiet()
    ensure(len(bench.links) == 1, "connecting while connected emitted another LinkChanged")


@card("B02")
async def account(bench: Bench) -> None:
    """The first `LinkChanged` names the account and says whether it is paper, as `info()` does from then on."""
    link = await bench.connect()
    info = bench.broker.info()
    ensure(bool(link.account), "LinkChanged has no account")
    wanted = bench.venue.account or link.account
    ensure(link.account == wanted, f"LinkChanged says {link.account}, the account is {wanted}")
    ensure(link.paper is bench.venue.paper, f"LinkChanged says paper={link.paper}")
    said = (info.account, info.paper)
    ensure(said == (link.account, link.paper), f"info() says {said}, LinkChanged something else")
    ensure(bool(info.name) and "\n" not in info.words, "info() needs a name, and words of one line")


@card("B03")
async def disconnecting(bench: Bench) -> None:
    """Disconnecting emits one `LinkChanged` that is down, and nothing is emitted after it until the link is up again."""
    await bench.ready()
    order = bench.buy(10, limit="-1")
    bench.send(order)
    await bench.shown(order, OrderState.WORKING)
    await bench.broker.disconnect()
    await bench.until(lambda: not bench.links[-1].up, "LinkChanged(up=False)")
    known = len(bench.inputs)
    ensure(isinstance(bench.inputs[-1], LinkChanged), "something was emitted after LinkChanged(up=False)")
    await bench.trade("-1")
    await bench.broker.disconnect()
    await bench.quiet()
    ensure(len(bench.inputs) == known, "something was emitted while disconnected")
    ensure([link.up for link in bench.links] == [True, False], "the link was not told as up, then down")


@card("B04", Can.CUT)
async def no_link(bench: Bench) -> None:
    """A link that cannot be made is a `BrokerError` of one line from `connect`, and no `LinkChanged` that is up."""
    await bench.connect()
    await bench.venue.cut()
    await bench.until(lambda: not bench.links[-1].up, "LinkChanged(up=False) after the link dropped")
    await bench.fails(bench.broker.connect(), "connect while the link is cut")
    await bench.quiet()
    ensure([link.up for link in bench.links].count(True) == 1, "LinkChanged(up=True) without a link")


@card("B05", Can.CUT)
async def drop(bench: Bench) -> None:
    """A link that drops is told once, as down and with words that say why."""
    await bench.ready()
    await bench.venue.cut()
    await bench.until(lambda: not bench.links[-1].up, "LinkChanged(up=False)")
    await bench.quiet()
    ensure([link.up for link in bench.links] == [True, False], "one drop has to be told once")
    why = bench.links[-1].why
    ensure(bool(why.strip()) and "\n" not in why, f"why={why!r} does not say why, in one line")


@card("B06", Can.CUT)
async def comeback(bench: Bench) -> None:
    """A link that dropped is made again without being asked, told once, and carries orders again."""
    await bench.ready()
    await bench.venue.cut()
    await bench.until(lambda: not bench.links[-1].up, "LinkChanged(up=False)")
    await bench.venue.mend()
    await bench.until(lambda: bench.links[-1].up, "LinkChanged(up=True) after the link was mended")
    await bench.quiet()
    ensure([link.up for link in bench.links] == [True, False, True], "one comeback has to be told once")
    bench.next_id = bench.links[-1].first_order_id
    order = bench.buy(10, limit="-1")
    bench.send(order)
    await bench.shown(order, OrderState.WORKING)


@card("B07")
async def nothing_left(bench: Bench) -> None:
    """While it is not connected `place`, `modify`, `cancel` and `snapshot_account` raise `BrokerError`.

    Nothing leaves then, nor later.
    """
    await bench.ready()
    known, lost = bench.buy(10, limit="-1"), bench.buy(10, limit="-1")
    bench.send(known)
    await bench.shown(known, OrderState.WORKING)
    await bench.broker.disconnect()
    bench.refuses(lambda: bench.send(lost), "place while disconnected")
    bench.refuses(lambda: bench.change(known), "modify while disconnected")
    bench.refuses(lambda: bench.cancel(known), "cancel while disconnected")
    await bench.fails(bench.broker.snapshot_account(), "snapshot_account while disconnected")
    await bench.connect()
    await bench.quiet()
    ensure(await bench.living(lost) is None, "an order whose place raised BrokerError is at the broker")
    ensure(await bench.living(known) is not None, "an order whose cancel raised BrokerError is gone")


@card("B08")
async def after_close(bench: Bench) -> None:
    """After the broker was closed nothing is called back: no input, no bar, no quote."""
    await bench.ready()
    bars: list[Bar] = []
    quotes: list[Quote] = []
    bars_too = Can.BARS in bench.venue.can
    if bars_too:
        bench.broker.subscribe(bench.venue.symbol, bench.venue.bar_seconds, False, bench.listener(bars))
    if Can.QUOTES in bench.venue.can:
        bench.broker.subscribe_quotes(bench.venue.symbol, bench.listener(quotes))
    resting, leaving = bench.buy(10, limit="-1"), bench.buy(10)
    bench.send(resting)
    await bench.shown(resting, OrderState.WORKING)
    bench.send(leaving)  # its answer is under way
    bench.close()
    await bench.trade("-1")
    await bench.touch("-2.01", "-2")
    if bars_too:
        await bench.venue.pass_time(bench.venue.bar_seconds + 1)
    await bench.quiet()  # the bench looks at what was called back


@card("B09")
async def on_the_loop(bench: Bench) -> None:
    """Everything is called back on the engine's loop and thread."""
    await bench.ready()
    order = await bench.hold(10)
    await bench.executed(order, 10)
    await bench.picture()


@card("B10")
async def silence(bench: Bench) -> None:
    """Normal events leave no traceback and no error in the log.

    An order that is refused, cancelled or dead already, a link that ends.
    """
    await bench.ready()
    order = bench.buy(10, limit="-1")
    bench.send(order)
    await bench.shown(order, OrderState.WORKING)
    if Can.REFUSE in bench.venue.can:
        await bench.venue.refuse_next("place", 201, "Order rejected - reason:no")
        bench.send(bench.buy(10, limit="-1"))
    bench.cancel(order)
    await bench.shown(order, OrderState.CANCELLED)
    bench.cancel(order)
    await bench.quiet()
    await bench.broker.disconnect()
    await bench.connect()
    if Can.CUT in bench.venue.can:
        await bench.venue.cut()
        await bench.until(lambda: not bench.links[-1].up, "LinkChanged(up=False)")


# --- contracts and hours ----------------------------------------------------------------------------------------------


@card("B11")
async def qualify(bench: Bench) -> None:
    """`qualify` returns the one contract of a symbol: the same each time, with a number that is not 0 and a price grid."""
    await bench.connect()
    found = await bench.broker.qualify(bench.venue.symbol)
    ensure(found.symbol == bench.venue.symbol, f"asked for {bench.venue.symbol}, got {found.symbol}")
    ensure(found.con_id != 0, "the contract has the number 0")
    ensure(found.grid.increment(bench.venue.price) > 0, "the contract's prices have no grid")
    ensure(await bench.broker.qualify(bench.venue.symbol) == found, "the second answer is another contract")


@card("B12")
async def unknown(bench: Bench) -> None:
    """`qualify` raises `BrokerError` with one line that names the symbol when nothing has that name."""
    await bench.connect()
    line = await bench.fails(bench.broker.qualify(bench.venue.unknown), "qualify of an unknown symbol")
    ensure(bench.venue.unknown in line, f"{line!r} does not name {bench.venue.unknown}")


@card("B13", Can.AMBIGUOUS)
async def ambiguous(bench: Bench) -> None:
    """`qualify` raises `BrokerError` with one line when a symbol means several contracts: it never picks one."""
    await bench.connect()
    await bench.fails(bench.broker.qualify(bench.venue.ambiguous), "qualify of an ambiguous symbol")


async def _session(bench: Bench, at: datetime) -> Session | None:
    """Return the hours of the day of ``at``; what they rest on may be on its way when it is asked for first."""
    await bench.ready()
    return bench.broker.session(bench.venue.symbol, at)


def _new_york(at: datetime) -> str:
    return f"{at.astimezone(NEW_YORK):%H:%M}"


@card("B14", Can.HOURS)
async def hours(bench: Bench) -> None:
    """`session` gives the hours of the New York day of any instant, at once, in UTC: 09:30 to 16:00 within extended hours."""
    day = bench.venue.regular_day
    found = await _session(bench, datetime.combine(day, clock_time(12), NEW_YORK))
    ensure(found is not None, f"{day} is a trading day, session() says that it is not")
    assert found is not None
    instants = (found.extended_open, found.open, found.close, found.extended_close)
    ensure(all(is_utc(at) for at in instants), "the hours are not aware UTC")
    ensure(instants == tuple(sorted(set(instants))), "regular hours do not lie within extended hours")
    said = (_new_york(found.open), _new_york(found.close), found.open.astimezone(NEW_YORK).date())
    ensure(said == ("09:30", "16:00", day), f"the hours of {day} are said to be {said}")
    late = datetime.combine(day, clock_time(23, 30), NEW_YORK)  # another day in UTC
    before = time.perf_counter()
    ensure(bench.broker.session(bench.venue.symbol, late) == found, f"{late} is of the day {day} in New York")
    ensure(time.perf_counter() - before < BLOCKING, "session() waits")


@card("B15", Can.HOURS)
async def half_day(bench: Bench) -> None:
    """On a half day regular hours end at 13:00 New York."""
    day = bench.venue.half_day
    ensure(day is not None, "Can.HOURS without half_day: name one")
    assert day is not None
    found = await _session(bench, datetime.combine(day, clock_time(15), NEW_YORK))
    ensure(
        found is not None and _new_york(found.close) == "13:00", f"the hours of the half day {day}: {found}"
    )


@card("B16", Can.HOURS)
async def no_trading_day(bench: Bench) -> None:
    """`session` is `None` on holidays and weekends."""
    for day in bench.venue.closed_days:
        found = await _session(bench, datetime.combine(day, clock_time(12), NEW_YORK))
        ensure(found is None, f"{day} is no trading day, its hours are said to be {found}")


# --- numbers ----------------------------------------------------------------------------------------------------------


@card("B17")
async def numbers(bench: Bench) -> None:
    """Order numbers are above zero and rise: what `first_order_id` says lies above every number used before."""
    link = await bench.connect()
    await bench.ready()
    ensure(0 < bench.broker.first_order_id() <= link.first_order_id, "the numbers of LinkChanged are taken")
    bench.next_id = link.first_order_id + 5
    order = bench.buy(10, limit="-1")
    bench.send(order)
    await bench.shown(order, OrderState.WORKING)
    used = bench.numbers[order.ref]
    ensure(
        bench.broker.first_order_id() > used, f"{used} was used, {bench.broker.first_order_id()} is offered"
    )


@card("B18")
async def numbers_after_reconnect(bench: Bench) -> None:
    """After a new connection `LinkChanged.first_order_id` lies above every number used before."""
    used = await _used(bench)
    await bench.broker.disconnect()
    link = await bench.connect()
    ensure(link.first_order_id > used, f"{used} was used, LinkChanged offers {link.first_order_id}")


@card("B19", Can.RESTART)
async def numbers_after_restart(bench: Bench) -> None:
    """A restarted program is told a `first_order_id` above every number used before, and finds its orders by their refs."""
    used = await _used(bench)
    refs = list(bench.numbers)
    bench.close()
    bench.open()
    link = await bench.connect()
    ensure(link.first_order_id > used, f"{used} was used before, LinkChanged offers {link.first_order_id}")
    shown = {report.ref: report.order_id for report in (await bench.picture()).orders}
    ensure(shown.get(refs[-1]) == used, f"the snapshot shows {shown}, not {refs[-1]} under {used}")


@card("B67", Can.RESTART)
async def restart(bench: Bench) -> None:
    """A restarted program finds the day's executions and its positions in the first snapshot, also what happened meanwhile."""
    await bench.ready()
    before, meanwhile = await bench.hold(10), bench.buy(20, limit="-1")
    bench.send(meanwhile)
    await bench.shown(meanwhile, OrderState.WORKING)
    bench.close()
    await bench.trade("-1")
    bench.open()
    await bench.connect()
    found = await bench.picture()
    shown = {execution.ref: execution.qty for execution in found.executions}
    wanted = (shown.get(before.ref), shown.get(meanwhile.ref))
    ensure(wanted == (10, 20), f"10 and 20 shares executed, the snapshot shows {shown}")
    held = [position.qty for position in found.positions if position.symbol == bench.venue.symbol]
    ensure(held == [30], f"30 shares are held, the snapshot shows {held}")


async def _used(bench: Bench) -> int:
    """Place an order with a number that leaves a gap, and return the number."""
    await bench.ready()
    bench.next_id = bench.links[-1].first_order_id + 7
    order = bench.buy(10, limit="-1")
    bench.send(order)
    await bench.shown(order, OrderState.WORKING)
    return bench.numbers[order.ref]


CARDS = cards_in(globals())
