"""Messages that real gateways sent: our encoders write the same fields in the same order for the same content.

The recordings lie beside the project, not in it; without them nothing is compared, and the test says so.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from pathlib import Path

import pytest

from tradeshell import Bar, PriceBand, PriceGrid
from tradeshell_paper.tws import encode_orders, outgoing
from tradeshell_paper.tws.encode_orders import ExecutionView, OrderView
from tradeshell_paper.tws.frames import decode, encode
from tradeshell_paper.tws.messages import HANDLERS
from tradeshell_paper.tws.values import WireContract, WireOrder

FILE = Path(__file__).parents[3] / "shared/reference/recorded-tws-messages.tsv"
SPACE = "a trailing empty field that the recorder added"
# Recordings that are no server message of their number, or of another kind than ours: number -> how they begin.
OTHERS = {
    "4": ("4||9000|38|",),  # an EFP tick
    "9": ("9|9000|",),  # another message's fields
    "19": ("19|9000|",),  # a histogram
    "54": ("54|3|",),  # a request
    "62": ("62|1|DU",),  # a request
    "74": ("74|1|9000|DU",),  # a request
    "90": ("90|9000|-1|16",),  # volume and average in another order than every client reads them
    "102": ("102|9000|",),  # a request
    "99": ("99|9000|1|1678745793|",),  # a touch under the number of a trade
}


def recordings() -> list[tuple[list[str], list[int]]]:
    if not FILE.exists():
        return []
    rows = [
        line.split("\t") for line in FILE.read_text(encoding="utf-8").splitlines() if not line.startswith("#")
    ]
    return [(row[4].removesuffix("|").split("|"), [int(v) for v in row[2].split(",")]) for row in rows]


def stock(
    f: list[str], at: int, *, exchange: int, currency: int, primary: str = "", strike: int | None = None
) -> WireContract:
    return WireContract(
        con_id=int(f[at]),
        symbol=f[at + 1],
        sec_type=f[at + 2],
        expiry=f[at + 3],
        right=f[at + 5],
        multiplier=f[at + 6],
        exchange=f[exchange],
        primary_exchange=primary,
        currency=f[currency],
        local_symbol=f[currency + 1],
        trading_class=f[currency + 2],
    )


def number(text: str) -> Decimal | None:
    return None if text in ("", "1.7976931348623157E308") else Decimal(text)


def order_5(f: list[str], version: int) -> bytes:
    tail = 1 if version < 177 else 0
    state = 93 + tail
    order = WireOrder(
        order_id=int(f[1]), contract=WireContract(), action=f[13], order_type=f[15], limit=number(f[16]), aux=number(f[17]),
        tif=f[18], open_close=f[21], order_ref=f[23], origin=int(f[22]), outside_rth=f[26] == "1", hidden=f[27] == "1",
        what_if=f[state - 1] == "1",
    )  # fmt: skip
    view = OrderView(
        order=order, contract=stock(f, 2, exchange=9, currency=10), client=int(f[24]), order_id=int(f[1]),
        perm_id=int(f[25]), account=f[20], status=f[state], total=int(Decimal(f[14])), oca_group=f[19],
        oca_type=int(f[53 + tail]), parent_id=int(f[57 + tail]), commission=number(f[state + 10]),
    )  # fmt: skip
    return encode_orders.open_order(view, version)


def completed_101(f: list[str], version: int) -> bytes:
    tail = 1 if version < 177 else 0
    status = (
        f.index("Filled")
        if "Filled" in f
        else next(n for n, v in enumerate(f) if v in ("Cancelled", "Submitted"))
    )
    order = WireOrder(
        order_id=0, contract=WireContract(), action=f[12], order_type=f[14], limit=number(f[15]), aux=number(f[16]),
        tif=f[17], open_close=f[20], origin=int(f[21]), order_ref=f[22], outside_rth=f[24] == "1",
        trigger_method=int(f[49 + tail]),
    )  # fmt: skip
    view = OrderView(
        order=order, contract=stock(f, 1, exchange=8, currency=9), client=0, order_id=0, perm_id=int(f[23]),
        account=f[19], status=f[status], total=int(Decimal(f[13])), oca_group=f[18], oca_type=int(f[48 + tail]),
        filled=int(Decimal(f[status + 10])),
    )  # fmt: skip
    return encode_orders.completed_order(view, version)


def execution_11(f: list[str], version: int) -> bytes:
    view = ExecutionView(
        exec_id=f[14], at=datetime(2025, 1, 1, tzinfo=UTC), order_id=int(f[2]), client=int(f[22]), perm_id=int(f[21]),
        contract=stock(f, 3, exchange=10, currency=11), account=f[16], venue=f[10], side=f[18],
        shares=int(Decimal(f[19])), price=Decimal(f[20]), cumulative=int(Decimal(f[24])), average=Decimal(f[25]),
        order_ref=f[26],
    )  # fmt: skip
    return encode_orders.exec_details(view, version, int(f[1]))


def rows(f: list[str], at: int, width: int) -> list[tuple[object, ...]]:
    return [tuple(f[n : n + width]) for n in range(at, at + width * int(f[at - 1]), width)]


def bars_17(f: list[str], _: int) -> bytes:
    made = [
        outgoing.BarRow(
            r[0],
            Decimal(r[1]),
            Decimal(r[2]),
            Decimal(r[3]),
            Decimal(r[4]),
            int(Decimal(r[5])),
            Decimal(r[6]),
            int(r[7]),
        )
        for r in (f[n : n + 8] for n in range(5, 5 + 8 * int(f[4]), 8))
    ]
    at = datetime(2025, 1, 1, tzinfo=UTC)
    return outgoing.historical_data(int(f[1]), at, at, made)


def update_90(f: list[str], _: int) -> bytes:
    p = [Decimal(text) for text in f[4:9]]
    return outgoing.historical_update(
        int(f[1]), outgoing.BarRow(f[3], p[0], p[2], p[3], p[1], int(Decimal(f[9])), p[4], int(f[2]))
    )


def bar_50(f: list[str], _: int) -> bytes:
    bar = Bar(
        "A",
        datetime.fromtimestamp(int(f[3]), UTC),
        5,
        Decimal(f[4]),
        Decimal(f[5]),
        Decimal(f[6]),
        Decimal(f[7]),
        int(f[8]),
    )
    return outgoing.real_time_bar(int(f[2]), bar, bar.start, Decimal(f[9]), int(f[10] or 0))


def tick_99(f: list[str], _: int) -> bytes:
    at = datetime.fromtimestamp(int(f[3]), UTC)
    if f[2] in ("1", "2"):
        return outgoing.tick_by_tick_last(int(f[1]), int(f[2]), at, Decimal(f[4]), int(f[5]), f[7])
    if f[2] == "3":
        return outgoing.tick_by_tick_touch(int(f[1]), at, Decimal(f[4]), Decimal(f[5]), int(f[6]), int(f[7]))
    return outgoing.tick_by_tick_middle(int(f[1]), at, Decimal(f[4]))


def rule_93(f: list[str], _: int) -> bytes:
    return outgoing.market_rule(
        int(f[1]), PriceGrid(tuple(PriceBand(Decimal(str(a)), Decimal(str(b))) for a, b in rows(f, 3, 2)))
    )


def details_10(f: list[str], version: int) -> bytes:
    at = 3 if version < 164 else 2
    contract = WireContract(
        con_id=int(f[at + 10]), symbol=f[at], sec_type=f[at + 1], exchange=f[at + 5], currency=f[at + 6],
        local_symbol=f[at + 7], trading_class=f[at + 9], primary_exchange=f[at + 18],
    )  # fmt: skip
    card = outgoing.ContractCard(
        contract=contract, long_name=f[at + 17], min_tick=Decimal(f[at + 11]), order_types=f[at + 13],
        exchanges=tuple(f[at + 14].split(",")), rule=26, trading_hours=f[at + 24], liquid_hours=f[at + 25],
    )  # fmt: skip
    return outgoing.contract_details(int(f[at - 1]), card, version)


def schedule_106(f: list[str], _: int) -> bytes:
    return outgoing.historical_schedule(
        int(f[1]), f[2], f[3], [(a, b, c) for a, b, c in zip(*[iter(f[6:])] * 3, strict=True)]
    )


REBUILD: dict[str, Callable[[list[str], int], bytes]] = {
    "1": lambda f, _: outgoing.tick_price(int(f[2]), int(f[3]), Decimal(f[4]), int(f[5]), int(f[6])),
    "2": lambda f, _: outgoing.tick_size(int(f[2]), int(f[3]), int(f[4])),
    "4": lambda f, v: outgoing.error(int(f[2]), int(f[3]), f[4], v),
    "5": order_5,
    "6": lambda f, _: outgoing.account_value(f[2], f[3], f[4], f[5]),
    "7": lambda f, _: encode_orders.portfolio_value(
        f[19],
        stock(f, 2, exchange=9, currency=10, primary=f[9]),
        int(f[13]),
        Decimal(f[14]),
        Decimal(f[16]),
        Decimal(f[18]),
    ),
    "8": lambda f, _: outgoing.account_time(datetime(2025, 1, 1, tzinfo=UTC)),
    "9": lambda f, _: outgoing.next_valid_id(int(f[2])),
    "10": details_10,
    "11": execution_11,
    "15": lambda f, _: outgoing.managed_accounts(f[2].split(",")),
    "17": bars_17,
    "45": lambda f, _: encode(45, 6, f[2], f[3], f[4]),
    "46": lambda f, _: outgoing.tick_string(int(f[2]), int(f[3]), f[4]),
    "50": bar_50,
    "52": lambda f, _: outgoing.contract_details_end(int(f[2])),
    "53": lambda f, _: encode(*outgoing.OPEN_ORDERS_END),
    "54": lambda f, _: outgoing.account_end(f[2]),
    "57": lambda f, _: outgoing.ended(57, int(f[2])),
    "58": lambda f, _: outgoing.market_data_type(int(f[2]), int(f[3])),
    "59": lambda f, _: encode_orders.commission_report(f[2], Decimal(f[3]), number(f[5])),
    "61": lambda f, _: encode_orders.position(
        f[2], stock(f, 3, exchange=10, currency=11, primary=f[10]), int(f[14]), Decimal(f[15])
    ),
    "62": lambda f, _: encode(*outgoing.POSITIONS_END),
    "63": lambda f, _: outgoing.account_summary(int(f[2]), f[3], f[4], f[5], f[6]),
    "64": lambda f, _: outgoing.ended(64, int(f[2])),
    "71": lambda f, _: encode_orders.position_multi(
        int(f[2]), f[3], stock(f, 4, exchange=11, currency=12, primary=f[11]), int(f[15]), Decimal(f[16])
    ),
    "72": lambda f, _: outgoing.ended(72, int(f[2])),
    "73": lambda f, _: outgoing.account_update_multi(int(f[2]), f[3], f[5], f[6], f[7]),
    "74": lambda f, _: outgoing.ended(74, int(f[2])),
    "76": lambda f, _: encode(76, f[1]),
    "87": lambda f, _: encode(87, f[1], f[2]),
    "88": lambda f, _: outgoing.head_timestamp(int(f[1]), f[2]),
    "90": update_90,
    "93": rule_93,
    "94": lambda f, _: outgoing.pnl(int(f[1]), *map(Decimal, f[2:5])),
    "95": lambda f, _: outgoing.pnl_single(int(f[1]), int(Decimal(f[2])), *map(Decimal, f[3:7])),
    "96": lambda f, _: outgoing.historical_ticks(int(f[1]), rows(f, 3, 4), 96),
    "97": lambda f, _: outgoing.historical_ticks(int(f[1]), rows(f, 3, 6), 97),
    "98": lambda f, _: outgoing.historical_ticks(int(f[1]), rows(f, 3, 6), 98),
    "99": tick_99,
    "101": completed_101,
    "106": schedule_106,
}
# Fields whose values are ours to choose: the version field, our own texts, times, and what we know nothing of.
FREE = {
    "1": {1}, "2": {1}, "45": {1}, "46": {1}, "50": {1, 10}, "61": {1}, "71": {1}, "5": {127, 128, 129},
    "8": {2}, "17": {2, 3, 10, 18},
    "7": {5, 6, 7}, "11": {15, 28, 30}, "73": {4}, "59": {6}, "99": {6, 7, 8}, "74": {3}, "106": {4}, "96": {-1},
}  # fmt: skip
SHAPE_ONLY = {
    "10",
    "101",
    "96",
    "97",
    "98",
    "95",
    "99",
    "71",
    "87",
}  # values of other products, or marks we set ourselves


def same(ours: str, theirs: str) -> bool:
    if ours == theirs:
        return True
    try:
        return Decimal(ours) == Decimal(theirs)
    except InvalidOperation:
        return False


def is_other(fields: list[str]) -> bool:
    text = "|".join(fields) + "|"
    if fields[0] == "10" and "STK" not in fields:
        return True  # another product
    if fields[-1] == "paper-user":
        return True  # a later version
    return any(text.startswith(begin) for begin in OTHERS.get(fields[0], ()))


def fits(fields: list[str], version: int) -> bool:
    try:
        ours = decode(REBUILD[fields[0]](fields, version)[4:])
    except (ValueError, InvalidOperation, IndexError):
        return False
    if ours and len(ours) < len(fields):
        ours = [*ours, ""][: len(fields)]  # see SPACE
    if len(ours) - len(fields) not in (0, 1) or (len(ours) > len(fields) and ours[-1] != ""):
        return False
    if fields[0] in SHAPE_ONLY or "FUT" in fields or "FOP" in fields:
        return True
    free = FREE.get(fields[0], set())
    return all(n in free or same(a, b) for n, (a, b) in enumerate(zip(ours, fields, strict=False)))


@pytest.mark.skipif(not FILE.exists(), reason=f"there are no recordings at {FILE.name} beside the project")
def test_every_recorded_message_that_we_send_has_our_fields_in_our_order() -> None:
    wrong = []
    compared = 0
    for fields, versions in recordings():
        if fields[0] not in REBUILD or is_other(fields):
            continue
        compared += 1
        if not any(fits(fields, version) for version in sorted({*versions, 158, 159, 160, 162, 166})):
            wrong.append("|".join(fields))
    assert wrong == []
    assert compared > 120


def test_every_message_that_we_send_is_compared() -> None:
    assert {
        "1",
        "2",
        "4",
        "5",
        "10",
        "11",
        "17",
        "50",
        "59",
        "61",
        "63",
        "90",
        "93",
        "99",
        "101",
        "106",
    } <= set(REBUILD)
    assert set(itertools.chain(range(1, 11), (20, 50, 61, 62, 71, 96, 97, 99))) <= set(HANDLERS)
