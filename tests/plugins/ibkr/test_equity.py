"""What the account is worth: asked once, called off when it was answered, and only USD counts."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pytest
from tests.plugins.ibkr.peer import ACCOUNT, Peer, Scene, play

from tradeshell import BrokerError

ASK, CANCEL, PART, END = "62", "63", "63", "64"


def answering(*values: tuple[str, str, str, str]) -> tuple[Peer, list[list[str]]]:
    """Return a peer that answers with (account, tag, value, currency), and what it was asked."""
    asked: list[list[str]] = []

    def answer(fields: list[str]) -> None:
        asked.append(fields)
        for account, tag, value, currency in values:
            peer.say(PART, "1", fields[2], account, tag, value, currency)
        peer.say(END, "1", fields[2])

    peer = Peer(answers={ASK: answer})
    peer.answers[CANCEL] = asked.append
    return peer, asked


def test_the_equity_is_asked_for_and_called_off(tmp_path: Path) -> None:
    peer, asked = answering(
        ("U9999999", "NetLiquidation", "5", "USD"),
        (ACCOUNT, "BuyingPower", "7", "USD"),
        (ACCOUNT, "NetLiquidation", "100000.50", "USD"),
    )

    async def story(scene: Scene) -> None:
        scene.next_peers = [peer]
        await scene.broker.connect()
        for _ in range(3):  # two at a time are allowed: each must be called off
            assert await scene.broker.equity() == Decimal("100000.50")
        await scene.settle()

    play(tmp_path, story)
    assert [fields[0] for fields in asked] == [ASK, CANCEL] * 3
    assert asked[0][3:5] == ["All", "NetLiquidation"]
    assert asked[0][2] == asked[1][2]


@pytest.mark.parametrize(
    "values, words",
    [
        ([(ACCOUNT, "NetLiquidation", "9", "EUR")], "told in EUR, not in USD"),
        ([(ACCOUNT, "NetLiquidation", "much", "USD")], "is told as 'much'"),
        ([(ACCOUNT, "NetLiquidation", "-1", "USD")], "is told as '-1'"),
        ([(ACCOUNT, "NetLiquidation", "NaN", "USD")], "is told as 'NaN'"),
        ([("U9999999", "NetLiquidation", "9", "USD")], "does not say what the account is worth"),
        ([], "does not say what the account is worth"),
    ],
)
def test_an_answer_that_is_none_is_one_line(
    tmp_path: Path, values: list[tuple[str, str, str, str]], words: str
) -> None:
    async def story(scene: Scene) -> None:
        scene.next_peers = [answering(*values)[0]]
        await scene.broker.connect()
        with pytest.raises(BrokerError, match=words):
            await scene.broker.equity()

    play(tmp_path, story)


def test_without_an_answer_or_a_link_it_is_one_line(tmp_path: Path) -> None:
    async def story(scene: Scene) -> None:
        scene.next_peers = [Peer(unanswered={ASK})]
        with pytest.raises(BrokerError):
            await scene.broker.equity()
        await scene.broker.connect()
        with pytest.raises(BrokerError, match="the account's equity was not answered within 4 s"):
            await scene.broker.equity()
        scene.peer.say(PART, "1", "99", ACCOUNT, "NetLiquidation", "9", "USD")  # too late: nobody waits
        scene.peer.say(END, "1", "99")
        await scene.settle()

    play(tmp_path, story)
