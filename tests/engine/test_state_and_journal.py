"""Snapshot and journal together, as the engine takes them up: what is resumed, what is asked about, what never fires again."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from tests.core.support import AAPL, SESSION, bar, plan, quote

from tradeshell.core import inputs as i
from tradeshell.core.desk import Watcher, WatchPhase
from tradeshell.core.market import Session
from tradeshell.engine.nobroker import NoBroker
from tradeshell.engine.runtime import Engine, Plan
from tradeshell.engine.store import load
from tradeshell.ports import Broker, BrokerContext, BrokerOffer, VenueOptions
from tradeshell_breakout.strategy import Breakout


@contextmanager
def nobody(context: BrokerContext) -> Iterator[Broker]:
    yield NoBroker()


@contextmanager
def life(folder: Path, session: str, **more: Any) -> Iterator[Engine]:
    """Run the engine on a folder, with a broker that outlives the program and is out of reach."""
    found = load(folder / "state.toml")
    values: dict[str, Any] = {
        "session": session,
        "version": "test",
        "broker_name": "far",
        "broker": BrokerOffer(open=nobody, own_clock=False, words="far"),
        "broker_settings": {},
        "options": VenueOptions(),
        "strategies": {"breakout": Breakout()},
        "sinks": {},
        "state_dir": folder,
        "saved": found.saved,
        "doubt": found.why_doubted,
    }
    engine = Engine(Plan(**(values | more)))
    engine.start()
    try:
        yield engine
    finally:
        engine.stop()


def inside(engine: Engine, act: Callable[[], Any]) -> Any:
    async def do() -> Any:
        return act()

    return engine.call(do())


def today() -> Session:
    """Return hours that are not over by the computer's clock, which is that of these engines."""
    now, hour = datetime.now(UTC), timedelta(hours=1)
    return Session(open=now - hour, close=now + hour, extended_open=now - hour, extended_close=now + hour)


def watch(engine: Engine, id_: str = "br-1") -> None:
    spec = i.WatchSpec(
        id=id_,
        strategy="breakout",
        plan=plan(account=""),
        params={"bar": "60", "rth": "true", "max_bars": ""},
        instrument=AAPL,
        session=today(),
    )
    inside(engine, lambda: engine.session.submit(i.WatchRequested(at=SESSION.open, watch=spec)))


def fire(engine: Engine) -> None:
    """Let the level break; without a link the entry is refused, and the watcher is used up."""
    closed = bar(0, "190.12")
    inside(engine, lambda: engine.session.submit(i.BarClosed(at=closed.end, bar=closed, rth=True)))
    answer = i.QuoteAnswered(at=closed.end, key="br-1", quote=quote(closed.end), session=SESSION)
    inside(engine, lambda: engine.session.submit(answer))


def watchers(engine: Engine) -> dict[str, Watcher]:
    return engine.session.desk.watchers


def test_a_watcher_comes_back_from_the_journal_and_the_snapshot_agrees(tmp_path: Path) -> None:
    with life(tmp_path, "s1") as engine:
        watch(engine)
    for session in ("s2", "s3"):
        with life(tmp_path, session) as engine:
            assert watchers(engine)["br-1"].phase is WatchPhase.PAUSED
            assert watchers(engine)["br-1"].doubt == ""
            assert engine.session.desk.stopped == ""
            assert [note for note in engine.notes if "state" in note] == []


def test_P06_when_the_journal_is_gone_watchers_are_asked_about_and_entries_are_stopped(
    tmp_path: Path,
) -> None:
    """Somebody has deleted the journal.

    Kills: a missing journal that means "no watchers".
    """
    with life(tmp_path, "s1") as engine:
        watch(engine)
    (tmp_path / "journal").unlink()
    with life(tmp_path, "s2") as engine:
        watcher = watchers(engine)["br-1"]
        assert (watcher.phase, watcher.doubt) == (WatchPhase.PAUSED, "the journal is missing")
        assert engine.session.desk.stopped == "the journal is missing"
        assert (
            "state: the journal is missing · entries are stopped; `stopentry off` lifts that" in engine.notes
        )


def test_P06_a_journal_whose_end_is_missing_is_noticed_by_the_snapshot(tmp_path: Path) -> None:
    """The last records are gone, cleanly: no checksum can show that.

    Kills: a snapshot that nobody compares with the journal.
    """
    with life(tmp_path, "s1") as engine:
        watch(engine)
        watch(engine, "br-2")
    journal = tmp_path / "journal"
    lines = journal.read_bytes().splitlines(keepends=True)
    journal.write_bytes(b"".join(lines[:-1]))
    with life(tmp_path, "s2") as engine:
        assert "the journal ends with decision" in engine.session.desk.stopped
        assert watchers(engine)["br-1"].doubt == ""
        assert "the journal ends with decision" in watchers(engine)["br-2"].doubt


def test_P06_a_damaged_journal_is_set_aside_and_the_snapshot_says_who_waited(tmp_path: Path) -> None:
    """A bit has flipped in the middle.

    Kills: a damaged journal that is overwritten two starts later.
    """
    with life(tmp_path, "s1") as engine:
        watch(engine)
    journal = tmp_path / "journal"
    data = bytearray(journal.read_bytes())
    data[len(data) // 2] ^= 1
    journal.write_bytes(data)
    with life(tmp_path, "s2") as engine:
        assert watchers(engine)["br-1"].phase is WatchPhase.PAUSED
        assert "checksum" in watchers(engine)["br-1"].doubt
        assert engine.session.desk.stopped == "the journal cannot be read"
        assert "the journal as it was is journal.damaged-1" in engine.notes
    assert (tmp_path / "journal.damaged-1").read_bytes() == data


@pytest.mark.parametrize("lives", [1, 4])
def test_R12_a_snapshot_from_before_the_trigger_never_arms_what_has_fired(tmp_path: Path, lives: int) -> None:
    """The state file of the time when it waited is put back, some journals later.

    Kills: single fire that is remembered for the length of one journal.
    """
    with life(tmp_path, "s0") as engine:
        watch(engine)
    shutil.copy(tmp_path / "state.toml", tmp_path / "backup")
    with life(tmp_path, "s1") as engine:
        inside(engine, lambda: engine.session.submit(i.WatchCancelRequested(at=SESSION.open, watch="br-1")))
    for number in range(lives):
        with life(tmp_path, f"s{number + 2}") as engine:
            assert "br-1" not in watchers(engine)  # all was over: a new journal
            watch(engine, f"br-{number + 2}")
            inside(
                engine,
                lambda id_=f"br-{number + 2}": engine.session.submit(  # type: ignore[misc]  # a lambda's default has no type
                    i.WatchCancelRequested(at=SESSION.open, watch=id_)
                ),
            )
    shutil.copy(tmp_path / "backup", tmp_path / "state.toml")
    with life(tmp_path, "last") as engine:
        assert "br-1" not in watchers(engine)
        # That of the journal just before this one may be the file that a start has not replaced yet.
        assert (engine.session.desk.stopped == "the journal is not that of the state file") == (lives > 1)


def test_R07_what_has_fired_is_over_whatever_the_state_file_says(tmp_path: Path) -> None:
    """The trigger was refused; then the file is edited so that the watcher waits.

    Kills: a file that people may edit and that says what has fired.
    """
    with life(tmp_path, "s1") as engine:
        watch(engine)
        fire(engine)
        assert watchers(engine)["br-1"].fired
    path = tmp_path / "state.toml"
    text = path.read_text(encoding="utf-8")
    path.write_text(
        text.replace('phase = "done"', 'phase = "armed"').replace("fired = true", "fired = false"),
        encoding="utf-8",
    )
    with life(tmp_path, "s2") as engine:
        assert "br-1" not in watchers(engine) or watchers(engine)["br-1"].fired


def test_a_snapshot_of_another_broker_is_nobodys(tmp_path: Path) -> None:
    with life(tmp_path, "s1") as engine:
        watch(engine)
    with life(tmp_path, "s2", broker_name="other") as engine:
        assert watchers(engine) == {}
        assert engine.session.desk.stopped == ""


def test_a_start_that_dies_before_its_first_snapshot_raises_no_false_alarm(tmp_path: Path) -> None:
    """A new journal has begun, the state file is still that of the session before."""
    with life(tmp_path, "s1") as engine:
        watch(engine)
        inside(engine, lambda: engine.session.submit(i.WatchCancelRequested(at=SESSION.open, watch="br-1")))
    shutil.copy(tmp_path / "state.toml", tmp_path / "before")
    with life(tmp_path, "s2") as engine:
        watch(engine, "br-2")
    shutil.copy(tmp_path / "before", tmp_path / "state.toml")
    with life(tmp_path, "s3") as engine:
        assert engine.session.desk.stopped == ""
        assert watchers(engine)["br-2"].phase is WatchPhase.PAUSED
