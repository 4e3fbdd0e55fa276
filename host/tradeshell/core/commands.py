"""Commands: what ``step`` wants done, in this order. Imperatives; executing them decides nothing."""

from __future__ import annotations

from datetime import datetime

from msgspec import Struct

from tradeshell.core.events import Event
from tradeshell.core.orders import OrderSpec


class Command(Struct, frozen=True, tag_field="command", tag=True):
    """Base of all commands."""


class PlaceOrder(Command, frozen=True):
    """Send a new order under a number of our own choosing (IBKR: unique per client, above every number seen)."""

    order: OrderSpec
    order_id: int


class ModifyOrder(Command, frozen=True):
    """Send the full order again under the same number, with what changed."""

    order: OrderSpec
    order_id: int


class CancelOrder(Command, frozen=True):
    """Ask to cancel."""

    ref: str
    order_id: int


class AskQuote(Command, frozen=True):
    """Answer with ``QuoteAnswered``: a touch no older than ``max_age`` s if there is one within ``patience`` s."""

    key: str
    symbol: str
    max_age: float
    patience: float = 1.0


class WatchBars(Command, frozen=True):
    """Subscribe ``key`` to closed bars of ``seconds`` length, beside those it has; ``rth``: regular hours only."""

    key: str
    symbol: str
    seconds: int
    rth: bool


class UnwatchBars(Command, frozen=True):
    """End the subscriptions of ``key``."""

    key: str


class SetTimer(Command, frozen=True):
    """Answer with ``TimerFired`` at ``at``; a later timer of the same key replaces it, keys that no longer matter are ignored."""

    key: str
    at: datetime


class AskSnapshot(Command, frozen=True):
    """Request orders, executions and positions, and answer with ``SnapshotAnswered`` when all three ended."""

    epoch: int


class Announce(Command, frozen=True):
    """Tell the audit and the screen."""

    event: Event


ORDER_COMMANDS = (PlaceOrder, ModifyOrder, CancelOrder)
