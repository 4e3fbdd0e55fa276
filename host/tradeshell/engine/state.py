"""The snapshot ``state.toml``: its shape, what is believed of it, and how an older one is read. pydantic validates it here.

Laws: people may read and edit it, so nothing in it is believed before it is validated, strictly and entry by entry: a watcher
that does not validate is named with its line, key and rule, and left out; the others count. Nothing here touches a disk. Prices
are text so that they stay exact; times are UTC.
"""

from __future__ import annotations

import re
import tomllib
from collections import Counter
from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any

import msgspec
from msgspec import Struct

from tradeshell.core.desk import Desk, Watcher, WatchPhase
from tradeshell.core.inputs import WatchSpec
from tradeshell.core.market import Instrument, Price, Session, Shares
from tradeshell.core.plan import TradePlan, check_plan
from tradeshell.core.trade import Trade, inventory, leg_shares
from tradeshell.errors import TradeshellError
from tradeshell.grammar import shown

if TYPE_CHECKING:
    from pydantic import BaseModel

VERSION = 2
MOST_SHOWN = 5  # problems of a file that are told one by one


class DamagedState(ValueError):
    """The file is no snapshot."""


class NewerState(DamagedState):
    """The file was written by a newer version of the program."""


class SavedWatcher(Struct, frozen=True, kw_only=True):
    """A watcher as it stands in the snapshot. ``spec`` ``None``: an older version did not write all of it down."""

    id: str
    symbol: str
    strategy: str
    phase: WatchPhase
    fired: bool
    started_at: datetime
    day: int = 1
    end_reason: str = ""
    asks: str = ""
    spec: WatchSpec | None = None


class SavedLeg(Struct, frozen=True, kw_only=True):
    """A leg of a trade: the shares that it still holds, where its exits are, how far its protection has come down."""

    number: int
    held: Shares
    tp: Price | None
    stop: Price | None
    rung: str


class SavedTrade(Struct, frozen=True, kw_only=True):
    """A trade as it stands in the snapshot, for people: what it holds, how it is protected, which orders it sent."""

    id: str
    symbol: str
    phase: str
    origin: str
    held: int = 0
    protection: str = ""
    refs: tuple[str, ...] = ()
    legs: tuple[SavedLeg, ...] = ()


class Saved(Struct, frozen=True, kw_only=True):
    """The snapshot. ``journal_seq``: the last journal entry it contains; ``session``: whose journal that is.

    ``stopped``: why no entry leaves; the next session begins with it. ``left_out``: what is in the file and did not validate.
    """

    version: int
    session: str
    broker: str
    account: str
    journal_seq: int
    stopped: str = ""
    watchers: tuple[SavedWatcher, ...] = ()
    trades: tuple[SavedTrade, ...] = ()
    left_out: tuple[str, ...] = ()


# --- from the desk ----------------------------------------------------------------------------------------------------


def snapshot(desk: Desk, *, session: str, broker: str, journal_seq: int) -> Saved:
    """Return what is kept of a desk."""
    return Saved(
        version=VERSION,
        session=session,
        broker=broker,
        account=desk.account,
        journal_seq=journal_seq,
        stopped=desk.stopped,
        watchers=tuple(_watcher(watcher) for watcher in desk.watchers.values()),
        trades=tuple(_trade(desk, trade) for trade in desk.trades()),
    )


def _watcher(watcher: Watcher) -> SavedWatcher:
    return SavedWatcher(
        id=watcher.spec.id,
        symbol=watcher.spec.plan.symbol,
        strategy=watcher.spec.strategy,
        phase=watcher.phase,
        fired=watcher.fired,
        started_at=watcher.started_at,
        day=watcher.day,
        end_reason=watcher.end_reason,
        asks=watcher.asks,
        spec=watcher.spec,
    )


def _trade(desk: Desk, trade: Trade) -> SavedTrade:
    orders = desk.books[trade.plan.symbol].orders
    held = leg_shares(trade, orders)
    return SavedTrade(
        id=trade.id,
        symbol=trade.plan.symbol,
        phase=trade.phase.value,
        origin=trade.origin,
        held=inventory(trade, orders),
        protection=trade.protection,
        refs=trade.refs,
        legs=tuple(
            SavedLeg(
                number=leg.number, held=held.get(leg.number, 0), tp=leg.tp, stop=leg.stop, rung=leg.rung.value
            )
            for leg in trade.legs
        ),
    )


# --- as text ----------------------------------------------------------------------------------------------------------


def dumped(saved: Saved) -> str:
    """Return the snapshot as TOML; raises ``ValueError`` for text that TOML cannot hold."""
    import tomli_w  # noqa: PLC0415  # on the keeper's thread, not at start-up

    head = {name: getattr(saved, name) for name in ("version", "session", "broker", "account")}
    head |= {"journal_seq": saved.journal_seq, "stopped": saved.stopped}
    watchers = []
    for each in saved.watchers:
        watcher: dict[str, Any] = {
            "id": each.id, "symbol": each.symbol, "strategy": each.strategy, "phase": each.phase.value,
            "fired": each.fired, "started_at": each.started_at, "day": each.day, "end_reason": each.end_reason, "asks": each.asks,
        }  # fmt: skip
        if each.spec is not None:
            watcher |= {
                "con_id": each.spec.instrument.con_id,
                "params": dict(each.spec.params),
                "plan": _builtins(each.spec.plan),
            }
            if each.spec.session is not None:
                watcher["hours"] = _builtins(each.spec.session)
        watchers.append(watcher)
    return tomli_w.dumps({**head, "watchers": watchers, "trades": [_builtins(t) for t in saved.trades]})


def _builtins(value: Struct) -> Any:
    return _without_none(msgspec.to_builtins(value, builtin_types=(datetime,)))


def _without_none(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_none(item) for key, item in value.items() if item is not None}
    return [_without_none(item) for item in value] if isinstance(value, list | tuple) else value


# --- from text --------------------------------------------------------------------------------------------------------


def parsed(data: bytes) -> Saved:
    """Return the snapshot that a file holds; raises ``NewerState``, and ``ValueError`` in one line when it holds none."""
    try:
        raw = tomllib.loads(data.decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        raise DamagedState(f"byte {error.start} is no UTF-8") from None
    except RecursionError:
        raise DamagedState("it is nested too deeply") from None
    version = raw.get("version")
    if isinstance(version, bool) or not isinstance(version, int):
        raise DamagedState("it does not say its version")
    if version > VERSION:
        raise NewerState(f"version {version}, this program reads {VERSION}")
    if version < VERSION:
        raw = _migrated(raw, version)
    text = data.decode("utf-8-sig")
    entries = {key: raw.pop(key, []) for key in ("watchers", "trades")}
    from tradeshell.engine import state_shape  # noqa: PLC0415  # pydantic: only a start that finds a file pays for it

    head = _checked(state_shape.HeadTable, raw, text, ())
    left_out: list[str] = []
    found: dict[str, list[Any]] = {"watchers": [], "trades": []}
    for key, read in (("watchers", _read_watcher), ("trades", _read_trade)):
        if not isinstance(entries[key], list):
            raise DamagedState(f"{key} is no list of tables: it begins with [[{key}]]")
        for number, entry in enumerate(entries[key]):
            try:
                found[key].append(read(entry, text, number))
            except (ValueError, TradeshellError) as error:
                left_out.append(f"[[{key}]] {number + 1}{_named(entry)}: {_one_line(error)}")
    twice = [id_ for id_, count in Counter(w.id for w in found["watchers"]).items() if count > 1]
    left_out += [f"[[watchers]] {shown(id_)}: there are several of this id" for id_ in twice]
    watchers = tuple(watcher for watcher in found["watchers"] if watcher.id not in twice)
    return Saved(**head, watchers=watchers, trades=tuple(found["trades"]), left_out=tuple(left_out))


def _read_watcher(entry: Any, text: str, number: int) -> SavedWatcher:
    from tradeshell.engine import state_shape as shape  # noqa: PLC0415  # as above

    values = _checked(shape.WatcherTable, entry, text, ("watchers", number))
    plan, params, hours, con_id = (values.pop(name) for name in ("plan", "params", "hours", "con_id"))
    phase = WatchPhase(values.pop("phase"))
    spec = None
    if plan is not None:
        made = msgspec.convert(plan, TradePlan)
        if made.symbol != values["symbol"]:
            raise ValueError(
                f"plan.symbol = {shown(made.symbol)}: the watcher's symbol is {values['symbol']}"
            )
        check_plan(made)
        spec = WatchSpec(
            id=values["id"],
            strategy=values["strategy"],
            plan=made,
            params=params,
            instrument=Instrument(symbol=made.symbol, con_id=con_id),
            session=None if hours is None else Session(**hours),
        )
    elif phase is WatchPhase.ARMED and not values.pop("is_old", False):
        raise ValueError("plan: is missing")
    values.pop("is_old", None)
    return SavedWatcher(**values, phase=phase, spec=spec)


def _read_trade(entry: Any, text: str, number: int) -> SavedTrade:
    from tradeshell.engine import state_shape as shape  # noqa: PLC0415  # as above

    values = _checked(shape.TradeTable, entry, text, ("trades", number))
    legs = tuple(msgspec.convert(leg, SavedLeg) for leg in values.pop("legs"))
    return SavedTrade(**{**values, "refs": tuple(values["refs"])}, legs=legs)


def _migrated(raw: Mapping[str, Any], version: int) -> dict[str, Any]:
    """Return a file of an older version as this one would have written it, as far as that was written down."""
    if version != 1:
        raise DamagedState(f"version {version} is unknown")
    watchers = [
        {**{k: v for k, v in each.items() if k not in ("qty", "level", "tp", "sl", "params")}, "is_old": True}
        if isinstance(each, dict)
        else each
        for each in (raw.get("watchers", []) if isinstance(raw.get("watchers", []), list) else [])
    ]
    return {**raw, "version": VERSION, "watchers": watchers}


def _checked(model: type[BaseModel], raw: Any, text: str, where: tuple[str | int, ...]) -> dict[str, Any]:
    """Return the values of a table; raises ``ValueError`` with its line, key and rule in one line."""
    from pydantic import ValidationError  # noqa: PLC0415  # as above

    try:
        return model.model_validate(raw).model_dump()
    except ValidationError as error:
        problems = error.errors(include_url=False, include_context=False)
        first = problems[0]
        key = ".".join(str(part) for part in first["loc"])
        line = _line_of(text, where, [str(part) for part in first["loc"]])
        more = f" · and {len(problems) - 1} more" if len(problems) > 1 else ""
        said = _lower_first(first["msg"].removeprefix("Value error, "))
        given = "" if first["type"] in ("missing", "extra_forbidden") else f" = {shown(str(first['input']))}"
        place = f"line {line}, " if line else ""
        raise ValueError(f"{place}{shown(key) or 'it'}{given}: {said}{more}") from None


def _line_of(text: str, where: tuple[str | int, ...], path: list[str]) -> int:
    """Return the line on which a key of an entry stands, that of the entry when it is not found, 0 without one."""
    table = str(where[0]) if where else ""
    seen, nearest, below = -1, 0, ""
    for number, line in enumerate(text.splitlines(), 1):
        if header := re.match(r"\s*\[\[?\s*([\w.]+)\s*\]\]?", line):
            below = header[1]
            if below == table and line.lstrip().startswith("[["):
                seen += 1
                nearest = number if where and seen == where[1] else nearest
        elif (key := re.match(r"\s*([\w]+)\s*=", line)) and (not where or seen == where[1]):
            inner = below[len(table) :].strip(".").split(".") if below != table else []
            if [*inner, key[1]] == path[: len(inner) + 1]:
                return number
    return nearest


def _named(entry: Any) -> str:
    id_ = entry.get("id") if isinstance(entry, dict) else None
    return f" ({shown(id_, 20)})" if isinstance(id_, str) and id_ else ""


def _lower_first(said: str) -> str:
    return said[:1].lower() + said[1:]


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())[:200]
