"""The broker of a host without broker plugins: the shell works, everything that needs a broker says what is missing."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime

from tradeshell.core.market import Bar, Instrument, Quote, Session
from tradeshell.core.orders import OrderSpec
from tradeshell.errors import BrokerError
from tradeshell.ports import Broker, BrokerContext, BrokerInfo, BrokerOffer, Handle, Snapshot

MISSING = "no broker plugin is loaded: pip install 'tradeshell[all]' brings the paper venue; `plugins` says what is missing"


class _Handle:
    def cancel(self) -> None:
        """Nothing to cancel."""


class NoBroker:
    """Refuses everything with one line."""

    def info(self) -> BrokerInfo:
        """Return that nobody is there."""
        return BrokerInfo(name="none", account="", paper=True, words="no broker")

    async def connect(self) -> None:
        """Refuse."""
        raise BrokerError(MISSING)

    async def disconnect(self) -> None:
        """Nothing is connected."""

    async def qualify(self, symbol: str) -> Instrument:
        """Refuse."""
        del symbol
        raise BrokerError(MISSING)

    def session(self, symbol: str, at: datetime) -> Session | None:
        """Know no hours."""
        del symbol, at
        return None

    def first_order_id(self) -> int:
        """Return 1."""
        return 1

    def place(self, order: OrderSpec, order_id: int) -> None:
        """Refuse."""
        del order, order_id
        raise BrokerError(MISSING)

    def modify(self, order: OrderSpec, order_id: int) -> None:
        """Refuse."""
        del order, order_id
        raise BrokerError(MISSING)

    def cancel(self, ref: str, order_id: int) -> None:
        """Refuse."""
        del ref, order_id
        raise BrokerError(MISSING)

    async def snapshot_account(self) -> Snapshot:
        """Refuse."""
        raise BrokerError(MISSING)

    def subscribe(self, symbol: str, seconds: int, rth: bool, on_bar: Callable[[Bar], None]) -> Handle:
        """Stream nothing."""
        del symbol, seconds, rth, on_bar
        return _Handle()

    async def history(self, symbol: str, seconds: int, count: int, rth: bool) -> tuple[Bar, ...]:
        """Know no past."""
        del symbol, seconds, count, rth
        return ()

    async def snapshot(self, symbol: str, patience: float) -> Quote | None:
        """Know no touch."""
        del symbol, patience
        return None

    def subscribe_quotes(self, symbol: str, on_quote: Callable[[Quote], None] | None = None) -> Handle:
        """Stream nothing."""
        del symbol, on_quote
        return _Handle()

    def latest(self, symbol: str) -> Quote | None:
        """Know no touch."""
        del symbol
        return None


@contextmanager
def _open(context: BrokerContext) -> Iterator[Broker]:
    del context
    yield NoBroker()


NO_BROKER = BrokerOffer(open=_open, own_clock=False, words="no broker")
