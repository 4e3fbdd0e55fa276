"""How the venue behaves: the table ``[brokers.paper]`` of the config, or ``BrokerContext.settings`` in a test.

Without any key the venue is clean: nothing is late, nothing is refused, orders fill completely.

| key | meaning | default |
| --- | --- | --- |
| ``account`` | the paper account | ``DU0000001`` |
| ``first_order_id``, ``first_execution`` | the lowest order number taken; where execution ids begin | 1, 1 |
| ``latency`` | seconds from ``place``, ``modify`` and ``cancel`` to the exchange | 0 |
| ``partial`` | fills are limited by the size of the quote, the print, or the bar's volume | false |
| ``bar_share`` | with ``partial``: the part of a recorded bar's volume that may fill our orders | 0.1 |
| ``fee_per_share``, ``fee_minimum``, ``fee_max_share`` | USD a share; USD an order; part of the value at most | 0.005, 1, 0.01 |
| ``oca_cancel_spreads`` | cancelling one member of an OCA group by hand cancels the others | true |
| ``oca_shows`` | an OCA reduction is shown as a smaller ``total``, or as smaller ``remaining`` only | total |
| ``oca_join`` | an order that joins a living group is taken ``as_sent``, ``capped`` at the largest order left in it, or
``refused`` once something of the group has executed | as_sent |
| ``oca_restores`` | a change that repeats the total from before an OCA reduction undoes the reduction | false |
| ``oca_race`` | type 3: orders of a group that one bar or print reaches all fill (no overfill protection) | false |
| ``slippage`` | USD a share by which whatever takes any price (market orders, elected stops) fills worse | 0 |
| ``chased_stops`` | a stop-limit that a bar's open gaps through fills at that open, as if chased; false: it rests | true |
| ``partial_parent`` | children of a partly filled, then cancelled parent: ``cancel`` them or ``hold`` them for ever | cancel |
| ``reduced_to_filled`` | a change down to (or below) what has filled ends the order ``cancelled`` or ``filled`` | cancelled |
| ``refuse`` | refusals to inject: tables of ``action symbol side type leg code text advisory times``, or a callable | none |
| ``courier`` | what becomes of each message: a table of delays and ages, or a ``Courier`` in a test | none |
| ``unanswered`` | a snapshot that the courier leaves unanswered will ``fail``, or ``hang`` until the link drops | fail |
| ``dead_streams`` | streams of bars that go dead: a list of ``SYM@HH:MM`` (until subscribed anew) or ``SYM@HH:MM-HH:MM`` | none |
| ``witness`` | a callable in a test that is told what happens at the venue and what is handed to the host | none |
| ``bars`` | a market from memory: ``Bar`` objects, each symbol and length in time order (tests, benchmarks) | none |
| ``script`` | a market from a script: ``Bar``, ``Quote``, ``Print`` and ``Halt`` objects (tests) | none |
"""

from __future__ import annotations

import difflib
import math
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from decimal import Decimal, InvalidOperation
from typing import Any, TypeAlias, TypeVar

from msgspec import Struct

from tradeshell import Bar, ConfigError, OrderSpec, OrderType, Shares, Side, parse_account, parse_ref
from tradeshell_paper.checkup import DeadStream, read_dead_streams
from tradeshell_paper.courier import (
    AT_ONCE,
    KINDS,
    MESSAGES,
    Courier,
    TableCourier,
    parse_age,
    parse_delays,
    read_courier,
)
from tradeshell_paper.witness import Witness


class Refusal(Struct, frozen=True):
    """Why the venue does not take something: the code and text of IBKR's catalogue.

    ``advisory``: it is only said, and what was asked for is done all the same.
    """

    code: int
    text: str
    advisory: bool = False


# A rule of two arguments (order, instant) is asked about new orders only, one of three about every action: ``place``, ``modify``
# (with the order as it would be) and ``cancel`` (with the order as it is).
RefuseRule: TypeAlias = Callable[..., Refusal | None]
ACTIONS = ("place", "modify", "cancel")


class Fees(Struct, frozen=True, kw_only=True):
    """Commission of one order: ``per_share`` USD a share, at least ``minimum`` USD, at most ``max_share`` of its value."""

    per_share: Decimal = Decimal("0.005")
    minimum: Decimal = Decimal("1.00")
    max_share: Decimal = Decimal("0.01")

    def of_order(self, shares: Shares, value: Decimal) -> Decimal:
        """Return the fee in USD, on cents, of an order that has filled ``shares`` for ``value`` USD."""
        return min(max(self.per_share * shares, self.minimum), self.max_share * value).quantize(
            Decimal("0.01")
        )


class Rules(Struct, frozen=True, kw_only=True):
    """The exchange's rules of the game; the module's table says what each means."""

    account: str = "DU0000001"
    first_execution: int = 1
    partial: bool = False
    bar_share: Decimal = Decimal("0.1")
    fees: Fees = Fees()
    oca_cancel_spreads: bool = True
    oca_shows_total: bool = True
    oca_join: str = "as_sent"
    oca_restores: bool = False
    oca_race: bool = False
    chased_stops: bool = True
    slippage: Decimal = Decimal(0)
    holds_orphans: bool = False
    reduced_is_filled: bool = False
    refuse: RefuseRule | None = None


class Print(Struct, frozen=True):
    """One trade of a script: ``price`` USD, ``size`` shares."""

    symbol: str
    at: datetime
    price: Decimal
    size: Shares = 100


class Halt(Struct, frozen=True):
    """A script's trading halt (``on``) or its end."""

    symbol: str
    at: datetime
    on: bool = True


class Settings(Struct, frozen=True, kw_only=True):
    """All settings of the venue. ``latency`` in seconds; ``bars`` and ``script`` replace the feed."""

    rules: Rules = Rules()
    courier: Courier | None = None
    hangs: bool = False
    dead_streams: tuple[DeadStream, ...] = ()
    witness: Witness | None = None
    first_order_id: int = 1
    latency: float = 0.0
    bars: tuple[Bar, ...] = ()
    script: tuple[Any, ...] = ()


T = TypeVar("T")


class _Table:
    """A table of settings that is read key by key; what is left over was misspelt."""

    def __init__(self, place: str, values: Mapping[str, Any]) -> None:
        self._place = place
        self._left = dict(values)
        self._known: list[str] = []

    def take(self, key: str, default: T, parse: Callable[[Any], T]) -> T:
        """Return the parsed value of ``key``, or ``default``."""
        self._known.append(key)
        if key not in self._left:
            return default
        value = self._left.pop(key)
        try:
            return parse(value)
        except (ValueError, TypeError, InvalidOperation) as error:
            said = str(error) if isinstance(error, ValueError) else "is of the wrong kind"
            raise ConfigError(f"{self._place} {key} = {value!r}: {said}") from None

    def done(self) -> None:
        """Refuse what nobody asked for."""
        for key in self._left:
            near = difflib.get_close_matches(key, self._known, 1)
            hint = f" · did you mean {near[0]}?" if near else f" · known: {', '.join(self._known)}"
            raise ConfigError(f"{self._place} has no setting {key!r}{hint}")


def read_settings(values: Mapping[str, Any]) -> Settings:
    """Return the settings; raises ``ConfigError`` naming the key and the rule."""
    table = _Table("[brokers.paper]", values)
    rules = Rules(
        account=table.take("account", "DU0000001", _paper_account),
        first_execution=table.take("first_execution", 1, _whole),
        partial=table.take("partial", False, _boolean),
        bar_share=table.take("bar_share", Decimal("0.1"), _part),
        fees=Fees(
            per_share=table.take("fee_per_share", Decimal("0.005"), _amount),
            minimum=table.take("fee_minimum", Decimal("1.00"), _amount),
            max_share=table.take("fee_max_share", Decimal("0.01"), _part),
        ),
        oca_cancel_spreads=table.take("oca_cancel_spreads", True, _boolean),
        oca_shows_total=table.take("oca_shows", "total", _one_of("total", "remaining")) == "total",
        oca_join=table.take("oca_join", "as_sent", _one_of("as_sent", "capped", "refused")),
        oca_restores=table.take("oca_restores", False, _boolean),
        oca_race=table.take("oca_race", False, _boolean),
        slippage=table.take("slippage", Decimal(0), _amount),
        chased_stops=table.take("chased_stops", True, _boolean),
        holds_orphans=table.take("partial_parent", "cancel", _one_of("cancel", "hold")) == "hold",
        reduced_is_filled=table.take("reduced_to_filled", "cancelled", _one_of("cancelled", "filled"))
        == "filled",
        refuse=table.take("refuse", None, _refuse),
    )
    settings = Settings(
        rules=rules,
        courier=table.take("courier", None, lambda value: read_courier(value, _courier)),
        hangs=table.take("unanswered", "fail", _one_of("fail", "hang")) == "hang",
        dead_streams=table.take("dead_streams", (), read_dead_streams),
        witness=table.take("witness", None, _witness),
        first_order_id=table.take("first_order_id", 1, _whole),
        latency=table.take("latency", 0.0, _seconds),
        bars=table.take("bars", (), tuple),
        script=table.take("script", (), tuple),
    )
    table.done()
    return settings


# --- parsers: ValueError with the rule --------------------------------------------------------------------------------


def _boolean(value: object) -> bool:
    if isinstance(value, bool):
        return value
    raise ValueError("is true or false")


def _whole(value: object) -> int:
    if isinstance(value, int) and not isinstance(value, bool) and 0 < value < 2**31:
        return value
    raise ValueError("is a whole number above zero")


def _amount(value: object) -> Decimal:
    if isinstance(value, int | float | str | Decimal) and not isinstance(value, bool):
        amount = Decimal(str(value))
        if amount.is_finite() and amount >= 0:
            return amount
    raise ValueError("is an amount of zero or more")


def _part(value: object) -> Decimal:
    amount = _amount(value)
    if not 0 < amount <= 1:
        raise ValueError("is a part above 0, at most 1")
    return amount


def _seconds(value: object) -> float:
    if isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value) and value >= 0:
        return float(value)
    raise ValueError("is a number of seconds, zero or more")


def _paper_account(value: object) -> str:
    account = parse_account(str(value))
    if not account.startswith("D"):
        # The shell takes an account for paper by its first letter, as IBKR's are named: DU…, DF….
        raise ValueError("a paper account begins with D, such as DU0000001")
    return account


def _one_of(*words: str) -> Callable[[object], str]:
    def parse(value: object) -> str:
        if isinstance(value, str) and value in words:
            return value
        raise ValueError(f"is one of {' '.join(words)}")

    return parse


def _witness(value: object) -> Witness | None:
    if value == "none":
        return None
    if callable(value):
        witness: Witness = value
        return witness
    raise ValueError("is a callable of a test, or none")


def _courier(value: Mapping[str, Any]) -> TableCourier:
    table = _Table("[brokers.paper.courier]", value)
    everything = table.take("to_venue", AT_ONCE, parse_delays)
    delays = {action: table.take(action, everything, parse_delays) for action in ACTIONS}
    delays |= {word: table.take(word, AT_ONCE, parse_delays) for word in MESSAGES.values()}
    fresh: float | None = 0.0
    ages = {kind: table.take(f"{kind}_age", fresh, parse_age) for kind in KINDS}
    courier = TableCourier(delays, ages, table.take("answer", 0.0, _seconds))
    table.done()
    return courier


def _refuse(value: object) -> RefuseRule | None:
    if callable(value):
        rule: RefuseRule = value
        return rule
    if isinstance(value, Mapping):
        value = (value,)
    if (
        not isinstance(value, Sequence)
        or isinstance(value, str)
        or not all(isinstance(v, Mapping) for v in value)
    ):
        raise ValueError('is a list of tables, such as {symbol = "AAPL", side = "SELL", code = 201}')
    return _TableOfRefusals(tuple(value))


class _TableOfRefusals:
    """Refuses what matches a table, ``times`` times (for ever without it)."""

    def __init__(self, tables: tuple[Mapping[str, Any], ...]) -> None:
        self._rules: list[tuple[dict[str, str], Refusal]] = []
        self._left: list[float] = []
        for raw in tables:
            table = _Table("[[brokers.paper.refuse]]", raw)
            wanted = {
                "action": table.take("action", "place", _one_of(*ACTIONS)),
                "symbol": table.take("symbol", "", str),
                "side": table.take("side", "", _one_of(*(side.value for side in Side))),
                "type": table.take("type", "", _one_of(*(kind.value for kind in OrderType))),
                "leg": table.take("leg", "", str),
            }
            code = table.take("code", 201, _whole)
            text = table.take("text", "Order rejected - reason:refused by a rule of this venue", str)
            advisory = table.take("advisory", False, _boolean)
            self._left.append(table.take("times", math.inf, _whole))
            table.done()
            self._rules.append(
                ({key: word for key, word in wanted.items() if word}, Refusal(code, text, advisory))
            )

    def __call__(self, spec: OrderSpec, at: datetime, action: str = "place") -> Refusal | None:
        """Return the refusal of the first table that matches."""
        del at
        parts = parse_ref(spec.ref)
        shown = {
            "action": action,
            "symbol": spec.symbol,
            "side": spec.side.value,
            "type": spec.type.value,
            "leg": "" if parts is None else parts.leg,
        }
        for number, (wanted, refusal) in enumerate(self._rules):
            if self._left[number] > 0 and all(shown[key] == word for key, word in wanted.items()):
                self._left[number] -= 1
                return refusal
        return None
