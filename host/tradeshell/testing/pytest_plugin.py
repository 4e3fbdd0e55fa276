"""The pytest plugin: collects ``*.transcript`` files and offers the fixture ``tradeshell_runner``.

It is loaded by every pytest run in an environment that has tradeshell, so it imports nothing of the shell before a transcript or
the fixture needs it. ``pytest -p no:tradeshell`` leaves it out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from tradeshell.testing.outcome import Runner

STYLE_VARIABLES = ("NO_COLOR", "FORCE_COLOR", "TTY_COMPATIBLE", "TTY_INTERACTIVE", "COLORTERM")
SUFFIX = ".transcript"


class Hooks:
    """Hooks that a ``conftest.py`` may implement."""

    @pytest.hookspec(firstresult=True)
    def pytest_transcript_app(self, config: pytest.Config, path: Path, args: str) -> Any:
        """Return the application for a transcript: a ``cmd2.Cmd``, or a context manager that gives one.

        ``args`` is the header's ``# args: …``. ``None`` leaves it to the next one; the default opens a tradeshell with ``args``.
        """


def pytest_addhooks(pluginmanager: pytest.PytestPluginManager) -> None:
    """Register the hooks."""
    pluginmanager.add_hookspecs(Hooks)


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the setting."""
    parser.addini("transcript_dialect", "strict (default) or compat (cmd2 3.5.1)", default="strict")


def pytest_collect_file(file_path: Path, parent: pytest.Collector) -> pytest.Collector | None:
    """Collect transcripts."""
    if file_path.suffix != SUFFIX:
        return None
    return TranscriptFile.from_parent(parent, path=file_path)


@pytest.hookimpl(trylast=True)
def pytest_transcript_app(config: pytest.Config, path: Path, args: str) -> Any:
    """Open a tradeshell as the header's ``# args: …`` says."""
    del config
    from tradeshell.testing.session import open_shell

    return open_shell(args, folder=path.parent)


class TranscriptFile(pytest.File):
    """A file with one test in it: state carries over from command to command."""

    def collect(self) -> Iterator[pytest.Item]:
        """Return the one test."""
        yield TranscriptItem.from_parent(self, name=self.path.stem)


class TranscriptItem(pytest.Item):
    """Replays one transcript."""

    def runtest(self) -> None:
        """Open the application, run every command and compare."""
        from tradeshell.testing.session import COLUMNS
        from tradeshell.testing.transcript import DIALECTS, discard_start, header_of, replay

        text = self.path.read_text(encoding="utf-8")
        header = header_of(text)
        dialect = header.directive("dialect", str(self.config.getini("transcript_dialect")))
        if dialect not in DIALECTS:
            raise pytest.UsageError(f"{self.path}: dialect {dialect}: is one of {' '.join(DIALECTS)}")
        with pytest.MonkeyPatch.context() as patch, ExitStack() as opened:
            fix_terminal(patch, header.directive("columns", str(COLUMNS)))
            app = self.ihook.pytest_transcript_app(
                config=self.config, path=self.path, args=header.directive("args")
            )
            if app is None:
                raise pytest.UsageError(f"{self.path}: no pytest_transcript_app hook gave an application")
            if hasattr(app, "__enter__"):
                app = opened.enter_context(app)
            discard_start(app)
            replay(app, self.path, dialect=dialect, text=text)

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException], style: Any = None) -> Any:
        """Show a mismatch as a diff and a file that is no transcript in one line."""
        from tradeshell.testing.transcript import Mismatch, TranscriptError

        if isinstance(excinfo.value, Mismatch):
            return excinfo.value.explanation()
        if isinstance(excinfo.value, TranscriptError):
            return f"{self.path}: {excinfo.value}"
        return super().repr_failure(excinfo, style)

    def reportinfo(self) -> tuple[Path, int, str]:
        """Name the test by its file."""
        return self.path, 0, f"transcript {self.path.name}"


def fix_terminal(patch: pytest.MonkeyPatch, columns: str) -> None:
    """Make output independent of the terminal that the tests run in."""
    for name in STYLE_VARIABLES:
        patch.delenv(name, raising=False)
    patch.setenv("COLUMNS", columns)
    patch.setenv("LINES", "40")


@pytest.fixture
def tradeshell_runner(
    monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> Iterator[Callable[[str], Runner]]:
    """Give a function that opens a tradeshell to type into.

    ``runner = tradeshell_runner("--market DEMO=100 --seed 3")``, then ``runner.run("buy DEMO 100").assert_ok()``. It is closed
    when the test ends.
    """
    from tradeshell.testing.session import COLUMNS, open_runner

    fix_terminal(monkeypatch, str(COLUMNS))
    with ExitStack() as opened:

        def open_(args: str = "") -> Runner:
            runner: AbstractContextManager[Runner] = open_runner(args, folder=request.path.parent)
            return opened.enter_context(runner)

        yield open_
