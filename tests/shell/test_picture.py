"""The toolbar, the prompt and the last words: true, masked, and never too wide."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.core.support import quote
from tests.shell.support import LIVE, FakeTrading, d, make_runner, make_shell

from tradeshell.core import inputs as i
from tradeshell.core.orders import OrderState
from tradeshell.shell import picture
from tradeshell.testing.outcome import Runner


@pytest.fixture
def held(tmp_path: Path) -> FakeTrading:
    """A desk that holds 100 AAPL at 190.15 with a stop at 187."""
    _, trading = make_shell(tmp_path)
    trading.hold_position()
    return trading


def bar(trading: FakeTrading, width: int = 100) -> list[str]:
    """Return the toolbar's words."""
    return [piece.text for piece in picture.toolbar(trading.view(), width)]


def test_the_mode_comes_from_the_account(tmp_path: Path) -> None:
    _, paper = make_shell(tmp_path)
    _, live = make_shell(tmp_path, broker=LIVE)
    assert (picture.mode(paper.view()), picture.mode(live.view())) == ("paper", "LIVE")
    paper.replaying = live.replaying = True
    assert (picture.mode(paper.view()), picture.mode(live.view())) == ("replay", "replay")


def test_the_prompt_says_the_mode(tmp_path: Path) -> None:
    shell, trading = make_shell(tmp_path, broker=LIVE, commands_to_run=("quit",))
    assert shell.run() == 0
    assert shell.prompt == "LIVE> "
    trading.replaying = True
    shell._set_prompt()
    assert shell.prompt == "replay> "


def test_the_toolbar_is_the_desk_in_a_line(held: FakeTrading) -> None:
    assert bar(held) == ["paper", "link up", "DU…0001", "risk 315.00 (1.0 R)", "protected 100 %"]
    held.desktop.watch("br-2")
    assert "1 armed" in bar(held)


def test_old_and_missing_quotes_of_what_is_held_are_named(held: FakeTrading) -> None:
    held.desktop.wait(60)
    assert bar(held)[-1] == "AAPL quote 60 s old"
    held.quotes.clear()
    assert bar(held)[-1] == "AAPL no quote"
    held.quotes["AAPL"] = quote(held.desktop.at, in_force=True)
    held.desktop.wait(6000)
    assert bar(held)[-1] == "protected 100 %"


def test_a_lost_link_is_an_alarm(held: FakeTrading) -> None:
    held.desktop.do(i.LinkChanged, up=False, account="x", paper=True)
    pieces = {piece.text: piece.style for piece in picture.toolbar(held.view(), 100)}
    assert pieces["link down"] == "alarm"
    held.desktop.do(i.LinkChanged, up=True, account="DU…0001", paper=True)
    assert "reconciling" in bar(held)


def test_shares_without_a_stop_are_an_alarm(held: FakeTrading) -> None:
    held.desktop.report("ts:br-1:sl1:1", OrderState.CANCELLED)
    pieces = {piece.text: piece.style for piece in picture.toolbar(held.view(), 100)}
    assert pieces["AAPL 0 % UNPROTECTED"] == "alarm"
    assert picture.open_risk(held.view().desk) == picture.OpenRisk(d("0"), d("0"), 1)
    assert picture.protected_share(held.view()) == 0


@pytest.mark.parametrize("width", [5, 20, 40, 60, 80])
def test_a_narrow_toolbar_leaves_out_the_least_important(held: FakeTrading, width: int) -> None:
    held.desktop.wait(60)
    words = bar(held, width)
    assert words[0] == "paper"
    assert len(" · ".join(words)) <= max(width, len("paper"))
    assert "protected 100 %" in words or width < 40


def test_a_defect_of_the_toolbar_does_not_take_the_prompt_away(tmp_path: Path) -> None:
    shell, trading = make_shell(tmp_path)
    trading.quotes = None  # type: ignore[assignment]  # a picture that nobody should publish
    trading.desktop.watch()
    assert shell.get_bottom_toolbar() == [("", "no picture of the desk (AttributeError)")]


def test_the_first_line_says_what_to_try(held: FakeTrading) -> None:
    held.symbols = ("AAPL", "DEMO")
    first, second = picture.intro(held.view(), "0.1.0", 3, ("breakout",))
    assert first == "tradeshell 0.1 · paper venue · account DU…0001 · 3 plugins"
    assert second == "type `help`, or try: breakout DEMO 101 100 tp-3 sl=99"
    held.replaying = True
    assert picture.intro(held.view(), "0.1.0", 3, ("breakout",))[1] == "type `help`, or try: chart AAPL"
    held.replaying, held.broker = False, LIVE
    assert picture.intro(held.view(), "0.1.0", 1, ())[1] == "type `help`, or try: status"
    held.desktop.do(i.LinkChanged, up=False, account="x", paper=True)
    assert picture.intro(held.view(), "0.1.0", 1, ())[1].endswith(
        "or `doctor`: it says what keeps the link down"
    )


def test_leaving_a_venue_inside_the_program_says_that_it_ends(held: FakeTrading) -> None:
    assert picture.leaving(held.view()) == (
        "AAPL br-1 has 100 shares open.",
        "The venue lives inside this program: its orders and positions end with it.",
    )


def test_leaving_with_an_armed_watcher_says_that_it_stops(tmp_path: Path) -> None:
    _, trading = make_shell(tmp_path, broker=LIVE)
    assert picture.leaving(trading.view()) == ()
    trading.desktop.watch()
    assert picture.leaving(trading.view()) == (
        "AAPL br-1 is armed and stops watching when this program ends; the next start takes it up again.",
    )


def test_after_the_terminal_is_gone_the_shell_stays_until_it_is_flat(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    import signal

    shell, trading = make_shell(tmp_path, broker=LIVE, batch=True)
    trading.hold_position()
    trading.over.set()
    shell.ended_by = signal.SIGHUP
    assert shell.run() == 0
    assert trading.asked == [("wait", ("AAPL",), None)]
    assert capsys.readouterr().out == ""


def test_a_runner_explains_itself(tmp_path: Path) -> None:
    runner, _ = make_runner(tmp_path)
    assert isinstance(runner, Runner)
    outcome = runner.run("nope")
    assert "`nope` failed" in repr(outcome)
    assert "  | nope: unknown command" in repr(outcome)
    with pytest.raises(AssertionError, match="should have succeeded"):
        outcome.assert_ok()
    with pytest.raises(AssertionError, match="should have said"):
        outcome.assert_refused("something else")
    with pytest.raises(AssertionError, match="should have been refused"):
        runner.run("orders").assert_refused()


def test_what_may_be_old_says_so_and_what_was_left_open_is_named_at_the_start(tmp_path: Path) -> None:
    """The link of a broker that outlives the program is down: tables are what was known last, and the intro says what waits."""
    runner, trading = make_runner(tmp_path, broker=LIVE)
    trading.hold_position()
    assert picture.as_of(trading.desktop.desk) == ()
    assert picture.left_open(trading.view()) == ()
    trading.desktop.do(
        i.LinkChanged,
        up=False,
        account="",
        paper=True,
        first_order_id=0,
        why="it was cut · trying again by itself",
    )
    words = "the link is down: this is what was known last, and the broker may have done more"
    for line in ("positions", "orders"):
        assert words in runner.run(line).text
    status = runner.run("status").text
    assert "100 % of the shares held, as known last: the link is down" in status
    assert "down (it was cut · trying again by itself) · `connect` tries at once" in status
    assert "Interactive Brokers · not connected · account" in picture.intro(trading.view(), "0.1.0", 3, ())[0]
    assert picture.left_open(trading.view()) == (
        "left open: AAPL, 100 % of the shares had a stop · the broker is asked as soon as the link is up",
    )
