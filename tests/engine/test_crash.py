"""Crash files: what a person may send around, and no more of it than is useful."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from tradeshell.engine import crash


def broken(words: str) -> Exception:
    """Return an error with a traceback."""
    try:
        raise ValueError(words)
    except ValueError as error:
        return error


def test_a_crash_file_masks_accounts_and_is_its_owners_alone(tmp_path: Path) -> None:
    file = crash.CrashFile(tmp_path / "crash.log")
    for words in ("order of DU1234567", "order of U7654321"):
        file.write(broken(words), "BarClosed")
    text = file.path.read_text(encoding="utf-8")
    assert "order of DU…4567" in text
    assert "order of U…4321" in text
    assert text.count("--- BarClosed\nTraceback") == 2
    assert stat.S_IMODE(file.path.stat().st_mode) == 0o600


def test_a_crash_file_that_has_grown_long_becomes_the_old_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(crash, "LONGEST", 10)
    file = crash.CrashFile(tmp_path / "crash.log")
    for words in ("one", "two", "three"):
        file.write(broken(words), "x")
    assert "three" in file.path.read_text(encoding="utf-8")
    assert "two" in (tmp_path / "crash.log.1").read_text(encoding="utf-8")


def test_a_folder_that_is_gone_makes_nothing_worse(tmp_path: Path) -> None:
    crash.CrashFile(tmp_path / "gone" / "crash.log").write(broken("x"), "x")
    (tmp_path / "crashes").write_text("in the way")
    assert crash.report(broken("x"), "buy", "1", tmp_path) is None


def test_a_report_masks_the_line_that_was_typed_and_twenty_are_kept(tmp_path: Path) -> None:
    paths = [crash.report(broken("DU1234567"), "buy account=DU1234567", "1", tmp_path) for _ in range(25)]
    kept = sorted((tmp_path / "crashes").iterdir())
    assert kept == sorted(path for path in paths if path is not None)[-crash.KEPT :]
    text = kept[-1].read_text(encoding="utf-8")
    assert "while: buy account=DU…4567\n" in text
    assert "1234567" not in text
    assert stat.S_IMODE(kept[-1].stat().st_mode) == 0o600
