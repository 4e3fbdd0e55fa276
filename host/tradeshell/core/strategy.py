"""What a strategy is to the core: a pure machine that may ask for one entry.

Laws: a strategy never sends an order and never sees a broker; it gets closed bars and news about its own trade, and returns
its next state with what it asks for. The same state object back, and nothing asked, means that the bar did not matter.
"""

from __future__ import annotations

from datetime import datetime, time
from typing import Any, Protocol, TypeAlias

from msgspec import Struct

from tradeshell.core.events import Event
from tradeshell.core.inputs import WatchSpec
from tradeshell.core.market import Bar, Quote, Shares


class BarNeed(Struct, frozen=True):
    """Which bars a watcher wants: ``seconds`` long, ``rth`` only or all hours; with ``fast`` a second stream of so many seconds.

    Both streams go to ``on_bar``, each bar once, in the order in which they close; which one it is its length says.

    ``after`` and ``until``: times of day in New York; bars that close by the one, or later than the other, are not shown. It
    looks on ``days`` trading days, and rests in between.
    """

    seconds: int
    rth: bool
    fast: int | None = None
    after: time | None = None
    until: time | None = None
    days: int = 1

    @property
    def lengths(self) -> tuple[int, ...]:
        """The lengths of its streams in seconds."""
        return (self.seconds,) if self.fast is None else (self.seconds, self.fast)


class Tell(Struct, frozen=True):
    """Announce an event of the strategy's own."""

    event: Event


class Enter(Struct, frozen=True):
    """Ask for the watcher's one entry, because of ``bar``."""

    bar: Bar


class Finish(Struct, frozen=True):
    """End the watcher; only before an entry was asked for."""

    reason: str


Wish: TypeAlias = Tell | Enter | Finish


class Entered(Struct, frozen=True):
    """The entry was sent: ``ask`` USD with its age in seconds, ``qty`` shares."""

    order_ref: str
    ask: Any
    quote_age: float | None
    bar: Bar | None
    qty: Shares = 0


class Refused(Struct, frozen=True):
    """The entry was refused: a short ``reason`` word, the numbers behind it, the bar that asked and the touch that was there."""

    reason: str
    detail: str
    bar: Bar | None = None
    quote: Quote | None = None


class Over(Struct, frozen=True):
    """The watcher and its trade are over."""

    reason: str


News: TypeAlias = Entered | Refused | Over


class Strategy(Protocol):
    """A pure strategy. ``state`` is a frozen msgspec Struct of the strategy's own."""

    def needs(self, watch: WatchSpec) -> BarNeed:
        """Return the bars the watcher wants."""
        ...

    def start(self, watch: WatchSpec, at: datetime) -> tuple[Any, tuple[Wish, ...]]:
        """Return the first state and what to tell; raises ``OperatorError`` when ``params`` make no sense."""
        ...

    def on_bar(self, watch: WatchSpec, state: Any, bar: Bar, at: datetime) -> tuple[Any, tuple[Wish, ...]]:
        """Return the next state and the wishes that follow from one closed bar."""
        ...

    def on_news(self, watch: WatchSpec, state: Any, news: News, at: datetime) -> tuple[Any, tuple[Wish, ...]]:
        """Return the next state and what to tell about the watcher's own trade (only ``Tell`` is listened to)."""
        ...
