"""The desk's policy: what the operator allows beyond a single plan. Set once at the start, from the config.

Laws: limits hold for entries and for every order that is typed; exits are exempt from size limits, never from correctness. A
policy is an input, so that recorded inputs replay to the same commands.
"""

from __future__ import annotations

from decimal import Decimal
from enum import StrEnum

from msgspec import Struct

from tradeshell.core.market import Price, Shares


class Limits(Struct, frozen=True, kw_only=True):
    """Pre-trade limits of the account; ``None`` switches one off. Amounts in USD."""

    max_qty: Shares | None = 50_000  # shares of one order
    max_notional: Price | None = Decimal(1_000_000)  # one order
    max_exposure: Price | None = None  # own positions and working entries together
    max_open_risk: Price | None = None  # what all open trades lose if every stop is hit
    max_orders_per_minute: int | None = 30  # entries and typed orders
    max_orders_per_side: int | None = 15  # working orders of one side in one symbol (IBKR allows 20)
    max_daily_loss: Price | None = (
        None  # realised since midnight in New York; entries stop when it is reached
    )
    collar: Decimal = Decimal("0.03")  # part of the price that a touch may be away from its trigger
    duplicate_window: float = 5.0  # seconds in which the same order again needs ``again``


class Resume(StrEnum):
    """What becomes of a watcher that was left waiting and about which there is a doubt; without one it is armed."""

    ASK = "ask"  # at a terminal; a script leaves it as it is, and tells
    ARM = "arm"
    SKIP = "skip"  # it ends, and that is told


class Policy(Struct, frozen=True, kw_only=True):
    """What the core may do by itself."""

    limits: Limits = Limits()
    flatten_live: bool = False  # a live account is sold out by itself when nothing else protects a share
    stop_on_unconfirmed: bool = True  # a stop over executed shares whose position the broker does not confirm
    hold: bool = (
        False  # an entry that cannot work yet is kept (IBKR 399: "will not be placed at the exchange until")
    )
    hold_through_halt: bool = False  # an entry that works is kept when its symbol is halted
    look_every: float | None = (
        None  # seconds between pictures while orders work, to find words that were lost
    )
    resume: Resume = Resume.ASK  # watchers of a program that has ended
    rearm: bool = False  # exits that expired at the close are armed again in the next session
