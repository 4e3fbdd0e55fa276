"""Questions that need executions: one or two shares are bought, and sold again by ``bench``.

An order that is filled in part cannot be made to happen: two shares are sent, and when both execute in one moment the question
is not answerable here.
"""

from __future__ import annotations

from tradeshell_ibkr.probe.answers import Finding, NotHere, seconds
from tradeshell_ibkr.probe.bench import ACK_WITHIN, FILL_WITHIN, Bench
from tradeshell_ibkr.probe.resting import FAR_ABOVE, FAR_BELOW, LISTEN, Found, _rest
from tradeshell_ibkr.probe.tape import Said

OBSERVE = 8.0  # seconds after an execution in which position, fee and status are waited for
AT_ONCE = 0.5  # seconds: an order that rested longer before it filled says nothing of what comes first


async def fill(bench: Bench) -> Found:
    """Buy one share, note what comes when, then cancel the order that is filled."""
    tape = bench.tape
    number = bench.place("BUY", 1, "LMT", limit=await bench.price("ask", "1.005"))
    start = len(tape.said)
    sent = bench.now
    if not await bench.until(lambda: bench.executed(number) >= 1, FILL_WITHIN):
        raise NotHere(f"one share was not had within {FILL_WITHIN:g} s")
    rested = bench.now - sent
    at = tape.first(lambda s: s.order == number and s.kind == "execution", start)
    assert at is not None  # it was waited for
    execution = tape.said[at]

    def filled(said: Said) -> bool:
        return said.order == number and said.kind == "status" and said.status == "Filled"

    def fee(said: Said) -> bool:
        return said.kind == "fee" and said.exec_id == execution.exec_id

    def moved(said: Said) -> bool:
        return said.kind == "position" and said.filled == 1

    await bench.until(lambda: all(tape.first(x, start) is not None for x in (filled, fee, moved)), OBSERVE)
    found: Found = {}
    words = tape.words(number)
    told = tape.first(filled, start)
    found["fill_order"] = (
        NotHere(f"Filled was not told within {OBSERVE:g} s: {words}")
        if told is None
        else Finding("status first" if told < at else "execution first", words)
    )
    taken = tape.first(lambda s: s.order == number and s.kind == "status" and s.filled == 0, start)
    if taken is not None and taken < at and rested > AT_ONCE and tape.said[taken].at < execution.at - AT_ONCE:
        found["first_word"] = NotHere(f"it rested {rested:.1f} s before it filled")
    else:
        found["first_word"] = Finding("execution" if taken is None or taken > at else "status", words)
    found["position_lag"] = _after(tape.said, tape.first(moved, start), execution)
    paid = tape.first(fee, start)
    value = "never" if paid is None else "after" if paid > at else "before"
    found["commission"] = Finding(value, words)
    found["commission_delay"] = (
        NotHere(f"no fee was told within {OBSERVE:g} s")
        if paid is None
        else _after(tape.said, paid, execution)
    )
    since = bench.cancel(number)
    await bench.until(lambda: tape.errors(number, since), ACK_WITHIN)
    errors = tape.errors(number, since)
    found["filled_cancel"] = Finding(str(errors[0].code) if errors else "silent", bench.last_error(number))
    return found


def _after(said: list[Said], at: int | None, execution: Said) -> Finding:
    if at is None:
        return Finding(seconds(OBSERVE), f"not within {OBSERVE:g} s")
    return Finding(seconds(said[at].at - execution.at), "after the execution")


async def reached(bench: Bench) -> Found:
    """Hold a share and send a stop whose price is reached already."""
    await bench.buy(1)
    number = bench.place("SELL", 1, "STP", stop=await bench.price("ask", "1.01"))
    if not await bench.rests(number):
        return {"stop_reached": Finding("refused", bench.last_error(number))}
    sold = await bench.until(lambda: bench.executed(number) >= 1 or bench.orders[number].is_over, FILL_WITHIN)
    value = "sells" if bench.executed(number) >= 1 else "refused" if sold else "rests"
    return {"stop_reached": Finding(value, bench.tape.words(number))}


async def _group_in_part(bench: Bench) -> tuple[int, int, str]:
    """Hold two shares, and let the target of a group of two fill in part; return target, stop and the group's name."""
    bench.must_fill_in_parts()
    await bench.buy(2)
    name = f"probe {bench.next_id()}"
    low, near = await bench.price("bid", FAR_BELOW), await bench.price("bid", "0.995")
    stop = bench.place("SELL", 2, "STP", stop=low, oca_group=name, oca_type=2)
    await bench.must_rest(stop)
    target = bench.place("SELL", 2, "LMT", limit=near, oca_group=name, oca_type=2)
    await bench.must_rest(target)
    await bench.in_part(target)
    return target, stop, name


async def _reduced(bench: Bench, target: int, stop: int) -> None:
    """Wait until the group has taken a share from the stop; raises ``NotHere``."""
    is_seen = await bench.until(lambda: _left(bench, stop) == 1, LISTEN)
    bench.must_be_in_part(target)
    if not is_seen:
        raise NotHere(f"the group did not reduce the stop within {LISTEN:g} s: {bench.tape.words(stop)}")


async def reduction(bench: Bench) -> Found:
    """Look how a group's reduction of the stop is shown."""
    target, stop, _ = await _group_in_part(bench)
    await _reduced(bench, target, stop)
    shown = bench.tape.last(stop, "order")
    total = 0 if shown is None else shown.total
    return {"oca_shows": Finding("total" if total == 1 else "remaining", f"total {total}, remaining 1")}


async def restoring(bench: Bench) -> Found:
    """Change the price of a stop that a group has reduced, with the total from before."""
    target, stop, _ = await _group_in_part(bench)
    await _reduced(bench, target, stop)
    price = await bench.price("bid", "0.69")
    since = bench.change(stop, stop=f"{price:f}", qty=2)

    def shown() -> bool:
        return any(abs(s.price - float(price)) < 1e-6 for s in bench.tape.of(stop, "order", since=since))

    await bench.until(lambda: shown() or bench.tape.errors(stop, since), ACK_WITHIN)
    await bench.pause(0.3)
    bench.must_be_in_part(target)
    status = bench.tape.last(stop, "status")
    if not shown() or status is None:
        return {"oca_restores": Finding("refused", bench.last_error(stop))}
    value = "restored" if status.remaining == 2 else "kept"
    return {"oca_restores": Finding(value, f"remaining {status.remaining} after the change")}


async def joining(bench: Bench) -> Found:
    """Let an order join a group: a larger one a group that rests, then one of two shares a group that has executed."""
    name = f"probe {bench.next_id()}"
    one = await _rest(bench, oca_group=name, oca_type=2)
    await bench.must_rest(one)
    larger = await _rest(bench, qty=2, factor="0.69", oca_group=name, oca_type=2)
    if not await bench.rests(larger):
        return {"oca_join": Finding("refused", f"before anything executed: {bench.last_error(larger)}")}
    if _left(bench, larger) == 1:
        return {"oca_join": Finding("capped", "2 beside 1, before anything executed")}
    try:
        target, _, group = await _group_in_part(bench)
    except NotHere as why:
        raise NotHere(
            f"taken as sent where nothing has executed; of a group that has: {why}", again=why.again
        ) from None
    number = bench.place("SELL", 2, "STP", stop=await bench.price("bid", "0.69"), oca_group=group, oca_type=2)
    is_taken = await bench.rests(number)
    bench.must_be_in_part(target)
    if not is_taken:
        return {"oca_join": Finding("refused", bench.last_error(number))}
    left = _left(bench, number)
    return {
        "oca_join": Finding("capped" if left == 1 else "as_sent", f"2 sent, {left} left, 1 left in the group")
    }


def _left(bench: Bench, number: int) -> int:
    status = bench.tape.last(number, "status")
    return 0 if status is None else status.remaining


async def family(bench: Bench) -> Found:
    """Let the entry of a bracket fill in part, look at its children, and cancel it."""
    bench.must_fill_in_parts()
    near, high = await bench.price("ask", "1.005"), await bench.price("ask", FAR_ABOVE)
    low = await bench.price("bid", FAR_BELOW)
    parent = bench.place("BUY", 2, "LMT", limit=near, transmit=False)
    target = bench.place("SELL", 2, "LMT", limit=high, parent_id=parent, transmit=False)
    stop = bench.place("SELL", 2, "STP", stop=low, parent_id=parent)
    await bench.must_rest(parent)
    await bench.in_part(parent)
    await bench.must_rest(target, stop)
    await bench.pause(LISTEN / 3)
    bench.must_be_in_part(parent)
    status = bench.tape.last(target, "status")
    held = status is None or status.status == "PreSubmitted"
    found: Found = {"children_partial": Finding("wait" if held else "work", bench.tape.words(target))}
    bench.cancel(parent)
    if not await bench.is_over(parent, ACK_WITHIN):
        return found | {"partial_parent": NotHere("the cancel of the entry was not confirmed")}
    bench.must_be_in_part(parent)
    ended = await bench.is_over(target, LISTEN) and await bench.is_over(stop, LISTEN)
    words = f"{bench.tape.words(target)} · {bench.tape.words(stop)}"
    return found | {"partial_parent": Finding("cancel" if ended else "hold", words)}


async def reducing(bench: Bench) -> Found:
    """Reduce an order of two shares to the one that has executed."""
    bench.must_fill_in_parts()
    number = bench.place("BUY", 2, "LMT", limit=await bench.price("ask", "1.005"))
    await bench.must_rest(number)
    await bench.in_part(number)
    since = bench.change(number, qty=1)
    await bench.until(lambda: bench.orders[number].is_over or bench.tape.errors(number, since), ACK_WITHIN)
    bench.must_be_in_part(number)
    errors = bench.tape.errors(number, since)
    words = [said.status for said in bench.tape.of(number, "status", since=since)]
    value = "filled" if "Filled" in words else "cancelled" if bench.orders[number].is_over else "lives"
    if errors and not bench.orders[number].is_over:
        value = "refused"
    return {"reduced_to_filled": Finding(value, bench.tape.words(number))}
