"""The life-cycle of an order, as a table."""

from __future__ import annotations

from itertools import product

import pytest
from tests.core.support import d

from tradeshell.core.orders import (
    TRANSITIONS,
    IllegalTransition,
    Order,
    OrderSpec,
    OrderState,
    OrderType,
    Side,
    Signal,
    advance,
    order_ref,
    parse_ref,
)

SPEC = OrderSpec(
    ref="ts:br-1:sl1:1",
    symbol="AAPL",
    con_id=1,
    account="DU…0001",
    side=Side.SELL,
    qty=100,
    type=OrderType.STOP,
    stop=d("187"),
)


@pytest.mark.parametrize("state,signal", list(product(OrderState, Signal)))
def test_every_cell_is_a_row_of_the_table_or_raises_and_changes_nothing(
    state: OrderState, signal: Signal
) -> None:
    order = Order(spec=SPEC, state=state)
    if (state, signal) in TRANSITIONS:
        assert advance(order, signal).state is TRANSITIONS[state, signal]
    else:
        with pytest.raises(IllegalTransition, match=r"ts:br-1:sl1:1"):
            advance(order, signal)
    assert order.state is state


def test_every_state_knows_what_to_do_with_every_signal() -> None:
    assert set(TRANSITIONS) == set(product(OrderState, Signal))


@pytest.mark.parametrize("state", [OrderState.FILLED, OrderState.CANCELLED])
@pytest.mark.parametrize(
    "signal", [Signal.HELD, Signal.WORKING, Signal.CANCELLED, Signal.REFUSED, Signal.LOST_SIGHT]
)
def test_no_status_wakes_a_finished_order(state: OrderState, signal: Signal) -> None:
    assert TRANSITIONS[state, signal] is state


@pytest.mark.parametrize("state", list(OrderState))
def test_a_full_fill_is_booked_in_whatever_state_the_order_is_believed_to_be(state: OrderState) -> None:
    assert TRANSITIONS[state, Signal.FULL_FILL] is OrderState.FILLED


def test_silence_never_ends_an_order() -> None:
    for state in OrderState:
        assert TRANSITIONS[state, Signal.LOST_SIGHT].is_live is state.is_live


def test_nothing_heard_returns_the_same_object() -> None:
    order = Order(spec=SPEC, state=OrderState.HELD)
    assert advance(order, Signal.HELD) is order


def test_a_ref_is_a_pure_function_of_watcher_leg_and_generation() -> None:
    ref = order_ref("br-7f3a", "sl1", 2)
    assert ref == "ts:br-7f3a:sl1:2"
    parts = parse_ref(ref)
    assert parts is not None
    assert (parts.watch, parts.leg, parts.generation) == ("br-7f3a", "sl1", 2)


@pytest.mark.parametrize("text", ["", "manual", "ts:a:b", "ts:a:b:x", "xx:a:b:1", "ts:a:b:1:2", "ts:a:b:²"])
def test_anybody_elses_text_is_not_a_ref_of_ours(text: str) -> None:
    assert parse_ref(text) is None


def test_an_order_that_is_over_has_nothing_remaining() -> None:
    assert Order(spec=SPEC, state=OrderState.WORKING, filled=40).remaining == 60
    assert Order(spec=SPEC, state=OrderState.CANCELLED, filled=40).remaining == 0
    assert Order(spec=SPEC).average is None
    assert Order(spec=SPEC, filled=2, notional=d("10")).average == d("5")
