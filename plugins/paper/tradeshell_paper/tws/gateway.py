"""The gateway without sockets: connections come and go, each is a ``Session``; everything runs on one clock.

Laws: the gateway, its market and its orders live on whatever the connections do. A whole gateway can be made many times in one
process, on a wall clock or on a venue's own.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta

from tradeshell import VenueClock
from tradeshell_paper.tws.house import AccountVenue, House
from tradeshell_paper.tws.ids import Ids
from tradeshell_paper.tws.orders import OrderDesk
from tradeshell_paper.tws.replies import OrderReplies
from tradeshell_paper.tws.reports import OrderNews
from tradeshell_paper.tws.session import Session, Wire
from tradeshell_paper.tws.switches import Switches
from tradeshell_paper.tws.view import MarketView


class Gateway:
    """All of it. ``connect`` for each connection; ``offset`` is by how much clients see the market's time moved."""

    def __init__(
        self,
        clock: VenueClock,
        view: MarketView,
        venues: Mapping[str, AccountVenue],
        *,
        switches: Switches | None = None,
        ids: Ids | None = None,
        offset: timedelta = timedelta(0),
    ) -> None:
        self.house = House(clock, view, venues, Switches() if switches is None else switches, offset)
        self.ids = Ids() if ids is None else ids
        self.news = OrderNews(self.house, self.ids.run)
        self.news.on_position = self._tell_position
        self.orders = OrderDesk(self.house, self.ids, self.news)
        self.replies = OrderReplies(self.house, self.news)
        self.sessions: list[Session] = []
        for venue in self.house.venues.values():
            venue.rule = self.news.rule

    def connect(self, wire: Wire) -> Session | None:
        """Take a connection; ``None``: there are too many, and it was closed."""
        if len(self.sessions) >= self.house.switches.max_clients:
            wire.close()
            return None
        session = Session(self.house, wire, self.ids, self.orders, self.replies)
        session.on_end = self.sessions.remove
        self.sessions.append(session)
        return session

    def close(self) -> None:
        """End all connections and stop playing."""
        for session in tuple(self.sessions):
            session.close()
        for venue in self.house.venues.values():
            venue.close()
        self.ids.close()

    def _tell_position(self, account: str, symbol: str) -> None:
        for session in tuple(self.sessions):
            if session.is_started:
                session.account.pushed(account, symbol)
