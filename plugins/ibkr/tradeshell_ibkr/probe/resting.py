"""Questions that orders far from the market answer: nothing executes.

Buys rest 30 % below the bid, stops 20 % above the ask. Each trial is one sequence of orders; ``bench`` cleans up after it.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from itertools import pairwise
from typing import Any

from tradeshell import Price
from tradeshell_ibkr.probe.answers import Finding, NotHere, seconds
from tradeshell_ibkr.probe.bench import ACK_WITHIN, Bench
from tradeshell_ibkr.probe.tape import CANCELLED
from tradeshell_ibkr.translate import time_text

Found = dict[str, Finding | NotHere]
FAR_BELOW, FAR_ABOVE = "0.70", "1.20"
LISTEN = 3.0  # seconds in which a word that may come is waited for
EVERY = 0.25  # seconds between two requests for open orders
GTD_SECONDS = 6
LATE = 15.0  # seconds after its time in which an order has to have ended
SKIPPED = 5  # numbers that are left out
PRESET, RTH_IGNORED, USED, HELD = 10349, 2109, 103, 399


async def _rest(bench: Bench, qty: int = 1, factor: str = FAR_BELOW, **more: Any) -> int:
    price: Price = await bench.price("bid", factor)
    return bench.place("BUY", qty, "LMT", limit=price, **more)


async def empty(bench: Bench) -> Found:
    """Ask for executions while there are none."""
    client = bench.connection.settings.client_id
    before = len(bench.tape.said)
    is_told = await bench.executions(client, bench.instrument.symbol)
    if any(said.kind == "execution" for said in bench.tape.said[before:]):
        return {"executions_end": NotHere("this client has executions in the symbol today")}
    return {"executions_end": Finding("told" if is_told else "missing", "an empty list was asked for")}


async def resting(bench: Bench) -> Found:
    """Place one order, listen, ask for open orders until it is there, cancel it, and ask until it is gone."""
    tape = bench.tape
    number = await _rest(bench)
    sent = bench.orders[number].sent_at
    await bench.must_rest(number)
    first = next(tape.of(number))
    found: Found = {
        "ack_delay": Finding(seconds(first.at - sent), f"first word: {first.kind} {first.status}")
    }
    await bench.pause(LISTEN)
    statuses = [said.status for said in tape.of(number, "status")]
    words = " ".join(statuses)
    waits = any(said.code == HELD for said in tape.errors(number))
    found["status_flash"] = (
        NotHere("the order waits for the market to open")
        if waits
        else Finding("yes" if "PreSubmitted" in statuses else "no", words)
    )
    repeated = any(one == two for one, two in pairwise(statuses))
    found["status_repeats"] = Finding("yes" if repeated else "no", words)

    shown_after = await _asked_until(bench, lambda shown: number in shown)
    since = bench.cancel(number)
    if not await bench.is_over(number, ACK_WITHIN):
        raise NotHere(f"the cancel was not confirmed within {ACK_WITHIN:g} s: {tape.words(number)}")
    gone_after = await _asked_until(bench, lambda shown: number not in shown)
    ages = [age for age in (shown_after, gone_after) if age is not None]
    found["open_orders_age"] = (
        Finding(seconds(max(ages)), f"there after {shown_after} s, gone after {gone_after} s")
        if ages
        else NotHere("requests for open orders were not answered")
    )

    await bench.pause(LISTEN)
    after = list(tape.of(number, "status", "error", since=since))
    ends = [s.status or str(s.code) for s in after]
    found["pending_cancel"] = Finding("yes" if "PendingCancel" in ends else "no", " ".join(ends))
    status = next((n for n, s in enumerate(after) if s.status in ("Cancelled", "ApiCancelled")), None)
    error = next((n for n, s in enumerate(after) if s.code == CANCELLED), None)
    value = "status only" if error is None else "202 only" if status is None else "status first"
    if status is not None and error is not None and error < status:
        value = "202 first"
    found["cancel_words"] = Finding(value, " ".join(ends))

    unasked = any(tape.of(number, "completed"))
    found["unsolicited_completed"] = Finding("yes" if unasked else "no", tape.words(number))
    before = len(tape.said)
    is_complete = await bench.completed()
    listed = any(tape.of(number, "completed", since=before))
    value = ("listed" if listed else "not listed") if is_complete else "unanswered"
    found["completed"] = Finding(value, "completed orders were asked for after a cancel")
    return found


async def _asked_until(bench: Bench, check: Callable[[set[int]], bool]) -> float | None:
    """Return after how many seconds an answer about open orders first passes; ``None``: there was no answer."""
    begin, answered = bench.now, False
    while bench.now - begin < LATE:
        shown = await bench.open_orders()
        if shown is not None:
            answered = True
            if check(shown):
                return round(bench.now - begin, 1)
        await bench.pause(EVERY)
    return LATE if answered else None


async def numbers(bench: Bench) -> Found:
    """Leave order numbers out and come back to one of them."""
    base = bench.next_id()
    high, low = base + SKIPPED, base + 1
    await bench.must_rest(await _rest(bench, order_id=high))
    await _rest(bench, order_id=low)
    is_taken = await bench.rests(low)
    code = bench.orders[low].refused
    seen = f"{low} after {high}: {'taken' if is_taken else bench.last_error(low)}"
    if not is_taken and code != USED:
        return {"ids_must_rise": NotHere(seen)}
    return {"ids_must_rise": Finding("no" if is_taken else "yes", seen)}


async def again(bench: Bench) -> Found:
    """Have an order refused for its price, and send another one under its number."""
    price = await bench.price("bid", FAR_BELOW)
    off = price + bench.instrument.grid.increment(price) / 2
    number = bench.place("BUY", 1, "LMT", limit=off)
    if await bench.rests(number):
        return {"id_reuse": NotHere(f"{off} lies between two prices and was taken all the same")}
    refused = bench.last_error(number)
    bench.place("BUY", 1, "LMT", limit=price, order_id=number)
    is_taken = await bench.rests(number)
    said = "taken" if is_taken else bench.last_error(number)
    return {"id_reuse": Finding("yes" if is_taken else "no", f"after {refused}: {said}")}


async def preset(bench: Bench) -> Found:
    """Send an order without a time in force."""
    number = await _rest(bench, tif="")
    if not await bench.rests(number):
        return {
            "tif_preset": NotHere(f"an order without a time in force was refused: {bench.last_error(number)}")
        }
    await bench.until(lambda: any(s.code == PRESET for s in bench.tape.errors(number)), LISTEN)
    is_set = any(said.code == PRESET for said in bench.tape.errors(number))
    return {"tif_preset": Finding("told" if is_set else "silent", bench.tape.words(number))}


async def gtd(bench: Bench) -> Found:
    """Let an order end at a time."""
    ahead = bench.connection.server_offset
    at = bench.connection.clock.now() + timedelta(seconds=GTD_SECONDS + ahead)
    number = await _rest(bench, tif="GTD", good_till=time_text(at))
    begin = bench.now
    if not await bench.rests(number):
        return {"gtd": Finding("refused", bench.last_error(number))}
    ended = await bench.is_over(number, GTD_SECONDS + LATE)
    late = bench.now - begin - GTD_SECONDS
    return {
        "gtd": Finding(
            "ends" if ended else "stays", f"{late:.1f} s after its time: {bench.tape.words(number)}"
        )
    }


async def outside(bench: Bench) -> Found:
    """Send a plain stop that is to work outside regular hours."""
    number = bench.place("BUY", 1, "STP", stop=await bench.price("ask", FAR_ABOVE), outside_rth=True)
    if not await bench.rests(number):
        return {"stop_outside_rth": Finding("refused", bench.last_error(number))}
    await bench.until(lambda: bench.tape.errors(number), LISTEN)
    ignored = any(said.code == RTH_IGNORED for said in bench.tape.errors(number))
    return {"stop_outside_rth": Finding("ignored" if ignored else "taken", bench.tape.words(number))}


async def group(bench: Bench) -> Found:
    """Change one order of a group of two, naming the group again, then cancel it."""
    name = f"probe {bench.next_id()}"
    one = await _rest(bench, oca_group=name, oca_type=2)
    two = await _rest(bench, factor="0.69", oca_group=name, oca_type=2)
    await bench.must_rest(one, two)
    found: Found = {}
    price = await bench.price("bid", "0.68")
    since = bench.change(one, limit=f"{price:f}")

    def changed() -> bool:
        return any(abs(said.price - float(price)) < 1e-6 for said in bench.tape.of(one, "order", since=since))

    await bench.until(lambda: changed() or bench.tape.errors(one, since), ACK_WITHIN)
    said = bench.last_error(one) if bench.tape.errors(one, since) else bench.tape.words(one)
    found["oca_change"] = Finding("taken" if changed() else "refused", said)
    bench.cancel(one)
    if not await bench.is_over(one, ACK_WITHIN):
        return found | {"oca_cancel_spreads": NotHere("the cancel was not confirmed")}
    spreads = await bench.is_over(two, LISTEN)
    found["oca_cancel_spreads"] = Finding("spreads" if spreads else "alone", bench.tape.words(two))
    return found
