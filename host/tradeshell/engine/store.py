"""What outlives the program: one locked folder, and a TOML snapshot of watchers and trades beside the journal.

Laws: one program a folder (the lock dies with its process); a snapshot replaces the old one atomically and keeps one generation;
what cannot be read is set aside and named, never overwritten; writing happens on a thread of its own, never on the loop
(a hundred watchers take milliseconds to write).
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import threading
import time
import tomllib
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct, field

from tradeshell.core.desk import Desk, Watcher, WatchPhase
from tradeshell.core.trade import Trade
from tradeshell.errors import StateError

VERSION = 1
SAVE_EVERY = 0.5  # seconds between two snapshots while things change
QUIET = 0.03  # seconds without a change make a quiet moment
QUIET_WITHIN = 0.4  # seconds in which one is waited for
SAVE_EVERY_EMBEDDED = 5.0  # the same for a venue that ends with the program: nothing is resumed from it
FOLDERS = 50


class SavedWatcher(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A watcher as it stands in the snapshot. Prices are text so that they stay exact."""

    id: str
    symbol: str
    strategy: str
    phase: WatchPhase
    fired: bool
    started_at: datetime
    qty: int
    level: str = ""
    tp: tuple[str, ...] = ()
    sl: str = ""
    end_reason: str = ""
    params: dict[str, str] = field(default_factory=dict)


class SavedTrade(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A trade as it stands in the snapshot: which orders it sent."""

    id: str
    symbol: str
    phase: str
    origin: str
    refs: tuple[str, ...] = ()


class Saved(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The snapshot. ``journal_seq``: the last journal entry it contains; ``session``: whose journal that is.

    ``stopped``: why no entry leaves; the next session begins with it.
    """

    version: int
    session: str
    broker: str
    account: str
    journal_seq: int
    stopped: str = ""
    watchers: tuple[SavedWatcher, ...] = ()
    trades: tuple[SavedTrade, ...] = ()


class StateFolder:
    """A state folder that this process alone uses until ``close``."""

    def __init__(self, base: Path, *, may_move: bool) -> None:
        """Lock ``base``; when it is taken and ``may_move``, the first free of ``base-2``, ``base-3`` …; raises ``StateError``."""
        for number in range(1, FOLDERS):
            folder = base if number == 1 else base.with_name(f"{base.name}-{number}")
            if number > 1:
                _make(folder)
            fd = _lock(folder)
            if fd is not None:
                self.path, self._fd = folder, fd
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
            os.close(self._fd)


def _make(folder: Path) -> None:
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
    except OSError as error:
        raise StateError(f"{folder}: {error.strerror}; choose another --state-dir") from None


def _lock(folder: Path) -> int | None:
    try:
        fd = os.open(folder / "lock", os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise StateError(f"{folder}: {error.strerror}; choose another --state-dir") from None
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(fd)
        return None
    with contextlib.suppress(OSError):  # the pid is for people; the lock itself is the kernel's
        os.ftruncate(fd, 0)
        os.pwrite(fd, f"{os.getpid()}\n".encode(), 0)
    return fd


def _holder(folder: Path) -> str:
    try:
        pid = (folder / "lock").read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError):
        return ""
    return f" (process {pid})" if pid.isdigit() else ""


# --- the snapshot -----------------------------------------------------------------------------------------------------


def snapshot(desk: Desk, *, session: str, broker: str, journal_seq: int) -> Saved:
    """Return what is kept of a desk."""
    return Saved(
        version=VERSION,
        session=session,
        broker=broker,
        account=desk.account,
        journal_seq=journal_seq,
        stopped=desk.stopped,
        watchers=tuple(_watcher(watcher) for watcher in desk.watchers.values()),
        trades=tuple(_trade(trade) for trade in desk.trades()),
    )


def _watcher(watcher: Watcher) -> SavedWatcher:
    plan = watcher.spec.plan
    return SavedWatcher(
        id=watcher.spec.id,
        symbol=plan.symbol,
        strategy=watcher.spec.strategy,
        phase=watcher.phase,
        fired=watcher.fired,
        started_at=watcher.started_at,
        qty=plan.qty,
        level="" if plan.level is None else str(plan.level),
        tp=tuple(str(tp) for tp in plan.tps),
        sl="" if plan.sl is None else str(plan.sl),
        end_reason=watcher.end_reason,
        params=watcher.spec.params,
    )


def _trade(trade: Trade) -> SavedTrade:
    return SavedTrade(
        id=trade.id, symbol=trade.plan.symbol, phase=trade.phase.value, origin=trade.origin, refs=trade.refs
    )


def load(path: Path) -> tuple[Saved | None, tuple[str, ...]]:
    """Return the snapshot at ``path`` and lines for the operator; a damaged one is set aside and the generation before used.

    Raises ``StateError`` for a snapshot of a newer version: nothing is touched.
    """
    notes: list[str] = []
    for candidate in (path, path.with_name(path.name + ".1")):
        if not candidate.exists():
            continue
        try:
            return _read(candidate), tuple(notes)
        except (OSError, ValueError) as error:  # tomllib, unicode and msgspec errors are ValueErrors
            aside = _set_aside(candidate)
            notes.append(
                f"state {candidate} is damaged ({_one_line(error)}); it was set aside as {aside.name}"
            )
    return None, tuple(notes)


def _read(path: Path) -> Saved:
    raw: dict[str, Any] = tomllib.loads(path.read_text(encoding="utf-8"))
    version = raw.get("version")
    if isinstance(version, int) and version > VERSION:
        raise StateError(
            f"state {path} was written by a newer tradeshell (version {version}, this one reads {VERSION}): "
            "use that one, or choose another --state-dir"
        )
    if version != VERSION:
        raise ValueError(f"version {version!r} is unknown")
    return msgspec.convert(raw, Saved)


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())[:160]


def _set_aside(path: Path) -> Path:
    for number in range(1, 1000):
        aside = path.with_name(f"{path.name}.damaged-{number}")
        if not aside.exists():
            path.rename(aside)
            return aside
    raise StateError(f"{path.parent}: a thousand damaged files lie here; move them away")


def save(path: Path, saved: Saved) -> None:
    """Replace the snapshot at ``path`` atomically, 0600, and sync file and folder; raises ``OSError``."""
    import tomli_w  # noqa: PLC0415  # on the keeper's thread, not at start-up

    text = tomli_w.dumps(_without_none(msgspec.to_builtins(saved, builtin_types=(datetime,))))
    temporary = path.with_name(path.name + ".new")
    fd = os.open(temporary, os.O_CREAT | os.O_TRUNC | os.O_WRONLY | os.O_CLOEXEC, 0o600)
    try:
        data = text.encode()
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


def _without_none(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_none(item) for key, item in value.items() if item is not None}
    return [_without_none(item) for item in value] if isinstance(value, list | tuple) else value


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
