"""What the parts of the gateway share: the clock, the market, the accounts, the switches, and who is connected.

Laws: there is one instant for everything, the market's; clients see it moved by ``offset``, a whole number of hours, in every
time that the API carries, in both directions. Parts know each other through this module only.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any, Protocol

from msgspec.structs import replace

from tradeshell import BrokerError, Handle, Instrument, OrderSpec, Price, VenueClock
from tradeshell_paper.market import MarketData, stock
from tradeshell_paper.matching import Reports
from tradeshell_paper.settings import Refusal, RefuseRule, Rules
from tradeshell_paper.tws.book import Book
from tradeshell_paper.tws.fields import parse_instant
from tradeshell_paper.tws.frames import MAX_VERSION
from tradeshell_paper.tws.switches import Switches
from tradeshell_paper.tws.values import WireContract
from tradeshell_paper.tws.view import MarketView
from tradeshell_paper.venue import Venue
from tradeshell_paper.witness import Witness

# US stocks trade on the routing exchange or on one of these; the primary one is where they are listed.
EXCHANGES = (
    "SMART", "AMEX", "NYSE", "CBOE", "PHLX", "ISE", "CHX", "ARCA", "NASDAQ", "DRCTEDGE",
    "BEX", "BATS", "EDGEA", "BYX", "IEX", "EDGX", "PEARL", "MEMX", "ISLAND",
)  # fmt: skip
PRIMARY = "NASDAQ"


class Client(Protocol):
    """A connected client, as the parts see it."""

    number: int
    version: int

    def send(self, frame: bytes) -> None:
        """Send one message."""
        ...

    def error(self, request: int, code: int, text: str, reject: str = "") -> None:
        """Send an error message."""
        ...

    def abort(self) -> None:
        """Let the connection end at once; what was not sent is lost."""
        ...


class AccountVenue(Venue):
    """The venue with the face of one account: what the exchange says goes to ``listener``."""

    def __init__(
        self, clock: VenueClock, market: MarketData, rules: Rules, witness: Witness | None = None
    ) -> None:
        super().__init__(clock, market, replace(rules, refuse=self._ask), witness)
        self.account = rules.account
        self.fees = rules.fees
        self.listener: Callable[[str, Reports], None] = lambda _account, _reports: None
        self.rule: RefuseRule | None = None
        self._pump.is_up = True

    def _ask(self, spec: OrderSpec, at: datetime, action: str) -> Refusal | None:
        return None if self.rule is None else self.rule(spec, at, action)

    def hear(self, reports: Reports) -> None:
        """Hand on what the exchange says."""
        self.listener(self.account, reports)

    def hear_end(self, now: datetime) -> None:
        """Do nothing: clients of this API are not told that a market ends."""
        del now

    def act(self, symbol: str | None, act: Callable[[datetime], Reports]) -> None:
        """Let an order reach the exchange now, with the touch of now in force."""
        self._arrival(act, symbol)()

    def close(self) -> None:
        """Stop playing."""
        self._pump.close()


class House:
    """The shared things. ``venues`` by account; the first account is the one that data comes from."""

    def __init__(
        self,
        clock: VenueClock,
        view: MarketView,
        venues: Mapping[str, AccountVenue],
        switches: Switches,
        offset: timedelta = timedelta(0),
    ) -> None:
        self.clock = clock
        self.view = view
        self.venues = dict(venues)
        self.switches = switches
        self.offset = offset
        self.clients: dict[int, Client] = {}
        self.books = {account: Book(self.mark) for account in self.venues}
        self.highest_version = MAX_VERSION
        self.is_cut_off = False  # the line between gateway and exchange is down
        self.log: Callable[[str], None] = lambda _: None
        self.on_started: Callable[[], None] = lambda: None  # a client has been let in
        self.defects: list[Exception] = []  # what should never have been raised
        self._symbols: dict[int, str] = {}

    @property
    def accounts(self) -> tuple[str, ...]:
        """The accounts, in their order."""
        return tuple(self.venues)

    @property
    def data_venue(self) -> AccountVenue:
        """The venue that plays market data."""
        return next(iter(self.venues.values()))

    # --- time ---------------------------------------------------------------------------------------------------------

    def now(self) -> datetime:
        """Return the market's instant."""
        return self.clock.now()

    def shown(self, at: datetime) -> datetime:
        """Return an instant of the market as clients see it."""
        return at + self.offset

    def parse_time(self, text: str, name: str) -> datetime | None:
        """Return the market's instant that a client names; raises ``FieldError``."""
        at = parse_instant(text, name)
        return None if at is None else at - self.offset

    def after(self, seconds: float, call: Callable[[], None]) -> Handle:
        """Call ``call`` after ``seconds`` of the market's clock."""
        return self.clock.call_at(self.now() + timedelta(seconds=seconds), call)

    # --- switches -----------------------------------------------------------------------------------------------------

    def take(self, switch: str) -> bool:
        """Return whether a counting switch still counts, and count it down."""
        left: int = getattr(self.switches, switch)
        if left > 0:
            changes: dict[str, Any] = {switch: left - 1}
            self.switches = replace(self.switches, **changes)
        return left > 0

    # --- contracts ----------------------------------------------------------------------------------------------------

    def mark(self, symbol: str) -> Price | None:
        """Return what a share is worth now: the middle of the touch, else the last print."""
        quote = self.data_venue.latest(symbol)
        if quote is not None and quote.bid is not None and quote.ask is not None:
            return (quote.bid + quote.ask) / 2
        last = self.view.last(symbol, self.now())
        return None if last is None else last.price

    def resolve(self, wanted: WireContract) -> tuple[Instrument, WireContract] | None:
        """Return the stock that a client means, ``None`` when there is none."""
        if wanted.sec_type not in ("STK", "") or wanted.currency not in ("USD", ""):
            return None
        if wanted.exchange not in (*EXCHANGES, "", "OVERNIGHT", "IBKRATS"):
            return None
        name = wanted.symbol or wanted.local_symbol or self._symbols.get(wanted.con_id, "")
        try:
            instrument = stock(name)
        except BrokerError:
            return None
        symbol = instrument.symbol
        if symbol in self.switches.unknown_symbols or wanted.con_id not in (0, instrument.con_id):
            return None
        if not self.view.has(symbol):
            return None
        for venue in self.venues.values():
            venue.exchange.list_stock(instrument)
        self._symbols[instrument.con_id] = symbol
        primary = wanted.primary_exchange or PRIMARY
        shown = WireContract(
            con_id=instrument.con_id,
            symbol=symbol.replace(".", " "),
            sec_type="STK",
            exchange=wanted.exchange or "SMART",
            primary_exchange="NASDAQ" if primary == "ISLAND" else primary,
            currency="USD",
            local_symbol=symbol.replace(".", " "),
            trading_class="NMS" if primary in ("NASDAQ", "ISLAND") else symbol.replace(".", " "),
        )
        return instrument, shown

    # --- sending ------------------------------------------------------------------------------------------------------

    def broadcast(self, build: Callable[[int], bytes], numbers: Iterable[int] | None = None) -> None:
        """Send a message to clients: all, or those of these numbers; ``build`` gets the version."""
        for number in tuple(self.clients) if numbers is None else tuple(numbers):
            client = self.clients.get(number)
            if client is not None:
                client.send(build(client.version))
