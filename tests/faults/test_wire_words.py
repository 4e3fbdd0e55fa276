"""What only a wire says or can do: codes about nothing in particular, contracts, a queue in front of the socket (groups E, A, I).

Laws: as in ``test_wire_link``.
"""

# ids of scenarios have capital letters

from __future__ import annotations

from collections import Counter

import pytest
from tests.faults.kit import usd
from tests.faults.openings import FULL, buys
from tests.faults.scenes import RUNNING, commands
from tests.faults.wire_kit import WireStage

from tradeshell.core.events import BrokerMessageUnclassified, ConnectionChanged, OrderSendFailed
from tradeshell.errors import BrokerError
from tradeshell_ibkr.pacing import Priority
from tradeshell_paper.tws.frames import encode

QUIET = (2104, 2106, 2107, 2108, 2119, 2158, 10167, 165)
TOLD = (2103, 2105, 2148, 2161)


def test_I11_codes_about_farms_touch_no_order_and_those_that_matter_are_told(wire: WireStage) -> None:
    """In the middle of a ladder: farms come and go; what is up is no news, what is down is, and what nobody knows.

    Kills: a code without an order's number that ends a picture, an order, or the link.
    """
    wire.ladder()
    began = wire.t
    for code in (*QUIET, *TOLD):
        wire.act("say", code=code, text=f"a farm of code {code}")
    wire.wait(5)
    assert commands(wire, began) == []
    assert wire.shares() == RUNNING
    assert wire.trade_of().protection == "PROTECTED"
    assert [event.link for event in wire.told(ConnectionChanged)] == ["up"]
    told = [event.code for event in wire.told(BrokerMessageUnclassified)]
    assert told == list(TOLD)
    wire.line("2103", "a farm of code 2103")


def test_I11_2110_counts_as_a_lost_line_until_it_is_back(wire: WireStage) -> None:
    """Kills: 2110 taken for a remark (orders would be sent into nothing)."""
    wire.ladder()
    began = wire.t
    wire.act("say", code=2110, text="Connectivity between Trader Workstation and server is broken.")
    wire.wait(5)
    wire.order_now("m-1")
    wire.wait(5)
    assert commands(wire, began) == []
    wire.line("link", "has lost Interactive Brokers", "(2110)")
    wire.act("say", code=1102, text="Connectivity has been restored - data maintained.")
    wire.wait(5)
    assert [event.link for event in wire.told(ConnectionChanged)] == ["up", "lost", "up"]
    assert wire.shares() == RUNNING


@pytest.mark.parametrize("number", [-1, 2147483647])
@pytest.mark.parametrize("code", [201, 202, 321, 104, 10147])
def test_I14_words_about_an_order_that_name_none_are_told_and_end_none(
    wire: WireStage, code: int, number: int
) -> None:
    """Kills: a refusal without a number that is dropped without a word."""
    wire.ladder()
    began = wire.t
    wire.act("say", code=code, text="Error validating request.-'bx' : cause - x", request=number)
    wire.wait(5)
    assert commands(wire, began) == []
    assert wire.shares() == RUNNING
    (told,) = wire.told(BrokerMessageUnclassified)
    assert told.code == code
    assert told.order_ref is None
    wire.line("Error validating request.-'bx' : cause - x")


# --- contracts --------------------------------------------------------------------------------------------------------


def test_E22_a_symbol_with_two_listings_starts_nothing_and_both_are_named(wire: WireStage) -> None:
    """Two contracts in one currency: the candidates with their ids and exchanges, and not one order.

    Kills: the first of several contracts that is taken.
    """
    plain = wire.net.answers

    def twice(frame: bytes, fields: list[str]) -> bytes:
        if fields[0] != "10" or fields[2] != "MSFT":
            return plain(frame, fields)
        other = ["NYSE" if field == "NASDAQ" else field for field in fields]
        other[12] = str(int(fields[12]) + 1)
        return frame + encode(*other)

    wire.net.answers = twice
    with pytest.raises(BrokerError) as refused:
        wire.watch(symbol="MSFT")
    words = str(refused.value)
    assert "NASDAQ" in words
    assert "NYSE" in words
    assert wire.session.desk.watchers == {}
    assert wire.sent == []


@pytest.mark.parametrize("symbol", ["ZZZZ", "MSFT"])
def test_E22_a_symbol_that_does_not_exist_starts_nothing(wire: WireStage, symbol: str) -> None:
    """Error 200. Kills: an order on a contract that was never qualified."""
    wire.switch(unknown_symbols=["MSFT"])
    with pytest.raises(BrokerError, match=symbol):
        wire.watch(symbol=symbol)
    assert wire.session.desk.watchers == {}
    assert wire.sent == []


def test_E22_every_order_carries_the_contracts_id(wire: WireStage) -> None:
    """Kills: orders that name a symbol and leave the rest to the gateway."""
    wire.ladder()
    con_id = wire.instrument("AAPL").con_id
    shown = wire.gateway.orders.records.values()
    assert {record.order.contract.con_id for record in shown} == {con_id}
    assert {record.order.account for record in shown} == {"DU0000001"}


# --- the queue in front of the socket ---------------------------------------------------------------------------------


def test_E24_orders_leave_before_data_and_never_more_than_the_protocol_takes(wire: WireStage) -> None:
    """Sixty requests for data, the trigger, and a stop to be moved, all at one instant.

    Kills: one queue for everything, first come first served.
    """
    wire.ladder()
    wire.wait(5)
    wire.watch(id_="br-2", level=usd(194), chase_limit=usd("196"))
    wire.wait(60 - wire.t % 60)
    began = wire.t
    for _ in range(60):
        wire.broker.connection.ask("reqCurrentTime", priority=Priority.DATA)
    wire.quote("195", "195.02")
    wire.quote("194.00", "194.02")
    wire.close_bar_now("194.01")
    wire.wait(1)
    assert {order.stop for order in wire.working("sl") if order.ref.startswith("ts:br-1:")} == {usd(190)}
    ours = [sent.t - began for sent in wire.sent if sent.t >= began]
    assert [sent.action for sent in wire.sent if sent.t >= began and sent.leg == "entry"] == ["place"]
    assert max(ours[:3]) == 0
    wire.wait(5)
    left = [at for at, _ in wire.requests if at >= began - 1]
    assert max(sum(at <= other < at + 1 for other in left) for at in left) <= 45
    assert sum(at >= began for at, kind in wire.requests if kind == 49) >= 60
    wire.line("entry", "BUY 100")


def test_A15_orders_that_wait_in_the_queue_as_the_socket_ends_are_known_as_unsent_and_placed_once(
    wire: WireStage,
) -> None:
    """The queue is full while a ladder arms; the connection drops before it has drained.

    Kills: a queue that dies without a word (the orders would count as sent for ever).
    """
    for what in ("execution", "status", "position"):
        wire.delay(what, 0.3, "" if what == "position" else "entry", times=9)
    wire.trigger()
    wire.wait(0.26)
    for _ in range(60):
        wire.broker.connection.ask("reqCurrentTime", priority=Priority.PROTECTIVE)
    wire.wait(0.1)
    assert wire.broker.connection.outbox.waiting > 0
    wire.drop_link()
    failed = [event for event in wire.told(OrderSendFailed) if event.leg != "entry"]
    assert failed
    wire.wait(3)
    wire.restore_link()
    wire.wait(20)
    assert wire.shares() == FULL
    assert buys(wire) == ["place"]
    living = Counter(order.leg for order in wire.working())
    assert max(living.values()) == 1
    assert len([sent for sent in wire.sent if sent.action == "place" and sent.leg in FULL]) == 6
    wire.line("exits", "protected 100 % · 100 of 100 shares have a stop")
    wire.sells_at_most(100)
