"""The tables and the bytes: codes as the documentation lists them, orders as ib_async would have written them."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from ib_async.client import Client
from ib_async.contract import Stock
from ib_async.order import Order
from msgspec.structs import replace
from tests.docs.pages import DOCS, sections, tables

from tradeshell import ConfigError, OrderState, RefusedWhat
from tradeshell_ibkr.broker import split_settings
from tradeshell_ibkr.codes import CODES, Effect, about_order, look_up
from tradeshell_ibkr.encode import Ticket, cancel_order, contract_text, place_order
from tradeshell_ibkr.market_data import DataSettings
from tradeshell_ibkr.settings import LinkSettings, is_paper
from tradeshell_ibkr.translate import price_of, price_text, shares_of, state_of

# --- codes ------------------------------------------------------------------------------------------------------------


def test_the_documented_codes_are_those_of_the_table() -> None:
    said = [
        (row["code"], row["meaning"], row["effect"], row["reason"])
        for row in tables(sections(DOCS / "ibkr.md")["Codes"])[0]
    ]
    assert said == [
        (str(code.code), code.meaning, code.effect.value, code.reason)
        for code in sorted(CODES.values(), key=lambda code: code.code)
    ]


def test_a_code_that_is_not_in_the_table_refuses_nothing() -> None:
    for is_new in (False, True):
        for is_changing in (False, True):
            for is_cancelling in (False, True):
                assert look_up(54321).effect is Effect.COMMENT
                found = about_order(
                    54321, is_new=is_new, is_changing=is_changing, is_cancelling=is_cancelling
                )
                assert found is RefusedWhat.NOTHING


def test_nothing_refuses_an_order_that_works_and_has_nothing_on_its_way_but_a_rejection() -> None:
    found = {
        code
        for code in CODES
        if about_order(code, is_new=False, is_changing=False, is_cancelling=False) is not RefusedWhat.NOTHING
    }
    assert found == {code for code, row in CODES.items() if row.effect is Effect.REJECTED}


def test_every_code_has_a_reason() -> None:
    for code in CODES.values():
        assert code.meaning
        assert code.reason


# --- bytes ------------------------------------------------------------------------------------------------------------


class Recorder(Client):
    """ib_async's own encoder, heard."""

    def __init__(self, version: int) -> None:
        self._version, self.frame = version, b""

    def serverVersion(self) -> int:  # the library's name
        return self._version

    def isConnected(self) -> bool:  # the library's name
        return True

    def sendMsg(self, msg: str) -> None:  # the library's name
        payload = msg.encode()
        self.frame = len(payload).to_bytes(4, "big") + payload


TICKET = Ticket(
    order_id=14,
    contract="",
    action="SELL",
    qty=100,
    type="STP LMT",
    limit="187.00",
    stop="187.05",
    tif="GTC",
    oca_group="ts:br1:p1:1",
    account="DU1234567",
    ref="ts:br1:sl1:1|tag",
    transmit=True,
    parent_id=0,
    outside_rth=False,
    good_till="",
    oca_type=2,
)


@pytest.mark.parametrize("version", range(157, 179))
@pytest.mark.parametrize(
    "changes",
    [
        {},
        {
            "action": "BUY",
            "type": "LMT",
            "stop": "",
            "tif": "GTD",
            "good_till": "20260316-14:30:25",
            "oca_group": "",
            "oca_type": 0,
        },
        {"type": "MKT", "limit": "", "stop": "", "tif": "DAY", "outside_rth": True},
        {"type": "STP", "limit": "", "transmit": False, "parent_id": 13},
        {"type": "LMT", "stop": "", "tif": "IOC", "qty": 1, "order_id": 2_000_000_000},
    ],
)
def test_an_order_is_encoded_as_ib_async_encodes_it(version: int, changes: dict[str, Any]) -> None:
    contract = Stock(
        "AAPL", "SMART", "USD", conId=265598, primaryExchange="NASDAQ", localSymbol="AAPL", tradingClass="NMS"
    )
    ticket = replace(TICKET, contract=contract_text(contract), **changes)
    order = Order(
        action=ticket.action,
        totalQuantity=ticket.qty,
        orderType=ticket.type,
        tif=ticket.tif,
        ocaGroup=ticket.oca_group,
        ocaType=ticket.oca_type,
        account=ticket.account,
        orderRef=ticket.ref,
        transmit=ticket.transmit,
        parentId=ticket.parent_id,
        outsideRth=ticket.outside_rth,
        goodTillDate=ticket.good_till,
    )
    if ticket.limit:
        order.lmtPrice = Decimal(ticket.limit)
    if ticket.stop:
        order.auxPrice = Decimal(ticket.stop)
    recorder = Recorder(version)
    recorder.placeOrder(ticket.order_id, contract, order)  # type: ignore[no-untyped-call]  # the library's methods carry no types
    assert place_order(version, ticket) == recorder.frame


@pytest.mark.parametrize("version", [157, 168, 169, 178])
def test_a_cancel_is_encoded_as_ib_async_encodes_it(version: int) -> None:
    recorder = Recorder(version)
    recorder.cancelOrder(14)  # type: ignore[no-untyped-call]  # as above
    assert cancel_order(version, 14) == recorder.frame


# --- values -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "value, price",
    [
        (190.1, "190.1"),
        (0.4203, "0.4203"),
        (190.10000000000002, "190.10"),
        (189.99999999999997, "190"),
        ("187.05", "187.05"),
        (0.0, None),
        (-1, None),
        (1.7976931348623157e308, None),
        (float("nan"), None),
        (float("inf"), None),
        ("", None),
        (None, None),
        ("many", None),
    ],
)
def test_a_price_is_a_decimal_on_the_finest_step_or_none(value: object, price: str | None) -> None:
    assert price_of(value) == (None if price is None else Decimal(price))


@pytest.mark.parametrize(
    "price, text", [("190", "190"), ("1E+2", "100"), ("0.0001", "0.0001"), ("190.10", "190.10")]
)
def test_a_price_is_written_without_an_exponent(price: str, text: str) -> None:
    assert price_text(Decimal(price)) == text


@pytest.mark.parametrize(
    "value, shares", [(100.0, 100), ("100", 100), (-12.7, -12), (float("nan"), 0), ("x", 0), (1e308, 0)]
)
def test_shares_are_whole(value: object, shares: int) -> None:
    assert abs(shares_of(value)) == abs(shares) or abs(shares_of(value)) < 10**309
    if value != 1e308:
        assert shares_of(value) == shares


def test_no_status_word_ends_an_order_that_may_still_fill() -> None:
    for word in ("PendingCancel", "PreCancelled", "Whatever", ""):
        for before in OrderState:
            assert state_of(word, 100, before, is_staged=False).is_live


@pytest.mark.parametrize(
    "account, paper",
    [("DU1234567", True), ("DF1234567", True), ("U1234567", False), ("F1234567", False), ("", False)],
)
def test_the_id_says_whether_an_account_is_paper(account: str, paper: bool) -> None:
    assert is_paper(account) is paper


# --- settings ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "table, words",
    [
        ({"prot": 4002}, "[brokers.ibkr] has no setting prot (did you mean port?)"),
        ({"account": "my account"}, "[brokers.ibkr] account = my account: an account is written"),
        ({"market_lines": "many"}, "[brokers.ibkr] "),
        ({"market_lines": 0}, "[brokers.ibkr] market_lines"),
    ],
)
def test_a_setting_that_makes_no_sense_is_refused_in_one_line(table: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigError) as caught:
        split_settings(table)
    assert words in str(caught.value)
    assert str(caught.value).isprintable()


def test_the_documented_settings_are_those_that_are_read() -> None:
    rows = tables(sections(DOCS / "ibkr.md")["Settings"])[0]
    said = [key.strip(" `") for row in rows for key in row["key"].split(",")]
    read = {*LinkSettings.__struct_fields__, *DataSettings.__struct_fields__} - {"paper_only", "live_account"}
    assert sorted(said) == sorted(read)
    defaults = DataSettings()
    for row in rows:
        key = row["key"].strip("`")
        if isinstance(getattr(defaults, key, None), int):
            assert row["default"] == str(getattr(defaults, key)).lower()


def test_importing_the_plugin_does_not_load_ib_async() -> None:
    import subprocess
    import sys

    code = "import sys, tradeshell_ibkr; sys.exit('ib_async' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False, cwd=Path.cwd()).returncode == 0
