"""What holds for the exchange whatever is sent to it and whatever trades."""

from __future__ import annotations

from collections import Counter
from datetime import timedelta
from decimal import Decimal
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from msgspec.structs import replace
from tests.plugins.paper.venue import bar, ny, order, quote

from tradeshell import (
    CommissionReported,
    ExecutionReport,
    ExecutionReported,
    OcaType,
    OrderRefusedByBroker,
    OrderReported,
    OrderState,
    PositionReported,
    Tif,
)
from tradeshell_paper.floor import Report
from tradeshell_paper.market import stock
from tradeshell_paper.matching import Exchange
from tradeshell_paper.settings import Rules

PRICES = st.integers(900, 1100).map(lambda cents: Decimal(cents) / 100)
SIZES = st.integers(1, 300)
TERMINAL = (OrderState.FILLED, OrderState.CANCELLED, OrderState.REFUSED)
# WORKING -> HELD happens only when hours end; these runs stay inside the session.
NEXT = {
    None: {OrderState.HELD, OrderState.WORKING, OrderState.CANCELLED},
    OrderState.HELD: {OrderState.HELD, OrderState.WORKING, OrderState.FILLED, OrderState.CANCELLED},
    OrderState.WORKING: {OrderState.WORKING, OrderState.FILLED, OrderState.CANCELLED},
}


class ExchangeMachine(RuleBasedStateMachine):
    """Random orders, changes, cancels and market; the rules of the game are fixed for a run."""

    @initialize(
        partial=st.booleans(),
        total=st.booleans(),
        spreads=st.booleans(),
        holds=st.booleans(),
    )
    def begin(self, partial: bool, total: bool, spreads: bool, holds: bool) -> None:
        self.exchange = Exchange(
            Rules(
                partial=partial,
                oca_shows_total=total,
                oca_cancel_spreads=spreads,
                holds_orphans=holds,
                chased_stops=False,
            )
        )
        self.exchange.list_stock(stock("ABC"))
        self.now = ny("10:00")
        self.number = 0
        self.groups: dict[str, tuple[OcaType, int]] = {}
        self.specs: dict[int, Any] = {}
        self.reports: list[Report] = []
        self.states: dict[str, OrderState] = {}
        self.last: tuple[str, ...] = ()

    def take(self, reports: tuple[Report, ...]) -> None:
        for report in reports:
            if isinstance(report.input, OrderReported):
                shown = report.input.report
                before = self.states.get(shown.ref)
                assert shown.state in NEXT.get(before, set()), (before, shown)
                assert shown.filled >= 0
                assert shown.remaining >= 0
                self.states[shown.ref] = shown.state
            elif isinstance(report.input, ExecutionReported):
                self.limit_is_kept(report.input.execution)
        self.reports += reports

    def limit_is_kept(self, execution: ExecutionReport) -> None:
        shown = self.exchange.order(execution.order_id)
        assert shown is not None
        if shown.limit is not None:
            assert execution.side.sign * (shown.limit - execution.price) >= 0

    def send(self, words: str, side: str, qty: int, **more: Any) -> str:
        self.number += 1
        spec = order(side, qty, words, f"o{self.number}", **more)
        self.specs[self.number] = spec
        self.take(self.exchange.place(self.now, spec, self.number))
        return spec.ref

    @rule(
        side=st.sampled_from(["BUY", "SELL"]),
        qty=SIZES,
        price=PRICES,
        kind=st.integers(0, 3),
        tif=st.sampled_from(list(Tif)),
    )
    def place(self, side: str, qty: int, price: Decimal, kind: int, tif: Tif) -> None:
        words = ["MKT", f"LMT {price}", f"STP {price}", f"STP LMT {price} {price}"][kind]
        until = self.now + timedelta(seconds=90) if tif is Tif.GTD else None
        self.send(words, side, qty, tif=tif, good_till=until)

    @rule(
        kind=st.sampled_from(list(OcaType)),
        sizes=st.lists(SIZES, min_size=2, max_size=4),
        prices=st.lists(PRICES, min_size=4, max_size=4),
    )
    def place_group(self, kind: OcaType, sizes: list[int], prices: list[Decimal]) -> None:
        group = f"g{self.number}"
        self.groups[group] = (kind, max(sizes))
        for n, size in enumerate(sizes):
            if any(self.specs[e.order_id].oca_group == group for e in self.exchange.executions()):
                break  # an order that joins a group after a partial fill adds its own shares
            words = f"LMT {prices[n]}" if n % 2 else f"STP {prices[n]}"
            self.send(words, "SELL", size, oca_group=group, oca_type=kind, tif=Tif.GTC)

    @rule(qty=SIZES, entry=PRICES, tp=PRICES, sl=PRICES)
    def place_bracket(self, qty: int, entry: Decimal, tp: Decimal, sl: Decimal) -> None:
        parent = self.send(f"LMT {entry}", "BUY", qty, transmit=False)
        self.send(f"LMT {tp}", "SELL", qty, parent_ref=parent, transmit=False)
        self.send(f"STP LMT {sl} {sl}", "SELL", qty, parent_ref=parent)

    @precondition(lambda self: self.number > 0)
    @rule(data=st.data())
    def cancel(self, data: st.DataObject) -> None:
        number = data.draw(st.integers(1, self.number + 1))
        self.take(self.exchange.cancel(self.now, number))

    @precondition(lambda self: self.number > 0)
    @rule(data=st.data(), price=PRICES, less=st.integers(0, 50))
    def change(self, data: st.DataObject, price: Decimal, less: int) -> None:
        number = data.draw(st.integers(1, self.number))
        old = self.specs[number]
        words = {"LMT": f"LMT {price}", "STP": f"STP {price}", "STP LMT": f"STP LMT {price} {price}"}.get(
            old.type.value, "MKT"
        )
        new = order(old.side.value, old.qty, words, old.ref)
        spec = replace(old, limit=new.limit, stop=new.stop, qty=max(1, old.qty - less), transmit=True)
        self.specs[number] = spec
        self.take(self.exchange.modify(self.now, spec, number))

    @rule(bid=PRICES, spread=st.integers(1, 5), size=SIZES, one_sided=st.booleans())
    def touch(self, bid: Decimal, spread: int, size: int, one_sided: bool) -> None:
        ask = None if one_sided else str(bid + Decimal(spread) / 100)
        self.take(self.exchange.quote(self.now, quote(self.now, str(bid), ask, size)))

    @rule(price=PRICES, size=SIZES)
    def trade(self, price: Decimal, size: int) -> None:
        self.take(self.exchange.trade(self.now, "ABC", price, size))

    @rule(prices=st.lists(PRICES, min_size=4, max_size=4), volume=st.integers(1, 5000))
    def play(self, prices: list[Decimal], volume: int) -> None:
        low, first, last, high = sorted(prices)
        one = bar(self.now, f"{first} {high} {low} {last}", volume=volume)
        self.take(self.exchange.open_bar(self.now, "ABC", one.open, 60, volume))
        self.now = one.end
        self.take(self.exchange.close_bar(self.now, one))
        self.take(self.exchange.pass_time(self.now))

    @rule(seconds=st.integers(1, 30))
    def wait(self, seconds: int) -> None:
        self.now += timedelta(seconds=seconds)
        self.take(self.exchange.pass_time(self.now))

    @invariant()
    def shares_are_conserved(self) -> None:
        if not hasattr(self, "exchange"):
            return
        executed = sum(e.side.sign * e.qty for e in self.exchange.executions())
        assert executed == sum(p.qty for p in self.exchange.positions())

    @invariant()
    def no_order_fills_more_than_it_ever_asked_for(self) -> None:
        if not hasattr(self, "exchange"):
            return
        filled: Counter[int] = Counter()
        for execution in self.exchange.executions():
            assert execution.qty > 0
            filled[execution.order_id] += execution.qty
        for number, shares in filled.items():
            shown = self.exchange.order(number)
            assert shown is not None
            assert shown.filled == shares
            assert shown.remaining >= 0

    @invariant()
    def groups_of_type_1_and_2_never_sell_more_than_their_largest_order(self) -> None:
        if not hasattr(self, "exchange"):
            return
        sold: Counter[str] = Counter()
        for execution in self.exchange.executions():
            group = self.specs[execution.order_id].oca_group
            if group is not None:
                sold[group] += execution.qty
        for group, shares in sold.items():
            kind, largest = self.groups[group]
            # Type 1 lets the partly filled order work on, and its size is at most the largest.
            assert kind is OcaType.REDUCE_UNBLOCKED or shares <= largest

    @invariant()
    def ended_orders_stay_ended(self) -> None:
        if not hasattr(self, "exchange"):
            return
        for number in self.specs:
            shown = self.exchange.order(number)
            if shown is not None and self.states.get(shown.ref) in TERMINAL:
                assert shown.state is self.states[shown.ref]

    @invariant()
    def a_fill_is_told_as_execution_order_position_fee(self) -> None:
        inputs = [report.input for report in self.reports] if hasattr(self, "reports") else []
        for n, event in enumerate(inputs):
            if isinstance(event, ExecutionReported):
                order_, position, fee = inputs[n + 1 : n + 4]
                assert isinstance(order_, OrderReported)
                assert order_.report.ref == event.execution.ref
                assert isinstance(position, PositionReported)
                assert isinstance(fee, CommissionReported)
                assert fee.exec_id == event.execution.exec_id
                assert fee.amount >= 0


TestExchange = ExchangeMachine.TestCase
TestExchange.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)


@given(
    prints=st.lists(st.tuples(PRICES, SIZES), max_size=30),
    kind=st.sampled_from(list(OcaType)),
    size=SIZES,
)
@settings(deadline=None)
def test_the_same_calls_give_the_same_reports(
    prints: list[tuple[Decimal, int]], kind: OcaType, size: int
) -> None:
    def run() -> list[Report]:
        exchange = Exchange(Rules(partial=True))
        exchange.list_stock(stock("ABC"))
        now = ny("10:00")
        out: list[Report] = []
        for n, words in enumerate(("LMT 10.20", "STP 9.80", "STP LMT 9.5 9.4")):
            spec = order("SELL", size, words, f"o{n}", oca_group="g", oca_type=kind)
            out += exchange.place(now, spec, n + 1)
        for price, shares in prints:
            now += timedelta(seconds=1)
            out += exchange.trade(now, "ABC", price, shares)
        return out

    first = run()
    assert first == run()
    assert not any(isinstance(report.input, OrderRefusedByBroker) for report in first)
