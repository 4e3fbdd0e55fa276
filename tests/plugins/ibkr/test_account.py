"""Pictures of the account: complete, asked for after the call, and of nobody else; or a refusal in one line."""

from __future__ import annotations

import asyncio
from decimal import Decimal
from pathlib import Path

import pytest
from tests.plugins.ibkr.orders_of_ours import stop
from tests.plugins.ibkr.peer import Peer, Scene, execution, fee, open_order, play, position, status

from tradeshell import (
    BrokerError,
    CommissionReported,
    ExecutionReported,
    LinkChanged,
    OrderRefusedByBroker,
    OrderReported,
    OrderState,
    PositionReported,
    Snapshot,
)

REF = "ts:br1:sl1:1"


async def refused(scene: Scene) -> str:
    with pytest.raises(BrokerError) as caught:
        await scene.broker.snapshot_account()
    return str(caught.value)


def test_a_picture_has_orders_executions_and_positions(tmp_path: Path) -> None:
    async def story(scene: Scene) -> None:
        scene.next_peers = [
            Peer(
                open_orders=[open_order(14, REF), status(14, "PreSubmitted", 10, 90)],
                executions=[execution(14, "a.1.01", REF, 10, "187.25", request="REQ"), fee("a.1.01")],
                positions=[position(90)],
            )
        ]
        await scene.broker.connect()
        found = await scene.broker.snapshot_account()
        assert [(r.ref, r.order_id, r.state, r.filled, r.remaining, r.qty) for r in found.orders] == [
            (REF, 14, OrderState.HELD, 10, 90, 100)
        ]
        assert [(e.exec_id, e.ref, e.qty) for e in found.executions] == [("a.1.01", REF, 10)]
        assert [(p.symbol, p.qty, p.average) for p in found.positions] == [("AAPL", 90, Decimal("190.05"))]

    scene = play(tmp_path, story)
    # What it shows is news too: an elected stop may be repriced before the picture is complete.
    assert len(scene.of(OrderReported)) >= 1
    assert [event.execution.exec_id for event in scene.of(ExecutionReported)] == ["a.1.01"]
    assert [event.amount for event in scene.of(CommissionReported)] == [Decimal("1.0")]
    assert scene.of(PositionReported)


def test_only_the_first_picture_of_a_connection_asks_for_the_orders_of_our_own(tmp_path: Path) -> None:
    async def story(scene: Scene) -> None:
        await scene.broker.connect()
        for _ in range(3):
            await scene.broker.snapshot_account()

    peer = play(tmp_path, story).peer
    assert (len(peer.of("5")), len(peer.of("16")), len(peer.of("7")), len(peer.of("61"))) == (1, 3, 3, 4)


def test_positions_are_subscribed_to_as_soon_as_there_is_a_link(tmp_path: Path) -> None:
    async def story(scene: Scene) -> None:
        scene.next_peers = [Peer(positions=[position(90)])]
        await scene.broker.connect()
        await scene.settle()

    assert [event.position.qty for event in play(tmp_path, story).of(PositionReported)] == [90]


def test_an_execution_of_the_day_stays_in_the_picture_and_is_told_once(tmp_path: Path) -> None:
    async def story(scene: Scene) -> None:
        await scene.broker.connect()
        scene.peer.say(*execution(14, "a.1.01", REF, 10, "187.25"))
        await scene.settle()
        scene.peer.executions = [execution(14, "a.1.01", REF, 10, "187.25", request="REQ")]
        for _ in range(2):
            assert len((await scene.broker.snapshot_account()).executions) == 1

    assert len(play(tmp_path, story).of(ExecutionReported)) == 1


def test_a_corrected_execution_is_in_the_picture_once_as_it_was_corrected_last(tmp_path: Path) -> None:
    async def story(scene: Scene) -> None:
        await scene.broker.connect()
        for exec_id, shares in (("a.1.01", 10), ("a.1.03", 7), ("a.1.02", 8)):
            scene.peer.say(*execution(14, exec_id, REF, shares, "187.25"))
        await scene.settle()
        found = await scene.broker.snapshot_account()
        assert [(e.exec_id, e.qty) for e in found.executions] == [("a.1.03", 7)]

    play(tmp_path, story)


def test_executions_of_yesterday_are_not_todays(tmp_path: Path) -> None:
    async def story(scene: Scene) -> None:
        await scene.broker.connect()
        scene.peer.executions = [
            execution(13, "a.0.01", REF, 5, "187", request="REQ", at="20260315 15:59:59 US/Eastern"),
            execution(14, "a.1.01", REF, 10, "187", request="REQ", at="20260316 00:00:01 US/Eastern"),
        ]
        found = await scene.broker.snapshot_account()
        assert [e.exec_id for e in found.executions] == ["a.1.01"]

    assert [e.execution.exec_id for e in play(tmp_path, story).of(ExecutionReported)] == ["a.1.01"]


@pytest.mark.parametrize("kind, words", [("16", "open orders"), ("61", "positions")])
def test_d06_half_an_answer_is_no_picture(tmp_path: Path, kind: str, words: str) -> None:
    async def story(scene: Scene) -> None:
        await scene.broker.connect()
        scene.peer.unanswered = {kind}
        began = scene.loop.time()
        assert f"{words} were not answered completely" in await refused(scene)
        assert scene.loop.time() - began < 5  # the host gives a picture five seconds

    play(tmp_path, story)


def test_orders_that_are_shown_without_an_end_are_no_picture(tmp_path: Path) -> None:
    async def story(scene: Scene) -> None:
        await scene.broker.connect()

        def shown(_: list[str]) -> None:
            scene.peer.say(*open_order(14, REF))
            scene.peer.say(*status(14, "Submitted"))

        scene.peer.answers["16"] = shown
        assert "open orders were not answered completely" in await refused(scene)

    play(tmp_path, story)


def test_an_order_that_is_shown_without_its_status_is_no_picture(tmp_path: Path) -> None:
    async def story(scene: Scene) -> None:
        await scene.broker.connect()
        scene.peer.open_orders = [open_order(14, REF)]
        assert "order 14 was shown without its status" in await refused(scene)

    play(tmp_path, story)


def test_after_three_pictures_that_did_not_come_the_connection_is_made_anew(tmp_path: Path) -> None:
    async def story(scene: Scene) -> None:
        await scene.broker.connect()
        scene.peer.unanswered = {"61"}
        for _ in range(3):
            await refused(scene)
        await scene.pass_time(10)
        assert (await scene.broker.snapshot_account()).positions == ()

    scene = play(tmp_path, story)
    assert [(link.up, "does not answer" in link.why) for link in scene.of(LinkChanged)] == [
        (True, False),
        (False, True),
        (True, False),
    ]


def test_an_answer_that_comes_too_late_does_not_end_the_next_request(tmp_path: Path) -> None:
    async def story(scene: Scene) -> None:
        await scene.broker.connect()
        await scene.broker.snapshot_account()
        scene.peer.unanswered = {"61"}
        await refused(scene)

        def late(_: list[str]) -> None:
            scene.peer.say("62", "1")  # of the request before: it knows nothing of what happened since

            def in_time() -> None:
                scene.peer.say(*position(90))
                scene.peer.say("62", "1")

            scene.loop.call_later(1.0, in_time)

        scene.peer.unanswered = set()
        scene.peer.answers["61"] = late
        assert [p.qty for p in (await scene.broker.snapshot_account()).positions] == [90]

    play(tmp_path, story)


def test_a_gateway_that_ends_no_empty_list_of_executions_is_believed_when_it_does_so_twice(
    tmp_path: Path,
) -> None:
    async def story(scene: Scene) -> None:
        await scene.broker.connect()
        scene.peer.unanswered = {"7"}
        assert (await scene.broker.snapshot_account()).executions == ()
        assert len(scene.peer.of("7")) == 2

    play(tmp_path, story)


def test_but_not_when_there_were_executions_today(tmp_path: Path) -> None:
    async def story(scene: Scene) -> None:
        await scene.broker.connect()
        scene.peer.say(*execution(14, "a.1.01", REF, 10, "187.25"))
        scene.peer.unanswered = {"7"}
        assert "executions were not answered completely" in await refused(scene)

    play(tmp_path, story)


def test_a_refused_request_for_executions_is_no_picture(tmp_path: Path) -> None:
    async def story(scene: Scene) -> None:
        await scene.broker.connect()
        scene.peer.answers["7"] = lambda fields: scene.peer.error(
            int(fields[2]), 321, "Error validating request"
        )
        assert "executions were not answered: 321 Error validating request" in await refused(scene)

    play(tmp_path, story)


def test_a_link_that_goes_during_a_picture_ends_it_at_once(tmp_path: Path) -> None:
    async def story(scene: Scene) -> None:
        await scene.broker.connect()
        scene.peer.unanswered = {"61"}
        asked = asyncio.ensure_future(scene.broker.snapshot_account())
        await scene.settle()
        scene.peer.end()
        began = scene.loop.time()
        with pytest.raises(BrokerError, match="lost with the connection"):
            await asked
        assert scene.loop.time() - began < 0.5

    play(tmp_path, story)


def test_pictures_that_are_asked_for_together_are_answered_one_after_the_other(tmp_path: Path) -> None:
    async def story(scene: Scene) -> None:
        scene.next_peers = [Peer(positions=[position(90)])]
        await scene.broker.connect()
        found: list[Snapshot] = await asyncio.gather(*(scene.broker.snapshot_account() for _ in range(3)))
        assert [len(each.positions) for each in found] == [1, 1, 1]

    play(tmp_path, story)


def test_the_orders_of_an_earlier_run_are_known_after_the_first_picture(tmp_path: Path) -> None:
    async def story(scene: Scene) -> None:
        scene.next_peers = [
            Peer(
                next_id="40",
                open_orders=[open_order(14, f"{REF}|tag", group="g7"), status(14, "Submitted", 10, 90)],
            )
        ]
        await scene.broker.connect()
        (report,) = (await scene.broker.snapshot_account()).orders
        assert (report.ref, report.order_id, report.state, report.filled) == (REF, 14, OrderState.WORKING, 10)
        scene.broker.cancel(REF, 14)
        await scene.settle()
        scene.peer.error(14, 10148, "cannot be cancelled, state: Filled.")
        await scene.settle()
        assert scene.broker.first_order_id() == 40

    play(tmp_path, story)


def test_a_fee_of_an_execution_that_was_corrected_before_we_heard_of_it_is_told(tmp_path: Path) -> None:
    async def story(scene: Scene) -> None:
        scene.next_peers = [Peer(executions=[execution(14, "a.1.02", REF, 10, "187.25", request="REQ")])]
        await scene.broker.connect()
        await scene.broker.snapshot_account()
        scene.peer.say(*fee("a.1.01"))
        scene.peer.say(*fee("b.1.01"))  # of which nothing is known yet
        await scene.settle()

    assert [event.exec_id for event in play(tmp_path, story).of(CommissionReported)] == ["a.1.01"]


def test_the_end_of_an_order_of_an_earlier_run_is_told_although_nothing_names_it_yet(tmp_path: Path) -> None:
    async def story(scene: Scene) -> None:
        await scene.broker.connect()
        scene.peer.say(*status(14, "Submitted", 10, 90))
        scene.peer.say(*status(14, "Cancelled", 10, 90))
        scene.peer.say(*status(15, "Cancelled", client=3))  # somebody else's
        await scene.settle()

    words = [event.text for event in play(tmp_path, story).of(OrderRefusedByBroker)]
    assert words == ["order 14 is Cancelled: 10 filled, 90 left"]


def test_the_highest_number_survives_a_restart_of_both(tmp_path: Path) -> None:
    async def first(scene: Scene) -> None:
        scene.next_peers = [Peer(open_orders=[open_order(812, REF), status(812, "Submitted")])]
        await scene.broker.connect()
        await scene.broker.snapshot_account()

    play(tmp_path, first)

    async def second(scene: Scene) -> None:  # the gateway was set up anew and counts from 1
        await scene.broker.connect()

    assert [link.first_order_id for link in play(tmp_path, second).of(LinkChanged)] == [813]


def test_after_a_restart_an_instrument_has_the_name_under_which_it_was_traded(tmp_path: Path) -> None:
    def spelt(message: tuple[str, ...]) -> tuple[str, ...]:
        return tuple("BRK B" if field == "AAPL" else field for field in message)

    async def first(scene: Scene) -> None:
        await scene.broker.connect()
        scene.broker.place(stop(symbol="BRK-B", con_id=72063691), 1)

    play(tmp_path, first)

    async def second(scene: Scene) -> None:
        await scene.broker.connect()
        scene.peer.positions = [spelt(position(90, con_id=72063691)), spelt(position(5, con_id=72063692))]
        found = await scene.broker.snapshot_account()
        assert [(p.symbol, p.qty) for p in found.positions] == [("BRK-B", 90), ("BRK.B", 5)]

    play(tmp_path, second)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{}",
        "[1]",
        '{"highest": 5, "names": [1]}',
        '{"highest": 5, "names": {"x": "y"}}',
        '{"highest": "x"}',
        '{"highest": -4}',
        "\x00",
    ],
)
def test_a_damaged_file_of_numbers_counts_as_none(tmp_path: Path, text: str) -> None:
    (tmp_path / "order_ids.7.json").write_text(text, encoding="utf-8")

    async def story(scene: Scene) -> None:
        await scene.broker.connect()

    assert [link.first_order_id for link in play(tmp_path, story).of(LinkChanged)] == [1]
