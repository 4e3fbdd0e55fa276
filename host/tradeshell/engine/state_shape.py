"""The shape of ``state.toml``, strictly: a number is no text, an unknown key is refused. Imported only where there is a file."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC
from typing import Annotated, Literal

from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, Field

from tradeshell import words


def _of_words(parse: Callable[[str], object]) -> AfterValidator:
    """Return a check that text is what an operator might have typed."""

    def check(text: str) -> str:
        parse(text)
        return text

    return AfterValidator(check)


Text = Annotated[str, Field(max_length=300)]
Symbol = Annotated[str, _of_words(words.symbol)]
Id = Annotated[str, Field(pattern=r"^[a-z]{1,8}-[a-z0-9]{1,20}$")]
Usd = Annotated[str, Field(pattern=r"^[0-9]{1,9}(\.[0-9]{1,8})?$")]  # exact
Count = Annotated[int, Field(ge=1, le=10**9)]
Number = Annotated[int, Field(ge=0, le=2**62)]
Seconds = Annotated[float, Field(gt=0, le=10**6, allow_inf_nan=False)]
DayTime = Annotated[str, Field(pattern=r"^([01][0-9]|2[0-3]):[0-5][0-9]:00$")]  # New York
Time = Annotated[AwareDatetime, AfterValidator(lambda at: at.astimezone(UTC))]


class Table(BaseModel):
    """A table of the file."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class HeadTable(Table):
    """What stands above the watchers."""

    version: int
    session: Text
    broker: Text
    account: Text
    journal_seq: Number
    stopped: Text = ""


class PlanTable(Table):
    """The plan of a watcher: an entry."""

    symbol: Symbol
    qty: Count
    account: Text
    side: Literal["BUY"]
    level: Usd
    entry: Literal["limit", "market"]
    limit: Usd | None = None
    tps: list[Usd] = Field(default=[], max_length=10)
    tp_method: Text = ""
    tp_why: list[Text] = Field(default=[], max_length=10)
    sl: Usd | None = None
    sl_type: Literal["STP LMT", "STP"]
    sl_offset: Usd
    mode: Literal["none", "attached", "detached70", "detached"]
    weights: list[Count] = Field(default=[], max_length=10)
    stop_updates: list[Usd] = Field(default=[], max_length=10)
    cover: Literal["own", "none"]
    tif: Literal["DAY", "GTC", "IOC", "FOK"]
    exit_tif: Literal["DAY", "GTC"]
    outside_rth: bool
    client_tag: Text | None = None
    entry_timeout: Seconds | None = None
    quote_age: Seconds
    chase_limit: Usd | None = None
    risk_usd: Usd | None = None
    flat_by: DayTime | None = None


class HoursTable(Table):
    """The hours of a watcher's day."""

    open: Time
    close: Time
    extended_open: Time
    extended_close: Time


class WatcherTable(Table):
    """A watcher. ``is_old``: of a version that did not write its plan down."""

    id: Id
    symbol: Symbol
    strategy: Text
    phase: Literal["paused", "armed", "fired", "done"]
    fired: bool
    started_at: Time
    day: Count = 1
    end_reason: Text = ""
    asks: Text = ""
    con_id: Number = 0
    params: dict[Text, Text] = Field(default={}, max_length=50)
    plan: PlanTable | None = None
    hours: HoursTable | None = None
    is_old: bool = False


class LegTable(Table):
    """A leg of a trade."""

    number: Count
    held: Number
    tp: Usd | None = None
    stop: Usd | None = None
    rung: Text


class TradeTable(Table):
    """A trade."""

    id: Id
    symbol: Symbol
    phase: Text
    origin: Text
    held: int = Field(default=0, ge=-(10**9), le=10**9)
    protection: Text = ""
    refs: list[Text] = []
    legs: list[LegTable] = []
