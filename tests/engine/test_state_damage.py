"""State and journal on a disk that fails at its N-th call, and state files that were changed."""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace
from tests.core.support import OPEN
from tests.engine.state_mutations import base, run

from tradeshell.core import inputs as i
from tradeshell.engine.journal import Journal, read_gaps, read_journal
from tradeshell.engine.state import snapshot
from tradeshell.engine.store import Keeper, Loaded, load, save

CALLS = ("open", "write", "fsync", "fdatasync", "ftruncate", "close", "replace", "rename")
MOST = 200  # calls of one run; none makes so many


class Disk:
    """The calls of the operating system, counted; the N-th fails."""

    def __init__(self, nth: int, number: int = errno.EIO) -> None:
        self.count, self._nth, self._errno = 0, nth, number

    @property
    def has_failed(self) -> bool:
        """Whether the N-th call was made."""
        return self.count >= self._nth

    def wrap(self, real: Callable[..., Any], *, does_it: bool = False) -> Callable[..., Any]:
        """Return a call that fails when it is the one; ``does_it``: it has its effect all the same, as ``close`` has."""

        def call(*args: Any, **more: Any) -> Any:
            self.count += 1
            if self.count == self._nth:
                if does_it:
                    real(*args, **more)
                raise OSError(self._errno, os.strerror(self._errno))
            return real(*args, **more)

        return call


@contextlib.contextmanager
def failing(nth: int, number: int, calls: tuple[str, ...] = CALLS) -> Iterator[Disk]:
    """Let the N-th call fail."""
    disk = Disk(nth, number)
    with pytest.MonkeyPatch.context() as patched:
        for name in calls:
            patched.setattr(os, name, disk.wrap(getattr(os, name), does_it=name == "close"))
        yield disk


@pytest.mark.parametrize("number", [errno.EIO, errno.ENOSPC, errno.EROFS])
def test_P02_whatever_call_fails_while_a_snapshot_is_written_the_old_or_the_new_one_is_there(
    tmp_path: Path, number: int
) -> None:
    """Every call of a save fails once, until a save is clean.

    Kills: a snapshot that is written in place; a temporary file that keeps the next save from working.
    """
    path = tmp_path / "state.toml"
    old = snapshot(base().desk, session="s1", broker="ibkr", journal_seq=17)
    new = replace(old, journal_seq=18)
    failed = 0
    for nth in range(1, MOST):
        save(path, old)
        with failing(nth, number) as disk, contextlib.suppress(OSError):
            save(path, new)
        assert load(path).saved in (old, new)
        save(path, new)
        assert load(path) == Loaded(saved=new)
        if not disk.has_failed:
            break
        failed += 1
    assert failed >= 6  # open, write, fsync, close, and the folder's
    assert failed < MOST - 2


def test_P02_the_keeper_goes_on_after_every_failure_and_complains_once(tmp_path: Path) -> None:
    """Kills: a thread that ends with the first error."""
    path = tmp_path / "state.toml"
    picture = snapshot(base().desk, session="s1", broker="ibkr", journal_seq=17)
    told: list[str] = []
    keeper = Keeper(path, lambda: picture, told.append, every=3600)
    for nth in range(1, 8):
        with failing(nth, errno.ENOSPC):
            keeper.save_now()
    assert keeper.save_now()
    keeper.close()
    assert load(path).saved == picture
    assert len(told) == 1
    assert "No space left on device" in told[0]


def test_P02_whatever_call_fails_while_decisions_are_written_the_journal_is_whole_and_says_what_is_missing(
    tmp_path: Path,
) -> None:
    """Every call of six decisions fails once, until all are clean.

    Kills: half a record in the middle of the file; a decision that is missing without a word.
    """
    for nth in range(1, MOST):
        path = tmp_path / f"journal-{nth}"
        journal = Journal(path, "s", "ibkr", outlives_us=False)
        with failing(nth, errno.EIO, ("write", "ftruncate")) as disk:
            for key in range(6):
                with contextlib.suppress(OSError):
                    journal.append(i.TimerFired(at=OPEN, key=str(key)), ())
        journal.append(i.TimerFired(at=OPEN, key="last"), ())
        journal.close()
        entries = list(read_journal(path))
        missing = sum(gap.gap for gap in read_gaps(path))
        assert len(entries) + missing == 7
        assert missing == int(disk.has_failed)
        assert [entry.n for entry in entries] == sorted(entry.n for entry in entries)
        if not disk.has_failed:
            break
    assert 6 <= nth < MOST - 2


def test_P06_a_thousand_changed_state_files_raise_nothing_lose_nothing_and_arm_nothing() -> None:
    """The sample of ``make damage``.

    Kills: a value that is believed unread; a file that is overwritten after it was not understood.
    """
    wrong, tally = run(10**6, 1000)
    assert wrong == []
    assert min(tally[name] for name in ("set aside", "in part", "armed by somebody", "taken as changed")) > 20
