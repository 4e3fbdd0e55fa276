"""The suite itself: what is skipped, what a broken card says, what the author of a broker sees."""

from __future__ import annotations

import subprocess
import sys
from contextlib import AbstractContextManager
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from tests.contract import faulty as f
from tests.contract.paper_venue import PaperUnderTest

from tradeshell import Broker, BrokerContext
from tradeshell.testing.broker_contract import CARDS, BrokerUnderTest, Can, ContractBroken, NotPlayed, play

CARD = {card.id: card for card in CARDS}


def test_a_card_that_needs_more_than_there_is_is_not_played_and_names_what_is_missing() -> None:
    venue = PaperUnderTest()
    venue.can = frozenset({Can.STOPS})
    with pytest.raises(NotPlayed, match=r"^B36 needs: changes orders$"):
        play(CARD["B36"], venue)


def test_a_broken_card_tells_its_sentence_the_finding_and_the_story() -> None:
    with pytest.raises(ContractBroken) as caught:
        play(CARD["B29"], f.with_fault(PaperUnderTest(), f.ForgetsPositions))
    lines = str(caught.value).splitlines()
    assert lines[0] == f"B29: {CARD['B29'].sentence}"
    assert lines[1] == "a position of 10: did not happen within 5 s"
    assert lines[2] == "what the broker told:"
    assert "LinkChanged up=True" in lines[3]
    assert "ExecutionReported exec_id=paper.1.01" in "\n".join(lines[4:])


def test_a_broker_that_raises_breaks_the_card_that_asked() -> None:
    class Breaks(f.Fault):
        def first_order_id(self) -> int:
            raise ZeroDivisionError("a defect")

    with pytest.raises(ContractBroken, match="ZeroDivisionError: a defect"):
        play(CARD["B17"], f.with_fault(PaperUnderTest(), Breaks))


def test_a_broker_that_cannot_be_opened_breaks_every_card() -> None:
    class Shut(BrokerUnderTest):
        def open(self, context: BrokerContext) -> AbstractContextManager[Broker]:
            raise OSError("no such port")

    with pytest.raises(ContractBroken, match="OSError: no such port"):
        play(CARD["B01"], Shut())


def test_a_task_that_dies_unseen_breaks_the_card() -> None:
    class Forgets(f.Fault):
        async def connect(self) -> None:
            def late() -> None:
                raise ZeroDivisionError("in a callback")

            self.context.clock.call_soon(late)
            await self.inner.connect()

    with pytest.raises(ContractBroken, match="the loop was told"):
        play(CARD["B01"], f.with_fault(PaperUnderTest(), Forgets))


def test_cards_do_not_disturb_each_other() -> None:
    class Late(f.Fault):
        def hear(self, event: Any) -> None:
            self.context.emit(event)

    play(CARD["B20"], f.with_fault(PaperUnderTest(), Late))
    play(CARD["B20"], PaperUnderTest())


def test_the_default_venue_says_what_has_to_be_provided() -> None:
    venue = BrokerUnderTest()
    assert venue.now() is None
    with pytest.raises(ContractBroken, match="NotImplementedError"):
        play(CARD["B01"], venue)


def test_an_author_s_test_file_of_ten_lines_has_a_test_for_each_card(tmp_path: Path) -> None:
    (tmp_path / "test_mine.py").write_text(
        "from tradeshell.testing import BrokerContract, BrokerUnderTest\n"
        "class TestMine(BrokerContract):\n"
        "    def under_test(self, tmp_path):\n"
        "        return BrokerUnderTest()\n",
        encoding="utf-8",
    )
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "--collect-only", "test_mine.py"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=50,
        check=False,
    )
    found = [line.partition("[")[2].rstrip("]") for line in done.stdout.splitlines() if "[" in line]
    assert found == [card.id for card in CARDS], done.stdout + done.stderr


def test_times_of_the_story_are_utc() -> None:
    with pytest.raises(ContractBroken) as caught:
        play(CARD["B02"], f.with_fault(PaperUnderTest(), f.KnowsNoAccount))
    clock = str(caught.value).splitlines()[3].split()[0]
    assert datetime.strptime(clock, "%H:%M:%S.%f").hour == 15  # 10:00 New York  # noqa: DTZ007  # a time of day
