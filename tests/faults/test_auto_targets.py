"""Targets that cannot be computed (M15 of the scenarios): nothing is started, nothing is left behind, and the reason is said."""

# ids of scenarios have capital letters

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from tradeshell import PastBars, Register, TakeProfitOffer, Target, TargetsWanted, hookimpl
from tradeshell.bootstrap import Program, Run, program
from tradeshell.config import load_settings
from tradeshell.plugins import Candidate, PluginHost, find_candidates
from tradeshell.testing.outcome import Runner

LINES = (
    "breakout AAA 12 100 tp=auto tp_count=3 sl=11",
    "breakout AAA 12 100 tp-2 sl=11",
    "breakout AAA 12 100 tp-1",
)
START = datetime(2013, 10, 8, 13, 30, tzinfo=UTC)


def record(folder: Path, minutes: int) -> Path:
    """Write a recording of so many minutes before 10:30 New York, and some behind it."""
    rows = ["ts,open,high,low,close,volume"]
    for number in (*range(60 - minutes, 60), *range(60, 120)):
        at = START + timedelta(minutes=number)
        rows.append(f"{at:%Y-%m-%dT%H:%M:%SZ},10,10.{number % 7}1,9.9,10,100")
    path = folder / "AAA_2013-10-08_trades.csv"
    path.write_text("\n".join([*rows, ""]), encoding="utf-8")
    return path


@contextmanager
def replayed(folder: Path, minutes: int, *more: Candidate) -> Iterator[Program]:
    """Open the whole program on such a recording at 10:30, with ``more`` plugins."""
    empty = folder / "config.toml"
    empty.write_text("", encoding="utf-8")
    flags = {
        "config": str(empty),
        "state_dir": str(folder / "state"),
        "replay": [str(record(folder, minutes))],
        "speed": "max",
        "start": "10:30",
    }
    settings = load_settings(flags, {})
    plugins = PluginHost(candidates=[*find_candidates(), *more])
    with program(settings, Run(batch=True), {}, plugins_with_builtins(plugins)) as running:
        running.shell.batch = False
        yield running


def plugins_with_builtins(plugins: PluginHost) -> PluginHost:
    """Return the host loaded as the program loads it."""
    from tradeshell.shell.commands import BUILTIN_COMMANDS, RESERVED_WORDS

    plugins.add_builtin(BUILTIN_COMMANDS, RESERVED_WORDS)
    plugins.load()
    return plugins


def method(name: str, find: Callable[[TargetsWanted, PastBars], list[Target]]) -> Candidate:
    """Return a plugin that offers ``find``."""

    class Plugin:
        @hookimpl
        def register_take_profits(self, register: Register[TakeProfitOffer]) -> None:
            register(name, TakeProfitOffer(find=find, words="for a test"))

    return Candidate(name=name, load=Plugin)


def is_untouched(running: Program, folder: Path) -> None:
    """Assert that no watcher exists, none is on disk, and no event tells of one."""
    desk = running.trading.view().desk
    assert desk.watchers == {}
    assert not [trade for book in desk.books.values() for trade in book.trades]
    state = folder / "state" / "replay"
    assert "WatchRequested" not in (state / "journal").read_text(encoding="utf-8")
    events = [json.loads(line)["event"] for line in (state / "events.jsonl").read_text("utf-8").splitlines()]
    assert not [name for name in events if name.startswith(("Breakout", "AutoTp", "Order"))]
    assert running.engine.keep()
    assert "[[watchers]]" not in (state / "state.toml").read_text(encoding="utf-8")


@pytest.mark.parametrize("line", LINES)
@pytest.mark.parametrize("minutes", [0, 14])
def test_M15_without_history_no_watcher_is_started_and_the_line_says_why(
    tmp_path: Path, line: str, minutes: int
) -> None:
    """Kills: a watcher that is armed first and asks for its targets then; targets that are made up."""
    with replayed(tmp_path, minutes) as running:
        told = Runner(running.shell).run(line)
        assert not told.ok
        wrong = "there are no bars" if minutes == 0 else "14 bars, 15 that move are needed"
        assert re.fullmatch(
            rf"tp=auto: targets above 12\.00 cannot be computed from the history of AAA: {wrong} · nothing was started; .*",
            told.text.strip(),
        )
        is_untouched(running, tmp_path)
        assert Runner(running.shell).run("breakouts").text.startswith("no watchers")


def test_M15_with_enough_history_the_same_line_starts(tmp_path: Path) -> None:
    with replayed(tmp_path, 60) as running:
        Runner(running.shell).run(LINES[0]).assert_ok()
        (watcher,) = running.trading.view().desk.watchers.values()
        assert len(watcher.spec.plan.tps) == len(watcher.spec.plan.tp_why) == 3


@pytest.mark.parametrize("price", ["12", "11.5", "12.005", "NaN"])
def test_M15_a_method_whose_first_target_is_no_target_starts_nothing(tmp_path: Path, price: str) -> None:
    """At the level, below it, off the grid, no number."""

    def find(wanted: TargetsWanted, bars: PastBars) -> list[Target]:
        return [Target(price=Decimal(price), why="wrong")]

    with replayed(tmp_path, 60, method("wrong", find)) as running:
        told = Runner(running.shell).run("breakout AAA 12 100 tp=wrong sl=11")
        assert not told.ok
        assert told.text.startswith("tp=wrong: tp1 ")
        assert "nothing was started" in told.text
        is_untouched(running, tmp_path)


def test_M15_a_method_that_breaks_costs_one_line(tmp_path: Path) -> None:
    def find(wanted: TargetsWanted, bars: PastBars) -> list[Target]:
        return [Target(price=Decimal(13), why=bars(60, 1, True)[5].symbol)]

    with replayed(tmp_path, 60, method("broken", find)) as running:
        told = Runner(running.shell).run("breakout AAA 12 100 tp=broken sl=11")
        assert told.text.startswith(
            "tp=broken failed: IndexError: tuple index out of range · nothing was started"
        )
        assert "Traceback" not in told.text
        is_untouched(running, tmp_path)


def test_M15_a_symbol_that_cannot_be_had_asks_no_method(tmp_path: Path) -> None:
    def find(wanted: TargetsWanted, bars: PastBars) -> list[Target]:
        raise AssertionError("never asked")

    with replayed(tmp_path, 60, method("never", find)) as running:
        told = Runner(running.shell).run("breakout BBB 12 100 tp=never sl=11")
        assert told.text.startswith("BBB: ")
        is_untouched(running, tmp_path)
