"""Orders on the wire: what leaves, what each answer means, and what becomes of orders when the gateway misbehaves."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from tests.plugins.ibkr.orders_of_ours import REF, entry, stop
from tests.plugins.ibkr.peer import (
    ACCOUNT,
    START,
    Peer,
    Scene,
    execution,
    fee,
    open_order,
    play,
    position,
    status,
)

from tradeshell import (
    BrokerError,
    CommissionReported,
    ExecutionReported,
    OcaType,
    OrderRefusedByBroker,
    OrderReport,
    OrderReported,
    OrderSpec,
    OrderState,
    OrderType,
    PositionReported,
    RefusedWhat,
    SendFailed,
    Side,
    Tif,
)

FIELD = {"order_id": 1, "con_id": 2, "action": 16, "qty": 17, "type": 18, "limit": 19, "stop": 20, "tif": 21}
FIELD |= {"group": 22, "account": 23, "ref": 26, "transmit": 27, "parent": 28, "outside": 33, "good_till": 38}
FIELD |= {"oca_type": 46}


def sent(scene: Scene, number: int = -1, **wanted: object) -> dict[str, str]:
    """Return the named fields of a placeOrder."""
    del wanted
    fields = scene.peer.of("3")[number]
    return {name: fields[index] for name, index in FIELD.items()}


def reports(scene: Scene) -> list[OrderReport]:
    return [event.report for event in scene.of(OrderReported)]


def refusals(scene: Scene) -> list[tuple[RefusedWhat, int, str]]:
    return [(event.what, event.code, event.ref) for event in scene.of(OrderRefusedByBroker)]


# --- out --------------------------------------------------------------------------------------------------------------


def test_an_order_carries_everything_that_was_decided(tmp_path: Path) -> None:
    async def story(scene: Scene) -> None:
        await scene.broker.connect()
        spec = entry(
            tif=Tif.GTD,
            good_till=START + timedelta(seconds=25),
            outside_rth=True,
            client_tag="morning",
        )
        scene.broker.place(spec, 12)
        scene.broker.place(stop(oca_group="g1", oca_type=OcaType.REDUCE), 13)
        await scene.settle()

    scene = play(tmp_path, story)
    assert sent(scene, 0) == {
        "order_id": "12", "con_id": "265598", "action": "BUY", "qty": "100", "type": "LMT", "limit": "190.1", "stop": "",
        "tif": "GTD", "group": "", "account": ACCOUNT, "ref": "ts:br1:entry:1|morning", "transmit": "1", "parent": "0",
        "outside": "1", "good_till": "20260316-14:30:25", "oca_type": "0",
    }  # fmt: skip
    assert sent(scene, 1) == {
        "order_id": "13", "con_id": "265598", "action": "SELL", "qty": "100", "type": "STP LMT", "limit": "187.00",
        "stop": "187.00", "tif": "GTC", "group": "g1", "account": ACCOUNT, "ref": REF, "transmit": "1", "parent": "0",
        "outside": "0", "good_till": "", "oca_type": "2",
    }  # fmt: skip


def test_an_expiry_is_by_the_brokers_clock(tmp_path: Path) -> None:
    async def story(scene: Scene) -> None:
        scene.next_peers = [Peer()]
        await scene.broker.connect()
        scene.peer.say("49", "1", str(int(START.timestamp()) + 90))  # it is 90 s ahead of us
        await scene.settle()
        scene.broker.place(entry(tif=Tif.GTD, good_till=START + timedelta(seconds=25)), 12)
        await scene.settle()

    assert sent(play(tmp_path, story))["good_till"] == "20260316-14:31:55"


def test_a_bracket_is_staged_behind_its_parent_and_the_last_one_transmits(tmp_path: Path) -> None:
    async def story(scene: Scene) -> None:
        await scene.broker.connect()
        bracket(scene)
        await scene.settle()

    scene = play(tmp_path, story)
    found = [sent(scene, number) for number in range(3)]
    assert [(f["order_id"], f["parent"], f["transmit"]) for f in found] == [
        ("1", "0", "0"),
        ("2", "1", "0"),
        ("3", "1", "1"),
    ]


def bracket(scene: Scene) -> None:
    parent = "ts:br1:entry:1"
    scene.broker.place(entry(transmit=False), 1)
    target = stop(
        "ts:br1:tp1:1",
        type=OrderType.LIMIT,
        limit=Decimal(195),
        stop=None,
        parent_ref=parent,
        transmit=False,
    )
    scene.broker.place(target, 2)
    scene.broker.place(stop(parent_ref=parent), 3)


def test_a_child_whose_parent_never_left_does_not_leave(tmp_path: Path) -> None:
    async def story(scene: Scene) -> None:
        await scene.broker.connect()
        with pytest.raises(BrokerError, match="its entry was not sent"):
            scene.broker.place(stop(parent_ref="ts:br1:entry:1"), 3)
        await scene.settle()

    assert play(tmp_path, story).peer.of("3") == []


@pytest.mark.parametrize(
    "order_id, changes, words",
    [
        (5, {"account": "DU9999999"}, "is for account DU…9999"),
        (0, {}, "no order number"),
        (-3, {}, "no order number"),
        (2**31, {}, "no order number"),
    ],
)
def test_an_order_that_may_not_leave_raises_and_nothing_leaves(
    tmp_path: Path, order_id: int, changes: dict[str, Any], words: str
) -> None:
    async def story(scene: Scene) -> None:
        await scene.broker.connect()
        with pytest.raises(BrokerError, match=words):
            scene.broker.place(stop(**changes), order_id)
        await scene.settle()

    assert play(tmp_path, story).peer.of("3") == []


def test_nothing_leaves_without_a_link_or_while_the_gateway_is_without_its_own(tmp_path: Path) -> None:
    async def story(scene: Scene) -> None:
        with pytest.raises(BrokerError, match="not connected"):
            scene.broker.place(stop(), 1)
        await scene.broker.connect()
        scene.peer.error(-1, 1100, "lost")
        await scene.settle()
        acts: tuple[Callable[[], None], ...] = (
            lambda: scene.broker.place(stop(), 1),
            lambda: scene.broker.modify(stop(), 1),
            lambda: scene.broker.cancel(REF, 1),
        )
        for act in acts:
            with pytest.raises(BrokerError, match="has lost Interactive Brokers"):
                act()
        await scene.settle()

    scene = play(tmp_path, story)
    assert scene.peer.of("3") == scene.peer.of("4") == []


def test_a_number_is_never_used_twice(tmp_path: Path) -> None:
    async def story(scene: Scene) -> None:
        await scene.broker.connect()
        scene.broker.place(stop(), 1)
        with pytest.raises(BrokerError, match="used before"):
            scene.broker.place(stop("ts:br1:sl2:1"), 1)

    play(tmp_path, story)


# --- what is said -----------------------------------------------------------------------------------------------------


def test_a_status_is_told_with_what_the_open_order_before_it_showed(tmp_path: Path) -> None:
    async def story(scene: Scene) -> None:
        await scene.broker.connect()
        scene.broker.place(stop(), 1)
        scene.peer.say(*open_order(1, REF))
        scene.peer.say(*status(1, "PreSubmitted", held="trigger"))
        await scene.settle()

    (report,) = reports(play(tmp_path, story))
    assert report == OrderReport(
        ref=REF,
        order_id=1,
        state=OrderState.HELD,
        filled=0,
        remaining=100,
        qty=100,
        limit=Decimal(187),
        stop=Decimal(187),
    )


@pytest.mark.parametrize(
    "word, filled, remaining, state",
    [
        ("PendingSubmit", 0, 100, OrderState.SENT),
        ("ApiPending", 0, 100, OrderState.SENT),
        ("PreSubmitted", 0, 100, OrderState.HELD),
        ("Submitted", 0, 100, OrderState.WORKING),
        ("Submitted", 40, 60, OrderState.WORKING),
        ("Filled", 100, 0, OrderState.FILLED),
        ("Filled", 40, 60, OrderState.WORKING),
        ("Cancelled", 0, 100, OrderState.CANCELLED),
        ("ApiCancelled", 0, 100, OrderState.CANCELLED),
        ("Inactive", 0, 100, OrderState.REFUSED),
        ("PendingCancel", 0, 100, OrderState.HELD),
        ("PreCancelled", 0, 100, OrderState.HELD),
        ("SomethingNew", 0, 100, OrderState.HELD),
    ],
)
def test_each_status_word_means_one_state(
    tmp_path: Path, word: str, filled: int, remaining: int, state: OrderState
) -> None:
    async def story(scene: Scene) -> None:
        await scene.broker.connect()
        scene.broker.place(stop(), 1)
        scene.peer.say(*open_order(1, REF))
        scene.peer.say(*status(1, "PreSubmitted"))
        await scene.settle()
        scene.peer.say(*status(1, word, filled, remaining))
        await scene.settle()

    found = reports(play(tmp_path, story))[-1]
    assert (found.state, found.filled, found.remaining) == (state, filled, remaining)


def test_an_order_that_is_being_cancelled_stays_where_it_was(tmp_path: Path) -> None:
    async def story(scene: Scene) -> None:
        await scene.broker.connect()
        scene.broker.place(stop(), 1)
        scene.peer.say(*open_order(1, REF))
        scene.peer.say(*status(1, "Submitted"))
        scene.peer.say(*status(1, "PendingCancel"))
        await scene.settle()

    assert [report.state for report in reports(play(tmp_path, story))] == [OrderState.WORKING] * 2


def test_inactive_may_work_again(tmp_path: Path) -> None:
    async def story(scene: Scene) -> None:
        await scene.broker.connect()
        scene.broker.place(stop(), 1)
        for word in ("Inactive", "Submitted"):
            scene.peer.say(*open_order(1, REF, status=word))
            scene.peer.say(*status(1, word))
        await scene.settle()

    assert [r.state for r in reports(play(tmp_path, story))] == [OrderState.REFUSED, OrderState.WORKING]


def test_a_staged_order_that_is_called_inactive_is_not_refused(tmp_path: Path) -> None:
    async def story(scene: Scene) -> None:
        await scene.broker.connect()
        scene.broker.place(entry(transmit=False), 1)
        scene.peer.say(*status(1, "Inactive"))
        await scene.settle()

    assert [r.state for r in reports(play(tmp_path, story))] == [OrderState.SENT]


def test_a_held_stop_shows_no_derived_limit(tmp_path: Path) -> None:
    async def story(scene: Scene) -> None:
        await scene.broker.connect()
        scene.broker.place(stop(type=OrderType.STOP, limit=None), 1)
        scene.peer.say(*open_order(1, REF, kind="STP", limit="180.22", stop="187.0"))
        scene.peer.say(*status(1, "PreSubmitted"))
        await scene.settle()

    (report,) = reports(play(tmp_path, story))
    assert (report.limit, report.stop) == (None, Decimal(187))


def test_an_open_order_that_stands_alone_is_told_after_a_moment(tmp_path: Path) -> None:
    async def story(scene: Scene) -> None:
        await scene.broker.connect()
        scene.broker.place(stop(), 1)
        scene.peer.say(*open_order(1, REF))
        await scene.settle()
        assert reports(scene) == []
        await scene.pass_time(0.3)

    (report,) = reports(play(tmp_path, story))
    assert (report.state, report.remaining) == (OrderState.HELD, 100)


def test_an_open_order_that_claims_to_be_filled_fills_nothing(tmp_path: Path) -> None:
    async def story(scene: Scene) -> None:
        await scene.broker.connect()
        scene.broker.place(stop(), 1)
        scene.peer.say(*open_order(1, REF, status="Filled"))
        await scene.pass_time(1)

    assert reports(play(tmp_path, story)) == []


def test_x09_an_order_of_another_client_is_never_ours_whatever_it_is_called(tmp_path: Path) -> None:
    async def story(scene: Scene) -> None:
        scene.next_peers = [Peer()]
        await scene.broker.connect()
        scene.broker.place(stop(), 1)
        scene.peer.open_orders = [
            open_order(1, REF, client=9, perm=5),
            status(1, "Submitted", 50, 50, client=9, perm=5),
            open_order(1, REF),
            status(1, "PreSubmitted"),
        ]
        found = await scene.broker.snapshot_account()
        assert [(r.ref, r.order_id, r.state) for r in found.orders] == [
            ("", 0, OrderState.WORKING),
            (REF, 1, OrderState.HELD),
        ]

    scene = play(tmp_path, story)
    assert {report.state for report in reports(scene)} == {OrderState.HELD}
    (told,) = scene.of(OrderRefusedByBroker)
    assert "another tradeshell trades this account" in told.text


def test_an_order_of_ours_that_another_client_cancelled_is_known_by_its_permanent_number(
    tmp_path: Path,
) -> None:
    async def story(scene: Scene) -> None:
        await scene.broker.connect()
        await working(scene)
        scene.peer.say(*status(1, "Cancelled", client=2))
        scene.peer.say(*status(1, "Filled", 100, 0, perm=99, client=2))  # an order of its own
        await scene.settle()

    assert [r.state for r in reports(play(tmp_path, story))] == [OrderState.HELD, OrderState.CANCELLED]


def test_d04_what_comes_after_1100_is_heard_like_anything_else(tmp_path: Path) -> None:
    async def story(scene: Scene) -> None:
        await scene.broker.connect()
        await working(scene)
        scene.peer.say(*execution(1, "a.1.01", REF, 12, "187.25"))
        scene.peer.error(-1, 1100, "lost")
        scene.peer.say(*execution(1, "a.2.01", REF, 14, "187.25"))
        scene.peer.say(*status(1, "Submitted", 26, 74))
        await scene.settle()

    scene = play(tmp_path, story)
    assert [event.execution.qty for event in scene.of(ExecutionReported)] == [12, 14]
    assert reports(scene)[-1].filled == 26


def test_manual_orders_are_known_by_their_permanent_number(tmp_path: Path) -> None:
    async def story(scene: Scene) -> None:
        await scene.broker.connect()
        scene.peer.open_orders = [
            open_order(0, "", client=0, perm=77, kind="LMT"),
            status(0, "Submitted", client=0, perm=77),
            open_order(0, "", client=0, perm=78, kind="LMT"),
            status(0, "Submitted", 10, 90, client=0, perm=78),
            open_order(-4, "", client=0, perm=79, kind="LMT"),
            status(-4, "Submitted", 20, 80, client=0, perm=79),
        ]
        found = await scene.broker.snapshot_account()
        assert [(r.ref, r.order_id, r.filled) for r in found.orders] == [("", 0, 0), ("", 0, 10), ("", 0, 20)]

    play(tmp_path, story)


def test_orders_of_another_account_are_not_shown(tmp_path: Path) -> None:
    async def story(scene: Scene) -> None:
        await scene.broker.connect()
        scene.peer.open_orders = [open_order(5, REF, account="DU9999999"), status(5, "Submitted")]
        assert (await scene.broker.snapshot_account()).orders == ()

    play(tmp_path, story)


# --- refusals ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("code", [103, 107, 110, 135, 200, 201, 203, 320, 321, 383, 434, 435, 460, 10006])
def test_a_new_order_that_is_sent_back_is_refused(tmp_path: Path, code: int) -> None:
    async def story(scene: Scene) -> None:
        await scene.broker.connect()
        scene.broker.place(stop(), 1)
        scene.peer.error(1, code, "why")
        await scene.settle()

    assert refusals(play(tmp_path, story)) == [(RefusedWhat.ORDER, code, REF)]


@pytest.mark.parametrize("code", [104, 105, 110, 135, 201, 321, 329, 2102, 10326, 10327, 10341])
def test_a_change_that_is_sent_back_leaves_the_old_order(tmp_path: Path, code: int) -> None:
    async def story(scene: Scene) -> None:
        await scene.broker.connect()
        await working(scene)
        scene.broker.modify(stop(stop=Decimal(190), limit=Decimal(190)), 1)
        scene.peer.error(1, code, "why")
        await scene.settle()

    assert refusals(play(tmp_path, story)) == [(RefusedWhat.CHANGE, code, REF)]


@pytest.mark.parametrize("code", [135, 136, 161, 10147, 10148])
def test_a_cancel_that_meets_nothing_is_refused(tmp_path: Path, code: int) -> None:
    async def story(scene: Scene) -> None:
        await scene.broker.connect()
        await working(scene)
        scene.broker.cancel(REF, 1)
        await scene.settle()
        assert scene.peer.of("4") == [["4", "1", "1", ""]]
        scene.peer.error(1, code, "why")
        await scene.settle()

    assert refusals(play(tmp_path, story)) == [(RefusedWhat.CANCEL, code, REF)]


def test_a_cancel_of_an_order_that_was_never_known_is_refused_by_its_ref(tmp_path: Path) -> None:
    async def story(scene: Scene) -> None:
        await scene.broker.connect()
        scene.broker.cancel(REF, 52)
        scene.peer.error(52, 10147, "OrderId 52 that needs to be cancelled is not found.")
        await scene.settle()

    assert refusals(play(tmp_path, story)) == [(RefusedWhat.CANCEL, 10147, REF)]


@pytest.mark.parametrize("code", [133, 399, 404, 481, 2109, 2137, 10311, 10349, 55555])
@pytest.mark.parametrize("is_known", [False, True])
def test_a_comment_and_an_unknown_code_refuse_nothing(tmp_path: Path, code: int, is_known: bool) -> None:
    async def story(scene: Scene) -> None:
        await scene.broker.connect()
        if is_known:
            await working(scene)
        else:
            scene.broker.place(stop(), 1)
        scene.peer.error(1, code, "why")
        await scene.settle()

    scene = play(tmp_path, story)
    assert refusals(scene) == [(RefusedWhat.NOTHING, code, REF)]
    assert [event.is_known for event in scene.of(OrderRefusedByBroker)] == [code != 55555]


def test_a_rejection_of_an_order_that_was_taken_refuses_it(tmp_path: Path) -> None:
    async def story(scene: Scene) -> None:
        await scene.broker.connect()
        await working(scene)
        scene.peer.error(1, 201, "Order rejected - reason:margin")
        scene.peer.say(*status(1, "Inactive"))
        await scene.settle()

    scene = play(tmp_path, story)
    assert refusals(scene) == [(RefusedWhat.ORDER, 201, REF)]
    assert reports(scene)[-1].why == "201: Order rejected - reason:margin"


async def working(scene: Scene, spec: OrderSpec | None = None, **shown: Any) -> None:
    """Have an order taken."""
    scene.broker.place(stop() if spec is None else spec, 1)
    scene.peer.say(*open_order(1, REF, **shown))
    scene.peer.say(*status(1, "PreSubmitted"))
    await scene.settle()


def test_202_after_its_status_says_nothing_more(tmp_path: Path) -> None:
    async def story(scene: Scene) -> None:
        await scene.broker.connect()
        await working(scene)
        scene.peer.say(*status(1, "Cancelled"))
        scene.peer.error(1, 202, "Order Canceled - reason:")
        await scene.pass_time(5)

    scene = play(tmp_path, story)
    assert [r.state for r in reports(scene)] == [OrderState.HELD, OrderState.CANCELLED]
    assert refusals(scene) == []


def test_202_without_a_status_is_a_cancel_after_a_second(tmp_path: Path) -> None:
    async def story(scene: Scene) -> None:
        await scene.broker.connect()
        await working(scene)
        scene.peer.error(1, 202, "Order Canceled - reason:")
        await scene.settle()
        assert len(reports(scene)) == 1
        await scene.pass_time(1.1)

    report = reports(play(tmp_path, story))[-1]
    assert (report.state, report.why) == (OrderState.CANCELLED, "Order Canceled - reason:")


def test_an_error_about_an_order_that_nobody_knows_is_only_told(tmp_path: Path) -> None:
    async def story(scene: Scene) -> None:
        await scene.broker.connect()
        scene.peer.error(99, 201, "Order rejected")
        await scene.settle()

    assert refusals(play(tmp_path, story)) == [(RefusedWhat.NOTHING, 201, "")]


def test_a_duplicate_number_makes_us_ask_for_the_next_one(tmp_path: Path) -> None:
    async def story(scene: Scene) -> None:
        await scene.broker.connect()
        scene.broker.place(stop(), 1)
        scene.peer.next_id = "500"
        scene.peer.error(1, 103, "Duplicate order id")
        await scene.settle()
        scene.peer.say(*open_order(1, "somebody else", perm=3))  # the older order of that number
        scene.peer.say(*status(1, "Filled", 100, 0, perm=3))
        await scene.settle()

    scene = play(tmp_path, story)
    assert refusals(scene) == [(RefusedWhat.ORDER, 103, REF)]
    assert scene.broker.first_order_id() == 500
    assert max(report.order_id for report in reports(scene)) == 499  # which raises the core's own count
    assert all(report.ref != REF for report in reports(scene))


# --- changes ----------------------------------------------------------------------------------------------------------


def test_a_change_repeats_the_group_that_the_broker_gave(tmp_path: Path) -> None:
    async def story(scene: Scene) -> None:
        await scene.broker.connect()
        await working(scene, group="1426086000")
        scene.broker.modify(stop(stop=Decimal(190), limit=Decimal(190), qty=60), 1)
        await scene.settle()

    found = sent(play(tmp_path, story))
    assert (found["order_id"], found["stop"], found["limit"], found["qty"]) == ("1", "190", "190", "60")
    assert (found["group"], found["oca_type"], found["transmit"]) == ("1426086000", "3", "1")


def test_a_change_of_a_child_names_its_parent_only_while_that_lives(tmp_path: Path) -> None:
    async def story(scene: Scene) -> None:
        await scene.broker.connect()
        bracket(scene)
        scene.peer.say(*status(1, "Submitted"))
        await scene.settle()
        scene.broker.modify(stop(parent_ref="ts:br1:entry:1", stop=Decimal(188)), 3)
        scene.peer.say(*status(1, "Filled", 100, 0))
        await scene.settle()
        scene.broker.modify(stop(parent_ref="ts:br1:entry:1", stop=Decimal(189)), 3)
        await scene.settle()

    scene = play(tmp_path, story)
    assert [sent(scene, n)["parent"] for n in (3, 4)] == ["1", "0"]
    assert [sent(scene, n)["transmit"] for n in (3, 4)] == ["1", "1"]


@pytest.mark.parametrize("by", ["picture", "refusal", "nothing"])
def test_a_parent_that_ended_while_nobody_told_us_is_not_named_in_a_change(tmp_path: Path, by: str) -> None:
    async def story(scene: Scene) -> None:
        await scene.broker.connect()
        bracket(scene)
        for number, ref in ((1, "ts:br1:entry:1"), (2, "ts:br1:tp1:1"), (3, REF)):
            scene.peer.say(*open_order(number, ref, parent=int(number > 1)))
            scene.peer.say(*status(number, "PreSubmitted"))
        await scene.settle()
        if by == "picture":
            scene.peer.open_orders = [open_order(3, REF, parent=1), status(3, "PreSubmitted")]
            await scene.broker.snapshot_account()
        elif by == "refusal":
            scene.broker.modify(stop(parent_ref="ts:br1:entry:1", stop=Decimal(188)), 3)
            scene.peer.error(3, 135, "Can't find order with id =1")
            await scene.settle()
        scene.broker.modify(stop(parent_ref="ts:br1:entry:1", stop=Decimal(189)), 3)
        await scene.settle()

    assert sent(play(tmp_path, story))["parent"] == ("1" if by == "nothing" else "0")


def test_an_order_that_ended_two_days_ago_is_forgotten_and_one_that_works_is_not(tmp_path: Path) -> None:
    heard: list[list[int]] = []

    async def story(scene: Scene) -> None:
        async def say_both() -> None:
            before = len(reports(scene))
            scene.peer.say(*status(12, "Cancelled", 0, 100))
            scene.peer.say(*status(13, "PreSubmitted", 0, 100))
            await scene.settle()
            heard.append([report.order_id for report in reports(scene)[before:]])

        await scene.broker.connect()
        scene.broker.place(entry(), 12)
        scene.broker.place(stop(), 13)
        await scene.settle()
        scene.peer.open_orders = [open_order(13, REF), status(13, "PreSubmitted", 0, 100)]
        for hours in (0, 47, 2):
            await scene.pass_time(hours * 3600.0)
            await say_both()
            await scene.broker.snapshot_account()
        await say_both()
        with pytest.raises(BrokerError, match="was not shown by the gateway"):
            scene.broker.modify(entry(limit=Decimal("190.2")), 12)

    play(tmp_path, story)
    assert heard == [[12, 13], [12, 13], [12, 13], [13]]


def test_side_and_contract_of_an_order_are_never_changed(tmp_path: Path) -> None:
    async def story(scene: Scene) -> None:
        await scene.broker.connect()
        await working(scene)
        for changes in ({"side": Side.BUY}, {"con_id": 1}):
            with pytest.raises(BrokerError, match="cannot be changed"):
                scene.broker.modify(stop(**changes), 1)

    play(tmp_path, story)


def test_after_a_restart_an_order_is_changed_once_the_gateway_has_shown_it(tmp_path: Path) -> None:
    async def story(scene: Scene) -> None:
        await scene.broker.connect()
        changed = stop(stop=Decimal(190), oca_group="g1", oca_type=OcaType.REDUCE)
        with pytest.raises(BrokerError, match="a change might place it anew"):
            scene.broker.modify(changed, 41)
        scene.peer.say(*open_order(41, REF, group="g1"))
        scene.peer.say(*status(41, "PreSubmitted"))
        await scene.settle()
        scene.broker.modify(changed, 41)
        await scene.settle()

    scene = play(tmp_path, story)
    found = sent(scene)
    assert (found["order_id"], found["group"], found["parent"]) == ("41", "g1", "0")
    assert len(scene.peer.of("3")) == 1


def test_an_order_that_left_on_a_connection_that_is_gone_is_not_placed_by_a_change(tmp_path: Path) -> None:
    async def story(scene: Scene) -> None:
        await scene.broker.connect()
        scene.broker.place(stop(), 1)
        await scene.settle()
        scene.broker.modify(stop(qty=50), 1)  # behind its order, on the same connection
        scene.peer.end()
        await scene.pass_time(5)
        assert scene.broker.connection.is_served
        with pytest.raises(BrokerError, match="a change might place it anew"):
            scene.broker.modify(stop(qty=40), 1)
        scene.peer.say(*open_order(1, REF))
        scene.peer.say(*status(1, "PreSubmitted"))
        await scene.settle()
        scene.broker.modify(stop(qty=30), 1)
        await scene.settle()

    play(tmp_path, story)


def test_a_refused_change_after_which_the_next_one_leaves(tmp_path: Path) -> None:
    async def story(scene: Scene) -> None:
        await scene.broker.connect()
        await working(scene)
        scene.broker.modify(stop(stop=Decimal(190)), 1)
        scene.peer.error(1, 2102, "still being processed")
        await scene.settle()
        scene.peer.error(1, 10349, "preset")  # nothing is on its way any more
        await scene.settle()

    assert [what for what, _, _ in refusals(play(tmp_path, story))] == [
        RefusedWhat.CHANGE,
        RefusedWhat.NOTHING,
    ]


# --- pacing -----------------------------------------------------------------------------------------------------------


def test_a_stop_leaves_before_entries_and_data_that_wait(tmp_path: Path) -> None:
    async def story(scene: Scene) -> None:
        await scene.broker.connect()
        for number in range(1, 61):
            scene.broker.place(entry(f"ts:br{number}:entry:1"), number)
            scene.broker.connection.ask(
                "reqMktData", scene.broker.connection.request_id(), _contract(), "", False, False, []
            )
        scene.broker.place(stop(), 100)
        scene.broker.cancel(REF, 100)
        await scene.settle()
        assert scene.peer.of("3")[-1][1] == "100"
        assert len(scene.peer.of("4")) == 1
        at_once = len(scene.peer.sent)
        assert at_once <= 45
        for _ in range(60):
            before = len(scene.peer.sent)
            await scene.pass_time(0.1)
            assert len(scene.peer.sent) - before <= 45
        assert len(scene.peer.of("3")) == 61
        assert len(scene.peer.of("1")) == 60

    play(tmp_path, story)


def _contract() -> Any:
    from ib_async.contract import Stock

    return Stock("AAPL", "SMART", "USD", conId=265598)


def test_never_more_than_45_messages_leave_within_a_second(tmp_path: Path) -> None:
    times: list[float] = []

    async def story(scene: Scene) -> None:
        await scene.broker.connect()
        await scene.pass_time(2)
        peer = scene.peer
        peer.answers["3"] = lambda _: times.append(scene.loop.time())
        for number in range(1, 301):
            scene.broker.place(stop(f"ts:br{number}:sl1:1"), number)
        await scene.pass_time(20)

    play(tmp_path, story)
    assert len(times) == 300
    for at in times:
        assert sum(at <= other < at + 1.0 for other in times) <= 45


def test_a_child_never_overtakes_its_parent(tmp_path: Path) -> None:
    async def story(scene: Scene) -> None:
        await scene.broker.connect()
        for number in range(10, 60):
            scene.broker.place(entry(f"ts:x{number}:entry:1"), number)
        scene.broker.place(entry(transmit=False), 101)
        scene.broker.place(stop(parent_ref="ts:br1:entry:1"), 102)
        scene.broker.modify(entry(transmit=False, limit=Decimal(191)), 101)
        await scene.pass_time(5)

    order = [fields[1] for fields in play(tmp_path, story).peer.of("3")]
    assert order.index("101") < order.index("102")
    assert order.count("101") == 2


def test_what_waited_when_the_link_went_never_left_and_its_owner_hears_so(tmp_path: Path) -> None:
    async def story(scene: Scene) -> None:
        await scene.broker.connect()
        for number in range(1, 61):
            scene.broker.place(entry(f"ts:br{number}:entry:1"), number)
        await scene.settle()
        scene.peer.end()
        await scene.settle()

    scene = play(tmp_path, story)
    failed = scene.of(SendFailed)
    assert all(event.certain and event.action == "place" for event in failed)
    assert len(failed) + len(scene.peers[0].of("3")) == 60
    assert failed


# --- executions, fees, positions --------------------------------------------------------------------------------------


def test_an_execution_is_told_once_and_its_correction_as_a_revision(tmp_path: Path) -> None:
    async def story(scene: Scene) -> None:
        await scene.broker.connect()
        scene.broker.place(stop(), 1)
        for exec_id, shares in (
            ("0000e0d5.69dd.01.01", 100),
            ("0000e0d5.69dd.01.01", 100),
            ("0000e0d5.69dd.01.02", 90),
        ):
            scene.peer.say(*execution(1, exec_id, REF, shares, "187.25"))
        await scene.settle()

    found = [event.execution for event in play(tmp_path, story).of(ExecutionReported)]
    assert [(e.stem, e.revision, e.qty) for e in found] == [
        ("0000e0d5.69dd.01", 1, 100),
        ("0000e0d5.69dd.01", 2, 90),
    ]
    assert (found[0].ref, found[0].side, found[0].price, found[0].account) == (
        REF,
        Side.SELL,
        Decimal("187.25"),
        ACCOUNT,
    )
    assert found[0].at == START


def test_an_execution_without_a_ref_is_found_by_its_order(tmp_path: Path) -> None:
    async def story(scene: Scene) -> None:
        await scene.broker.connect()
        scene.broker.place(stop(client_tag="t"), 1)
        scene.peer.say(*execution(1, "a.1.01", "", 100, "187.25"))
        scene.peer.say(*execution(1, "a.2.01", f"{REF}|t", 100, "187.25"))
        await scene.settle()

    assert [e.execution.ref for e in play(tmp_path, story).of(ExecutionReported)] == [REF, REF]


def test_executions_of_others_are_theirs(tmp_path: Path) -> None:
    async def story(scene: Scene) -> None:
        await scene.broker.connect()
        scene.broker.place(stop(), 1)
        scene.peer.say(*execution(1, "a.1.01", REF, 100, "187.25", client=9))
        scene.peer.say(*execution(1, "a.2.01", "by hand", 100, "187.25", client=0))
        scene.peer.say(*execution(1, "a.3.01", REF, 100, "187.25", account="DU9999999"))
        scene.peer.say(*execution(1, "a.4.01", REF, 1, "3.25", security="OPT"))
        await scene.settle()

    assert [e.execution.ref for e in play(tmp_path, story).of(ExecutionReported)] == ["", "by hand"]


@pytest.mark.parametrize("at", ["20260316  10:30:00", "20260316 10:30:00 Nowhere/Land", "", "1773671400"])
def test_an_execution_is_never_lost_for_the_way_its_time_is_written(tmp_path: Path, at: str) -> None:
    async def story(scene: Scene) -> None:
        await scene.broker.connect()
        scene.peer.say(*execution(1, "a.1.01", REF, 100, "187.25", at=at))
        await scene.settle()

    (event,) = play(tmp_path, story).of(ExecutionReported)
    assert abs(event.execution.at - START) < timedelta(seconds=5)


def test_a_fee_waits_for_its_execution(tmp_path: Path) -> None:
    async def story(scene: Scene) -> None:
        await scene.broker.connect()
        scene.peer.say(*fee("a.1.01", "1.05"))
        await scene.settle()
        assert scene.of(CommissionReported) == []
        scene.peer.say(*execution(1, "a.1.01", REF, 100, "187.25"))
        scene.peer.say(*execution(1, "a.2.01", REF, 100, "187.25"))
        scene.peer.say(*fee("a.2.01", "0.35"))
        await scene.settle()

    told = play(tmp_path, story).of(CommissionReported)
    assert [(event.exec_id, event.amount) for event in told] == [
        ("a.1.01", Decimal("1.05")),
        ("a.2.01", Decimal("0.35")),
    ]


def test_positions_are_of_this_account_and_of_shares_only(tmp_path: Path) -> None:
    async def story(scene: Scene) -> None:
        await scene.broker.connect()
        scene.broker.connection.names[265598] = "AAPL"
        scene.peer.say(*position(100))
        scene.peer.say(*position(-5, security="OPT", con_id=99))
        scene.peer.say(*position(7, account="DU9999999"))
        scene.peer.say(*position(30, con_id=4))  # the same letters on another exchange
        scene.peer.say(*position("12.5"))
        scene.peer.say(*position(0, "0"))
        await scene.settle()

    found = [event.position for event in play(tmp_path, story).of(PositionReported)]
    assert [(p.symbol, p.qty) for p in found] == [
        ("AAPL", 100),
        ("AAPL@USD.4", 30),
        ("AAPL", 12),
        ("AAPL", 0),
    ]
    assert found[0].average == Decimal("190.05")
