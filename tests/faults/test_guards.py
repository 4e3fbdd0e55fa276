"""Who may be talked to, and how much an order may be (groups O and X): what is refused before anything could cost money.

Laws: what is refused is refused before its bytes leave, in one line that says what to do; a guard that is not asked again after a
reconnect is none. ``Kills`` names a change of the program that the test does not survive.
"""

# ids of scenarios have capital letters

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from tests.faults.kit import Stage, usd
from tests.faults.scenes import RUNNING, commands, flatten, stops
from tests.faults.wire_kit import WireStage
from tests.scenarios.test_whole_program import tradeshell

from tradeshell.core import inputs as i
from tradeshell.core.events import OrderIntent, RiskRejected
from tradeshell.core.limits import check_duplicate
from tradeshell.core.orders import Side
from tradeshell.core.plan import EntryKind
from tradeshell.core.policy import Limits, Policy
from tradeshell.errors import BrokerError
from tradeshell_ibkr.states import LinkState

MakeStage = Callable[..., Stage]
MakeWire = Callable[..., WireStage]
ORDER_OR_QUESTION = (3, 4, 5, 7, 16, 61)  # orders, and what a picture asks
LIVE_IDS = ("U0000001", "I0000001", "F0000001")


def log_in_to(wire: WireStage, *accounts: str) -> None:
    """Let the gateway be logged in to other accounts from now on."""
    house = wire.gateway.house
    venue, book = house.data_venue, next(iter(house.books.values()))
    house.venues = dict.fromkeys(accounts, venue)
    house.books = dict.fromkeys(accounts, book)


def asked(wire: WireStage, since: float = 0.0) -> list[int]:
    """Return the orders, cancels and questions about the account that left the program."""
    return [kind for at, kind in wire.requests if at >= since and kind in ORDER_OR_QUESTION]


def shell(folder: Path, *lines: str, **environ: str) -> subprocess.CompletedProcess[str]:
    """Run a script as somebody would who trades with Interactive Brokers."""
    words = [word for line in lines for word in ("-c", line)]
    (folder / "config.toml").touch()
    places = ["--state-dir", str(folder / "state"), "--config", str(folder / "config.toml")]
    return subprocess.run(
        [sys.executable, "-m", "tradeshell", *places, *words],
        capture_output=True,
        text=True,
        timeout=50,
        check=False,
        env={**os.environ, **environ},
    )


# --- X01, X02, X03, X07: who is there ---------------------------------------------------------------------------------


@pytest.mark.parametrize("account", LIVE_IDS)
def test_X01_a_live_account_behind_a_paper_port_is_left_before_anything_is_asked(
    make_wire: MakeWire, account: str
) -> None:
    """The port is one of paper, the account is not: disconnected, not tried again, and no order can leave.

    Kills: ``check_account`` that believes the port; a refusal that is tried again every few seconds.
    """
    wire = make_wire(connect=False)
    log_in_to(wire, account)
    with pytest.raises(BrokerError, match="is live and PAPER_ONLY is true: disconnected") as refused:
        wire.ask(wire.broker.connect())
    assert account not in str(refused.value)  # its alias
    assert wire.gateway.sessions == []
    wire.wait(120)
    assert asked(wire) == []
    assert len(wire.net.dials) == 1
    with pytest.raises(BrokerError, match="is live and PAPER_ONLY is true"):
        wire.order_now("m-1")
    assert (wire.sent, wire.working()) == ([], [])


def test_X01_the_account_is_looked_at_again_at_every_connection(wire: WireStage) -> None:
    """The gateway restarts over a running ladder, and is logged in to a live account when it is back; then as before.

    Kills: an account that is verified once for a session.
    """
    wire.ladder()
    wire.drop_link()
    began = wire.t
    log_in_to(wire, "U7654321")
    wire.restore_link(by_itself=True)
    wire.wait(60)
    assert asked(wire, began) == []
    assert wire.broker.connection.state is LinkState.GUARDED
    wire.line("the gateway is logged in to account U…4321 now", "this session trades DU…0001")
    log_in_to(wire, wire.account)
    wire.connect()
    wire.wait(5)
    assert wire.shares() == RUNNING
    assert commands(wire, began) == []
    assert wire.session.desk.link.is_open


def test_X01_the_engine_itself_does_not_trade_a_live_account_whatever_an_adapter_says(stage: Stage) -> None:
    """An adapter without a guard tells of a live account: the second lock.

    Kills: ``Session._guarded`` that lets a live account pass.
    """
    told = i.LinkChanged(at=stage.now, up=True, account="U7654321", paper=False, first_order_id=500)
    stage.inside(lambda: stage.session.receive(told))
    began = stage.t
    assert not stage.session.desk.link.up
    with suppress(
        BrokerError
    ):  # the wire's contract is asked for first, and the adapter has been told to hang up
        stage.order_now("m-1")
    stage.wait(2)
    assert commands(stage, began) == []
    stage.line("PAPER_ONLY=false allows that")


def test_X01_every_order_on_the_wire_names_the_account_that_was_verified(wire: WireStage) -> None:
    """A ladder lives and moves, and somebody flattens it.

    Kills: an order that leaves the account to the gateway's choice.
    """
    wire.ladder()
    wire.move_to("195.10")
    wire.wait(2)
    flatten(wire)
    wire.wait(5)
    assert wire.position() == 0
    records = wire.gateway.orders.records.values()
    assert len(records) > 7
    assert {record.order.account for record in records} == {wire.account}
    assert {record.account for record in records} == {wire.account}


@pytest.mark.parametrize("port", ["7496", "4001"])
def test_X02_a_live_port_is_not_even_dialled_while_paper_only(
    make_wire: MakeWire, tmp_path: Path, port: str
) -> None:
    """In the adapter, and as a script that connects sees it: one line and exit code 1.

    Kills: a port that is dialled to see who is there.
    """
    wire = make_wire(connect=False, broker={"port": int(port)})
    with pytest.raises(BrokerError, match=f":{port} is the live port .* nothing was dialled"):
        wire.ask(wire.broker.connect())
    wire.wait(120)
    assert wire.net.dials == []
    settings = {"TRADESHELL_BROKER": "ibkr", "IB_PORT": port, "PAPER_ONLY": "true"}
    run = shell(tmp_path, "connect", "buy AAPL 1", **settings)
    assert run.returncode != 0
    said = run.stderr + run.stdout
    assert "nothing was dialled" in said
    assert "7497 (TWS) and 4002 (Gateway)" in said
    assert "Traceback" not in said


def test_X03_of_several_accounts_one_has_to_be_named_and_all_orders_name_it(make_wire: MakeWire) -> None:
    """A login with two accounts: refused; named: traded, and what the other one holds counts for nothing here.

    Kills: the first of several accounts that is taken; positions of another account that are ours.
    """
    wire = make_wire(connect=False)
    log_in_to(wire, wire.account, "DU2222222")
    with pytest.raises(
        BrokerError, match=r"several accounts \(DU…0001, DU…2222\): say which with IB_ACCOUNT"
    ):
        wire.ask(wire.broker.connect())
    assert asked(wire) == []
    other = make_wire(connect=False, broker={"account": "DU3333333"})
    log_in_to(other, other.account, "DU2222222")
    with pytest.raises(BrokerError, match="DU…3333 is not one of this login"):
        other.ask(other.broker.connect())
    chosen = make_wire(connect=False, broker={"account": "DU0000001"})
    log_in_to(chosen, "DU2222222", chosen.account)
    chosen.connect()
    chosen.wait(2)
    chosen.ladder()
    assert chosen.shares() == RUNNING
    assert {record.order.account for record in chosen.gateway.orders.records.values()} == {"DU0000001"}


def test_X07_a_host_that_is_not_this_computer_needs_a_word_of_its_own(make_wire: MakeWire) -> None:
    """Kills: a plain-text protocol that leaves the computer without anybody having said so."""
    for host in ("10.0.0.5", "gateway.example", "::ffff:10.0.0.5"):
        wire = make_wire(connect=False, broker={"host": host})
        with pytest.raises(BrokerError, match=r"is another computer .* IB_REMOTE=true"):
            wire.ask(wire.broker.connect())
        wire.wait(60)
        assert wire.net.dials == []
    allowed = make_wire(connect=False, broker={"host": "10.0.0.5", "remote": True})
    allowed.connect()
    allowed.wait(2)
    assert allowed.session.desk.link.is_open
    for host in ("127.0.0.1", "localhost", "::1", "127.8.9.1"):
        here = make_wire(connect=False, broker={"host": host})
        here.connect()
        here.wait(2)
        assert here.session.desk.link.is_open, host


# --- X08: how much, how often, how far --------------------------------------------------------------------------------

SMALL = {
    "max_qty": Limits(max_qty=99),
    "max_notional": Limits(max_notional=Decimal(19_000)),
    "max_exposure": Limits(max_exposure=Decimal(19_000)),
    "max_open_risk": Limits(max_open_risk=Decimal(299)),
    "max_orders_per_side": Limits(max_orders_per_side=5),
}


@pytest.mark.parametrize("reason", SMALL)
def test_X08_whatever_triggers_too_large_an_order_nothing_leaves(make_stage: MakeStage, reason: str) -> None:
    """A watcher buys 100 AAPL at 190.02 with three legs: 19,002 USD, 302 USD at risk, six sells.

    Kills: a limit that only ``buy`` asks for (``limits.check_entry`` left out of ``entry._judge``).
    """
    stage = make_stage(policy=Policy(limits=SMALL[reason]))
    stage.trigger()
    stage.wait(5)
    assert commands(stage, 0) == []
    (told,) = stage.told(RiskRejected)
    assert told.reason == reason
    assert stage.told(OrderIntent) == []
    stage.line("AAPL", reason)
    assert stage.trade_of().phase.value == "closed"


@pytest.mark.parametrize("reason", ["max_qty", "max_notional", "max_exposure"])
def test_X08_a_typed_order_passes_the_same_gate(make_stage: MakeStage, reason: str) -> None:
    """Kills: quick orders that go around the limits."""
    stage = make_stage(policy=Policy(limits=SMALL[reason]))
    stage.order_now("m-1", qty=100)
    stage.wait(2)
    assert commands(stage, 0) == []
    assert [event.reason for event in stage.told(RiskRejected)] == [reason]


def test_X08_a_runaway_is_stopped_after_so_many_orders_a_minute_and_exits_are_not(
    make_stage: MakeStage,
) -> None:
    """Ten buys in a row with five allowed, over a ladder whose stops move meanwhile.

    Kills: a pace that counts nothing; one that holds up a stop.
    """
    stage = make_stage(policy=Policy(limits=Limits(max_orders_per_minute=5)))
    stage.ladder()
    began = stage.t
    for number in range(10):
        stage.order_now(f"m-{number}", qty=1 + number)
        stage.wait(0.5)
    bought = [sent for sent in stage.sent if sent.t >= began and sent.leg == "entry"]
    assert 0 < len(bought) < 10
    refused = [event.reason for event in stage.told(RiskRejected)]
    assert set(refused) == {"max_orders_per_minute"}
    assert len(bought) + len(refused) == 10
    stage.quote("195", "195.02")
    stage.wait(2)
    assert {leg: stop for leg, stop in stops(stage).items() if leg.startswith("sl")} == {
        "sl2": "190",
        "sl3": "190",
    }


@pytest.mark.parametrize("limit, side", [("247", Side.BUY), ("133", Side.SELL)])
def test_X08_a_price_that_is_thirty_percent_off_is_refused_with_both_numbers(
    stage: Stage, limit: str, side: Side
) -> None:
    """Kills: ``guards`` without the collar on typed limits."""
    if side is Side.SELL:
        stage.order_now("m-0", qty=10)
        stage.wait(2)
    began = stage.t
    stage.order_now("m-1", side, qty=10, entry=EntryKind.PRICED, limit=usd(limit))
    stage.wait(2)
    assert commands(stage, began) == []
    (told,) = stage.told(RiskRejected)
    assert told.reason == "price_collar"
    assert limit in told.detail


def test_X08_exits_are_held_to_no_limit_but_to_what_is_held(make_stage: MakeStage) -> None:
    """Limits that the ladder's own exits would break are set while it runs; flatten sells it, and no share more.

    Kills: exits that are refused for their size; a flatten that asks the limits.
    """
    stage = make_stage()
    stage.ladder()
    tiny = Limits(max_qty=1, max_notional=Decimal(1), max_exposure=Decimal(1), max_orders_per_minute=1)
    stage.submit(i.PolicySet(at=stage.now, policy=Policy(limits=tiny)))
    stage.quote("195", "195.02")
    stage.wait(2)
    assert stops(stage)["sl3"] == "190"
    flatten(stage)
    stage.wait(5)
    assert (stage.position(), stage.working()) == (0, [])
    stage.sells_at_most(0)
    assert stage.told(RiskRejected) == []


def test_X08_limits_change_with_the_config_and_a_start_alone_and_are_on_record(tmp_path: Path) -> None:
    """A start with a limit, an order above it; the journal's first decision has the limits that were in force.

    Kills: limits that a line at the prompt could change; ones that nobody can look up afterwards.
    """
    run = tradeshell(tmp_path, "buy DEMO 51", TRADESHELL_MAX_QTY="50")
    assert run.returncode != 0
    assert "max_qty" in run.stderr + run.stdout
    journal = (tmp_path / "paper" / "journal").read_bytes()
    assert b'"max_qty":50' in journal
    assert b"OrderIntent" not in (tmp_path / "paper" / "events.jsonl").read_bytes()


# --- O08, O11: hands that are too quick --------------------------------------------------------------------------------


def orders_sent(folder: Path) -> list[dict[str, Any]]:
    """Return the intents in the log of a folder."""
    lines = (folder / "paper" / "events.jsonl").read_text(encoding="utf-8").splitlines()
    return [record for line in lines if (record := json.loads(line))["event"] == "OrderIntent"]


def test_O08_the_same_order_typed_twice_is_sent_once_unless_again_is_said(tmp_path: Path) -> None:
    """``buy`` with Enter hit twice; another quantity is another order; ``again`` sends it knowingly.

    Kills: ``check_duplicate`` that is not asked; one that compares the symbol only.
    """
    run = tradeshell(tmp_path / "twice", "buy DEMO 100", "buy DEMO 100")
    assert run.returncode != 0
    assert (
        "the same order was sent less than 5 s ago; again=true sends it once more" in run.stderr + run.stdout
    )
    assert [intent["qty"] for intent in orders_sent(tmp_path / "twice")] == [100]
    run = tradeshell(tmp_path / "other", "buy DEMO 100", "buy DEMO 101", "buy DEMO 100 again=true")
    assert run.returncode == 0, run.stderr
    assert [intent["qty"] for intent in orders_sent(tmp_path / "other")] == [100, 101, 100]


def test_O08_after_five_seconds_and_after_one_that_came_to_nothing_it_is_another_order(stage: Stage) -> None:
    """Kills: a duplicate that is one for ever; a refused order that keeps the next from being sent."""
    stage.order_now("m-1")
    stage.wait(4.9)
    plan = stage.trade_of("m-1").plan
    assert check_duplicate(stage.session.desk, plan, stage.now) is not None
    stage.wait(0.1)
    assert check_duplicate(stage.session.desk, plan, stage.now) is None
    stage.refuse("place", "entry")
    stage.order_now("m-2")
    stage.wait(1)
    assert check_duplicate(stage.session.desk, plan, stage.now) is None


def test_O11_a_change_by_hand_while_a_milestone_moves_the_same_stop_comes_after_it(stage: Stage) -> None:
    """The first target fills, the stops are on their way to 190; before the broker answers, somebody types ``stop=192``.

    It is refused aloud, typed again it wins, and both changes are on record. Kills: two changes of one order in flight;
    ``milestones`` that takes a stop back down to where the plan has it.
    """
    stage.ladder()
    stage.delay("modify", 1.0, "sl", times=9)
    stage.quote("195", "195.02")
    stage.wait(0.3)
    ref = next(order.ref for order in stage.working("sl2"))
    stage.submit(i.ReplaceRequested(at=stage.now, ref=ref, stop=usd(192)))
    stage.line("sl2", "exit_busy", "a change or a cancel of it is on its way; try again when it is answered")
    stage.wait(3)
    stage.submit(i.ReplaceRequested(at=stage.now, ref=ref, stop=usd(192)))
    stage.wait(5)
    assert stops(stage) == {"sl2": "192", "sl3": "190"}
    asked_for = [event.stop for event in stage.told(OrderIntent) if event.order_ref == ref]
    assert asked_for == [usd(187), usd(190), usd(192)]
    assert [sent.spec.stop for sent in stage.sent if sent.ref == ref and sent.spec] == asked_for
    assert stage.trade_of().protection == "PROTECTED"
    stage.sells_at_most(40)


def test_O11_of_two_changes_typed_at_one_instant_the_second_is_refused_aloud(stage: Stage) -> None:
    """Kills: ``_replace_order`` that drops what comes too early without a word."""
    stage.ladder()
    ref = next(order.ref for order in stage.working("sl1"))
    stage.delay("modify", 0.3, "sl1")
    stage.submit(i.ReplaceRequested(at=stage.now, ref=ref, stop=usd(188)))
    stage.submit(i.ReplaceRequested(at=stage.now, ref=ref, stop=usd("188.50")))
    stage.wait(5)
    assert [event.reason for event in stage.told(RiskRejected)] == ["exit_busy"]
    assert stops(stage)["sl1"] == "188"
    assert [event.stop for event in stage.told(OrderIntent) if event.order_ref == ref] == [usd(187), usd(188)]
    stage.sells_at_most(100)
