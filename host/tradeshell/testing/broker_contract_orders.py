"""Cards about new orders: what is told of them, how they fill, what is refused."""

from __future__ import annotations

import time
from datetime import timedelta

from tradeshell.core.inputs import CommissionReported, OrderReported, PositionReported, RefusedWhat
from tradeshell.core.orders import OrderState, Side, Tif
from tradeshell.testing.broker_contract_bench import BLOCKING, Bench, is_utc
from tradeshell.testing.broker_contract_play import card, cards_in
from tradeshell.testing.broker_contract_venue import Can, ensure

MANY = 30  # orders: fewer than any pacing limit of a second


@card("B20")
async def placing(bench: Bench) -> None:
    """`place` returns at once, and the order is reported under its ref and number with everything still to fill."""
    await bench.ready()
    order = bench.buy(10, limit="-1")
    before = time.perf_counter()
    bench.send(order)
    ensure(time.perf_counter() - before < BLOCKING, "place() waits")
    report = await bench.shown(order, OrderState.WORKING)
    ensure(report.order_id == bench.numbers[order.ref], f"reported under the number {report.order_id}")
    counts = (report.filled, report.remaining)
    ensure(counts == (0, 10), f"filled and remaining are {counts}, not (0, 10)")
    ensure(report.limit in (None, order.limit), f"reported with the limit {report.limit}")


@card("B21")
async def limit(bench: Bench) -> None:
    """A limit order rests until the market reaches it, and fills at its limit or better."""
    await bench.ready()
    order = bench.buy(10, limit="-1")
    bench.send(order)
    await bench.shown(order, OrderState.WORKING)
    await bench.trade("-0.50")
    await bench.quiet()
    ensure(bench.bought(order) == 0, "it filled before its limit was reached")
    await bench.trade("-1")
    await bench.executed(order, 10)
    ensure(all(e.price <= bench.at("-1") for e in bench.executions(order)), "it filled above its limit")
    report = await bench.shown(order, OrderState.FILLED)
    ensure((report.filled, report.remaining) == (10, 0), f"filled {report.filled}, left {report.remaining}")


@card("B22")
async def market(bench: Bench) -> None:
    """A market order fills at the touch: a BUY at the ask, a SELL at the bid, or worse."""
    await bench.ready()
    entry = await bench.hold(10)
    out = bench.sell(10)
    bench.send(out)
    await bench.shown(out, OrderState.FILLED)
    (bought, *_), (sold, *_) = await bench.executed(entry, 10), await bench.executed(out, 10)
    ensure(bench.at("0.01") <= bought.price <= bench.at(1), f"bought at {bought.price}")
    ensure(bench.at(-1) <= sold.price <= bench.at("-0.01"), f"sold at {sold.price}")


@card("B23", Can.STOPS)
async def stop(bench: Bench) -> None:
    """A stop is held until a trade reaches its price, and then fills at the market."""
    await bench.ready()
    await bench.hold(10)
    order = bench.sell(10, stop="-1", leg="sl1")
    bench.send(order)
    await bench.shown(order, OrderState.HELD)
    await bench.touch("-0.52", "-0.48")
    await bench.trade("-0.50")
    await bench.quiet()
    ensure(bench.bought(order) == 0, "it executed before its stop was reached")
    await bench.touch("-1.02", "-0.98")
    await bench.trade("-1")
    (sold, *_) = await bench.executed(order, 10)
    ensure(sold.price <= bench.at("-0.98"), f"sold at {sold.price}")
    await bench.shown(order, OrderState.FILLED)


@card("B24", Can.STOPS)
async def stop_limit(bench: Bench) -> None:
    """A stop-limit is held until its stop, then works, and fills at its limit or better only: it may rest."""
    await bench.ready()
    await bench.hold(10)
    order = bench.sell(10, stop="-1", limit="-1", leg="sl1")
    bench.send(order)
    await bench.shown(order, OrderState.HELD)
    await bench.touch("-1.55", "-1.45")
    await bench.trade("-1.50")
    await bench.shown(order, OrderState.WORKING)
    await bench.quiet()
    ensure(bench.bought(order) == 0, "it sold below its limit")
    await bench.touch("-0.99", "-0.95")
    await bench.executed(order, 10)
    ensure(all(e.price >= bench.at("-1") for e in bench.executions(order)), "it sold below its limit")


@card("B25", Can.PARTIAL_FILLS)
async def partial(bench: Bench) -> None:
    """Of an order that fills in parts every execution is told, and its counts rise with them and never fall."""
    await bench.ready()
    order = bench.buy(100, limit="-1")
    bench.send(order)
    await bench.shown(order, OrderState.WORKING)
    await bench.trade("-1", 30)
    await bench.executed(order, 30)
    await bench.until(lambda: bench.reports(order)[-1].filled == 30, "a report with 30 filled")
    ensure(bench.state(order) is OrderState.WORKING, f"partly filled it is {bench.state(order)}")
    await bench.trade("-1", 70)
    await bench.executed(order, 100)
    await bench.shown(order, OrderState.FILLED)
    counts = [(report.filled, report.remaining) for report in bench.reports(order)]
    ensure(all(filled + left == 100 for filled, left in counts), f"filled and remaining: {counts}")
    ensure(counts == sorted(counts), f"filled falls: {counts}")


@card("B26", Can.PARTIAL_FILLS)
async def execution_ids(bench: Bench) -> None:
    """Each execution has an id of its own, and a snapshot shows it under the same one."""
    await bench.ready()
    order = bench.buy(100, limit="-1")
    bench.send(order)
    await bench.shown(order, OrderState.WORKING)
    for _ in range(4):
        await bench.trade("-1", 25)  # the same shares at the same price: four executions all the same
    await bench.until(
        lambda: len(bench.executions(order)) == 4, "four executions, each with an id of its own"
    )
    told = await bench.executed(order, 100)
    shown = {e.exec_id: e.qty for e in (await bench.picture()).executions if e.ref == order.ref}
    ensure(shown == {e.exec_id: e.qty for e in told}, f"told {told}, the snapshot has {shown}")


@card("B27")
async def executions(bench: Bench) -> None:
    """An execution says whose it is: ref, number, symbol, account, side, shares, price, and when, in UTC."""
    await bench.ready()
    order = await bench.hold(10)
    for execution in await bench.executed(order, 10):
        wanted = (bench.numbers[order.ref], bench.venue.symbol, bench.links[-1].account, Side.BUY)
        said = (execution.order_id, execution.symbol, execution.account, execution.side)
        ensure(said == wanted, f"the execution says {said}, not {wanted}")
        ensure(is_utc(execution.at), f"{execution.at} is not aware UTC")


@card("B28")
async def refs(bench: Bench) -> None:
    """An order's ref comes back as it was sent: in reports, executions, refusals and snapshots, however long it is."""
    await bench.ready()
    order, resting = bench.buy(10, leg="sl_entry-2x"), bench.buy(10, limit="-1", leg="sl_entry-2y")
    bench.send(order, resting)
    await bench.shown(order, OrderState.FILLED)
    await bench.executed(order, 10)
    await bench.shown(resting, OrderState.WORKING)
    found = await bench.picture()
    ensure(resting.ref in {report.ref for report in found.orders}, f"{resting.ref} is not in the snapshot")
    ensure(order.ref in {e.ref for e in found.executions}, f"{order.ref} is not among its executions")


@card("B29")
async def positions(bench: Bench) -> None:
    """After each execution the new position is told: shares with a sign, and what a share cost on average."""
    await bench.ready()
    await bench.hold(10)
    await _position(bench, 10)
    ensure(bench.at(-1) < _positions(bench)[-1].position.average < bench.at(1), "the average is far off")
    out = bench.sell(10)
    bench.send(out)
    await _position(bench, 0)


async def _position(bench: Bench, qty: int) -> None:
    await bench.until(
        lambda: [p.position.qty for p in _positions(bench)][-1:] == [qty], f"a position of {qty}"
    )


def _positions(bench: Bench) -> list[PositionReported]:
    told = [event for event in bench.inputs if isinstance(event, PositionReported)]
    return [event for event in told if event.position.symbol == bench.venue.symbol]


@card("B30", Can.COMMISSIONS)
async def commissions(bench: Bench) -> None:
    """The fee of an execution is told under the execution's id, after it."""
    await bench.ready()
    order = await bench.hold(10)
    (execution,) = await bench.executed(order, 10)

    def fees() -> list[CommissionReported]:
        told = [event for event in bench.inputs if isinstance(event, CommissionReported)]
        return [event for event in told if event.exec_id == execution.exec_id]

    await bench.until(lambda: bool(fees()), f"the fee of {execution.exec_id}")
    ensure(fees()[0].amount >= 0, f"the fee is {fees()[0].amount}")


@card("B31", Can.CORRECT)
async def corrections(bench: Bench) -> None:
    """A corrected execution is told again: the same stem, a higher revision, the new numbers; snapshots show it once."""
    await bench.ready()
    order = await bench.hold(10)
    (first,) = await bench.executed(order, 10)
    await bench.venue.correct(first.exec_id, 8, bench.at("0.05"))
    await bench.until(lambda: bench.bought(order) == 8, "the execution with 8 shares, by its next revision")
    (second,) = bench.executions(order)
    ensure(second.stem == first.stem, f"{first.exec_id} became {second.exec_id}")
    ensure(second.revision > first.revision, f"{first.exec_id} became {second.exec_id}")
    ensure(second.price == bench.at("0.05"), f"the corrected price is {second.price}")
    shown = [e.qty for e in (await bench.picture()).executions if e.stem == first.stem]
    ensure(shown == [8], f"the snapshot shows {shown} shares under {first.stem}")


@card("B65", Can.GOOD_TILL)
async def good_till(bench: Bench) -> None:
    """An order that is good till an instant is cancelled by the broker then, and does not fill any more."""
    await bench.ready()
    till = bench.now().replace(microsecond=0) + timedelta(seconds=bench.venue.bar_seconds)
    order = bench.buy(10, limit="-1", tif=Tif.GTD, good_till=till)
    bench.send(order)
    await bench.shown(order, OrderState.WORKING)
    await bench.venue.pass_time((till - bench.now()).total_seconds() + 1)
    await bench.shown(order, OrderState.CANCELLED)
    await bench.trade("-1")
    await bench.quiet()
    ensure(bench.bought(order) == 0, "it filled after its time was over")


@card("B66")
async def many(bench: Bench) -> None:
    """Many orders placed in one go all arrive, in the order in which they were placed, each under its own ref and number."""
    await bench.ready()
    orders = [bench.buy(number, limit="-1") for number in range(1, MANY + 1)]
    before = time.perf_counter()
    bench.send(*orders)
    ensure(time.perf_counter() - before < BLOCKING, f"{MANY} times place() waits")
    for order in orders:
        report = await bench.shown(order, OrderState.WORKING)
        ensure(report.order_id == bench.numbers[order.ref], f"{order.ref} has the number {report.order_id}")
        ensure(report.remaining == order.qty, f"{order.ref} has {report.remaining} shares, not {order.qty}")
    refs = [order.ref for order in orders]
    first = list(dict.fromkeys(e.report.ref for e in bench.inputs if isinstance(e, OrderReported)))
    ensure(first == refs, "they were taken in another order than they were placed")
    living = {report.ref for report in (await bench.picture()).orders}
    ensure(living >= set(refs), f"the snapshot lacks {len(set(refs) - living)} of them")


# --- refusals ---------------------------------------------------------------------------------------------------------


@card("B32", Can.REFUSE)
async def refusal(bench: Bench) -> None:
    """An order that the broker refuses is an input with its code and its words; `place` raises nothing, and nothing lives."""
    await bench.ready()
    order = bench.buy(10, limit="-1")
    await bench.venue.refuse_next("place", 201, "Order rejected - reason:not today")
    bench.send(order)
    await bench.until(lambda: bool(bench.refusals(order)), "OrderRefusedByBroker")
    said = bench.refusals(order)[0]
    ensure(said.what is RefusedWhat.ORDER, f"it is said to be about the {said.what}")
    ensure(said.code == 201 and "not today" in said.text, f"the broker's own words are lost: {said}")
    await bench.quiet()
    ensure(await bench.living(order) is None, "a refused order is in the snapshot as if it lived")
    ensure(
        bench.state(order) in (None, OrderState.REFUSED, OrderState.CANCELLED), f"it is {bench.state(order)}"
    )


@card("B33", Can.REFUSE)
async def advice(bench: Bench) -> None:
    """A warning about an order that lives on is a refusal of `nothing`, and the order is reported as it is."""
    await bench.ready()
    order = bench.buy(10, limit="-1")
    await bench.venue.refuse_next("place", 399, "Order Message: Warning: take care", advisory=True)
    bench.send(order)
    await bench.until(lambda: bool(bench.refusals(order)), "the warning as OrderRefusedByBroker")
    said = bench.refusals(order)[0]
    ensure(said.what is RefusedWhat.NOTHING, f"a warning is said to be a refusal of the {said.what}")
    await bench.shown(order, OrderState.WORKING)
    ensure(await bench.living(order) is not None, "the order is not in the snapshot")


CARDS = cards_in(globals())
