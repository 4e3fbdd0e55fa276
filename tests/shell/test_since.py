"""What changed since the last look, and what is waited for: said to somebody at a terminal, in one line, and to nobody else."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from tests.shell.support import FakeTrading, d, make_shell

from tradeshell.core import inputs as i
from tradeshell.core.orders import OrderState
from tradeshell.ports import View
from tradeshell.shell import attended, since
from tradeshell.shell.app import TradeShell
from tradeshell.shell.progress import ERASE, Progress


@pytest.fixture
def trading(tmp_path: Path) -> FakeTrading:
    return make_shell(tmp_path)[1]


def told(trading: FakeTrading, before: View) -> tuple[str, ...]:
    return since.changes(before, trading.view())


def test_two_looks_at_the_same_desk_differ_in_nothing(trading: FakeTrading) -> None:
    trading.hold_position()
    before = trading.view()
    trading.desktop.wait(600)
    assert told(trading, before) == ()
    assert since.line(before, ()) == "since 09:31:00: nothing changed"


def test_what_was_bought_where_its_stop_stands_and_the_watcher_that_fired_are_told(
    trading: FakeTrading,
) -> None:
    before = trading.view()
    trading.hold_position()
    assert told(trading, before) == ("AAPL bought 100, stop 187.00", "AAPL br-1 fired")


def test_a_stop_that_moved_is_told_with_both_prices(trading: FakeTrading) -> None:
    trading.hold_position()
    before = trading.view()
    trading.replace_order("ts:br-1:sl1:1", None, d("188"), None)
    trading.desktop.report("ts:br-1:sl1:1", OrderState.WORKING)
    assert told(trading, before) == ("AAPL stop 187.00 → 188.00",)


def test_shares_that_lost_their_stop_come_first(trading: FakeTrading) -> None:
    trading.hold_position()
    before = trading.view()
    trading.desktop.watch("br-2")
    trading.desktop.report("ts:br-1:sl1:1", OrderState.CANCELLED)
    assert told(trading, before) == ("AAPL 0 % UNPROTECTED", "AAPL br-2 armed")


def test_a_link_that_went_or_went_and_came_is_told(trading: FakeTrading) -> None:
    trading.hold_position()
    before = trading.view()
    trading.desktop.do(i.LinkChanged, up=False, account="x", paper=True, why="gateway closed")
    assert told(trading, before) == ("the link is down (gateway closed)",)
    trading.desktop.do(i.LinkChanged, up=True, account="DU…0001", paper=True)
    assert told(trading, before) == ("reconciling",)


def test_entries_that_were_switched_off_are_told(trading: FakeTrading) -> None:
    before = trading.view()
    trading.stop_entries(True)
    assert told(trading, before) == ("entries are off (stopentry)",)


# --- when it is said --------------------------------------------------------------------------------------------------


class Attended(TradeShell):
    """A shell that believes in its terminal."""

    @property
    def is_attended(self) -> bool:
        return True


@pytest.fixture
def shell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[TradeShell, FakeTrading, io.StringIO]:
    monkeypatch.setattr("tests.shell.support.TradeShell", Attended)
    out = io.StringIO()
    shell, trading = make_shell(tmp_path, stdout=out)
    shell.intro_line()
    return shell, trading, out


def said(out: io.StringIO) -> list[str]:
    lines = out.getvalue().splitlines()
    out.seek(0)
    out.truncate()
    return [line for line in lines if line.startswith("since")]


def test_enter_alone_says_what_changed_since_the_last_line(
    shell: tuple[TradeShell, FakeTrading, io.StringIO],
) -> None:
    typed, trading, out = shell
    typed.onecmd_plus_hooks("status")
    trading.hold_position()
    assert not typed.onecmd_plus_hooks("")
    assert said(out) == ["since 09:30:00: AAPL bought 100, stop 187.00 · AAPL br-1 fired"]
    typed.onecmd_plus_hooks("  ")
    assert said(out) == ["since 09:31:00: nothing changed"]


def test_the_first_line_after_a_while_begins_with_what_changed(
    shell: tuple[TradeShell, FakeTrading, io.StringIO], monkeypatch: pytest.MonkeyPatch
) -> None:
    typed, trading, out = shell
    typed.onecmd_plus_hooks("status")
    trading.hold_position()
    typed.onecmd_plus_hooks("status")
    assert said(out) == []
    trading.stop_entries(True)
    monkeypatch.setattr(attended, "AWAY", 0.0)
    typed.onecmd_plus_hooks("status")
    assert said(out) == ["since 09:31:00: entries are off (stopentry)"]
    typed.onecmd_plus_hooks("status")
    assert said(out) == []


def test_a_script_is_told_nothing_of_the_kind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(attended, "AWAY", 0.0)
    out = io.StringIO()
    shell, trading = make_shell(tmp_path, stdout=out, batch=True)
    shell.onecmd_plus_hooks("status")
    trading.hold_position()
    shell.onecmd_plus_hooks("status")
    shell.onecmd_plus_hooks("")
    assert said(out) == []


# --- progress ---------------------------------------------------------------------------------------------------------


def test_what_is_waited_for_is_named_once_a_second_and_goes_before_the_answer() -> None:
    written: list[str] = []
    progress = Progress(written.append, lambda: 40)
    progress.clear()
    for waited in (0.0, 0.9, 1.0, 1.5, 2.0):
        progress.tick("the history of AAPL", waited)
    assert written == [
        f"{ERASE}… waiting for the history of AAPL · 1 s",
        f"{ERASE}… waiting for the history of AAPL · 2 s",
    ]
    progress.clear()
    progress.clear()
    assert written[2:] == [ERASE]


def test_the_line_is_gone_before_an_event_or_an_answer_is_written(tmp_path: Path) -> None:
    shell, _ = make_shell(tmp_path)
    order: list[str] = []
    shell.progress = Progress(lambda text: order.append("progress"), lambda: 80)
    shell.put = lambda text: order.append(text.strip())  # type: ignore[method-assign]  # to see the order
    shell.progress.tick("the broker", 3.0)
    shell.write("answer\n")
    shell.write("more\n")
    assert order == ["progress", "progress", "answer", "more"]


def test_without_a_terminal_nothing_is_waited_for_aloud(tmp_path: Path) -> None:
    out = io.StringIO()
    shell, _ = make_shell(tmp_path, stdout=out)
    shell.while_waiting("the broker", 30.0)
    assert out.getvalue() == ""
