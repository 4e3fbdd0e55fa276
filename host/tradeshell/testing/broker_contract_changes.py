"""Cards about changes and cancels, of orders that live and of orders that do not."""

from __future__ import annotations

from functools import partial

from msgspec.structs import replace

from tradeshell.core.inputs import RefusedWhat
from tradeshell.core.orders import OrderSpec, OrderState
from tradeshell.testing.broker_contract_bench import Bench
from tradeshell.testing.broker_contract_play import card, cards_in
from tradeshell.testing.broker_contract_venue import Can, ensure

ENDED = (OrderState.FILLED, OrderState.CANCELLED)


async def _resting(bench: Bench, qty: int = 10) -> OrderSpec:
    """Return a BUY that works a dollar below the market."""
    await bench.ready()
    order = bench.buy(qty, limit="-1")
    bench.send(order)
    await bench.shown(order, OrderState.WORKING)
    return order


@card("B34", Can.MODIFY)
async def price(bench: Bench) -> None:
    """A changed price is reported under the same ref and number, and from then on the new one counts, not the old one."""
    order = await _resting(bench)
    lower = replace(order, limit=bench.at("-2"))
    bench.change(lower)
    await bench.until(
        lambda: bench.reports(order)[-1].limit == lower.limit, f"a report with the limit {lower.limit}"
    )
    report = bench.reports(order)[-1]
    ensure(report.order_id == bench.numbers[order.ref], f"it has the number {report.order_id} now")
    await bench.trade("-1")
    await bench.quiet()
    ensure(bench.bought(order) == 0, "it filled at its old price")
    await bench.trade("-2")
    await bench.executed(order, 10)


@card("B35", Can.MODIFY, Can.PARTIAL_FILLS)
async def quantity(bench: Bench) -> None:
    """A smaller total is reported, what remains is the total less what has filled, and no more than that fills."""
    order = await _resting(bench, 100)
    await bench.trade("-1", 30)
    await bench.executed(order, 30)
    smaller = replace(order, qty=50)
    bench.change(smaller)
    await bench.until(lambda: bench.reports(order)[-1].remaining == 20, "a report with 20 remaining")
    ensure(
        bench.reports(order)[-1].qty in (None, 50), f"the total is said to be {bench.reports(order)[-1].qty}"
    )
    await bench.trade("-1", 500)
    report = await bench.shown(order, OrderState.FILLED)
    ensure(report.filled == 50, f"the report says {report.filled} filled")
    await bench.executed(order, 50)


@card("B36", Can.MODIFY, Can.STOPS)
async def stop_price(bench: Bench) -> None:
    """A stop that was moved is reported at its new price and is elected there, not at the old one."""
    await bench.ready()
    await bench.hold(10)
    order = bench.sell(10, stop="-1", leg="sl1")
    bench.send(order)
    await bench.shown(order, OrderState.HELD)
    lower = replace(order, stop=bench.at("-2"))
    bench.change(lower)
    await bench.until(
        lambda: bench.reports(order)[-1].stop == lower.stop, f"a report with the stop {lower.stop}"
    )
    await bench.trade("-1.50")
    await bench.quiet()
    ensure(bench.bought(order) == 0, "it was elected at its old price")
    await bench.touch("-2.02", "-1.98")
    await bench.trade("-2")
    await bench.executed(order, 10)


@card("B37", Can.MODIFY)
async def change_of_dead(bench: Bench) -> None:
    """A change of an order that has ended is refused by an input about the `change`; nothing is raised, nothing comes to life."""
    order = await _resting(bench)
    await bench.trade("-1")
    await bench.shown(order, OrderState.FILLED)
    bench.change(replace(order, limit=bench.at("-2")))
    await bench.until(lambda: bool(bench.refusals(order)), "OrderRefusedByBroker")
    said = bench.refusals(order)[-1]
    ensure(said.what is RefusedWhat.CHANGE, f"it is said to be about the {said.what}")
    await bench.quiet()
    ensure(bench.state(order) is OrderState.FILLED, f"a filled order became {bench.state(order)}")
    ensure(bench.bought(order) == 10, f"{bench.bought(order)} shares have executed")
    ensure(await bench.living(order) is None, "a filled order is in the snapshot as if it lived")


@card("B38", Can.MODIFY, Can.REFUSE)
async def refused_change(bench: Bench) -> None:
    """A refused change is an input about the `change` with code and words, and the order works on as it was."""
    order = await _resting(bench)
    await bench.venue.refuse_next("modify", 110, "The price does not conform to the minimum price variation")
    bench.change(replace(order, limit=bench.at("-2")))
    await bench.until(lambda: bool(bench.refusals(order)), "OrderRefusedByBroker")
    said = bench.refusals(order)[-1]
    ensure(said.what is RefusedWhat.CHANGE, f"it is said to be about the {said.what}")
    ensure(said.code == 110 and "does not conform" in said.text, f"the broker's own words are lost: {said}")
    await bench.quiet()
    ensure(bench.state(order) is OrderState.WORKING, f"the order is said to be {bench.state(order)}")
    shown = await bench.living(order)
    ensure(shown is not None and shown.limit in (None, order.limit), f"the snapshot shows it as {shown}")
    await bench.trade("-1")
    await bench.executed(order, 10)


@card("B39", Can.PARTIAL_FILLS)
async def cancel(bench: Bench) -> None:
    """A cancelled order is reported as such with what had filled, it never fills again, and no snapshot shows it as living."""
    order = await _resting(bench, 100)
    await bench.trade("-1", 30)
    await bench.executed(order, 30)
    bench.cancel(order)
    report = await bench.shown(order, OrderState.CANCELLED)
    ensure(report.filled == 30, f"30 shares had filled, the report says {report.filled}")
    await bench.trade("-1")
    await bench.quiet()
    ensure(bench.bought(order) == 30, "it filled after it was cancelled")
    ensure(await bench.living(order) is None, "a cancelled order is in the snapshot as if it lived")


@card("B40")
async def cancel_of_dead(bench: Bench) -> None:
    """A cancel of an order that has filled, or was never known, is refused by an input about the `cancel`; nothing is raised."""
    order = await _resting(bench)
    await bench.trade("-1")
    await bench.shown(order, OrderState.FILLED)
    stranger = bench.buy(10, limit="-1")
    bench.numbers[stranger.ref] = bench.next_id + 50
    for dead in (order, stranger):
        bench.cancel(dead)
        await bench.until(partial(_is_refused, bench, dead), f"a refusal to cancel {dead.ref}")
        said = bench.refusals(dead)[-1]
        ensure(said.what is RefusedWhat.CANCEL, f"{dead.ref}: it is said to be about the {said.what}")
        ensure(said.code > 0 and bool(said.text), f"no code, or no words: {said}")
    await bench.quiet()
    ensure(bench.state(order) is OrderState.FILLED, f"a filled order became {bench.state(order)}")


def _is_refused(bench: Bench, order: OrderSpec) -> bool:
    return bool(bench.refusals(order))


@card("B41", Can.REFUSE)
async def refused_cancel(bench: Bench) -> None:
    """A refused cancel is an input about the `cancel`, and the order works on."""
    order = await _resting(bench)
    await bench.venue.refuse_next("cancel", 161, "Cancel attempted when order is not in a cancellable state.")
    bench.cancel(order)
    await bench.until(lambda: bool(bench.refusals(order)), "OrderRefusedByBroker")
    said = bench.refusals(order)[-1]
    ensure(said.what is RefusedWhat.CANCEL, f"it is said to be about the {said.what}")
    await bench.quiet()
    ensure(bench.state(order) is OrderState.WORKING, f"the order is said to be {bench.state(order)}")
    await bench.trade("-1")
    await bench.executed(order, 10)


@card("B42")
async def race(bench: Bench) -> None:
    """When a cancel and a fill race each other, the last report, the executions, the position and the snapshot agree."""
    order = await _resting(bench)
    bench.cancel(order)
    await bench.trade("-1")
    await bench.shown(order, *ENDED)
    await bench.quiet()
    report = bench.reports(order)[-1]
    ensure(report.state in ENDED, f"after it had ended it was reported as {report.state}")
    ensure(report.filled == bench.bought(order), f"reported {report.filled}, executed {bench.bought(order)}")
    full = report.state is OrderState.FILLED
    ensure(full == (report.filled == 10), f"{report.filled} of 10 filled, the state is {report.state}")
    found = await bench.picture()
    shown = sum(e.qty for e in found.executions if e.ref == order.ref)
    held = sum(position.qty for position in found.positions if position.symbol == bench.venue.symbol)
    ensure((shown, held) == (report.filled, report.filled), f"the snapshot has {shown} executed, {held} held")
    ensure(await bench.living(order) is None, "an order that has ended is in the snapshot as if it lived")


@card("B43", Can.FILL_LATE)
async def late_fill(bench: Bench) -> None:
    """An execution that comes after its order's cancel was confirmed is told like any other."""
    order = await _resting(bench)
    bench.cancel(order)
    await bench.shown(order, OrderState.CANCELLED)
    await bench.venue.fill_late(bench.numbers[order.ref], 10, bench.at("-1"))
    await bench.executed(order, 10)
    shown = [e.qty for e in (await bench.picture()).executions if e.ref == order.ref]
    ensure(shown == [10], f"the snapshot shows executions of {shown}")


CARDS = cards_in(globals())
