"""Cards about orders that belong together, trading hours of orders, and pictures of the account."""

from __future__ import annotations

import asyncio

from msgspec.structs import replace

from tradeshell.core.orders import OcaType, OrderSpec, OrderState, Tif
from tradeshell.testing.broker_contract_bench import Bench
from tradeshell.testing.broker_contract_play import card, cards_in
from tradeshell.testing.broker_contract_venue import Can, ContractBroken, ensure

Family = tuple[OrderSpec, OrderSpec, OrderSpec]
HELD, WORKING, FILLED, CANCELLED = (
    OrderState.HELD,
    OrderState.WORKING,
    OrderState.FILLED,
    OrderState.CANCELLED,
)


async def _bracket(bench: Bench) -> Family:
    """Return an entry that rests a dollar below the market, its target and its stop, all reported."""
    await bench.ready()
    entry = bench.buy(100, limit="-1", transmit=False)
    target = bench.sell(100, limit="1", parent_ref=entry.ref, transmit=False)
    stop = bench.sell(100, stop="-2", parent_ref=entry.ref, leg="sl1")
    bench.send(entry, target, stop)
    await bench.shown(entry, WORKING)
    await bench.shown(target, HELD)
    await bench.shown(stop, HELD)
    return entry, target, stop


@card("B44", Can.BRACKETS)
async def staged(bench: Bench) -> None:
    """What is not transmitted is kept back in silence; the last of a family, which transmits, releases all of it."""
    await bench.ready()
    entry = bench.buy(100, limit="1", transmit=False)
    stop = bench.sell(100, stop="-2", parent_ref=entry.ref, leg="sl1")
    bench.send(entry)
    await bench.quiet()
    ensure(not bench.executions(entry), "an order that was not transmitted has executed")
    ensure(
        bench.state(entry) is None, f"an order that was not transmitted is reported as {bench.state(entry)}"
    )
    bench.send(stop)
    await bench.executed(entry, 100)
    await bench.shown(stop, HELD)


@card("B45", Can.BRACKETS, Can.PARTIAL_FILLS)
async def children_wait(bench: Bench) -> None:
    """Children of a bracket are held and do not fill before their parent has filled completely."""
    entry, target, _ = await _bracket(bench)
    await bench.trade("-1", 30)
    await bench.executed(entry, 30)
    await bench.touch("1.01", "1.03")
    await bench.trade("1.02")
    await bench.quiet()
    ensure(bench.bought(target) == 0, "a target sold before its entry had filled")
    ensure(bench.state(target) is HELD, f"the target of a resting entry is {bench.state(target)}")


@card("B46", Can.BRACKETS)
async def children_work(bench: Bench) -> None:
    """When the parent has filled its children work; when one of them fills the other ends."""
    entry, target, stop = await _bracket(bench)
    await bench.trade("-1")
    await bench.executed(entry, 100)
    await bench.shown(target, WORKING)
    ensure(bench.state(stop) is HELD, f"the stop is {bench.state(stop)}")
    await bench.trade("1")
    await bench.executed(target, 100)
    await bench.shown(stop, CANCELLED)
    await bench.touch("-2.01", "-1.99")
    await bench.trade("-2")
    await bench.quiet()
    ensure(bench.bought(stop) == 0, "target and stop both sold")


@card("B47", Can.BRACKETS)
async def children_end(bench: Bench) -> None:
    """When the parent is cancelled before it filled its children end with it, and are reported as ended."""
    entry, target, stop = await _bracket(bench)
    bench.cancel(entry)
    for order in (entry, target, stop):
        await bench.shown(order, CANCELLED)
    living = {report.ref for report in (await bench.picture()).orders if report.state.is_live}
    ensure(not living & {entry.ref, target.ref, stop.ref}, f"the snapshot shows as living: {living}")


async def _pair(bench: Bench) -> tuple[OrderSpec, OrderSpec]:
    """Return a target and a stop of one group of type 2, over 100 shares that are held."""
    await bench.ready()
    held = await bench.hold(100)
    group = {"oca_group": f"{held.ref}:p", "oca_type": OcaType.REDUCE}
    target = bench.sell(100, limit="1", **group)
    stop = bench.sell(100, stop="-1", leg="sl1", **group)
    bench.send(target, stop)
    await bench.shown(target, WORKING)
    await bench.shown(stop, HELD)
    return target, stop


@card("B48", Can.OCA, Can.PARTIAL_FILLS)
async def reduction(bench: Bench) -> None:
    """In a group of type 2 a partial fill of one order reduces what remains of the other by as much, and that is reported."""
    target, stop = await _pair(bench)
    await bench.trade("1", 40)
    await bench.executed(target, 40)
    await bench.until(lambda: bench.reports(stop)[-1].remaining == 60, "the sibling with 60 remaining")
    shown = await bench.living(stop)
    ensure(shown is not None and shown.remaining == 60, f"the snapshot shows the sibling as {shown}")
    await bench.touch("-1.02", "-0.98")
    await bench.trade("-1")
    await bench.executed(stop, 60)
    await bench.quiet()
    sold = bench.bought(target) + bench.bought(stop)
    ensure(sold == 100, f"the pair sold {sold} of 100 shares")


@card("B49", Can.OCA)
async def sibling(bench: Bench) -> None:
    """In a group of type 2 the complete fill of one order cancels the other, and that is reported."""
    target, stop = await _pair(bench)
    await bench.trade("1")
    await bench.executed(target, 100)
    await bench.shown(stop, CANCELLED)
    ensure(await bench.living(stop) is None, "the sibling is in the snapshot as if it lived")


@card("B50", Can.OUTSIDE_HOURS)
async def outside_hours(bench: Bench) -> None:
    """In extended hours an order works if it says `outside_rth`, and is held if it does not."""
    await bench.ready()
    await bench.venue.leave_regular_hours()
    inside = bench.buy(10, limit="0.50", tif=Tif.GTC)
    outside = replace(bench.buy(10, limit="0.50"), outside_rth=True)
    bench.send(inside, outside)
    await bench.executed(outside, 10)
    await bench.shown(inside, HELD)
    await bench.quiet()
    ensure(bench.bought(inside) == 0, "an order for regular hours executed outside of them")


# --- pictures ---------------------------------------------------------------------------------------------------------


@card("B51")
async def picture(bench: Bench) -> None:
    """A snapshot is complete: every living order as it is, the executions of the day, and the positions."""
    await bench.ready()
    held, resting = await bench.hold(10), bench.buy(20, limit="-1")
    bench.send(resting)
    await bench.shown(resting, WORKING)
    await bench.executed(held, 10)
    found = await bench.picture()
    shown = {report.ref: report for report in found.orders}
    ensure(resting.ref in shown, "a working order is not in it")
    said = shown[resting.ref]
    counts = (said.order_id, said.state, said.filled, said.remaining)
    ensure(counts == (bench.numbers[resting.ref], WORKING, 0, 20), f"the working order is shown as {counts}")
    ensure(held.ref not in shown or not shown[held.ref].state.is_live, "a filled order is shown as living")
    executed = [execution for execution in found.executions if execution.ref == held.ref]
    ensure(executed == bench.executions(held), f"told {bench.executions(held)}, the snapshot has {executed}")
    position = [each.qty for each in found.positions if each.symbol == bench.venue.symbol]
    ensure(position == [10], f"the position is shown as {position}")


@card("B52")
async def fresh_picture(bench: Bench) -> None:
    """A snapshot is requested after the call: what was told before it is in it, whatever an earlier one said."""
    await bench.ready()
    await bench.picture()
    order = bench.buy(10, limit="-1")
    bench.send(order)
    await bench.shown(order, WORKING)
    ensure(await bench.living(order) is not None, "an order that was reported is not in it")
    await bench.trade("-1")
    await bench.shown(order, FILLED)
    found = await bench.picture()
    ensure(order.ref in {e.ref for e in found.executions}, "an execution that was told is not in it")
    bench.cancel(order)
    await bench.quiet()
    ensure(await bench.living(order) is None, "an order that was reported as filled is shown as living")


@card("B53", Can.CUT, Can.STALL)
async def cut_picture(bench: Bench) -> None:
    """A snapshot that is not answered completely raises `BrokerError`, at the latest when the link drops."""
    await bench.ready()
    await bench.venue.stall()
    asked = asyncio.ensure_future(bench.broker.snapshot_account())
    await bench.quiet()
    if asked.done() and asked.exception() is None:
        raise ContractBroken("a request that was not answered returned a snapshot")
    await bench.venue.cut()
    await bench.fails(asked, "a snapshot whose link was cut")


@card("B54")
async def survivors(bench: Bench) -> None:
    """Orders live on while it is disconnected: the next snapshot shows them, and what they executed meanwhile."""
    await bench.ready()
    filling, resting = bench.buy(10, limit="-1"), bench.buy(10, limit="-3")
    bench.send(filling, resting)
    await bench.shown(filling, WORKING)
    await bench.shown(resting, WORKING)
    await bench.broker.disconnect()
    await bench.trade("-1")
    await bench.quiet()
    await bench.connect()
    found = await bench.picture()
    living = {report.ref for report in found.orders if report.state.is_live}
    ensure(resting.ref in living, "an order that works on is not in the snapshot")
    ensure(filling.ref not in living, "an order that filled meanwhile is shown as living")
    shown = sum(execution.qty for execution in found.executions if execution.ref == filling.ref)
    ensure(shown == 10, f"10 shares executed meanwhile, the snapshot shows {shown}")
    bench.cancel(resting)
    await bench.shown(resting, CANCELLED)


CARDS = cards_in(globals())
