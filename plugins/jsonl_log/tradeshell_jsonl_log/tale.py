"""What the log says, put in order: one tale for each watcher or trade, made of its records.

Laws: everything here comes from records alone, whatever made them; a record that lacks a field is read as far as it goes. A
watcher that a restart took up again is one tale; a replay that is run a second time has the same names and is another.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from datetime import datetime
from decimal import Decimal, InvalidOperation
from typing import Any
from zoneinfo import ZoneInfo

from msgspec import Struct, field

from tradeshell import Side, money, parse_ref

NEW_YORK = ZoneInfo("America/New_York")
FILLS = ("OrderFilled", "BracketChildOrderFilled")
STATUSES = ("OrderStatusChanged", "BracketChildOrderStatusChanged")


class Said(Struct, frozen=True):
    """One record, with what is asked of it."""

    raw: dict[str, Any]
    event: str
    at: datetime

    @property
    def seq(self) -> int:
        """Its number in the log."""
        return self.number("seq")

    def text(self, name: str) -> str:
        """Return a field as text, "" when it is not set."""
        value = self.raw.get(name)
        return "" if value is None else str(value)

    def number(self, name: str) -> int:
        """Return a field as a whole number, 0 when it is not one."""
        value = self.raw.get(name)
        return value if isinstance(value, int) else 0

    def price(self, name: str) -> Decimal | None:
        """Return a price or an amount (USD), ``None`` when it is not set."""
        return as_price(self.raw.get(name))

    def prices(self, name: str) -> tuple[Decimal, ...]:
        """Return a list of prices (USD)."""
        found = (as_price(value) for value in self.raw.get(name) or ())
        return tuple(price for price in found if price is not None)

    def cash(self, name: str) -> str:
        """Return a price in a trader's words: ``190.00``, ``–`` when it is not set."""
        return shown_price(self.price(name))

    def order_words(self) -> str:
        """Return the price of an intent in a trader's words: ``stop 187.00 limit 187.00``."""
        stop = [f"stop {self.cash('stop')}"] if self.price("stop") is not None else []
        limit = [f"limit {self.cash('limit')}"] if self.price("limit") is not None else []
        return " ".join([*stop, *limit]) or "at the market"


def as_price(value: object) -> Decimal | None:
    """Return a number of a record; they are text, so that nobody rounds them."""
    try:
        found = Decimal(str(value))
    except InvalidOperation:
        return None
    return found if found.is_finite() else None


def shown_price(price: Decimal | None) -> str:
    """Return a price in a trader's words, with four digits behind the point at most."""
    if price is None:
        return "–"
    return money(price if price == price.quantize(Decimal("0.0001")) else price.quantize(Decimal("0.0001")))


def clock(at: datetime, today: datetime, *, fine: bool = False) -> str:
    """Return the New York time of day, with the date when that is not today's; ``fine``: with milliseconds."""
    local = at.astimezone(NEW_YORK)
    words = f"{local:%H:%M:%S}.{local.microsecond // 1000:03}" if fine else f"{local:%H:%M:%S}"
    return words if local.date() == today.astimezone(NEW_YORK).date() else f"{local:%Y-%m-%d} {words}"


class Execution(Struct, frozen=True):
    """One execution, as its last correction has it. ``pnl`` USD before fees."""

    ref: str
    leg: str
    side: Side
    qty: int
    price: Decimal
    at: datetime
    pnl: Decimal | None


class Tale(Struct):
    """All records of one watcher or trade, oldest first."""

    id: str
    symbol: str
    said: list[Said] = field(default_factory=list)

    def all(self, *events: str, leg: str = "", ref: str = "") -> list[Said]:
        """Return its records of some kinds (of all without any), of one leg, of one order."""
        return [
            each
            for each in self.said
            if (not events or each.event in events)
            and (not leg or each.text("leg") == leg)
            and (not ref or each.text("order_ref") == ref)
        ]

    def last(self, *events: str, leg: str = "", ref: str = "") -> Said | None:
        """Return its last record of some kinds."""
        found = self.all(*events, leg=leg, ref=ref)
        return found[-1] if found else None

    def intents(self, action: str = "", *, leg: str = "", ref: str = "") -> list[Said]:
        """Return what was to be sent: ``place``, ``replace``, ``cancel`` or all of it."""
        return [
            each for each in self.all("OrderIntent", leg=leg, ref=ref) if action in ("", each.text("action"))
        ]

    def entry_ref(self) -> str:
        """Return the name of the order that began it, "" when none was to be sent."""
        placed = self.intents("place")
        return placed[0].text("order_ref") if placed else ""

    def refs(self, leg: str) -> list[str]:
        """Return the orders of a leg, oldest first."""
        return list(dict.fromkeys(each.text("order_ref") for each in self.intents(leg=leg)))

    def legs(self) -> list[str]:
        """Return the legs that had orders, in the order in which they came."""
        return list(dict.fromkeys(each.text("leg") for each in self.intents("place")))

    def executions(self, *, leg: str = "", ref: str = "") -> list[Execution]:
        """Return its executions; a correction takes the place of what it corrects."""
        found: dict[str, Execution] = {}
        for each in self.all(*FILLS, leg=leg, ref=ref):
            price = each.price("price") or Decimal(0)
            stem = each.text("exec_id").rpartition(".")[0] or each.text("exec_id")
            at = datetime.fromisoformat(each.text("at")) if each.text("at") else each.at
            known = found.get(stem)
            found[stem] = Execution(
                ref=each.text("order_ref"),
                leg=each.text("leg"),
                side=Side(each.text("side")),
                qty=each.number("qty"),
                price=price,
                at=at if known is None else known.at,
                pnl=each.price("pnl"),
            )
        return [each for each in found.values() if each.qty > 0]

    def bought(self) -> list[Execution]:
        """Return the executions of its entry."""
        return [each for each in self.executions() if each.side is Side.BUY]

    def sold(self) -> list[Execution]:
        """Return the executions of its exits."""
        return [each for each in self.executions() if each.side is Side.SELL]

    def fees(self) -> Decimal:
        """Return what the broker charged, USD; a correction is charged once."""
        charged = {
            each.text("exec_id"): each.price("amount") or Decimal(0) for each in self.all("CommissionCharged")
        }
        return sum(charged.values(), Decimal(0))


def shares(executions: Iterable[Execution]) -> int:
    """Return how many shares were executed."""
    return sum(each.qty for each in executions)


def average(executions: Iterable[Execution]) -> Decimal | None:
    """Return the average price of executions (USD), ``None`` of none."""
    listed = list(executions)
    qty = shares(listed)
    return sum((each.price * each.qty for each in listed), Decimal(0)) / qty if qty else None


class Tales(Struct):
    """The tales of a log in the order in which they began, and what belongs to none of them."""

    tales: list[Tale] = field(default_factory=list)
    general: list[Said] = field(default_factory=list)

    def on(self, symbol: str) -> list[Tale]:
        """Return the tales about a symbol, oldest first."""
        return [tale for tale in self.tales if tale.symbol == symbol]

    def named(self, id_: str) -> Tale | None:
        """Return the newest tale of that name."""
        return next((tale for tale in reversed(self.tales) if tale.id == id_), None)


def told(records: Iterable[dict[str, Any]]) -> Tales:
    """Put records in order."""
    found = Tales()
    by_key: dict[tuple[int, str], Tale] = {}
    starts: Counter[str] = Counter()
    for said in _said(records):
        session = said.text("session")
        if said.event == "SessionStarted":
            starts[session] += 1
        id_ = said.text("watch") or _watch_of(said.text("order_ref"))
        if not id_:
            found.general.append(said)
            continue
        key = (starts[session], id_)
        if key not in by_key:
            by_key[key] = Tale(id=id_, symbol=said.text("symbol"))
            found.tales.append(by_key[key])
        by_key[key].said.append(said)
    return found


def _said(records: Iterable[dict[str, Any]]) -> Iterator[Said]:
    for record in records:
        yield Said(record, record["event"], datetime.fromisoformat(record["ts"]))


def _watch_of(ref: str) -> str:
    parts = parse_ref(ref) if ref else None
    return "" if parts is None else parts.watch
