"""``tradeshell gateway`` with a market that a test makes up as it goes.

The control port also takes ``touch``, ``trade`` and ``jump``.
``python -m tests.contract.gateway_main WORDS…``, with the words of ``tradeshell``.
"""

from __future__ import annotations

import sys
from datetime import datetime, timedelta
from decimal import Decimal

from tests.contract.live_market import LiveMarket

from tradeshell import VenueOptions
from tradeshell.cli import main
from tradeshell_paper.settings import Settings
from tradeshell_paper.tws import actions, control, program
from tradeshell_paper.tws.clock import ScaledClock

SYMBOL = "ABC"


class MarketActions(actions.Actions):
    """The actions of the gateway, and those of the market."""

    def touch(
        self, bid: str | None = None, ask: str | None = None, bid_size: int = 0, ask_size: int = 0
    ) -> None:
        """Let the market have a touch."""
        market, now = self._market(), self._house.now()
        market.touch(now, (_price(bid), bid_size), (_price(ask), ask_size), self._house.venues.values())

    def trade(self, price: str, size: int) -> None:
        """Let a trade happen."""
        self._market().trade(self._house.now(), Decimal(price), size, self._house.venues.values())

    def jump(self, seconds: float) -> None:
        """Move the market's clock; nothing that waits for an instant may be under way."""
        clock = self._house.clock
        assert isinstance(clock, ScaledClock)
        clock._start += timedelta(seconds=seconds)

    def _market(self) -> LiveMarket:
        market = self._house.data_venue._market
        assert isinstance(market, LiveMarket)
        return market


def _price(text: str | None) -> Decimal | None:
    return None if text is None else Decimal(text)


def make_market(options: VenueOptions, settings: Settings) -> LiveMarket:
    """Return the market of the test in place of a generated one."""
    del settings
    assert options.start is not None
    return LiveMarket(SYMBOL, datetime.fromisoformat(options.start))


if __name__ == "__main__":
    setattr(program, "make_market", make_market)  # noqa: B010  # mypy: names of the gateway's modules are replaced
    setattr(control, "Actions", MarketActions)  # noqa: B010  # as above
    actions.ACTIONS = (*actions.ACTIONS, "touch", "trade", "jump")
    sys.exit(main(sys.argv[1:]))
