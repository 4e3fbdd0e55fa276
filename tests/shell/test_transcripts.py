"""The kit: transcripts are collected, compared in two dialects, and recorded."""

from __future__ import annotations

import io
import subprocess
import sys
from pathlib import Path

import pytest
from tests.shell.support import make_shell

from tradeshell.testing import Mismatch, TranscriptError, compile_expected, replay
from tradeshell.testing.record import transcript_text
from tradeshell.testing.transcript import Prompts, captured, header_of, parse

pytest_plugins = ["pytester"]

PROMPTS = Prompts("paper> ")


# --- the format -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "expected, got, is_match",
    [
        ("plain.\n", "plain.\n", True),
        ("plain.\n", "plainX\n", False),
        ("/[0-9]+/ orders\n", "12 orders\n", True),
        ("/[0-9]+/ orders\n", "no orders\n", False),
        ("a\\/b/c/d", "a/bcd", True),
        ("and\\/or\n", "and/or\n", True),
        ("1/2\n", "1/2\n", True),
        ("/a.*z/\n", "a\nb\nz\n", True),
        ("/a\\/b/\n", "a/b\n", True),
        ("x /^y$/ z\n", "x y z\n", False),
        ("[a](b)*\n", "[a](b)*\n", True),
    ],
)
def test_expected_output_is_text_with_islands(expected: str, got: str, is_match: bool) -> None:
    assert (compile_expected(expected).fullmatch(got) is not None) is is_match


def test_a_file_is_a_header_and_steps() -> None:
    text = "# args: --seed 3\nintro\n\npaper> one\n> more\nout\npaper> two\npaper> three\n"
    found = parse(text, PROMPTS)
    assert found.directive("args") == "--seed 3" == header_of(text).directive("args")
    assert [(s.number, s.command, s.expected) for s in found.steps] == [
        (4, "one\nmore\n", "out\n"),
        (7, "two\n", None),
        (8, "three\n", None),
    ]


def test_a_style_in_front_of_the_prompt_is_no_part_of_it() -> None:
    assert parse("\x1b[31mpaper\x1b[0m> one\n", PROMPTS).steps[0].command == "one\n"


def test_a_file_without_a_command_is_no_transcript() -> None:
    with pytest.raises(TranscriptError, match="there is no command"):
        parse("# nothing\n", PROMPTS)


# --- dialects ---------------------------------------------------------------------------------------------------------

RIGHT = "paper> orders\nno order is working\npaper> nope\nnope: unknown command · `help` lists all\n"


@pytest.mark.parametrize(
    "text, strict, compat",
    [
        (RIGHT, True, False),  # compat sees no standard error, so what is expected of it never comes
        ("paper> orders\nno order is working\n", True, True),
        ("paper> orders\nno order is working", True, True),
        ("paper> orders\nno order\n", False, False),
        ("paper> orders\n/no order/\n", False, False),
        ("paper> orders\nno order/ is working/", True, True),
        ("paper> orders\nno order/ is/", False, True),  # a beginning is enough for compat
        ("paper> orders\npaper> orders\nno order is working\n", False, False),
        (
            "paper> orders\nno order is working\npaper> orders\n",
            False,
            True,
        ),  # nothing is asked of a last command
        ("paper> quit\npaper> orders\nno order is working\n", False, False),
        ("paper> orders\nno order is working\npaper> quit\n", True, True),
    ],
)
def test_strict_looks_at_everything_and_compat_as_cmd2_did(
    tmp_path: Path, text: str, strict: bool, compat: bool
) -> None:
    for dialect, is_right in (("strict", strict), ("compat", compat)):
        shell, _ = make_shell(tmp_path)
        try:
            replay(shell, tmp_path / "x.transcript", dialect=dialect, text=text)
        except Mismatch:
            assert not is_right, dialect
        else:
            assert is_right, dialect


def test_a_mismatch_shows_where_and_how(tmp_path: Path) -> None:
    shell, _ = make_shell(tmp_path)
    with pytest.raises(Mismatch) as caught:
        replay(shell, tmp_path / "x.transcript", text="# one\npaper> orders\nno orders at all\n")
    told = caught.value.explanation()
    assert "x.transcript:2: the output differs" in told
    assert "-no orders at all" in told
    assert "+no order is working" in told


def test_events_that_a_command_caused_are_part_of_its_output(tmp_path: Path) -> None:
    shell, _ = make_shell(tmp_path, live=True)
    with captured(shell) as output:
        shell.onecmd_plus_hooks("buy AAPL 1")
    assert output() == "09:30:00 AAPL  entry     BUY 1 @ 190.15 limit\n"
    shell.pump.close()


def test_a_shell_that_answers_in_json_has_transcripts_too(tmp_path: Path) -> None:
    shell, _ = make_shell(tmp_path, as_json=True)
    text = 'paper> orders\n{"result":"orders","ok":true,"data":[],"error":null}\n'
    replay(shell, tmp_path / "x.transcript", text=text)


# --- the pytest plugin ------------------------------------------------------------------------------------------------

APP = """
import cmd2


class App(cmd2.Cmd):
    prompt = "(Cmd) "

    def do_hello(self, statement):
        self.poutput("hello " + statement)


def pytest_transcript_app(config, path, args):
    assert path.name.endswith(".transcript")
    return App(allow_cli_args=False) if args == "other" else None
"""


def test_transcripts_of_any_cmd2_application_are_collected(pytester: pytest.Pytester) -> None:
    pytester.makeconftest(APP)
    pytester.makefile(".transcript", good="# args: other\n(Cmd) hello you\nhello you\n")
    pytester.makefile(".transcript", bad="# args: other\n(Cmd) hello you\nbye\n")
    pytester.makefile(".transcript", ugly="# args: other\n# dialect: loose\n(Cmd) hello\nhello \n")
    done = pytester.runpytest_subprocess("-p", "no:cacheprovider")
    done.assert_outcomes(passed=1, failed=2)
    done.stdout.fnmatch_lines(
        ["*bad.transcript:2: the output differs", "*-bye", "*+hello you", "*dialect loose*"]
    )


def test_without_a_hook_a_tradeshell_is_opened(pytester: pytest.Pytester) -> None:
    pytester.makefile(".transcript", story="# args: --market DEMO=100\npaper> orders\nno order is working\n")
    pytester.makefile(
        ".transcript", refused="# args: --market nonsense\npaper> orders\nno order is working\n"
    )
    pytester.makepyfile(
        """
        def test_fixture(tradeshell_runner):
            runner = tradeshell_runner("--market DEMO=100 --seed 3")
            runner.run("buy DEMO 100").assert_ok().assert_says("BUY 100 @ 100.00 limit")
            runner.run("buy DEMO").assert_refused("qty is missing")
        """
    )
    done = pytester.runpytest_subprocess("-p", "no:cacheprovider")
    done.assert_outcomes(passed=2, failed=1)


def test_collecting_imports_nothing_of_the_shell(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        """
        import sys

        def test_nothing_is_loaded():
            assert not {"cmd2", "prompt_toolkit", "tradeshell.shell", "tradeshell.bootstrap"} & set(sys.modules)
        """
    )
    pytester.runpytest_subprocess("-p", "no:cacheprovider").assert_outcomes(passed=1)


# --- recording --------------------------------------------------------------------------------------------------------


def test_what_is_recorded_repeats(tmp_path: Path) -> None:
    path = tmp_path / "story.transcript"
    args = ["--market", "DEMO=100", "--seed", "3", "--speed", "max"]
    lines = "quote DEMO\nbuy DEMO 10 sl=99\norders\nnope and/or\n# a remark\nquit\n"
    command = [sys.executable, "-m", "tradeshell.testing.record", str(path)]
    done = subprocess.run(
        [*command, *args], input=lines, text=True, capture_output=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    text = path.read_text(encoding="utf-8")
    assert text.startswith("# Recorded with")
    assert "# args: --market DEMO=100 --seed 3 --speed max\n" in text
    assert [line for line in text.splitlines() if line.startswith("paper> ")] == [
        "paper> quote DEMO",
        "paper> buy DEMO 10 sl=99",
        "paper> orders",
        "paper> nope and/or",
        "paper> # a remark",
    ]
    assert "/(?:br|m)-[a-z2-7]{5}/" in text
    again = subprocess.run(
        [*command, *args], input=lines, text=True, capture_output=True, timeout=60, check=False
    )
    assert again.returncode == 2
    assert "--force overwrites" in again.stderr


def test_printed_lines_are_written_so_that_they_are_read_as_printed() -> None:
    printed = "paper> looks like a command\na/b c\\/d\n"
    text = transcript_text([("echo", printed)], "paper> ", "", exact=True)
    (step,) = parse(text, PROMPTS).steps
    assert step.expected is not None
    assert compile_expected(step.expected).fullmatch(printed)


def test_nothing_typed_is_nothing_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from tradeshell.testing.record import main

    monkeypatch.setattr(sys, "stdin", io.StringIO(""))
    assert main([str(tmp_path / "x.transcript")]) == 1
    assert not (tmp_path / "x.transcript").exists()


def test_a_recording_that_cannot_begin_says_why(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from tradeshell.testing.record import main

    assert main([str(tmp_path / "x.transcript"), "--market", "nonsense"]) == 1
    assert "nonsense" in capsys.readouterr().err
