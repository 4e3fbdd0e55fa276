"""Which message asks for what: the table of everything that a client may send.

Laws: a question with an end mark is always answered to its end; what this gateway does not have is refused or answered with
nothing, as a gateway without it would.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol, TypeAlias

from tradeshell_paper.tws import contracts, outgoing, questions
from tradeshell_paper.tws import requests as parse
from tradeshell_paper.tws.account import AccountDesk
from tradeshell_paper.tws.fields import Fields
from tradeshell_paper.tws.frames import encode
from tradeshell_paper.tws.history import HistoryDesk
from tradeshell_paper.tws.house import House
from tradeshell_paper.tws.ids import Ids
from tradeshell_paper.tws.orders import OrderDesk
from tradeshell_paper.tws.parse_order import parse_place_order
from tradeshell_paper.tws.quotes import QuoteDesk
from tradeshell_paper.tws.replies import OrderReplies


class Asker(Protocol):
    """A client with everything that may be asked for it."""

    house: House
    ids: Ids
    orders: OrderDesk
    replies: OrderReplies
    history: HistoryDesk
    quotes: QuoteDesk
    account: AccountDesk
    number: int
    version: int

    def send(self, frame: bytes) -> None:
        """Send one message."""
        ...

    def error(self, request: int, code: int, text: str, reject: str = "") -> None:
        """Send an error message."""
        ...

    def abort(self) -> None:
        """End the connection at once."""
        ...


Handler: TypeAlias = Callable[[Asker, list[str]], None]
# Where the id of a message's request stands, for errors about it; elsewhere it is the third field.
SECOND_FIELD = frozenset(
    {3, 20, 78, 79, 81, 83, 84, 86, 87, 88, 89, 90, 92, 93, 94, 95, 96, 97, 98, 100, 101, 102, 104}
)
NO_REQUEST = frozenset({5, 6, 8, 12, 13, 14, 15, 16, 17, 18, 24, 49, 58, 59, 61, 64, 80, 82, 85, 91, 99})


def request_of(message: int, values: list[str]) -> int:
    """Return the id that an error about a message names, -1 for none."""
    if message in NO_REQUEST:
        return -1
    try:
        return int(values[1 if message in SECOND_FIELD else 2])
    except (ValueError, IndexError):
        return -1


def _whole(values: list[str], at: int) -> int:
    return Fields(values[at:]).whole("id")


def _flag(values: list[str], at: int) -> bool:
    return Fields(values[at:]).flag("flag")


def _text(values: list[str], at: int) -> str:
    return Fields(values[at:]).text("text")


def _cancel_order(asker: Asker, values: list[str]) -> None:
    asker.orders.cancel(asker, _whole(values, 1))


def _place_order(asker: Asker, values: list[str]) -> None:
    asker.orders.place(asker, parse_place_order(values, asker.version))


def _current_time(asker: Asker, values: list[str]) -> None:
    del values
    asker.send(outgoing.current_time(asker.house.shown(asker.house.now())))


def _market_data_type(asker: Asker, values: list[str]) -> None:
    kind = _whole(values, 1)
    if kind in (1, 2, 3, 4):
        asker.quotes.kind = kind
    else:
        asker.error(-1, 321, "Error validating request.-'cA' : cause - Invalid market data type")


def _real_time_bars(asker: Asker, values: list[str]) -> None:
    lines = len(asker.quotes.lines) + len(asker.history.real_time)
    asker.history.begin_real_time(parse.parse_real_time(values), lines)


def _nothing(asker: Asker, values: list[str]) -> None:
    del asker, values


def _refused(code: int, text: str, at: int) -> Handler:
    def refuse(asker: Asker, values: list[str]) -> None:
        asker.error(_whole(values, at), code, text)

    return refuse


def _answer(build: Callable[[list[str]], tuple[object, ...]]) -> Handler:
    def answer(asker: Asker, values: list[str]) -> None:
        asker.send(encode(*build(values)))

    return answer


def _news_end(values: list[str]) -> tuple[object, ...]:
    return 87, _whole(values, 0), 0


HANDLERS: dict[int, Handler] = {
    1: lambda a, v: a.quotes.begin(parse.parse_quotes(v)),
    2: lambda a, v: a.quotes.cancel(_whole(v, 1)),
    3: _place_order,
    4: _cancel_order,
    5: lambda a, _: a.replies.open_orders(a),
    6: lambda a, v: a.account.account_updates(on=_flag(v, 1), account=_text(v, 2)),
    7: lambda a, v: a.replies.executions(a, parse.parse_executions(v)),
    8: lambda a, _: a.send(outgoing.next_valid_id(a.ids.next_order(a.number))),
    9: lambda a, v: contracts.details(a.house, a, parse.parse_details(v)),
    10: _refused(
        10092, "Deep market data is not supported for this combination of security type/exchange", 1
    ),
    11: lambda a, v: a.error(
        _whole(v, 1), 310, f"Can't find the subscribed market depth with tickerId:{_whole(v, 1)}"
    ),
    12: _nothing,
    13: _nothing,
    14: _nothing,
    15: lambda a, v: a.replies.auto_bind(a, on=_flag(v, 1)),
    16: lambda a, _: a.replies.all_open_orders(a),
    17: lambda a, _: a.send(outgoing.managed_accounts(a.house.accounts)),
    18: lambda a, _: a.error(
        -1, 321, "Error validating request.-'bM' : cause - This is not an advisor's account"
    ),
    19: lambda a, _: a.error(
        -1, 321, "Error validating request.-'bN' : cause - This is not an advisor's account"
    ),
    20: lambda a, v: a.history.begin(parse.parse_history(v)),
    21: _refused(201, "Order rejected - reason:options are not simulated here", 1),
    22: _refused(162, "Historical Market Data Service error message:scanners are not simulated here", 0),
    23: _refused(365, "No scanner subscription found for ticker id:0", 1),
    24: _answer(lambda _: (19, 1, '<?xml version="1.0"?><ScanParameterResponse/>')),
    25: lambda a, v: a.history.cancel(_whole(v, 1)),
    49: _current_time,
    50: _real_time_bars,
    51: lambda a, v: a.history.cancel_real_time(_whole(v, 1)),
    52: _refused(
        430, "We are sorry, but fundamentals data for the security specified is not available.Not found", 1
    ),
    53: _nothing,
    54: _refused(321, "Error validating request.-'bQ' : cause - options are not simulated here", 1),
    55: _refused(321, "Error validating request.-'bR' : cause - options are not simulated here", 1),
    56: _nothing,
    57: _nothing,
    58: lambda a, _: a.orders.cancel_all(),
    59: _market_data_type,
    61: lambda a, _: a.account.positions(),
    62: lambda a, v: a.account.summary(_whole(v, 1), _text(v, 2), _text(v, 3)),
    63: lambda a, v: a.account.cancel_summary(_whole(v, 1)),
    64: lambda a, _: a.account.cancel_positions(),
    71: _nothing,
    74: lambda a, v: a.account.positions_multi(_whole(v, 1), _text(v, 2)),
    75: lambda a, v: a.account.cancel_positions_multi(_whole(v, 1)),
    76: lambda a, v: a.account.account_updates_multi(_whole(v, 1), _text(v, 2)),
    77: lambda a, v: a.account.cancel_account_updates_multi(_whole(v, 1)),
    78: _answer(lambda v: (76, _whole(v, 0))),
    79: _answer(lambda v: (77, _whole(v, 0), 0)),
    80: _answer(lambda _: (78, 0)),
    81: lambda a, v: contracts.matching(a.house, a, _whole(v, 0), _text(v, 1)),
    82: _answer(lambda _: (80, 0)),
    83: _answer(lambda v: (82, _whole(v, 0), 0)),
    84: _refused(321, "Error validating request.-'b9' : cause - news are not simulated here", 0),
    85: _answer(lambda _: (85, 0)),
    86: _answer(_news_end),
    87: lambda a, v: questions.head(a.house, a, parse.parse_head(v)),
    88: lambda a, v: questions.histogram(a.house, a, parse.parse_histogram(v)),
    89: _nothing,
    90: _nothing,
    91: lambda a, v: contracts.market_rule(a, _whole(v, 0)),
    92: lambda a, v: a.account.profit(_whole(v, 0), _text(v, 1)),
    93: lambda a, v: a.account.cancel_profit(_whole(v, 0)),
    94: lambda a, v: a.account.profit_single(_whole(v, 0), _text(v, 1), _whole(v, 3)),
    95: lambda a, v: a.account.cancel_profit(_whole(v, 0)),
    96: lambda a, v: questions.ticks(a.house, a, parse.parse_ticks(v)),
    97: lambda a, v: a.quotes.begin_stream(parse.parse_tick_by_tick(v)),
    98: lambda a, v: a.quotes.cancel_stream(_whole(v, 0)),
    99: lambda a, v: a.replies.completed(a, api_only=_flag(v, 0)),
    104: _answer(lambda v: (107, _whole(v, 0), "")),
}
