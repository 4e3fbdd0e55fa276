"""Auto TP: targets from earlier highs, and from how far price usually goes where there are none. Hook implementations only."""

from tradeshell import Register, TakeProfitOffer, hookimpl
from tradeshell_tp_auto.service import find_targets


@hookimpl
def register_take_profits(register: Register[TakeProfitOffer]) -> None:
    """Offer ``auto``."""
    register("auto", TakeProfitOffer(find=find_targets, words="earlier highs, else a part of a day's range"))
