"""The feed and the exchange against the oracle of the recorded market: entry, exit, bar and price of every row."""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from tests.plugins.paper.venue import Venue, on_venue, order

import tradeshell_paper.broker
from tradeshell import Bar, ExecutionReport, Tif
from tradeshell_paper.feed_replay import replay_market

DATA = Path(__file__).parents[4] / "shared" / "market-data"


def load() -> list[dict[str, Any]]:
    """Return the oracle's cases, none where the recorded market is not there."""
    if not (DATA / "oracle.json").is_file():
        return []
    cases: list[dict[str, Any]] = json.loads((DATA / "oracle.json").read_text(encoding="utf-8"))["cases"]
    return cases


CASES = load()
pytestmark = pytest.mark.skipif(
    not CASES, reason="the recorded market (market-data/) is not beside the repository"
)


def instant(text: str) -> datetime:
    return datetime.fromisoformat(text).astimezone(UTC)


def files(case: dict[str, Any], folder: str = "1m", *, quotes: bool = True) -> list[Path]:
    kinds = ["trades", "quotes"] if quotes and case["has_quotes"] else ["trades"]
    return [DATA / folder / f"{case['symbol']}_{case['date']}_{kind}.csv.gz" for kind in kinds]


class Trade:
    """What one breakout with a bracket came to."""

    def __init__(self) -> None:
        self.trigger: Bar | None = None
        self.executions: list[ExecutionReport] = []
        self.mark: Decimal | None = None


async def breakout(
    venue: Venue, case: dict[str, Any], level: dict[str, Any], bracket: dict[str, Any] | None
) -> Trade:
    """Buy at the ask when a regular minute closes at or above the level, with take profit and stop attached."""
    symbol, broker = case["symbol"], venue.broker
    price, search = Decimal(level["level_price"]), instant(level["search_from"])
    await broker.qualify(symbol)
    trade = Trade()

    def on_bar(bar: Bar) -> None:
        if trade.trigger is not None or bar.start < search or bar.close < price:
            return
        trade.trigger = bar
        if bracket is None:
            return
        touch = broker.latest(symbol)
        assert touch is not None
        more: dict[str, Any] = {"tif": Tif.GTC, "parent_ref": "entry"}
        venue.place(
            order("BUY", 100, f"LMT {touch.ask}", "entry", symbol, transmit=False),
            order("SELL", 100, f"LMT {bracket['tp']}", "tp1", symbol, transmit=False, **more),
            order("SELL", 100, f"STP LMT {bracket['sl']} {bracket['sl']}", "sl1", symbol, **more),
        )

    broker.subscribe(symbol, 60, True, on_bar)
    await venue.ended.wait()
    trade.executions = venue.executions()
    mark = broker.latest(symbol)
    trade.mark = None if mark is None else mark.bid
    return trade


def minute_of(execution: ExecutionReport) -> datetime:
    return execution.at.replace(second=0, microsecond=0)


def run(case: dict[str, Any], level: dict[str, Any], bracket: dict[str, Any] | None) -> Trade:
    return on_venue(lambda venue: breakout(venue, case, level, bracket))


def read_once(monkeypatch: pytest.MonkeyPatch, paths: list[Path]) -> None:
    """Read the files of a day once for all its rows: a recorded market does not change while it is played."""
    market = replay_market(paths, None)
    monkeypatch.setattr(tradeshell_paper.broker, "make_market", lambda *_: market)


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case['symbol']}-{case['date']}")
def test_every_row_of_the_oracle_comes_out_the_same(
    case: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    read_once(monkeypatch, files(case))
    for level in case["levels"]:
        name = f"{case['symbol']} {case['date']} {level['level']}"
        for bracket in level.get("brackets", [None]):
            trade = run(case, level, bracket)
            if level["result"] == "NO_TRIGGER":
                assert trade.trigger is None, name
                continue
            assert trade.trigger is not None, name
            assert trade.trigger.start == instant(level["trigger_ts"]), name
            entry, *exits = trade.executions
            assert (entry.price, entry.at) == (Decimal(level["entry"]), instant(level["entry_ts"])), name
            if bracket["result"] == "EOD":
                assert exits == [], name
                assert trade.mark == Decimal(bracket["exit_price"]), name
                continue
            (found,) = exits
            leg = {"TP": "tp1", "SL": "sl1"}[bracket["result"]]
            wanted = (leg, Decimal(bracket["exit_price"]), instant(bracket["hit_bar_ts"]))
            assert (found.ref, found.price, minute_of(found)) == wanted, f"{name} {bracket['tp_pct']}"


FINE = [case for case in CASES if case["has_1s"]]


@pytest.mark.parametrize("case", FINE, ids=lambda case: f"{case['symbol']}-{case['date']}")
def test_seconds_decide_where_they_are_replayed_too(
    case: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    seconds = DATA / "1s" / f"{case['symbol']}_{case['date']}_trades.csv.gz"
    read_once(monkeypatch, [*files(case), seconds])
    for level in case["levels"]:
        for bracket in level.get("brackets", []):
            trade = run(case, level, bracket)
            entry, *exits = trade.executions
            assert entry.price == Decimal(level["entry"])
            if bracket["result_1s"] in ("TP", "SL"):
                (found,) = exits
                assert found.ref == {"TP": "tp1", "SL": "sl1"}[bracket["result_1s"]]
                assert timedelta(0) <= found.at - instant(bracket["hit_1s_ts"]) < timedelta(seconds=1)
            else:
                assert exits == []


@pytest.mark.parametrize(
    "case", [c for c in CASES if c["featured"]], ids=lambda case: f"{case['symbol']}-{case['date']}"
)
def test_without_the_quotes_the_entry_is_the_open_of_the_next_minute(
    case: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    read_once(monkeypatch, files(case, quotes=False))
    bars = {bar.start: bar for bar in on_venue(lambda venue: all_bars(venue, case["symbol"]))}
    for level in case["levels"]:
        for bracket in level.get("brackets", []):
            entry = run(case, level, bracket).executions[0]
            after = min(
                start for start in bars if start >= instant(level["trigger_ts"]) + timedelta(minutes=1)
            )
            assert (entry.price, entry.at) == (bars[after].open, after)


async def all_bars(venue: Venue, symbol: str) -> list[Bar]:
    found: list[Bar] = []
    venue.broker.subscribe(symbol, 60, True, found.append)
    await asyncio.sleep(86400)
    return found
