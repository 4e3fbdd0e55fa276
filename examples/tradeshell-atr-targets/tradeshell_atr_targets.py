"""``tp=atr``: targets at one, two and three times the average true range of 14 bars of 15 minutes above the level."""

from decimal import Decimal
from itertools import pairwise

from tradeshell import OperatorError, PastBars, Register, TakeProfitOffer, Target, TargetsWanted, hookimpl

BARS, SECONDS = 14, 900


def find(wanted: TargetsWanted, bars: PastBars) -> list[Target]:
    """Answer with the targets; refuses without enough bars rather than guess."""
    past = bars(SECONDS, BARS + 1, wanted.rth)
    if len(past) <= BARS:
        raise OperatorError(
            f"tp=atr: {wanted.symbol} has {len(past)} bars of 15 minutes, {BARS + 1} are needed"
        )
    ranges = [max(bar.high, last.close) - min(bar.low, last.close) for last, bar in pairwise(past)]
    atr = sum(ranges, Decimal(0)) / BARS
    step = max(wanted.grid.up(atr), wanted.grid.increment(wanted.anchor_price))
    return [
        Target(
            price=wanted.grid.up(wanted.anchor_price + step * number),
            why=f"{number} x ATR {atr:.4f} above the level · {BARS} 15m bars",
        )
        for number in range(1, wanted.count + 1)
    ]


@hookimpl
def register_take_profits(register: Register[TakeProfitOffer]) -> None:
    register("atr", TakeProfitOffer(find=find, words="multiples of the average true range"))
