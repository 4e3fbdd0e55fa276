"""Rules about entries: on fresh data, within the limits, and none after the kill switch.

Laws: the numbers of a decision are those of its intent, and they are compared with what the host was shown; bytes under way when
a switch is thrown are nobody's fault, a decision after it is.
"""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any

from tests.simulation.checker.disk import Intent, instant, same_price
from tests.simulation.checker.model import Order, Stock

if TYPE_CHECKING:
    from tests.simulation.checker.replay import Replay

COLLAR = Decimal("0.03")


class EntryRules:
    """V20, V21 and V28."""

    def __init__(self, run: Replay) -> None:
        self._run = run
        self._tell = run.findings
        self._started = {record["watch"]: record for record in run.log.by_event.get("BreakoutStarted", ())}
        self._fast = {record["watch"]: record for record in run.log.by_event.get("BreakoutFastTriggered", ())}
        # Since when a watcher looks at bars, over all restarts; and while it was not to look at any.
        self._waits = [
            (record["mono"], record["watch"], record["event"] == "WatchPaused")
            for record in run.log.of("WatchPaused", "WatchResumed")
        ]
        self._placed = sorted(
            (intent for intent in run.log.placed.values() if intent.record["leg"] in ("entry", "sell")),
            key=lambda intent: intent.at,
        )
        # When the switch was thrown and lifted, and how long each living entry has had to be cancelled since.
        self._switches = [
            (record["mono"], record["event"] == "KillSwitchEngaged")
            for record in run.log.of("KillSwitchEngaged", "KillSwitchLifted")
        ]
        self._next_switch = 0
        self._is_stopped = False
        self._to_cancel: dict[str, float] = {}

    def accepted(self, stock: Stock, order: Order, record: dict[str, Any], intent: Intent | None) -> None:
        """Judge a BUY."""
        if intent is None:
            return
        self._tell.did("V28")
        if intent.is_stopped:
            self._tell.breach("V28", self._run.now, f"{order!r} was decided while entries were off")
        if self._is_stopped:
            self._to_cancel.setdefault(order.ref, 0.0)
        self._check_data(stock, order, intent)
        self._check_limits(stock, order, record, intent)

    # --- V20 ----------------------------------------------------------------------------------------------------------

    def _check_data(self, stock: Stock, order: Order, intent: Intent) -> None:
        self._tell.did("V20")
        run, told = self._run, intent.record
        wrong = self._wrong_touch(stock, order, intent) or self._wrong_bar(told)
        if wrong is None and stock.halted and stock.halted_at < intent.t - run.facts.bounds.lag:
            wrong = "the symbol was halted"
        if wrong is not None:
            self._tell.breach("V20", run.now, f"{order!r}: {wrong}")

    def _wrong_touch(self, stock: Stock, order: Order, intent: Intent) -> str | None:
        told = intent.record
        bid, ask = _number(told.get("bid")), _number(told.get("ask"))
        if any(price is not None and not (price.is_finite() and price > 0) for price in (bid, ask)):
            return f"no price: bid {bid} ask {ask}"
        is_market = order.kind == "MKT"
        plan = self._run.facts.plans.get(order.watch)
        if ask is None:
            is_typed = "bar_start" not in told and (plan is None or plan.level is None)
            return None if is_market or is_typed else "a limit at the ask, and there was no ask"
        if bid is not None and bid > ask:
            return f"crossed: bid {bid} ask {ask}"
        age, most = told.get("quote_age"), 2.0 if plan is None else plan.quote_age
        if not is_market and "bar_start" in told:
            if age is None or not 0 <= age <= most:
                return f"the quote was {age} s old, at most {most}"
            limit = _number(told.get("limit"))
            if limit is None or not ask <= limit <= ask + Decimal("0.01"):
                return f"limit {limit} is not the ask {ask}"
        close = _number(told.get("bar_close"))
        if close is not None and abs(ask - close) > close * COLLAR:
            return f"ask {ask} is more than 3 % away from {close}"
        if is_market or age is None:
            return None
        return self._wrong_sight(stock, told, intent.t, most)

    def _wrong_sight(self, stock: Stock, told: dict[str, Any], t: float, most: float) -> str | None:
        """Return what is wrong with a touch, by what the host was shown: it was in force, and not replaced too long ago."""
        shown = [quote for quote in stock.quotes if quote[0] <= t + 1e-3]
        if not shown:
            return None
        until = t
        for at, bid, ask in reversed(shown):
            if same_price(bid, told.get("bid")) and same_price(ask, told.get("ask")):
                late = t - until
                return (
                    None
                    if late <= most + 0.1
                    else f"its touch was replaced {late:.1f} s before, at most {most}"
                )
            until = at
        return f"bid {told.get('bid')} ask {told.get('ask')} was never shown"

    def _wrong_bar(self, told: dict[str, Any]) -> str | None:
        if "bar_start" not in told:
            return None
        started = self._started.get(told["watch"])
        if started is None:
            return None
        log_start = self._run.log.start
        assert log_start is not None
        fast = self._fast.get(told["watch"])
        is_fast = fast is not None and fast["bar_start"] == told["bar_start"]
        trigger = (
            {**started, "bar": fast["bar"], "level": fast["fast_level"]}
            if fast is not None and is_fast
            else started
        )
        end = (instant(told["bar_start"]) - log_start).total_seconds() + trigger["bar"]
        if end > told["mono"] + 1e-3:
            return "the bar was not closed"
        since, is_paused = started["mono"], False
        for mono, watch, is_pause in self._waits:
            if watch == told["watch"] and mono <= told["mono"]:
                since, is_paused = mono, is_pause
        if is_paused:
            return "the watcher was not to look at any bar"
        if end < since - 1e-3:
            return "the bar had closed before the watcher was armed"
        if told["mono"] - end > self._run.facts.bounds.bar_grace:
            return f"the bar had closed {told['mono'] - end:.1f} s before"
        if Decimal(told["bar_close"]) < Decimal(trigger["level"]):
            return f"the bar closed at {told['bar_close']}, below the level {trigger['level']}"
        return None

    # --- V21 ----------------------------------------------------------------------------------------------------------

    def _check_limits(self, stock: Stock, order: Order, record: dict[str, Any], intent: Intent) -> None:
        limits = self._run.facts.limits
        self._tell.did("V21")
        price = _number(record["lmt"]) or _number(intent.record.get("ask")) or stock.ask
        wrong = None
        if _over(order.qty, limits.get("max_qty")):
            wrong = f"{order.qty} shares"
        elif price is not None and _over(order.qty * price, limits.get("max_notional")):
            wrong = f"{order.qty * price} USD"
        elif limits.get("max_exposure") is not None and _over(self._exposure(), limits["max_exposure"]):
            wrong = f"{self._exposure()} USD of exposure"
        if wrong is not None:
            self._tell.breach("V21", self._run.now, f"{order!r}: {wrong}, more than is allowed")

    def _exposure(self) -> Decimal:
        """Return what we hold and what is being bought, in USD at the touch; a tenth is forgiven, prices move."""
        total = Decimal(0)
        for stock in self._run.account.stocks.values():
            buying = sum(order.left for trade in stock.trades for order in trade.entries if order.is_live)
            total += (max(0, stock.inventory) + buying) * (stock.bid or stock.ask or 0)
        return total * Decimal("0.9")

    def _check_pace(self) -> None:
        limits = self._run.facts.limits
        most, window = limits.get("max_orders_per_minute"), float(limits.get("duplicate_window") or 0)
        sent = [intent for intent in self._placed if intent.record["order_ref"] in self._run.account.by_ref]
        first = 0
        for row, intent in enumerate(sent):
            while sent[first].t <= intent.t - 60:
                first += 1
            if most is not None and row - first + 1 > most:
                self._tell.breach("V21", intent.t, f"{row - first + 1} orders within a minute")
            for other in sent[first:row] if window else ():
                if (
                    intent.t - other.t < window
                    and _is_same(intent.record, other.record)
                    and not self._again(intent.t)
                ):
                    self._tell.breach(
                        "V21", intent.t, f"{intent.record['order_ref']} repeats {other.record['order_ref']}"
                    )

    def _again(self, t: float) -> bool:
        """Return whether the operator said that the same order was meant once more."""
        return any(
            operation["what"] in ("buy", "sell") and operation.get("again") and 0 <= t - operation["t"] < 10
            for operation in self._run.operations
        )

    # --- V28 ----------------------------------------------------------------------------------------------------------

    def pass_time(self, begin: float, end: float) -> None:
        """Throw the switches that are due, and let entries wait for their cancels."""
        while self._next_switch < len(self._switches) and self._switches[self._next_switch][0] <= end:
            at, on = self._switches[self._next_switch]
            self._next_switch += 1
            self._wait(begin, max(begin, at))
            begin = max(begin, at)
            self._is_stopped = on
            self._to_cancel.clear()
            if on:
                self._run.findings.saw("kill switch")
                for trade in self._run.account.trades.values():
                    for entry in trade.entries:
                        if entry.is_live:
                            self._tell.did("V28")
                            self._to_cancel[entry.ref] = 0.0
        self._wait(begin, end)

    def _wait(self, begin: float, end: float) -> None:
        if not self._to_cancel or end <= begin:
            return
        run, most = self._run, self._run.facts.bounds.kill
        for ref in tuple(self._to_cancel):
            entry = run.account.by_ref[ref]
            asked = run.log.last_intent(ref, "cancel", end)
            waited = self._to_cancel[ref] + run.ready_time(
                begin, end if asked is None else min(end, max(begin, asked.t))
            )
            if not entry.is_live or (asked is not None and waited <= most):
                del self._to_cancel[ref]
            elif waited > most and entry.state == "sent" and not entry.is_answered:
                del self._to_cancel[ref]
                run.findings.excused("V28 never transmitted")  # no picture shows it, nobody can cancel it
            elif waited > most:
                del self._to_cancel[ref]
                run.findings.breach(
                    "V28", end, f"entries are off, and {entry!r} was not cancelled within {most:g} s"
                )
            else:
                self._to_cancel[ref] = waited

    def finish(self) -> None:
        """Judge what needs the whole schedule."""
        self._check_pace()
        run = self._run
        state = False
        for operation in run.operations:
            if operation["what"] != "stopentry":
                continue
            on = bool(operation.get("on", True))
            if on and not state:
                run.findings.did("V28")
                is_engaged = any(
                    on_ and operation["t"] - 1e-3 <= t <= operation["t"] + run.facts.bounds.kill
                    for t, on_ in self._switches
                )
                if not is_engaged and not self._was_gone(operation["t"]):
                    run.findings.breach(
                        "V28", operation["t"], "`stopentry` was typed and is not in the audit"
                    )
            state = on

    def _was_gone(self, t: float) -> bool:
        """Return whether the program was not there to hear it, or the switch was thrown already."""
        thrown = [on for at, on in self._switches if at < t - 1e-3]
        return bool(thrown and thrown[-1]) or self._run.starts > 1 or not self._run.is_alive


def _number(text: Any) -> Decimal | None:
    return None if text in (None, "") else Decimal(str(text))


def _over(value: Any, most: Any) -> bool:
    return most is not None and value > Decimal(str(most))


def _is_same(one: dict[str, Any], other: dict[str, Any]) -> bool:
    names = ("symbol", "side", "qty", "type", "limit")
    is_typed = str(one["watch"]).startswith("m-") and str(other["watch"]).startswith("m-")
    return is_typed and all(one.get(name) == other.get(name) for name in names)
