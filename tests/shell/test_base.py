"""The names of cmd2 that are not promised to us, and what the shell relies on. A new cmd2 has to pass this first."""

from __future__ import annotations

import inspect
import lzma
import threading
import time
from pathlib import Path

import cmd2
import pytest
from cmd2.parsing import StatementParser
from cmd2.pt_utils import Cmd2Completer
from prompt_toolkit.application import create_app_session
from prompt_toolkit.completion import CompleteEvent
from prompt_toolkit.document import Document
from prompt_toolkit.input import create_pipe_input
from prompt_toolkit.output import DummyOutput
from tests.shell.support import make_runner, make_shell

from tradeshell.core import inputs as i
from tradeshell.shell.base import SETTINGS, LineParser, PlainMenu
from tradeshell.shell.commands import BUILTIN_COMMANDS, KEPT, OF_THE_SHELL, REMOVED, RESERVED_WORDS


@pytest.mark.parametrize(
    "owner, name, parameters",
    [
        (cmd2.Cmd, "_is_tty_session", ["session"]),
        (Cmd2Completer, "get_completions", ["self", "document", "complete_event"]),
        (cmd2.Cmd, "_initialize_history", ["self", "hist_file"]),
        (StatementParser, "_expand", ["self", "line"]),
        (StatementParser, "tokenize", ["self", "line"]),
        (StatementParser, "split_on_punctuation", ["self", "tokens"]),
        (cmd2.Cmd, "onecmd", ["self", "statement", "add_to_history"]),
        (cmd2.Cmd, "pre_prompt", ["self"]),
        (cmd2.Cmd, "sigint_handler", ["self", "signum", "frame"]),
        (cmd2.Cmd, "termination_signal_handler", ["self", "signum", "_"]),
    ],
)
def test_what_is_replaced_in_cmd2_is_still_there(owner: type, name: str, parameters: list[str]) -> None:
    assert list(inspect.signature(getattr(owner, name)).parameters) == parameters


def test_every_command_of_cmd2_was_decided_on() -> None:
    theirs = {name.removeprefix("do_") for name in dir(cmd2.Cmd) if name.startswith("do_")}
    assert theirs == {*KEPT, *REMOVED, *OF_THE_SHELL, "_eof"}


def test_no_plugin_may_take_a_word_of_the_shell() -> None:
    assert set(RESERVED_WORDS) & {command.name for command in BUILTIN_COMMANDS} == set()
    assert {"help", "quit", "pos", "shell", "alias"} <= set(RESERVED_WORDS)


def test_only_settings_that_make_sense_here_are_offered(tmp_path: Path) -> None:
    shell, _ = make_shell(tmp_path)
    assert set(shell.settables) == set(SETTINGS)


def test_the_line_parser_makes_no_operator(tmp_path: Path) -> None:
    parser = LineParser(terminators=(), shortcuts={"?": "help"}, aliases={"pos": "positions"})
    statement = parser.parse("pos a;b 'c  d' e=\"f > g\" h>i")
    assert (statement.command, statement.args) == ("positions", "a;b 'c  d' e=\"f > g\" h>i")
    assert (statement.redirector, statement.terminator) == ("", "")
    assert parser.parse("?buy").command == "help"
    assert parser.parse("# pos").command == ""


def test_a_lone_operator_is_cut_by_cmd2_and_seen_by_us() -> None:
    # If cmd2 stops cutting, the refusal still sees the word; this says why both are looked at.
    statement = LineParser(terminators=()).parse("orders > file")
    assert (statement.args, statement.redirector) == ("", ">")


def test_suspending_is_switched_off(tmp_path: Path) -> None:
    shell, _ = make_shell(tmp_path)
    assert shell.main_session.enable_suspend is False


def test_a_session_without_a_terminal_is_known_as_one(tmp_path: Path) -> None:
    shell, _ = make_shell(tmp_path)
    assert not shell.has_terminal
    with create_pipe_input() as keys:
        shell.main_session = type(shell.main_session)(input=keys, output=DummyOutput())
        assert shell.has_terminal


def test_keys_typed_at_a_prompt_run_a_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shell, _ = make_shell(tmp_path, live=True)
    with create_pipe_input() as keys, create_app_session(input=keys, output=DummyOutput()):
        session = type(shell.main_session)(
            input=keys, output=DummyOutput(), completer=Cmd2Completer(shell), complete_while_typing=False
        )
        shell.main_session = shell.active_session = session

        def type_() -> None:
            keys.send_text("quote aa\t")
            deadline = time.monotonic() + 10
            while session.default_buffer.text != "quote AAPL " and time.monotonic() < deadline:
                time.sleep(0.01)
            keys.send_text("\rquit\r")

        threading.Thread(target=type_, daemon=True).start()
        assert shell.run() == 0
    assert "190.10" in capsys.readouterr().out


def test_an_unreadable_history_is_set_aside_and_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shell, _ = make_shell(tmp_path)
    path = tmp_path / "history"
    path.write_bytes(lzma.compress(b"[]"))
    shell._initialize_history(str(path))
    assert path.with_suffix(".damaged").exists()
    assert not path.exists()
    assert "set aside" in capsys.readouterr().err


def test_styles_are_the_operators_choice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    runner, _ = make_runner(tmp_path)
    assert (runner.shell.wants_colour(True), runner.shell.wants_colour(False)) == (True, False)
    monkeypatch.setenv("NO_COLOR", "1")
    assert not runner.shell.wants_colour(True)
    try:
        runner.run("set allow_style always").assert_ok()
        assert runner.shell.wants_colour(False)
        runner.run("set allow_style never").assert_ok()
        assert not runner.shell.wants_colour(True)
    finally:
        runner.run("set allow_style terminal").assert_ok()


def test_the_menu_offers_what_cmd2_would_offer(tmp_path: Path) -> None:
    shell, trading = make_shell(tmp_path)
    trading.hold_position()
    assert isinstance(shell.main_session.completer, PlainMenu)
    for line in (
        "",
        "or",
        "orders ",
        "orders cancel ",
        "orders cancel AAPL.s",
        "buy AAPL 100 ent",
        "buy AAPL 100 entry=ma",
        "hist",
    ):
        theirs, ours = (
            [
                (each.text, each.start_position, each.display_text, each.display_meta_text)
                for each in completer.get_completions(Document(line), CompleteEvent())
            ]
            for completer in (Cmd2Completer(shell), PlainMenu(shell))
        )
        assert ours == theirs
        assert ours
    assert hasattr(shell.complete("or", "or", 0, 2), "_add_opening_quote")
    assert hasattr(shell.complete("or", "or", 0, 2), "_quote_char")


def test_a_line_can_be_run_before_the_first_one_is_typed(tmp_path: Path) -> None:
    shell, trading = make_shell(tmp_path)
    shell.run_first("connect")
    trading.desktop.do(i.LinkChanged, up=False, account="x", paper=True)
    assert shell.run() == 0
    assert ("connect",) in trading.asked
