"""The broker port over one connection: orders, account and market data put together. Opened and closed by the host.

Laws: nothing is dialled before ``connect``; what is opened is closed; the words of ``info`` always say how the link is.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from datetime import datetime
from typing import Any

import msgspec
from ib_async.contract import Contract
from msgspec.structs import replace

from tradeshell import (
    Bar,
    Broker,
    BrokerContext,
    BrokerInfo,
    CompletedOrder,
    ConfigError,
    Finding,
    Handle,
    Instrument,
    Margin,
    OrderSpec,
    Price,
    Quote,
    Session,
    Snapshot,
)
from tradeshell_ibkr.account import Account
from tradeshell_ibkr.connection import Connection
from tradeshell_ibkr.ended import Ended
from tradeshell_ibkr.equity import Equity
from tradeshell_ibkr.examine import examine
from tradeshell_ibkr.market_data import DataSettings, MarketData
from tradeshell_ibkr.orders import Orders
from tradeshell_ibkr.preview import preview
from tradeshell_ibkr.settings import LinkSettings, is_paper, read_settings


class IbkrBroker:
    """Interactive Brokers as a broker."""

    def __init__(self, context: BrokerContext) -> None:
        link, data = split_settings(context.settings)
        self.connection = Connection(context, link)
        self.data = MarketData(self.connection, data, context.stream_news)
        self.orders = Orders(self.connection, context.emit, self.data.contracts.text)
        self.account = Account(self.connection, context.emit, self.orders)
        self.ended = Ended(self.connection)
        self.worth = Equity(self.connection)
        self.connection.on_up.append(self.data.on_connected)
        self.connection.on_down.append(lambda _: self.data.on_lost())

    def close(self) -> None:
        """Close the connection; orders work on at the broker."""
        self.data.close()
        self.connection.close()

    # --- who and when -------------------------------------------------------------------------------------------------

    def info(self) -> BrokerInfo:
        """Return who this is. Before an account is known it counts as paper only if live ones are refused."""
        connection = self.connection
        account = connection.account
        return BrokerInfo(
            name="ibkr",
            account=account,
            paper=is_paper(account) if account else connection.settings.paper_only,
            words=f"Interactive Brokers · {connection.words}",
        )

    async def connect(self) -> None:
        """Connect; raises ``BrokerError`` with one line when that fails."""
        await self.connection.connect()

    def unconfirmed(self) -> str:
        """Return the live account that was left because nobody has typed its id."""
        return self.connection.unconfirmed

    def confirm_live(self, account: str) -> None:
        """Allow a live account from the next attempt on."""
        self.connection.settings = replace(self.connection.settings, live_account=account)

    async def disconnect(self) -> None:
        """Disconnect and stay so; orders work on at the broker."""
        self.connection.disconnect()

    async def qualify(self, symbol: str) -> Instrument:
        """Return the one contract that ``symbol`` means."""
        return await self.data.qualify(symbol)

    def session(self, symbol: str, at: datetime) -> Session | None:
        """Return the trading hours of the New York day of ``at``."""
        return self.data.session(symbol, at)

    def first_order_id(self) -> int:
        """Return the lowest number for a new order."""
        return self.connection.first_order_id()

    # --- orders -------------------------------------------------------------------------------------------------------

    def place(self, order: OrderSpec, order_id: int) -> None:
        """Send a new order."""
        self.orders.place(order, order_id)

    def modify(self, order: OrderSpec, order_id: int) -> None:
        """Send an order again with its changed values."""
        self.orders.modify(order, order_id)

    def cancel(self, ref: str, order_id: int) -> None:
        """Ask to cancel."""
        self.orders.cancel(ref, order_id)

    def together(self) -> AbstractContextManager[None]:
        """Return a context in which orders are written as one piece."""
        wire = self.connection.wire
        return nullcontext() if wire is None else wire.together()

    async def preview(self, order: OrderSpec) -> Margin:
        """Return what an order would change, by a what-if order that is never placed."""
        contract = self.data.contract(order.con_id) or Contract(conId=order.con_id, exchange="SMART")
        return await preview(self.connection, self.orders, contract, order)

    async def snapshot_account(self) -> Snapshot:
        """Request orders, executions and positions."""
        return await self.account.snapshot()

    async def completed_orders(self) -> tuple[CompletedOrder, ...]:
        """Return the orders that ended today."""
        return await self.ended.ask()

    async def equity(self) -> Price:
        """Return what the account is worth, USD."""
        return await self.worth.ask()

    # --- market data --------------------------------------------------------------------------------------------------

    def subscribe(self, symbol: str, seconds: int, rth: bool, on_bar: Callable[[Bar], None]) -> Handle:
        """Call ``on_bar`` for each bar that closes from now on."""
        return self.data.subscribe(symbol, seconds, rth, on_bar)

    async def history(self, symbol: str, seconds: int, count: int, rth: bool) -> tuple[Bar, ...]:
        """Return up to ``count`` bars that are closed by now, oldest first."""
        return await self.data.history(symbol, seconds, count, rth)

    async def snapshot(self, symbol: str, patience: float) -> Quote | None:
        """Return a touch requested now, or ``None`` after ``patience`` seconds."""
        return await self.data.snapshot(symbol, patience)

    def subscribe_quotes(self, symbol: str, on_quote: Callable[[Quote], None] | None = None) -> Handle:
        """Keep the touch of ``symbol``."""
        return self.data.subscribe_quotes(symbol, on_quote)

    def latest(self, symbol: str) -> Quote | None:
        """Return the last touch seen, without waiting."""
        return self.data.latest(symbol)

    # --- upkeep -------------------------------------------------------------------------------------------------------

    def last_heard(self, symbol: str, seconds: int, rth: bool) -> datetime | None:
        """Return the last sign of life of a stream of bars."""
        return self.data.last_heard(symbol, seconds, rth)

    async def broker_time(self) -> datetime:
        """Return the broker's time, in whole seconds."""
        return await self.connection.pulse.time()

    async def examine(self) -> tuple[Finding, ...]:
        """Return what `doctor` should know about the link."""
        return await examine(self.connection, self.account, self.orders, self.data)


def split_settings(table: Mapping[str, Any]) -> tuple[LinkSettings, DataSettings]:
    """Return the settings of the link and those of the data; raises ``ConfigError`` for a key that there is not."""
    names = DataSettings.__struct_fields__
    data = {key: value for key, value in table.items() if key in names}
    link = read_settings({key: value for key, value in table.items() if key not in names}, names)
    try:
        return link, msgspec.convert(data, DataSettings)
    except msgspec.ValidationError as error:
        raise ConfigError(f"[brokers.ibkr] {error}") from None


@contextmanager
def open_ibkr(context: BrokerContext) -> Iterator[Broker]:
    """Make the broker; it dials when it is told to connect."""
    logging.getLogger("ib_async").setLevel(logging.CRITICAL)  # what it would log is told by us, in words
    broker = IbkrBroker(context)
    try:
        yield broker
    finally:
        broker.close()
