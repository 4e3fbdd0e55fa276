"""What became of trades: entry, exits, result in R, slippage, fees, how long it took. Pure: tales in, rows out.

Laws: figures come from executions and fees, each once, never from a sum that somebody made. Slippage is against the price that
was decided on: the ask at which the entry left, the stop that was elected; a cost is negative, as in P&L.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from decimal import Decimal

from msgspec import Struct

from tradeshell import Result as Shape
from tradeshell_jsonl_log.tale import Execution, Said, Tale, average, shares

CENT = Decimal("0.01")


class Part(Struct, frozen=True, forbid_unknown_fields=True):
    """What one leg sold. ``slippage`` USD against its stop, ``None`` for a leg that sold at a limit or at the market."""

    leg: str
    qty: int
    price: Decimal
    at: datetime
    slippage: Decimal | None


class Result(Struct, frozen=True, kw_only=True):
    """One trade. Prices and amounts USD, ``pnl`` before fees, ``slippage`` of entry and stops together.

    ``state``: ``closed`` or ``open``; what is open has sold ``sold`` of ``qty`` shares, and ``pnl`` is what those made. ``r`` is
    ``None`` without a stop, and while nothing is sold.
    """

    id: str
    symbol: str
    state: str
    qty: int
    sold: int
    entry: Decimal
    entry_at: datetime
    asked: Decimal | None
    exit: Decimal | None
    exit_at: datetime | None
    exits: tuple[Part, ...]
    sl: Decimal | None
    pnl: Decimal
    r: Decimal | None
    slippage: Decimal | None
    fees: Decimal

    @property
    def net(self) -> Decimal:
        """The result after fees, USD."""
        return self.pnl - self.fees

    @property
    def lasted(self) -> timedelta | None:
        """From the first share bought to the last one sold; ``None`` while it is open."""
        return None if self.state == "open" or self.exit_at is None else self.exit_at - self.entry_at


def result_of(tale: Tale) -> Result | None:
    """Return what became of a tale, ``None`` when it bought nothing."""
    bought, sold = tale.bought(), tale.sold()
    entry = average(bought)
    if entry is None:
        return None
    parts = tuple(_part(tale, leg, sold) for leg in dict.fromkeys(each.leg for each in sold))
    sl, asked = _first_stop(tale), _asked(tale)
    exit_ = average(sold)
    pnl = sum(((each.price - entry) * each.qty for each in sold), Decimal(0))
    risk = None if sl is None or sl >= entry else entry - sl
    slips = [part.slippage for part in parts if part.slippage is not None]
    slips += [] if asked is None else [(asked - entry) * shares(bought)]
    return Result(
        id=tale.id,
        symbol=tale.symbol,
        state="closed" if is_closed(tale, shares(bought) - shares(sold)) else "open",
        qty=shares(bought),
        sold=shares(sold),
        entry=entry,
        entry_at=bought[0].at,
        asked=asked,
        exit=exit_,
        exit_at=max((each.at for each in sold), default=None),
        exits=parts,
        sl=sl,
        pnl=pnl,
        r=None if risk is None or exit_ is None else (exit_ - entry) / risk,
        slippage=sum(slips, Decimal(0)) if slips else None,
        fees=tale.fees(),
    )


def is_closed(tale: Tale, held: int) -> bool:
    """Return whether a tale is over: said so, and not opened again; shares may also have gone with sells of other trades."""
    end = tale.last("TradeClosed", "TradeReopened", "FlattenCompleted")
    return held <= 0 if end is None else end.event != "TradeReopened"


def _part(tale: Tale, leg: str, sold: Iterable[Execution]) -> Part:
    mine = [each for each in sold if each.leg == leg]
    price = average(mine)
    assert price is not None, "a leg of the list has sold something"
    slips = [_slip(tale, each) for each in mine]
    known = [slip for slip in slips if slip is not None]
    return Part(
        leg, shares(mine), price, max(each.at for each in mine), sum(known, Decimal(0)) if known else None
    )


def _slip(tale: Tale, execution: Execution) -> Decimal | None:
    """Return what an execution of a stop brought more than the stop that stood, USD; ``None`` when it is no stop."""
    placed = tale.intents("place", ref=execution.ref)
    stop = placed[0].price("stop") if placed else None
    for each in tale.all("LadderStopLossReplaced", ref=execution.ref):
        if stop is not None and each.at <= execution.at:
            stop = each.price("stop")
    return None if stop is None else (execution.price - stop) * execution.qty


def _asked(tale: Tale) -> Decimal | None:
    """Return the ask at which the entry left, USD."""
    placed = tale.intents("place", ref=tale.entry_ref())
    return placed[0].price("ask") if placed else None


def _first_stop(tale: Tale) -> Decimal | None:
    """Return the stop that the risk was counted to, USD: the plan's, or the first that was sent."""
    started = tale.last("BreakoutStarted")
    if started is not None:
        return started.price("sl")
    stops: list[Said] = [
        each for each in tale.intents("place") if each.text("leg").startswith(("sl", "cover"))
    ]
    return stops[0].price("stop") if stops else None


class Totals(Shape, frozen=True, kw_only=True):
    """What trades came to. ``r``: of the closed ones with a stop; ``expectancy`` their average."""

    trades: int
    open: int
    won: int
    lost: int
    pnl: Decimal
    fees: Decimal
    net: Decimal
    slippage: Decimal
    r: Decimal
    expectancy: Decimal | None


def totals_of(results: Iterable[Result]) -> Totals:
    """Return the totals of ``results``; a trade has won when it made money after fees."""
    listed = list(results)
    closed = [each for each in listed if each.state == "closed"]
    multiples = [each.r for each in closed if each.r is not None]
    fees = sum((each.fees for each in listed), Decimal(0))
    pnl = sum((each.pnl for each in listed), Decimal(0))
    return Totals(
        trades=len(listed),
        open=len(listed) - len(closed),
        won=sum(each.net > 0 for each in closed),
        lost=sum(each.net < 0 for each in closed),
        pnl=pnl,
        fees=fees,
        net=pnl - fees,
        slippage=sum((each.slippage for each in listed if each.slippage is not None), Decimal(0)),
        r=sum(multiples, Decimal(0)),
        expectancy=sum(multiples, Decimal(0)) / len(multiples) if multiples else None,
    )
