"""One command line and what came of it, to be asserted on."""

from __future__ import annotations

from dataclasses import dataclass

from tradeshell.shell.app import TradeShell
from tradeshell.testing.transcript import captured


@dataclass(frozen=True)
class Outcome:
    """What one line printed and whether it succeeded. ``stopped``: the shell wants to end."""

    line: str
    ok: bool
    text: str
    stopped: bool

    @property
    def lines(self) -> tuple[str, ...]:
        """The printed lines."""
        return tuple(self.text.splitlines())

    def assert_ok(self) -> Outcome:
        """Fail the test unless the command succeeded; returns the outcome for more."""
        assert self.ok, self.explained("should have succeeded")
        return self

    def assert_refused(self, *words: str) -> Outcome:
        """Fail the test unless the command failed in one line that holds every one of ``words``."""
        assert not self.ok, self.explained("should have been refused")
        missing = [word for word in words if word not in self.text]
        assert not missing, self.explained(f"should have said {missing}")
        return self

    def assert_says(self, *words: str) -> Outcome:
        """Fail the test unless the output holds every one of ``words``."""
        missing = [word for word in words if word not in self.text]
        assert not missing, self.explained(f"should have said {missing}")
        return self

    def explained(self, wanted: str = "") -> str:
        """Return the line, whether it succeeded, and everything it printed."""
        head = f"`{self.line}` {wanted or ('succeeded' if self.ok else 'failed')}"
        said = "\n".join(f"  | {line}" for line in self.lines) or "  (it printed nothing)"
        end = "\n  and the shell wants to end" if self.stopped else ""
        return f"{head}; it {'succeeded' if self.ok else 'failed'} and said:\n{said}{end}"

    def __repr__(self) -> str:
        """Explain, so that a failing assert on an attribute shows the story."""
        return f"<Outcome of {self.explained()}>"


class Runner:
    """Types lines into a shell. ``shell`` is there for what an outcome does not show."""

    def __init__(self, shell: TradeShell) -> None:
        self.shell = shell

    def run(self, line: str) -> Outcome:
        """Run one line and return what came of it."""
        with captured(self.shell) as output:
            stopped = self.shell.onecmd_plus_hooks(line)
        return Outcome(line=line, ok=not self.shell.last_failed, text=output(), stopped=stopped)
