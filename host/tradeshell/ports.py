"""Ports: what the host asks of a broker, a strategy, a sink and a command, and what it offers them.

Laws: adapters translate and execute and hold no policy. Nothing here blocks the engine's loop. A callback given to a port is
called on the engine's loop only. Resources are offered as *openers* (context -> context manager), so that the host closes what
it opened. All times are aware UTC ``datetime``, prices ``Decimal`` USD, quantities whole shares.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from datetime import datetime
from pathlib import Path
from typing import Any, Protocol, TypeAlias, TypeVar, runtime_checkable

from msgspec import Struct, field

from tradeshell.core.desk import Desk
from tradeshell.core.events import Event
from tradeshell.core.inputs import ExecutionReport, Input, OrderReport, PositionReport, StandingOrder
from tradeshell.core.market import Bar, Instrument, Price, Quote, Session, Shares
from tradeshell.core.orders import OrderSpec
from tradeshell.core.plan import TradePlan
from tradeshell.core.targets import Target, TargetsWanted
from tradeshell.differences import Difference
from tradeshell.grammar import Result
from tradeshell.upkeep import BlindStream, Finding, LogFile, Margin, StreamNews, WireLog

T_contra = TypeVar("T_contra", contravariant=True)


class Register(Protocol[T_contra]):
    """What a hook gets: call it once for each thing offered, by name."""

    def __call__(self, name: str, thing: T_contra, /) -> None:
        """Offer ``thing`` as ``name``; a name that is taken is refused, naming both owners."""
        ...


# --- time -------------------------------------------------------------------------------------------------------------


class Handle(Protocol):
    """Something that can be called off."""

    def cancel(self) -> None:
        """Call it off; calling twice is harmless."""
        ...


class Clock(Protocol):
    """The engine's clock. The same code runs on the wall clock and on a venue's own clock at any speed."""

    def now(self) -> datetime:
        """Return the present instant, UTC."""
        ...

    def call_at(self, when: datetime, callback: Callable[[], None]) -> Handle:
        """Call ``callback`` on the loop at ``when`` (at once when that is past)."""
        ...

    def call_soon(self, callback: Callable[[], None]) -> None:
        """Call ``callback`` on the loop's next turn."""
        ...


class VenueClock(Clock, Protocol):
    """The clock of a simulated venue: the venue says where it stands."""

    def start_at(self, when: datetime) -> None:
        """Set the clock; only before anything was scheduled on it."""
        ...

    def try_advance(self, to: datetime) -> bool:
        """Move to ``to`` at once if nothing else is due before and the speed is ``max``; say whether that was done.

        A feed that gets ``True`` goes on in the same turn of the loop: this is what makes a replay fast.
        """
        ...


# --- market data ------------------------------------------------------------------------------------------------------


class BarStreamPort(Protocol):
    """Live bars."""

    def subscribe(self, symbol: str, seconds: int, rth: bool, on_bar: Callable[[Bar], None]) -> Handle:
        """Call ``on_bar`` for each bar of ``seconds`` length once it is *closed*: not revised, not forming, not back-filled."""
        ...


class BarHistoryPort(Protocol):
    """Past bars."""

    async def history(self, symbol: str, seconds: int, count: int, rth: bool) -> tuple[Bar, ...]:
        """Return up to ``count`` bars that are closed by now, oldest first."""
        ...


class QuotePort(Protocol):
    """One touch, on request."""

    async def snapshot(self, symbol: str, patience: float) -> Quote | None:
        """Return a touch requested now, or ``None`` after ``patience`` seconds."""
        ...


class QuoteStreamPort(Protocol):
    """The touch, kept fresh."""

    def subscribe_quotes(self, symbol: str, on_quote: Callable[[Quote], None] | None = None) -> Handle:
        """Keep the touch of ``symbol``; call ``on_quote`` on each change if one is given."""
        ...

    def latest(self, symbol: str) -> Quote | None:
        """Return the last touch seen, without waiting."""
        ...


# --- broker -----------------------------------------------------------------------------------------------------------


class BrokerInfo(Struct, frozen=True, kw_only=True):
    """Who is at the other end.

    ``paper`` is decided by the account, not by the port. ``embedded``: a venue inside this program, which ends with it.
    """

    name: str
    account: str
    paper: bool
    words: str
    embedded: bool = False


class Snapshot(Struct, frozen=True, kw_only=True):
    """Complete answers to a request for all orders, today's executions and positions.

    ``standing``: the living orders with all that the broker shows of them, whoever sent them; ``elsewhere``: positions of other
    accounts of the login. A broker that nobody else can reach leaves both empty.
    """

    orders: tuple[OrderReport, ...]
    executions: tuple[ExecutionReport, ...]
    positions: tuple[PositionReport, ...]
    standing: tuple[StandingOrder, ...] = ()
    elsewhere: tuple[PositionReport, ...] = ()


class Broker(BarStreamPort, BarHistoryPort, QuotePort, QuoteStreamPort, Protocol):
    """A broker or venue. It reports by calling ``BrokerContext.emit`` with inputs of the core, on the engine's loop.

    ``place``, ``modify`` and ``cancel`` never wait and never raise for what the broker may answer: refusals come back as
    inputs. They raise ``BrokerError`` when it is certain that nothing left; anything else raised means "outcome unknown".
    """

    def info(self) -> BrokerInfo:
        """Return who this is."""
        ...

    async def connect(self) -> None:
        """Connect and emit ``LinkChanged``; raises ``BrokerError`` with one line when that fails."""
        ...

    async def disconnect(self) -> None:
        """Disconnect and emit ``LinkChanged``; working orders stay at the broker."""
        ...

    async def qualify(self, symbol: str) -> Instrument:
        """Return the one contract that ``symbol`` means; raises ``BrokerError`` when it is unknown or ambiguous."""
        ...

    def session(self, symbol: str, at: datetime) -> Session | None:
        """Return the trading hours of the New York day of ``at``, or ``None`` when it is no trading day."""
        ...

    def first_order_id(self) -> int:
        """Return the lowest order number the broker will take."""
        ...

    def place(self, order: OrderSpec, order_id: int) -> None:
        """Send a new order under ``order_id``."""
        ...

    def modify(self, order: OrderSpec, order_id: int) -> None:
        """Send the whole order again with its changed values."""
        ...

    def cancel(self, ref: str, order_id: int) -> None:
        """Ask to cancel."""
        ...

    async def snapshot_account(self) -> Snapshot:
        """Request orders, executions and positions; raises ``BrokerError`` unless all three are answered completely."""
        ...


@runtime_checkable
class WritesTogether(Protocol):
    """A broker that can put the orders of one decision into one piece. Offered by having the method."""

    def together(self) -> AbstractContextManager[None]:
        """Return a context: what is sent within leaves at its end, in order; nothing waits in it for anything."""
        ...


@runtime_checkable
class KnowsEquity(Protocol):
    """A broker that says what the account is worth. Offered by having the method."""

    async def equity(self) -> Price:
        """Return the account's net liquidation value in USD; raises ``BrokerError`` when it cannot be had."""
        ...


class VenueOptions(Struct, frozen=True, kw_only=True):
    """How a simulated venue is fed. ``speed`` is a factor or infinity (``max``); ``start`` is ``HH:MM`` New York or ISO."""

    replay: tuple[Path, ...] = ()
    speed: float = 1.0
    start: str | None = None
    market: tuple[str, ...] = ()
    seed: int = 1


def _unheard(news: StreamNews) -> None:
    """Take news of streams for a host that looks after none."""
    del news


class BrokerContext(Struct, frozen=True, kw_only=True):
    """What a broker gets when it is opened, on the engine's loop.

    ``packet`` is a context around what came in one piece: what no order waits for is done at its end. A broker without packets
    need not use it.

    ``stream_news`` takes what it knows about its streams of bars beside the bars; ``wire`` takes raw messages (``None``: nobody
    wants them).
    """

    emit: Callable[[Input], None]
    clock: Clock
    venue_clock: VenueClock | None
    options: VenueOptions
    settings: Mapping[str, Any]
    state_dir: Path
    stream_news: Callable[[StreamNews], None] = _unheard
    wire: WireLog | None = None
    packet: Callable[[], AbstractContextManager[None]] = nullcontext


class BrokerOffer(Struct, frozen=True, kw_only=True):
    """A broker by name. ``own_clock``: it is a simulated venue that runs the engine's clock."""

    open: Callable[[BrokerContext], AbstractContextManager[Broker]]
    own_clock: bool
    words: str


# --- sinks ------------------------------------------------------------------------------------------------------------


class Record(Struct, frozen=True, kw_only=True):
    """One announced event with its envelope.

    ``ts`` is UTC (the venue's clock in a replay), ``mono`` seconds; ``seq`` counts from 1 within the session.
    """

    v: int
    seq: int
    ts: datetime
    mono: float
    session: str
    event: Event


Sink: TypeAlias = Callable[[Record], None]


def _untold(event: Event) -> None:
    """Take an event for a host that tells none."""
    del event


class SinkContext(Struct, frozen=True, kw_only=True):
    """What a sink gets when it is opened. ``settings`` is its table of the config, ``environ`` the environment.

    ``tell`` announces an event of the sink's own, from any thread, without waiting; ``replaying``: a recording is played.
    """

    state_dir: Path
    settings: Mapping[str, Any]
    environ: Mapping[str, str]
    tell: Callable[[Event], None] = _untold
    replaying: bool = False


SinkOpener: TypeAlias = Callable[[SinkContext], AbstractContextManager[Sink]]


# --- take profits -----------------------------------------------------------------------------------------------------


class PastBars(Protocol):
    """The past as a take-profit method sees it: bars that had closed when it was asked."""

    def __call__(self, seconds: int, count: int, rth: bool, /) -> tuple[Bar, ...]:
        """Return up to ``count`` bars of ``seconds`` length, oldest first; raises ``BrokerError`` when they cannot be had."""
        ...


class TakeProfitOffer(Struct, frozen=True, kw_only=True):
    """A method by name: ``tp=NAME`` asks it. ``find`` raises ``OperatorError`` with one line when it has no answer."""

    find: Callable[[TargetsWanted, PastBars], Sequence[Target]]
    words: str


# --- programs ---------------------------------------------------------------------------------------------------------


class ProgramContext(Struct, frozen=True, kw_only=True):
    """What a program of a plugin gets: the words behind its name, the environment, and a folder that it may keep things in.

    ``brokers``: the tables ``[brokers.NAME]`` of the config, with the environment's values in them.
    """

    words: tuple[str, ...]
    environ: Mapping[str, str]
    state_dir: Path
    brokers: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)


class ProgramOffer(Struct, frozen=True, kw_only=True):
    """A program by name: ``tradeshell NAME WORDS…`` runs it instead of the shell. ``run`` returns the exit code."""

    run: Callable[[ProgramContext], int]
    words: str


# --- commands ---------------------------------------------------------------------------------------------------------


class View(Struct, frozen=True, kw_only=True):
    """What the screen may look at: an immutable picture, published by the engine after each change.

    ``blind``: streams of bars that are stalled; ``blocked``: another session of the login takes the market data.
    ``take_profits``: methods that compute targets, with their words. ``unconfirmed``: the alias of a live account that is not
    traded before somebody types its id.
    """

    now: datetime
    desk: Desk
    broker: BrokerInfo
    quotes: Mapping[str, Quote] = field(default_factory=dict)
    symbols: tuple[str, ...] = ()
    sinks: tuple[str, ...] = ()
    replaying: bool = False
    blind: tuple[BlindStream, ...] = ()
    blocked: bool = False
    logs: tuple[LogFile, ...] = ()
    take_profits: tuple[tuple[str, str], ...] = ()
    unconfirmed: str = ""


class Defaults(Struct, frozen=True, kw_only=True):
    """Settings that commands fall back to."""

    values: Mapping[str, str] = field(default_factory=dict)


class PluginReport(Result, frozen=True, kw_only=True):
    """One line of ``plugins``: what it offers, or why it was refused."""

    name: str
    version: str
    offers: tuple[str, ...]
    refused: str = ""


class Trading(Protocol):
    """What a command may do. Every method may block for a bounded time and raises ``TradeshellError`` with one line."""

    defaults: Defaults

    def view(self) -> View:
        """Return the present picture, without waiting."""
        ...

    def glance(self) -> View | None:
        """Return the last picture at once, ``None`` before there was one; a newer one is made for the next glance."""
        ...

    def instrument(self, symbol: str) -> Instrument:
        """Return the qualified contract."""
        ...

    def quote(self, symbol: str) -> Quote | None:
        """Return a fresh touch if one can be had within a second."""
        ...

    def history(self, symbol: str, seconds: int, count: int, rth: bool) -> tuple[Bar, ...]:
        """Return past bars, oldest first."""
        ...

    def session(self, symbol: str) -> Session | None:
        """Return today's trading hours."""
        ...

    def take_profits(
        self, method: str, symbol: str, level: Price, count: int, rth: bool, sl: Price | None = None
    ) -> tuple[Target, ...]:
        """Return ``count`` targets above ``level`` that ``method`` computes from bars closed by now, on the grid and rising."""
        ...

    def preview(self, plan: TradePlan) -> Margin | None:
        """Return what buying ``plan`` at its level would change, ``None`` where the broker does not say; raises its refusal."""
        ...

    def start_watch(
        self, strategy: str, plan: TradePlan, params: Mapping[str, str], another: bool = False
    ) -> str:
        """Start a watcher and return its id; refuses a second one on a symbol unless ``another``."""
        ...

    def cancel_watch(self, watch: str) -> None:
        """Cancel a watcher: unfilled entry cancelled, exits kept."""
        ...

    def resume_watch(self, watch: str) -> None:
        """Arm a watcher that an earlier session left waiting, whatever there is to doubt; what cannot be armed is refused."""
        ...

    def trade(self, plan: TradePlan, again: bool = False) -> str:
        """Send an order (with a bracket if the plan has one) now and return the trade's id once it left.

        The same order within five seconds is refused unless ``again``.
        """
        ...

    def cancel_order(self, ref: str) -> None:
        """Ask to cancel an order."""
        ...

    def replace_order(self, ref: str, limit: Price | None, stop: Price | None, qty: Shares | None) -> None:
        """Ask to change an order."""
        ...

    def stop_entries(self, on: bool) -> bool:
        """Stop or allow entries, connected or not; say whether that is on disk, and so outlives the program."""
        ...

    def flatten(self, symbol: str | None) -> None:
        """Have the shares of our trades sold at the market, in ``symbol`` or everywhere; a lost link delays it."""
        ...

    def wait_until_flat(self, symbols: tuple[str, ...], timeout: float) -> bool:
        """Block until our trades in ``symbols`` hold nothing and have no order at work; ``False`` when ``timeout`` s passed."""
        ...

    def wait(self, symbols: tuple[str, ...], timeout: float | None) -> bool:
        """Block until the watchers and trades of ``symbols`` (all when empty) are over; ``False`` when ``timeout`` s passed."""
        ...

    def connect(self) -> None:
        """Connect to the broker and reconcile."""
        ...

    def confirm_live(self, typed: str) -> None:
        """Allow the live account that waits for its id, when ``typed`` is that id; ``connect`` goes on with it."""
        ...

    def disconnect(self) -> None:
        """Disconnect; orders stay at the broker."""
        ...

    def reconcile(self) -> tuple[Difference, ...]:
        """Ask the broker for orders, executions and positions, and return what the reconcilers find, by row."""
        ...

    def settle_difference(self, row: int) -> Difference:
        """Do what the row of the last comparison offers, and return it; rows count from 1."""
        ...

    def equity(self) -> Price:
        """Return what the account is worth in USD; a broker that does not say so is refused."""
        ...

    def plugins(self) -> tuple[PluginReport, ...]:
        """Return what is loaded and what was refused."""
        ...

    def sink(self, name: str) -> Sink | None:
        """Return the open sink ``name`` for the command of the plugin that brought it, ``None`` while it is off."""
        ...

    def examine(self) -> tuple[Finding, ...]:
        """Return what is well and what is not: the install, files, clocks, and what the broker says of itself."""
        ...
