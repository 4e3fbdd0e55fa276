"""`doctor`: what is found on the host, and what becomes of what the broker says, or does not say."""

from __future__ import annotations

import asyncio
import os
import shutil
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from tradeshell.core.desk import Desk, Link
from tradeshell.engine import doctor
from tradeshell.engine.clock import LoopClock, VenueLoop
from tradeshell.engine.doctor import Facts, examine_broker, examine_host, examine_sinks
from tradeshell.errors import BrokerError
from tradeshell.ports import BrokerInfo, PluginReport, View
from tradeshell.testing.pytest_plugin import fix_terminal
from tradeshell.testing.session import open_runner
from tradeshell.upkeep import Finding, LogFile, Outcome

NOW = datetime(2025, 7, 8, 13, 30, tzinfo=UTC)
INFO = BrokerInfo(name="quiet", account="DU1230001", paper=True, words="a test")
LOADED = PluginReport(name="paper", version="1", offers=("broker paper",))


def view(link: Link | None = None, *logs: LogFile) -> View:
    """Return a picture with a link and logs."""
    up = Link(up=True, reconciled=True, epoch=1)
    desk = Desk(link=up if link is None else link)
    audit = LogFile(name="events", path=Path("events.jsonl"))
    return View(now=NOW, desk=desk, broker=INFO, logs=logs or (audit,))


def host(folder: Path, *reports: PluginReport, seen: View | None = None, **facts: Any) -> dict[str, Finding]:
    """Examine the host; findings by name."""
    found = examine_host(Facts(state_dir=folder, **facts), reports or (LOADED,), seen or view())
    return {each.name: each for each in found}


def broker(**methods: Any) -> dict[str, Finding]:
    """Examine a broker that has ``methods``; findings by name."""
    loop = VenueLoop()
    clock = LoopClock(loop)
    clock.start_at(NOW)
    patient = SimpleNamespace(info=lambda: INFO, **methods)
    try:
        found = loop.run_until_complete(examine_broker(patient, clock))
    finally:
        loop.close()
    return {each.name: each for each in found}


# --- the host ---------------------------------------------------------------------------------------------------------


def test_a_healthy_host_has_nothing_to_do_and_leaves_no_file_behind(tmp_path: Path) -> None:
    found = host(tmp_path)
    assert {each.outcome for each in found.values()} == {Outcome.OK}
    assert [each.remedy for each in found.values() if each.remedy] == []
    assert list(tmp_path.iterdir()) == []


def test_a_state_folder_that_cannot_be_written_fails_and_the_disk_is_not_judged(tmp_path: Path) -> None:
    found = host(tmp_path / "gone")
    assert found["state"].outcome is Outcome.FAILED
    assert "--state-dir" in found["state"].remedy
    assert found["disk"].outcome is Outcome.SKIPPED


def test_a_slow_and_a_full_disk_are_worth_a_warning(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "fsync", lambda _: time.sleep(0.01))
    monkeypatch.setattr(doctor, "SLOW_SYNC", 0.005)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=1000))
    found = host(tmp_path)["disk"]
    assert found.outcome is Outcome.WARNING
    assert "slow disk" in found.remedy
    assert "make room" in found.remedy


def test_settings_that_were_chosen_are_named_with_where_and_those_without_effect_are_a_warning(
    tmp_path: Path,
) -> None:
    found = host(tmp_path, chosen=(("paper_only", "PAPER_ONLY"),), notes=("X has no effect",))["config"]
    assert "paper_only (PAPER_ONLY)" in found.told
    assert (found.outcome, found.remedy) == (Outcome.WARNING, "X has no effect")


def test_a_plugin_with_a_problem_fails_and_one_that_is_only_not_there_does_not(tmp_path: Path) -> None:
    absent = PluginReport(name="reconcile", version="", offers=(), refused="not installed")
    assert host(tmp_path, LOADED, absent)["plugins"].outcome is Outcome.OK
    assert host(tmp_path, problems=("plugin 'x': it raised",))["plugins"].outcome is Outcome.FAILED
    assert host(tmp_path, absent)["plugins"].outcome is Outcome.FAILED


def test_a_session_without_an_audit_is_a_warning(tmp_path: Path) -> None:
    seen = view(None, LogFile(name="events", why="no sink writes events to a file"))
    assert host(tmp_path, seen=seen)["audit"].outcome is Outcome.WARNING


def test_a_log_that_loses_lines_is_a_warning_and_one_that_is_off_is_not(tmp_path: Path) -> None:
    seen = view(None, LogFile(name="ops", path=Path("ops.log"), lost=3), LogFile(name="gateway", why="off"))
    found = host(tmp_path, seen=seen)
    assert found["ops log"].outcome is Outcome.WARNING
    assert found["gateway log"].outcome is Outcome.OK


@pytest.mark.parametrize(
    "link, outcome",
    [
        (Link(up=False, why="port closed"), Outcome.FAILED),
        (Link(up=True, reconciled=False, epoch=1), Outcome.WARNING),
        (Link(up=True, reconciled=True, epoch=1), Outcome.OK),
    ],
)
def test_the_link_is_judged_by_whether_entries_could_leave(
    tmp_path: Path, link: Link, outcome: Outcome
) -> None:
    assert host(tmp_path, seen=view(link))["link"].outcome is outcome


# --- the broker -------------------------------------------------------------------------------------------------------


def test_a_broker_that_cannot_be_examined_is_skipped() -> None:
    found = broker()
    assert {name: each.outcome for name, each in found.items()} == {
        "broker": Outcome.SKIPPED,
        "clock": Outcome.SKIPPED,
    }


def test_what_the_broker_finds_stands_before_the_clock() -> None:
    async def examine() -> tuple[Finding, ...]:
        return (Finding(name="port", outcome=Outcome.OK, told="open"),)

    assert list(broker(examine=examine)) == ["port", "clock"]


@pytest.mark.parametrize(
    "error, told",
    [(BrokerError("no answer on the port"), "no answer on the port"), (KeyError("x"), "KeyError: 'x'")],
)
def test_a_broker_that_raises_while_it_is_examined_has_failed(error: Exception, told: str) -> None:
    async def examine() -> tuple[Finding, ...]:
        raise error

    found = broker(examine=examine)["broker"]
    assert (found.outcome, found.told) == (Outcome.FAILED, told)


def test_a_broker_that_never_answers_is_not_waited_for() -> None:
    async def hangs() -> Any:
        await asyncio.sleep(1e6)

    found = broker(examine=hangs, broker_time=hangs)
    assert found["broker"].told == "no answer within 15 s"
    assert found["clock"].outcome is Outcome.FAILED


@pytest.mark.parametrize(
    "off, outcome, words",
    [
        (0.0, Outcome.OK, "agrees"),
        (0.9, Outcome.OK, "agrees"),
        (-2.5, Outcome.WARNING, "2.5 s behind"),
        (3.5, Outcome.WARNING, "3.5 s ahead of"),
        (60.5, Outcome.FAILED, "60.5 s ahead of"),
    ],
)
def test_a_clock_that_differs_from_the_brokers_is_told(off: float, outcome: Outcome, words: str) -> None:
    async def broker_time() -> datetime:
        return NOW - timedelta(seconds=off) + timedelta(microseconds=1)

    found = broker(broker_time=broker_time)["clock"]
    assert found.outcome is outcome
    assert words in found.told


def test_a_broker_that_tells_whole_seconds_is_not_called_late_for_it() -> None:
    async def broker_time() -> datetime:
        return NOW - timedelta(seconds=1)

    assert broker(broker_time=broker_time)["clock"].outcome is Outcome.OK


def test_the_time_that_an_answer_takes_is_halved() -> None:
    async def broker_time() -> datetime:
        await asyncio.sleep(4)
        return NOW + timedelta(seconds=2, microseconds=1)

    assert broker(broker_time=broker_time)["clock"].outcome is Outcome.OK


# --- the whole program ------------------------------------------------------------------------------------------------


@pytest.fixture
def wide(monkeypatch: pytest.MonkeyPatch) -> None:
    """A terminal wide enough that nothing is wrapped."""
    fix_terminal(monkeypatch, "160")


def test_the_paper_venue_is_well(wide: None) -> None:
    with open_runner("--speed max") as runner:
        found = runner.run("doctor").assert_ok()
        found.assert_says("venue", "market data", "clock", "all is well", "DU…0001")


def test_a_lost_link_fails_the_command(wide: None) -> None:
    with open_runner("--speed max") as runner:
        runner.run("disconnect").assert_ok()
        found = runner.run("doctor")
        assert not found.ok
        found.assert_says("FAILED", "type: connect", "failed: link")


# --- sinks ------------------------------------------------------------------------------------------------------------


def sinks(**examined: Any) -> list[tuple[str, str]]:
    """Examine sinks that have a method ``examine``, beside one that has none; names and words of the findings."""
    there = [("plain", print), *((name, SimpleNamespace(examine=each)) for name, each in examined.items())]
    loop = VenueLoop()
    try:
        found = loop.run_until_complete(examine_sinks(there))
    finally:
        loop.close()
    return [(each.name, each.told) for each in found]


def test_sinks_that_can_examine_themselves_do_and_whatever_they_raise_is_a_finding() -> None:
    async def well() -> tuple[Finding, ...]:
        return (Finding(name="mail", outcome=Outcome.OK, told="all is well"),)

    async def hangs() -> tuple[Finding, ...]:
        await asyncio.Event().wait()
        raise AssertionError

    async def broken() -> tuple[Finding, ...]:
        raise ValueError("a defect")

    assert sinks(broken=broken, stuck=hangs, mail=well) == [
        ("broken", "ValueError: a defect"),
        ("stuck", "no answer within 2 s"),
        ("mail", "all is well"),
    ]
