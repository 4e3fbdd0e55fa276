"""Where the log is: the running file, the files of earlier days beside it, and what was set aside.

Laws: the running file is always the configured path; nothing is ever overwritten; files and folders are their owner's alone; what
somebody else wrote is left alone.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import stat
from collections.abc import Iterator
from pathlib import Path

from tradeshell import StateError

PATH_VARIABLE = "APPS_EVENT_LOG_PATH"


@contextlib.contextmanager
def refusals(path: Path) -> Iterator[None]:
    """Turn what the system says into one line that names the log."""
    try:
        yield
    except OSError as error:
        raise StateError(f"event log {path}: {error.strerror} · choose another {PATH_VARIABLE}") from error


def make_folder(path: Path) -> None:
    """Make the folders above ``path`` that are missing."""
    for missing in reversed([place for place in path.parents if not place.exists()]):
        missing.mkdir(mode=0o700, exist_ok=True)


def open_locked(path: Path) -> int:
    """Open ``path`` for reading and appending and return its descriptor; raises ``StateError`` when another program writes it."""
    fd = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(fd)
        raise StateError(
            f"event log {path} is being written by another program · give one of them its own {PATH_VARIABLE}"
        ) from None
    except OSError:
        pass  # some network file systems have no locks: better a log without one than none
    with contextlib.suppress(OSError):  # somebody else's file that we may write stays as open as it is
        if stat.S_IMODE(os.fstat(fd).st_mode) & 0o077:
            os.fchmod(fd, 0o600)  # positions and prices are nobody else's affair
    return fd


def rotated(path: Path) -> list[Path]:
    """Return the files that the log at ``path`` was rotated to, oldest first."""
    form = re.compile(re.escape(path.stem) + r"-(\d{4}-\d\d-\d\d)(?:\.(\d+))?" + re.escape(path.suffix))
    found = [
        (match[1], int(match[2] or 0), file)
        for file in path.parent.iterdir()
        if (match := form.fullmatch(file.name))
    ]
    return [file for _, _, file in sorted(found)]


def free_name(path: Path, day: str) -> Path:
    """Return the name for the file of ``day`` (ISO): the first that is not taken, for a day may need several."""
    taken = {file.name for file in rotated(path)}
    name, number = f"{path.stem}-{day}{path.suffix}", 0
    while name in taken:
        number += 1
        name = f"{path.stem}-{day}.{number}{path.suffix}"
    return path.with_name(name)


def set_aside(path: Path, fd: int, at: int) -> Path:
    """Copy what stands behind byte ``at`` into a file of its own, have it on the disk, cut it off; returns that file.

    The copy first: a kill or a power cut between the two leaves the bytes in both places, never in none.
    """
    names = (f"{path.name}.torn-{at}{part}" for part in ("", *(f"-{n}" for n in range(2, 10_000))))
    aside = next(place for name in names if not (place := path.with_name(name)).exists())
    with os.fdopen(os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        done = at
        while block := os.pread(fd, 1 << 20, done):
            file.write(block)
            done += len(block)
        file.flush()
        os.fsync(file.fileno())
    _sync_folder(path.parent)
    os.ftruncate(fd, at)
    return aside


def _sync_folder(folder: Path) -> None:
    fd = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
