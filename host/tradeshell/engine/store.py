"""What outlives the program: one locked folder, and a TOML snapshot of watchers and trades beside the journal.

Laws: one program a folder (the lock dies with its process); a snapshot replaces the old one atomically and keeps one generation;
what cannot be read, or not all of it, is set aside and named, never overwritten; writing happens on a thread of its own, never on
the loop (a hundred watchers take milliseconds to write).
"""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import stat
import threading
import time
from collections.abc import Callable
from pathlib import Path

from filelock import FileLock, Timeout
from msgspec import Struct

from tradeshell.engine.state import MOST_SHOWN, NewerState, Saved, dumped, parsed
from tradeshell.errors import StateError

SAVE_EVERY = 0.5  # seconds between two snapshots while things change
QUIET = 0.03  # seconds without a change make a quiet moment
QUIET_WITHIN = 0.4  # seconds in which one is waited for
SAVE_EVERY_EMBEDDED = 5.0  # the same for a venue that ends with the program: nothing is resumed from it
FOLDERS = 50
MOST_ASIDE = 1000
MOST_BYTES = 50_000_000  # of a snapshot; a hundred watchers take a hundred thousand
NEWER = "the state was written by a newer tradeshell"


class StateFolder:
    """A state folder that this process alone uses until ``close``. ``notes``: what the operator should know of it."""

    def __init__(self, base: Path, *, may_move: bool) -> None:
        """Lock ``base``; when it is taken and ``may_move``, the first free of ``base-2``, ``base-3`` …; raises ``StateError``."""
        for number in range(1, FOLDERS):
            folder = base if number == 1 else base.with_name(f"{base.name}-{number}")
            if number > 1:
                _make(folder)
            notes = _safety(folder)
            lock = _lock(folder)
            if lock is not None:
                self.path, self._lock, self.notes = folder, lock, notes
                return
            if not may_move:
                break
        holder = _holder(base)
        raise StateError(
            f"{base} is used by another tradeshell{holder}: end that one, or choose another --state-dir"
        )

    def close(self) -> None:
        """Give the folder back."""
        with contextlib.suppress(OSError):
            self._lock.release(force=True)


def _make(folder: Path) -> None:
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
    except OSError as error:
        raise StateError(f"{folder}: {error.strerror}; choose another --state-dir") from None


def _safety(folder: Path) -> tuple[str, ...]:
    """Return a line about a folder that others may read; raises ``StateError`` for one that others may put files into.

    A folder that is a link is refused too: whoever may change the link chooses which journal is believed.
    """
    try:
        found = folder.lstat()
    except OSError as error:
        raise StateError(f"{folder}: {error.strerror}; choose another --state-dir") from None
    if stat.S_ISLNK(found.st_mode):
        raise StateError(f"{folder} is a link to {folder.readlink()}: name that folder with --state-dir")
    mode = stat.S_IMODE(found.st_mode)
    if mode & stat.S_IWOTH:
        raise StateError(f"{folder} can be written by everybody (mode {mode:04o}): chmod 700 {folder}")
    if mode & 0o077:
        return (f"state {folder} can be read by others (mode {mode:04o}): chmod 700 {folder}",)
    return ()


def _lock(folder: Path) -> FileLock | None:
    path = folder / "lock"
    lock = FileLock(path, timeout=0, mode=0o600, thread_local=False, fallback_to_soft=False)
    try:
        lock.acquire()
    except Timeout:
        return None
    except (OSError, NotImplementedError) as error:
        why = (isinstance(error, OSError) and error.strerror) or str(error)
        raise StateError(f"{path}: {why}; choose another --state-dir") from None
    with contextlib.suppress(OSError):  # the number is for people; the lock itself is the kernel's
        holder = os.open(folder / "lock.holder", os.O_CREAT | os.O_TRUNC | os.O_WRONLY | os.O_CLOEXEC, 0o600)
        try:
            os.write(holder, f"{os.getpid()}\n".encode())
        finally:
            os.close(holder)
    return lock


def _holder(folder: Path) -> str:
    try:
        pid = (folder / "lock.holder").read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError):
        return ""
    return f" (process {pid})" if pid.isdigit() else ""


# --- the snapshot -----------------------------------------------------------------------------------------------------


class Loaded(Struct, frozen=True, kw_only=True):
    """What was found of the session before.

    ``notes``: lines for the operator. ``why_doubted``: why every watcher should be asked about; "" otherwise.
    """

    saved: Saved | None
    notes: tuple[str, ...] = ()
    why_doubted: str = ""


def load(path: Path) -> Loaded:
    """Return the snapshot at ``path``, or of the generation before when it is damaged; what cannot be used is set aside.

    Raises ``StateError`` when a thousand files have been set aside already, or one cannot be moved.
    """
    notes: list[str] = []
    doubted = ""
    for candidate in (path, path.with_name(path.name + ".1")):
        try:
            data = _bytes(candidate)
        except FileNotFoundError:
            continue
        except OSError as error:
            notes.append(f"state {candidate} cannot be read: {error.strerror}; it was left as it is")
            doubted = doubted or "the state file cannot be read"
            continue
        try:
            saved = parsed(data)
        except NewerState as error:
            aside = set_aside(candidate, "newer")
            notes.append(
                f"state {candidate} was written by a newer tradeshell ({error}); it was set aside as {aside.name} · "
                "entries are stopped, `stopentry off` lifts that"
            )
            doubted = NEWER
        except ValueError as error:  # tomllib, unicode and pydantic errors are ValueErrors
            aside = set_aside(candidate, "damaged")
            notes.append(
                f"state {candidate} is damaged ({_one_line(error)}); it was set aside as {aside.name}"
            )
            doubted = doubted or "the state file was damaged"
        else:
            if saved.left_out:
                aside = set_aside(candidate, "edited", keep=True)
                notes += _left_out(candidate, saved.left_out, aside)
            if candidate != path:
                notes.append(f"state: the generation before ({candidate.name}) was used")
            return Loaded(saved=saved, notes=tuple(notes), why_doubted=doubted)
    return Loaded(saved=None, notes=tuple(notes), why_doubted=doubted)


def _bytes(path: Path) -> bytes:
    if path.stat().st_size > MOST_BYTES:
        raise OSError(errno.EFBIG, f"it is larger than {MOST_BYTES // 1_000_000} MB")
    return path.read_bytes()


def _left_out(path: Path, left_out: tuple[str, ...], aside: Path) -> list[str]:
    told = [f"state {path}: {each} · it was left out" for each in left_out[:MOST_SHOWN]]
    more = f" ({len(left_out) - MOST_SHOWN} more)" if len(left_out) > MOST_SHOWN else ""
    return [*told, f"state {path}: the file as it was is {aside.name}{more}"]


def set_aside(path: Path, why: str, *, keep: bool = False) -> Path:
    """Move a file out of the way under a name that is not taken (``keep``: copy it); raises ``StateError``."""
    for number in range(1, MOST_ASIDE):
        aside = path.with_name(f"{path.name}.{why}-{number}")
        if not aside.exists():
            try:
                if keep:
                    shutil.copy2(path, aside)
                else:
                    path.rename(aside)
            except OSError as error:
                raise StateError(f"{path} cannot be set aside: {error.strerror}; move it away") from None
            return aside
    raise StateError(f"{path.parent}: a thousand damaged files lie here; move them away")


def save(path: Path, saved: Saved) -> None:
    """Replace the snapshot at ``path`` atomically, 0600, and sync file and folder; raises ``OSError``, ``ValueError``."""
    data = dumped(saved).encode()
    temporary = path.with_name(path.name + ".new")
    fd = os.open(temporary, os.O_CREAT | os.O_TRUNC | os.O_WRONLY | os.O_CLOEXEC, 0o600)
    try:
        if os.write(fd, data) != len(data):  # what is there would replace a snapshot that is whole
            raise OSError(errno.ENOSPC, "the disk is full")
        os.fsync(fd)
    finally:
        os.close(fd)
    temporary.replace(path)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())[:160]


class Keeper:
    """Saves the desk on a thread of its own, within a moment after it changed and once more at the end.

    Never at once, and in a quiet moment if there is one: what changed is often the first of several things (an entry, its fill,
    its exits), and while this thread makes text of the desk the trading thread waits for Python's lock.
    """

    def __init__(
        self,
        path: Path,
        picture: Callable[[], Saved],
        complain: Callable[[str], None],
        every: float = SAVE_EVERY,
    ) -> None:
        """Keep ``path`` up to date, ``every`` so many seconds; the file of the session before becomes ``NAME.1``."""
        self._every = every
        self._path, self._picture, self._complain = path, picture, complain
        self._dirty = threading.Event()
        self._end = threading.Event()
        self._complained = False
        self._touched_at = 0.0
        self._lock = threading.Lock()  # two may save: the thread, and who cannot wait for it
        with contextlib.suppress(OSError):
            if path.exists():
                path.replace(path.with_name(path.name + ".1"))
        self._thread = threading.Thread(target=self._run, name="state-keeper", daemon=True)
        self._thread.start()

    def touch(self) -> None:
        """Say that something changed; any thread, never waits."""
        self._touched_at = time.monotonic()
        self._dirty.set()

    def save_now(self) -> bool:
        """Save before returning; say whether that worked. Never on the loop: a disk may take its time."""
        return self._save()

    def close(self) -> None:
        """Save once more and end."""
        self._end.set()
        self._dirty.set()
        self._thread.join(5)

    def _run(self) -> None:
        while not self._end.is_set():
            self._dirty.wait()
            self._end.wait(self._every)
            self._wait_for_quiet()
            self._dirty.clear()
            self._save()
        self._save()

    def _wait_for_quiet(self) -> None:
        until = time.monotonic() + QUIET_WITHIN
        while not self._end.is_set() and (now := time.monotonic()) < until:
            if now - self._touched_at >= QUIET:
                return
            self._end.wait(QUIET - (now - self._touched_at))

    def _save(self) -> bool:
        try:
            with self._lock:
                save(self._path, self._picture())
        except Exception as error:  # noqa: BLE001  # text that cannot be encoded must not end the thread either
            if not self._complained:
                self._complained = True
                why = (isinstance(error, OSError) and error.strerror) or _one_line(error)
                self._complain(f"state {self._path} cannot be written: {why}; the journal goes on")
            return False
        return True
