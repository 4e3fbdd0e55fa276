"""The link to the gateway: who may be talked to, what every kind of silence and refusal is called, and how it comes back."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import pytest
from tests.plugins.ibkr.peer import ACCOUNT, Peer, Scene, play

from tradeshell import BrokerError, LinkChanged, OrderRefusedByBroker
from tradeshell_ibkr.states import STATES, LinkState, pause, words_of


async def refused(scene: Scene) -> str:
    """Connect, and return the one line with which that fails."""
    with pytest.raises(BrokerError) as caught:
        await scene.broker.connect()
    text = str(caught.value)
    assert text.isprintable()
    assert "Traceback" not in text
    return text


def links(scene: Scene) -> list[tuple[bool, str]]:
    return [(event.up, event.why) for event in scene.of(LinkChanged)]


# --- who may be talked to ---------------------------------------------------------------------------------------------


def test_a_paper_account_is_connected_and_told_with_the_next_order_number(tmp_path: Path) -> None:
    async def story(scene: Scene) -> None:
        scene.next_peers = [Peer(next_id="275")]
        await scene.broker.connect()

    scene = play(tmp_path, story)
    (link,) = scene.of(LinkChanged)
    assert (link.up, link.account, link.paper, link.first_order_id) == (True, ACCOUNT, True, 275)


@pytest.mark.parametrize("port", [7496, 4001])
def test_x02_a_live_port_is_not_even_dialled_while_paper_only(tmp_path: Path, port: int) -> None:
    async def story(scene: Scene) -> None:
        scene.listen(port)
        assert f"127.0.0.1:{port} is the live port" in await refused(scene)
        await scene.pass_time(600)

    scene = play(tmp_path, story, port=port)
    assert scene.loop.dialled == []
    assert scene.told == []


def test_x01_a_live_account_behind_a_paper_port_is_left_before_anything_is_asked(tmp_path: Path) -> None:
    async def story(scene: Scene) -> None:
        scene.next_peers = [Peer(accounts="U7654321")]
        text = await refused(scene)
        assert "U…4321 is live and PAPER_ONLY is true" in text
        await scene.pass_time(600)

    scene = play(tmp_path, story)
    assert [fields[0] for fields in scene.peer.sent] == ["71"]
    assert scene.peer.has_ended
    assert len(scene.loop.dialled) == 1  # nothing but a person can change it
    assert scene.told == []


def test_a_live_account_needs_its_id_typed_beside_paper_only_false(tmp_path: Path) -> None:
    async def story(scene: Scene) -> None:
        scene.next_peers = [Peer(accounts="U7654321")]
        assert "start with --live-account and its full id" in await refused(scene)

    play(tmp_path, story, paper_only=False)

    async def other(scene: Scene) -> None:
        scene.next_peers = [Peer(accounts="U7654321")]
        assert "is live" in await refused(scene)

    play(tmp_path, other, paper_only=False, live_account="U1111111")

    async def right(scene: Scene) -> None:
        scene.next_peers = [Peer(accounts="U7654321")]
        await scene.broker.connect()

    scene = play(tmp_path, right, paper_only=False, live_account="U7654321")
    assert [(link.up, link.paper) for link in scene.of(LinkChanged)] == [(True, False)]


def test_x03_several_accounts_must_be_told_which(tmp_path: Path) -> None:
    async def story(scene: Scene) -> None:
        scene.next_peers = [Peer(accounts="DU1111111,DU2222222,")]
        text = await refused(scene)
        assert "several accounts (DU…1111, DU…2222): say which" in text

    play(tmp_path, story)

    async def told(scene: Scene) -> None:
        scene.next_peers = [Peer(accounts="DU1111111,DU2222222")]
        await scene.broker.connect()

    scene = play(tmp_path, told, account="DU2222222")
    assert [link.account for link in scene.of(LinkChanged)] == ["DU2222222"]

    async def wrong(scene: Scene) -> None:
        assert "DU…3333 is not one of this login" in await refused(scene)

    play(tmp_path, wrong, account="DU3333333")


def test_x07_another_computer_needs_a_word_of_its_own(tmp_path: Path) -> None:
    async def story(scene: Scene) -> None:
        assert "10.0.0.5 is another computer" in await refused(scene)

    assert play(tmp_path, story, host="10.0.0.5").loop.dialled == []

    async def allowed(scene: Scene) -> None:
        await scene.broker.connect()

    assert len(play(tmp_path, allowed, host="10.0.0.5", remote=True).loop.dialled) == 1


def test_a_gateway_that_comes_back_with_another_account_is_refused(tmp_path: Path) -> None:
    async def story(scene: Scene) -> None:
        await scene.broker.connect()
        scene.next_peers = [Peer(accounts="DU9999999")]
        scene.peer.end()
        await scene.pass_time(600)

    scene = play(tmp_path, story)
    assert [up for up, _ in links(scene)] == [True, False]
    assert len(scene.loop.dialled) == 2
    assert "logged in to account DU…9999 now" in scene.broker.info().words


def test_a_state_folder_belongs_to_one_account_for_ever(tmp_path: Path) -> None:
    async def first(scene: Scene) -> None:
        await scene.broker.connect()

    play(tmp_path, first)
    assert ACCOUNT not in (tmp_path / "account.json").read_text(encoding="utf-8")
    play(tmp_path, first)

    async def other(scene: Scene) -> None:
        scene.next_peers = [Peer(accounts="U7654321")]
        text = await refused(scene)
        assert "has the records of account DU…4567, the gateway is logged in to U…4321" in text

    play(tmp_path, other, paper_only=False, live_account="U7654321")


# --- ways to fail -----------------------------------------------------------------------------------------------------


def test_a_port_that_refuses_is_named_with_what_to_start_and_tried_again(tmp_path: Path) -> None:
    async def story(scene: Scene) -> None:
        scene.refuse()
        text = await refused(scene)
        assert "127.0.0.1:7497 refuses the connection: start TWS or IB Gateway" in text
        assert "trying again by itself" in text
        await scene.pass_time(10)
        scene.listen()
        await scene.pass_time(60)

    scene = play(tmp_path, story)
    assert links(scene) == [(True, "")]
    at = [when for _, _, when in scene.loop.dialled]
    pauses = [later - earlier for earlier, later in pairwise(at)]
    assert all(later > earlier for earlier, later in pairwise(pauses))
    assert 1 <= pauses[0] <= 1.3


def test_d16_a_gateway_that_says_nothing_is_told_from_one_that_is_not_there(tmp_path: Path) -> None:
    async def story(scene: Scene) -> None:
        scene.next_peers = [Peer(is_silent=True)]
        began = scene.loop.time()
        text = await refused(scene)
        assert "takes the connection and says nothing: it may be waiting for its login" in text
        assert scene.loop.time() - began < 10

    play(tmp_path, story)


def test_a_gateway_that_greets_and_then_says_nothing_is_silent_too(tmp_path: Path) -> None:
    async def story(scene: Scene) -> None:
        scene.next_peers = [Peer(is_mute=True)]
        assert "says nothing" in await refused(scene)

    play(tmp_path, story)


def test_a_dial_that_nobody_answers_ends(tmp_path: Path) -> None:
    async def story(scene: Scene) -> None:
        scene.next_peers = [Peer(takes_no_connection=True)]
        assert "cannot be reached: no answer within 5 s" in await refused(scene)

    play(tmp_path, story)


def test_d08_a_client_id_in_use_is_waited_for_and_never_replaced(tmp_path: Path) -> None:
    async def story(scene: Scene) -> None:
        taken = ("4", "2", "-1", "326", "Unable to connect as the client id is already in use.", "")
        scene.next_peers = [Peer(before_ready=(taken,), ends_when_started=True) for _ in range(4)]
        text = await refused(scene)
        assert "client id 7 is in use" in text
        await scene.pass_time(300)

    scene = play(tmp_path, story)
    assert [up for up, _ in links(scene)] == [True]
    assert {peer.of("71")[0][2] for peer in scene.peers} == {"7"}
    assert len(scene.peers) == 5


def test_a_gateway_that_shuts_us_out_is_told_with_its_own_words(tmp_path: Path) -> None:
    async def story(scene: Scene) -> None:
        words = ("4", "2", "-1", "507", "Bad Message", "")
        scene.next_peers = [Peer(before_ready=(words,), ends_when_started=True)]
        assert "closed the connection before it was ready: 507: Bad Message" in await refused(scene)

    play(tmp_path, story)


@pytest.mark.parametrize("version", ["100", "156", "179", "200", "225"])
def test_a_version_that_is_not_spoken_is_refused(tmp_path: Path, version: str) -> None:
    async def story(scene: Scene) -> None:
        scene.next_peers = [Peer(version=version)]
        assert f"its version {version} of the TWS API is not spoken here (157 to 178 are)" in await refused(
            scene
        )

    play(tmp_path, story)


@pytest.mark.parametrize("version", ["157", "163", "176", "178"])
def test_every_version_between_is_spoken(tmp_path: Path, version: str) -> None:
    async def story(scene: Scene) -> None:
        scene.next_peers = [Peer(version=version)]
        await scene.broker.connect()
        await scene.broker.snapshot_account()

    assert [up for up, _ in links(play(tmp_path, story))] == [True]


# --- losing it --------------------------------------------------------------------------------------------------------


def test_a_connection_that_ends_is_told_once_and_comes_back_by_itself(tmp_path: Path) -> None:
    async def story(scene: Scene) -> None:
        await scene.broker.connect()
        scene.peer.end()
        await scene.pass_time(5)

    scene = play(tmp_path, story)
    assert [up for up, _ in links(scene)] == [True, False, True]
    assert "the connection to 127.0.0.1:7497 was lost" in links(scene)[1][1]


def test_the_daily_restart_has_words_of_its_own(tmp_path: Path) -> None:
    async def story(scene: Scene) -> None:
        await scene.broker.connect()
        scene.refuse()
        scene.peer.end()
        await scene.pass_time(90)
        assert "restart once a day" in scene.broker.info().words
        scene.listen()
        await scene.pass_time(60)

    scene = play(tmp_path, story)
    assert [up for up, _ in links(scene)] == [True, False, True]
    told = [event.text for event in scene.of(OrderRefusedByBroker)]
    assert len([text for text in told if "restart once a day" in text]) == 1  # no flood


def test_d13_a_flapping_link_is_dialled_ever_more_slowly(tmp_path: Path) -> None:
    async def story(scene: Scene) -> None:
        await scene.broker.connect()
        for _ in range(6):
            scene.peer.end()
            before = len(scene.peers)
            while len(scene.peers) == before:
                await scene.pass_time(0.1)
            await scene.settle()

    scene = play(tmp_path, story)
    at = [when for _, _, when in scene.loop.dialled]
    pauses = [later - earlier for earlier, later in pairwise(at)]
    assert pauses[-1] > 10 * pauses[0]
    assert [up for up, _ in links(scene)] == [True, *[False, True] * 6]


def test_a_link_that_lasted_begins_its_pauses_anew(tmp_path: Path) -> None:
    async def story(scene: Scene) -> None:
        await scene.broker.connect()
        for _ in range(3):
            await scene.pass_time(120)
            scene.peer.end()
            await scene.pass_time(3)

    assert [up for up, _ in links(play(tmp_path, story))] == [True, *[False, True] * 3]


def test_a_half_open_link_is_found_by_asking_for_the_time(tmp_path: Path) -> None:
    async def story(scene: Scene) -> None:
        await scene.broker.connect()
        await scene.pass_time(100)
        assert [up for up, _ in links(scene)] == [True]
        scene.peer.unanswered = {"49"}
        await scene.pass_time(31)

    scene = play(tmp_path, story)
    assert [up for up, _ in links(scene)] == [True, False, True]
    assert "gives no sign of life" in links(scene)[1][1]


def test_any_byte_is_a_sign_of_life(tmp_path: Path) -> None:
    async def story(scene: Scene) -> None:
        await scene.broker.connect()
        scene.peer.unanswered = {"49"}
        for _ in range(60):
            await scene.pass_time(5)
            scene.peer.say("4", "2", "-1", "2104", "Market data farm connection is OK:usfarm", "")

    assert [up for up, _ in links(play(tmp_path, story))] == [True]


def test_a_gateway_that_reads_nothing_counts_as_gone(tmp_path: Path) -> None:
    async def story(scene: Scene) -> None:
        await scene.broker.connect()
        scene.peer.transport.unread = 5_000_000
        with pytest.raises(BrokerError, match="does not read"):
            scene.broker.connection.ask("reqCurrentTime")
        await scene.pass_time(5)

    assert [up for up, _ in links(play(tmp_path, story))] == [True, False, True]


def test_disconnecting_is_told_and_lasts(tmp_path: Path) -> None:
    async def story(scene: Scene) -> None:
        await scene.broker.connect()
        await scene.broker.disconnect()
        await scene.pass_time(600)

    scene = play(tmp_path, story)
    assert links(scene) == [(True, ""), (False, "disconnected by the operator")]
    assert len(scene.loop.dialled) == 1
    assert "not connected" in scene.broker.info().words


def test_d18_two_attempts_at_once_are_one(tmp_path: Path) -> None:
    import asyncio

    async def story(scene: Scene) -> None:
        await asyncio.gather(*(scene.broker.connect() for _ in range(3)))

    scene = play(tmp_path, story)
    assert len(scene.loop.dialled) == 1
    assert [up for up, _ in links(scene)] == [True]


# --- 1100, 1101, 1102 -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "lost, back, data_lost", [(1100, 1101, True), (1100, 1102, False), (2110, 1102, False)]
)
def test_d02_d03_a_gateway_without_interactive_brokers_is_a_link_that_is_down(
    tmp_path: Path, lost: int, back: int, data_lost: bool
) -> None:
    heard: list[bool] = []

    async def story(scene: Scene) -> None:
        await scene.broker.connect()
        scene.broker.connection.on_up.append(heard.append)
        for _ in range(5):  # it is repeated
            scene.peer.error(-1, lost, "Connectivity between IB and Trader Workstation has been lost.")
            await scene.pass_time(30)
        with pytest.raises(BrokerError, match="has lost Interactive Brokers"):
            await scene.broker.snapshot_account()
        scene.peer.error(-1, back, "Connectivity between IB and Trader Workstation has been restored")
        await scene.settle()
        await scene.broker.snapshot_account()

    scene = play(tmp_path, story)
    assert [up for up, _ in links(scene)] == [True, False, True]
    assert heard == [data_lost]
    assert len(scene.loop.dialled) == 1


def test_a_gateway_that_starts_without_interactive_brokers_is_waited_for(tmp_path: Path) -> None:
    async def story(scene: Scene) -> None:
        lost = ("4", "2", "-1", "1100", "Connectivity between IB and Trader Workstation has been lost.", "")
        scene.next_peers = [Peer(before_ready=(lost,))]
        assert "has lost Interactive Brokers" in await refused(scene)
        assert links(scene) == []
        scene.peer.error(-1, 1102, "restored")
        await scene.settle()

    assert [up for up, _ in links(play(tmp_path, story))] == [True]


def test_1102_without_1100_is_a_loss_that_was_not_heard(tmp_path: Path) -> None:
    async def story(scene: Scene) -> None:
        await scene.broker.connect()
        scene.peer.error(-1, 1102, "restored")
        await scene.settle()

    assert [up for up, _ in links(play(tmp_path, story))] == [True, False, True]


def test_a_socket_that_dies_during_an_outage_is_replaced(tmp_path: Path) -> None:
    async def story(scene: Scene) -> None:
        await scene.broker.connect()
        scene.peer.error(-1, 1100, "lost")
        await scene.settle()
        scene.peer.end()
        await scene.pass_time(5)

    assert [up for up, _ in links(play(tmp_path, story))] == [True, False, True]


def test_farms_are_told_once_a_minute_and_change_nothing(tmp_path: Path) -> None:
    async def story(scene: Scene) -> None:
        await scene.broker.connect()
        for _ in range(20):
            scene.peer.error(-1, 2103, "Market data farm connection is broken:usfarm")
            scene.peer.error(-1, 2104, "Market data farm connection is OK:usfarm")
            await scene.pass_time(1)

    scene = play(tmp_path, story)
    assert [event.code for event in scene.of(OrderRefusedByBroker)] == [2103]
    assert [up for up, _ in links(scene)] == [True]


# --- the table --------------------------------------------------------------------------------------------------------


def test_every_state_has_one_line_of_words() -> None:
    assert set(STATES) == set(LinkState)
    for state in LinkState:
        words = words_of(state, "127.0.0.1:7497", 7, "why")
        assert words.isprintable()
        assert "{" not in words
        assert ("trying again" in words) == (pause(state, 0, 7) is not None)


def test_pauses_grow_up_to_a_minute_and_differ_between_clients() -> None:
    found = [pause(LinkState.DROPPED, attempt, 7) or 0 for attempt in range(12)]
    assert found[:6] == sorted(found[:6])
    assert max(found) <= 60 * 1.2
    assert min(found) >= 1
    assert len({pause(LinkState.DROPPED, 0, client) for client in range(5)}) == 5
