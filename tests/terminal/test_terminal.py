"""The shell in a real terminal: what a person types stays, what they see is right, and every way out is a good one."""

from __future__ import annotations

import re
import signal
from pathlib import Path

import pytest
from tests.terminal.screen import Terminal, terminal

pytestmark = [pytest.mark.terminal, pytest.mark.timeout(120)]

CTRL_C, CTRL_D, CTRL_Z, TAB, UP = "\x03", "\x04", "\x1a", "\t", "\x1b[A"


def numbers(opened: Terminal) -> list[int]:
    """Return the numbers of the events that were shown, in order."""
    found = [re.search(r"event number (\d+) of the flood$", line) for line in opened.everything]
    return [int(match[1]) for match in found if match]


def test_the_first_screen_says_where_one_is(tmp_path: Path) -> None:
    with terminal(tmp_path, "--hold") as opened:
        opened.prompts("paper>")
        assert opened.everything[0] == "tradeshell 0.1 · paper venue · account DU…0001 · 0 plugins"
        assert opened.everything[1] == "type `help`, or try: status"
        opened.sees("paper · link up · DU…0001 · risk 315.00 (1.0 R) · protected 100 %")


def test_a_live_account_is_written_large(tmp_path: Path) -> None:
    with terminal(tmp_path, "--live-account", no_colour=False) as opened:
        opened.prompts("LIVE>")
        cell = opened.screen.buffer[opened.screen.cursor.y][0]
        assert (cell.data, cell.fg, cell.bold) == ("L", "red", True)
        opened.sees("LIVE · link up · DU…0001")


@pytest.mark.parametrize("rate", [50, 1000])
def test_typed_text_stays_intact_while_events_arrive(tmp_path: Path, rate: int) -> None:
    text = "breakout AAPL 190 100 tp=195 sl=187"
    with terminal(tmp_path, "--events", str(rate), "--most", str(rate * 3)) as opened:
        opened.prompts("paper>")
        opened.type(text, pause=0.05)
        opened.prompts(f"paper> {text}")
        opened.sees(f"event number {rate * 3} of")
        opened.prompts(f"paper> {text}")
        assert numbers(opened) == list(range(1, rate * 3 + 1))
        opened.type("\x01\x0bready\r")  # to the start, delete the rest
        opened.sees("ready")
        opened.until(lambda: "ready" in opened.everything, "the command's answer")


def test_tab_completes_commands_symbols_keys_and_values(tmp_path: Path) -> None:
    with terminal(tmp_path, "--hold") as opened:
        opened.prompts("paper>")
        opened.type(f"ord{TAB}")
        opened.prompts("paper> orders")
        opened.type(f"ca{TAB}")
        opened.prompts("paper> orders cancel")
        opened.type(f"{TAB}")
        opened.sees("AAPL sl1 SELL 100 stop 187.00 limit 187.00 · held")
        opened.type(CTRL_C)
        opened.prompts("paper>")
        # Completion runs beside the typing; a key pressed before it is there wins, so a test has to look first.
        for keys, line in (
            ("buy aa", "buy AAPL"),
            ("100 ent", "buy AAPL 100 entry="),
            ("ma", "buy AAPL 100 entry=market"),
        ):
            opened.type(f"{keys}{TAB}")
            opened.prompts(f"paper> {line}")


def test_a_hint_is_shown_for_a_value_that_is_free(tmp_path: Path) -> None:
    with terminal(tmp_path) as opened:
        opened.prompts("paper>")
        opened.type(f"buy AAPL 1 limit={TAB}")
        opened.sees("limit=PRICE  rest at this price instead of the touch")
        opened.prompts("paper> buy AAPL 1 limit=")


def test_ctrl_c_at_the_prompt_clears_the_line_and_no_more(tmp_path: Path) -> None:
    with terminal(tmp_path) as opened:
        opened.prompts("paper>")
        opened.type("sell AAPL 1")
        opened.prompts("paper> sell AAPL 1")
        opened.type(CTRL_C)
        opened.prompts("paper>")
        opened.type("ready\r")
        opened.until(lambda: "ready" in opened.everything, "the command's answer")


def test_ctrl_c_leaves_a_waiting_command_and_events_go_on(tmp_path: Path) -> None:
    with terminal(tmp_path, "--events", "20") as opened:
        opened.prompts("paper>")
        opened.type("wait\r")
        opened.until(lambda: len(numbers(opened)) > 10, "events while a command waits")
        opened.type(CTRL_C)
        opened.sees("wait: interrupted; the engine goes on with what is under way")
        seen = len(numbers(opened))
        opened.until(lambda: len(numbers(opened)) > seen + 10, "events after it")
        opened.type("quit\r")
        assert opened.code() == 0
        found = numbers(opened)
        assert found == list(range(1, len(found) + 1))


def test_O10_ctrl_d_leaves(tmp_path: Path) -> None:
    with terminal(tmp_path) as opened:
        opened.prompts("paper>")
        opened.type(CTRL_D)
        assert opened.code() == 0
        opened.sees("closed in good order")


@pytest.mark.parametrize("way", ["quit\r", CTRL_D])
def test_leaving_open_trades_says_what_stays_and_asks(tmp_path: Path, way: str) -> None:
    with terminal(tmp_path, "--hold", "--live-account", "--events", "30") as opened:
        opened.prompts("LIVE>")
        opened.type(way)
        opened.sees("AAPL br-1 has 100 shares open. At the broker and working without this program: tp1 sl1.")
        opened.prompts("Leave? [y/N]")
        opened.type("n\r")
        opened.prompts("LIVE>")
        opened.type(way)
        opened.prompts("Leave? [y/N]")
        opened.type("y\r")
        assert opened.code() == 0
        found = numbers(opened)
        assert found == list(range(1, len(found) + 1))


def test_O06_cancelling_a_stop_of_held_shares_says_what_follows_and_asks(tmp_path: Path) -> None:
    with terminal(tmp_path, "--hold") as opened:
        opened.prompts("paper>")
        opened.type("orders cancel AAPL.sl1\r")
        opened.sees("AAPL.sl1 protects 100 shares")
        opened.prompts("Cancel? [y/N]")
        opened.type("n\r")
        opened.sees("nothing was done")
        opened.prompts("paper>")
        opened.type("orders cancel AAPL.sl1\r")
        opened.prompts("Cancel? [y/N]")
        opened.type("y\r")
        opened.sees("sl1       cancel asked")
        opened.prompts("paper>")


def test_a_terminal_that_only_says_end_of_file_is_left(tmp_path: Path) -> None:
    with terminal(tmp_path, "--hold") as opened:
        for _ in range(2):
            opened.prompts("paper>")
            opened.type(CTRL_D)
            opened.prompts("Leave? [y/N]")
            opened.type(CTRL_D)
        opened.prompts("paper>")
        opened.type(CTRL_D)
        assert opened.code() == 0


def test_O10_the_program_cannot_be_suspended(tmp_path: Path) -> None:
    with terminal(tmp_path, "--events", "20") as opened:
        opened.prompts("paper>")
        opened.type(CTRL_Z)
        opened.sees("not suspended: a stopped program chases no stop")
        opened.type("wait\r")
        opened.prompts("")
        seen = len(numbers(opened))
        opened.child.kill(signal.SIGTSTP)
        opened.until(lambda: len(numbers(opened)) > seen + 5, "events after SIGTSTP")
        assert opened.child.isalive()


@pytest.mark.parametrize("line", ["", "wait\r"])
def test_O10_sigterm_ends_in_good_order(tmp_path: Path, line: str) -> None:
    with terminal(tmp_path) as opened:
        opened.prompts("paper>")
        opened.type(line)
        opened.prompts("" if line else "paper>")
        opened.child.kill(signal.SIGTERM)
        assert opened.code() == 143
        opened.sees("closed in good order")


def test_O10_sigterm_says_what_stays_at_the_broker(tmp_path: Path) -> None:
    with terminal(tmp_path, "--hold", "--live-account") as opened:
        opened.prompts("LIVE>")
        opened.child.kill(signal.SIGTERM)
        assert opened.code() == 143
        opened.sees("At the broker and working without this program")


def test_O10_when_the_terminal_goes_away_open_trades_keep_the_program_going(tmp_path: Path) -> None:
    with terminal(tmp_path, "--hold", "--live-account") as opened:
        opened.prompts("LIVE>")
        opened.child.kill(signal.SIGHUP)
        opened.until((tmp_path / "waiting").exists, "to wait for the end of the trade")
        opened.child.kill(signal.SIGTERM)
        assert opened.code() == 129
    with terminal(tmp_path / "other", "--live-account") as opened:
        opened.prompts("LIVE>")
        opened.child.kill(signal.SIGHUP)
        assert opened.code() == 129


def test_what_was_typed_is_there_again_in_the_next_session(tmp_path: Path) -> None:
    with terminal(tmp_path) as opened:
        opened.prompts("paper>")
        opened.type("quote AAPL\rquit\r")
        assert opened.code() == 0
    with terminal(tmp_path) as opened:
        opened.prompts("paper>")
        opened.type(UP)
        opened.prompts("paper> quit")
        opened.type(UP)
        opened.prompts("paper> quote AAPL")


def test_a_damaged_history_is_set_aside_and_the_shell_starts(tmp_path: Path) -> None:
    import lzma

    (tmp_path / "history").write_bytes(lzma.compress(b'{"history_version": [], "history_items": 3}'))
    with terminal(tmp_path) as opened:
        opened.prompts("paper>")
        opened.sees("history")
        opened.type("ready\r")
        opened.until(lambda: "ready" in opened.everything, "the command's answer")


@pytest.mark.parametrize("key", ["\r", CTRL_C])
def test_a_log_is_followed_until_a_key_ends_it_and_the_prompt_comes_back(tmp_path: Path, key: str) -> None:
    log = tmp_path / "ops.log"
    log.write_text("one\ntwo\n")
    with terminal(tmp_path) as opened:
        opened.prompts("paper>")
        opened.type("tail ops n=1 follow\r")
        opened.sees("two")
        with log.open("a") as file:
            file.write("three\n\x1b[31mfour\n")
        opened.sees("?[31mfour")
        opened.type(key)
        opened.type("ready\r")
        opened.until(lambda: "ready" in opened.everything, "the next command's answer")
        assert "one" not in opened.everything
        assert [line for line in opened.everything if line in ("two", "three", "?[31mfour")] == [
            "two", "three", "?[31mfour",
        ]  # fmt: skip


def test_enter_alone_says_that_nothing_changed_and_the_prompt_stays(tmp_path: Path) -> None:
    with terminal(tmp_path, "--hold") as opened:
        opened.prompts("paper>")
        opened.type("\r")
        opened.sees(": nothing changed")
        opened.prompts("paper>")
