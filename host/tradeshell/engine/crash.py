"""Where a defect of ours leaves its traceback: files in the state directory, never the screen.

Laws: account ids are masked; a file is its owner's alone and does not grow for ever; a disk that refuses makes nothing worse.
"""

from __future__ import annotations

import contextlib
import os
import re
import sys
import traceback
from datetime import UTC, datetime
from pathlib import Path

KEPT = 20  # reports; older ones are removed
LONGEST = 1_000_000  # bytes of a crash file; then it becomes NAME.1 and a new one begins
_ACCOUNT = re.compile(r"\b([A-Z]{1,3})[0-9]{3,8}([0-9]{4})\b")


def masked_traceback(error: BaseException) -> str:
    """Return the traceback of ``error`` as text fit for a file that people send around."""
    return _ACCOUNT.sub(r"\1…\2", "".join(traceback.format_exception(error)))


class CrashFile:
    """One file to which the engine appends tracebacks."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def write(self, error: BaseException, where: str) -> None:
        """Append one traceback."""
        with contextlib.suppress(OSError):
            if self.path.exists() and self.path.stat().st_size > LONGEST:
                self.path.replace(self.path.with_name(f"{self.path.name}.1"))
            handle = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
            with os.fdopen(handle, "w", encoding="utf-8", errors="replace") as file:
                file.write(f"--- {where}\n{masked_traceback(error)}\n")


def report(error: BaseException, what: str, version: str, state_dir: Path) -> Path | None:
    """Write a crash report of its own and return its path; ``None`` when the disk does not take it. Never raises."""
    now = datetime.now(UTC)
    folder = state_dir / "crashes"
    path = folder / f"{now:%Y%m%d-%H%M%S-%f}.log"
    head = f"tradeshell {version} · Python {sys.version.split()[0]} · {sys.platform} · {now.isoformat()}\n"
    doing = _ACCOUNT.sub(r"\1…\2", what)
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        with os.fdopen(handle, "w", encoding="utf-8", errors="replace") as file:
            file.write(f"{head}while: {doing}\n\n{masked_traceback(error)}")
    except OSError:
        return None
    with contextlib.suppress(OSError):
        for old in sorted(folder.glob("*.log"))[:-KEPT]:
            old.unlink()
    return path


def told(error: BaseException, what: str, path: Path | None) -> str:
    """Return the one line that the operator sees."""
    name = type(error).__name__
    where = "and no report could be written" if path is None else f"please report it with {_short(path)}"
    return f"{what}: internal error ({name}) · {where}"


def _short(path: Path) -> str:
    """Return the path with the home directory written as ``~``."""
    try:
        return str(Path("~") / path.relative_to(Path.home()))
    except (ValueError, RuntimeError):
        return str(path)
