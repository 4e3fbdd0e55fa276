"""The broker contract: what every broker does, as numbered cards, and as tests that the author of a broker runs.

``docs/broker-contract.md`` lists the cards and shows how to run them. Subclass ``BrokerUnderTest`` (how the broker is opened,
how its venue is driven) and ``BrokerContract`` (the tests).
"""

from __future__ import annotations

from pathlib import Path

import pytest

from tradeshell.testing import (
    broker_contract_changes,
    broker_contract_data,
    broker_contract_groups,
    broker_contract_link,
    broker_contract_orders,
)
from tradeshell.testing.broker_contract_bench import Bench
from tradeshell.testing.broker_contract_play import Card, play
from tradeshell.testing.broker_contract_venue import BrokerUnderTest, Can, ContractBroken, NotPlayed

__all__ = [
    "CARDS",
    "Bench",
    "BrokerContract",
    "BrokerUnderTest",
    "Can",
    "Card",
    "ContractBroken",
    "NotPlayed",
    "cards_table",
    "play",
]

CARDS: tuple[Card, ...] = tuple(
    sorted(
        (
            *broker_contract_link.CARDS,
            *broker_contract_orders.CARDS,
            *broker_contract_changes.CARDS,
            *broker_contract_groups.CARDS,
            *broker_contract_data.CARDS,
        ),
        key=str,
    )
)


class BrokerContract:
    """The cards as tests. Subclass it as ``class TestMyBroker(BrokerContract)`` and say what is under test."""

    def under_test(self, tmp_path: Path) -> BrokerUnderTest:
        """Return a venue with a broker, both not open yet; called once for each card."""
        raise NotImplementedError

    @pytest.mark.parametrize("card", CARDS, ids=str)
    def test_card(self, card: Card, tmp_path: Path) -> None:
        """Play one card; it is skipped when the broker does not claim what it takes."""
        why = ""
        try:
            play(card, self.under_test(tmp_path), tmp_path)
        except NotPlayed as missing:
            pytest.skip(str(missing))
        except ContractBroken as broken:
            why = str(broken)
        if why:  # outside of the except: the story is enough, nobody reads how it came through the bench
            pytest.fail(why, pytrace=False)


def cards_table() -> str:
    """Return the cards as a table of the documentation."""
    rows = [f"| {card.id} | {card.sentence} | {_needs(card)} |" for card in CARDS]
    return "\n".join(("| card | what a broker does | needs |", "| --- | --- | --- |", *rows))


def _needs(card: Card) -> str:
    return ", ".join(f"`{need.name}`" for need in sorted(card.needs, key=lambda need: need.name)) or "–"
