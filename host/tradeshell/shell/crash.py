"""Where a defect of ours leaves its traceback: a file in the state directory, never the screen."""

from __future__ import annotations

import contextlib
import os
import re
import sys
import traceback
from datetime import UTC, datetime
from pathlib import Path

KEPT = 20  # reports; older ones are removed
_ACCOUNT = re.compile(r"\b([A-Z]{1,3})[0-9]{3,8}([0-9]{4})\b")


def report(error: BaseException, what: str, version: str, state_dir: Path) -> Path | None:
    """Write a crash report and return its path; ``None`` when the disk does not take it. Never raises."""
    now = datetime.now(UTC)
    folder = state_dir / "crashes"
    path = folder / f"{now:%Y%m%d-%H%M%S-%f}.log"
    text = "".join([
        f"tradeshell {version} · Python {sys.version.split()[0]} · {sys.platform} · {now.isoformat()}\n",
        f"while: {what}\n\n",
        *traceback.format_exception(error),
    ])  # fmt: skip
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(handle, "w", encoding="utf-8", errors="replace") as file:
            file.write(_ACCOUNT.sub(r"\1…\2", text))
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
