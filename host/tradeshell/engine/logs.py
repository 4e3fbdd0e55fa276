"""Logs for people: the operations log, and the raw messages of a broker's wire.

Laws: the trading loop never waits for a disk: what is logged goes into a bounded queue, a thread writes it, and what does not fit
is counted and told in the log itself. Each log is bounded (``max_mb`` a file, ``keep`` old ones) and readable by its owner alone.
An account id is written as its alias (``DU…4567``). What libraries log goes into the operations log, never to the screen. A disk
that refuses is told once in a row of refusals; writing is tried again with every line.
"""

from __future__ import annotations

import contextlib
import logging
import os
import re
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from io import TextIOWrapper
from logging.handlers import QueueHandler, QueueListener, RotatingFileHandler
from pathlib import Path
from queue import SimpleQueue
from typing import Any

from tradeshell.core import data_events, events, exit_events, recon_events, resume_events
from tradeshell.core.events import EngineFault, Event, Weight
from tradeshell.ports import Record
from tradeshell.upkeep import LogFile, LogSettings

WAITING = 20_000  # lines that wait for the disk; more are counted and lost
LONGEST = 50_000  # characters of a line; a day of history in one message is not worth more
CLOSE_WITHIN = 2.0  # seconds that the end of the program waits for a slow disk
OURS = "tradeshell"  # our own loggers begin so: they are listened to from INFO on
# How IBKR names accounts: U live, F and I of advisers, with a D before it for paper.
_ACCOUNT = re.compile(r"(?<![A-Za-z0-9])D?[UFI][0-9]{5,9}[A-Z]?(?![A-Za-z0-9])", re.ASCII)
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
# The desk as a whole; of single trades the operations log has what is not as it should be.
_OPERATIONS: frozenset[type[Event]] = frozenset(
    (
        data_events.BarStreamCompetingSessionBlocked,
        data_events.BarStreamCompetingSessionCleared,
        data_events.BarStreamGapRead,
        data_events.BarStreamRecovered,
        data_events.BarStreamRecoveryFailed,
        data_events.BarStreamRecoveryScanScheduled,
        data_events.BarStreamRecoveryStarted,
        data_events.BarStreamStalled,
        events.ConnectionChanged,
        events.ReconciliationStarted,
        events.ReconciliationCompleted,
        events.ReplayEnded,
        events.SessionEnded,
        events.SessionStarted,
        exit_events.KillSwitchEngaged,
        exit_events.KillSwitchLifted,
        recon_events.DetachedSessionRestored,
        resume_events.WatchPaused,
        resume_events.WatchResumed,
    )
)
Alias = Callable[[str], str]
Complain = Callable[[str, str], None]


class Logs:
    """The open logs. ``sink`` takes every event for the operations log; ``wire`` is ``None`` while the gateway log is off."""

    def __init__(self) -> None:
        self.wire: GatewayLog | None = None
        self.notes: tuple[str, ...] = ()
        self._ops: _Log | None = None
        self._off: dict[str, str] = {}

    def files(self) -> tuple[LogFile, ...]:
        """Return where each log is, or why it is not."""
        open_ = {log.name: log for log in (self._ops, None if self.wire is None else self.wire.log) if log}
        return tuple(
            LogFile(name=name, path=open_[name].path, lost=open_[name].lost, waiting=open_[name].waiting)
            if name in open_
            else LogFile(name=name, why=self._off.get(name, ""))
            for name in ("gateway", "ops")
        )

    def sink(self, record: Record) -> None:
        """Write what concerns operations."""
        event = record.event
        weight = event.how()
        is_wrong = weight in (Weight.BAD, Weight.ALARM)
        if self._ops is None or not (is_wrong or type(event) in _OPERATIONS):
            return
        level = (
            logging.ERROR if isinstance(event, EngineFault) else logging.WARNING if is_wrong else logging.INFO
        )
        story = event.story()
        about = " ".join(word for word in (event.symbol, event.watch, event.leg) if word)
        words = f"{type(event).__name__} {about}{': ' if about else ''}{story or _fields(event)}"
        self._ops.put(logging.LogRecord(OURS, level, "", 0, words, None, None), record.ts)

    def _open(
        self, name: str, path: Path | None, settings: LogSettings, alias: Alias, complain: Complain
    ) -> _Log | None:
        if path is None:
            self._off[name] = "off"
            return None
        try:
            return _Log(name, path, settings, alias, complain)
        except OSError as error:
            self._off[name] = f"{path}: {error.strerror}"
            self.notes = (*self.notes, f"the {name} log is off: {path}: {error.strerror}")
            return None

    @contextlib.contextmanager
    def opened(
        self,
        settings: LogSettings,
        folder: Path,
        alias: Alias,
        complain: Complain,
        now: Callable[[], datetime],
    ) -> Iterator[Logs]:
        """Open what ``settings`` wants and take what libraries log, until the end."""
        ops = self._open("ops", log_path(settings.ops, folder, "ops"), settings, alias, complain)
        gateway = self._open(
            "gateway", log_path(settings.gateway, folder, "gateway"), settings, alias, complain
        )
        self._ops = ops
        self.wire = None if gateway is None else GatewayLog(gateway, now)
        # Without any handler Python prints what libraries warn of on the screen.
        handler: logging.Handler = logging.NullHandler() if ops is None else ops.handler
        root, ours = logging.getLogger(), logging.getLogger(OURS)
        level = ours.level
        root.addHandler(handler)
        ours.setLevel(logging.INFO)
        try:
            yield self
        finally:
            if gateway is not None:
                gateway.close()
            ours.setLevel(level)
            root.removeHandler(handler)
            if ops is not None:
                ops.close()


class GatewayLog:
    r"""Takes raw messages: ``TIME < FIELD|FIELD|…`` came, ``>`` left; a ``|`` inside a field is written ``\|``."""

    def __init__(self, log: _Log, now: Callable[[], datetime]) -> None:
        self.log = log
        self._now = now
        self._put = log.put

    def sent(self, frame: bytes | str) -> None:
        """Keep a message that leaves."""
        self._put((">", frame), self._now())

    def received(self, frame: bytes | str) -> None:
        """Keep a message that came."""
        self._put(("<", frame), self._now())


def log_path(chosen: str | Path, folder: Path, name: str) -> Path | None:
    """Return where a log is written: ``on`` means ``NAME.log`` in ``folder``, ``off`` nowhere."""
    if isinstance(chosen, Path):
        return chosen
    return folder / f"{name}.log" if chosen == "on" else None


# --- one log ----------------------------------------------------------------------------------------------------------


class _Log:
    """One file, the queue before it and the thread between them. ``put`` may be called from any thread and never blocks."""

    def __init__(
        self, name: str, path: Path, settings: LogSettings, alias: Alias, complain: Complain
    ) -> None:
        self.name = name
        self.path = path
        self._queue: SimpleQueue[Any] = SimpleQueue()
        self._file = _File(path, settings, lambda words: complain(name, words))
        self._file.setFormatter(_Lines(alias))
        self._overflow = 0
        self._taken = 0
        self.handler = _Feeder(self)
        self._listener = _Writer(self._queue, self._file, self)
        self._listener.start()

    @property
    def lost(self) -> int:
        """Lines that were not written so far."""
        return self._overflow + self._file.lost

    @property
    def waiting(self) -> int:
        """Lines that are on their way."""
        return self._taken - self._listener.done

    @property
    def overflow(self) -> int:
        """Lines for which the queue had no room."""
        return self._overflow

    def put(self, thing: Any, at: datetime) -> None:
        """Have one record, or one message of the wire, written."""
        if self._queue.qsize() >= WAITING:
            self._overflow += 1
        else:
            self._taken += 1
            self._queue.put((thing, at))

    def close(self) -> None:
        """Write what waits, as long as the disk takes it within ``CLOSE_WITHIN``."""
        self._listener.stop()
        self.handler.close()


class _Feeder(QueueHandler):
    """Takes what libraries log; words are made in the thread that logs, because what it logs may change."""

    def __init__(self, log: _Log) -> None:
        super().__init__(SimpleQueue())
        self._log = log
        self.setFormatter(_Words())

    def enqueue(self, record: logging.LogRecord) -> None:
        """Have one record written."""
        self._log.put(record, datetime.fromtimestamp(record.created, UTC))

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802  # logging's own spelling
        """Drop what cannot be put into words: a library's slip must not reach the screen."""


class _Writer(QueueListener):
    """The thread that writes."""

    def __init__(self, queue: SimpleQueue[Any], file: _File, log: _Log) -> None:
        super().__init__(queue, file)
        self._file = file
        self._log = log
        self._told = 0
        self.done = 0

    def handle(self, record: Any) -> None:
        """Write one line, and before it what was lost."""
        thing, at = record
        overflow = self._log.overflow
        if overflow > self._told:
            lost = f"… {overflow - self._told} lines were lost here: the disk is too slow"
            self._told = overflow
            self._write(logging.LogRecord(OURS, logging.WARNING, "", 0, lost, None, None), at)
        self._write(thing, at)
        self.done += 1

    def _write(self, thing: Any, at: datetime) -> None:
        if isinstance(thing, logging.LogRecord):
            line = thing
        else:
            line = logging.LogRecord("", logging.DEBUG, "", 0, _message(*thing), None, None)
        line.created = at.timestamp()
        self._file.handle(line)

    def stop(self) -> None:
        """End the thread; one that waits for a disk is left behind."""
        thread, self._thread = self._thread, None
        if thread is None:
            return
        self.enqueue_sentinel()
        thread.join(CLOSE_WITHIN)

    def _monitor(self) -> None:
        super()._monitor()  # type: ignore[misc]  # what the thread runs; the stubs do not name it
        with contextlib.suppress(OSError):  # what the disk did not take it does not take now
            self._file.close()


class _File(RotatingFileHandler):
    """The bounded file."""

    def __init__(self, path: Path, settings: LogSettings, failed: Callable[[str], None]) -> None:
        self._failed = failed
        self._is_failing = False
        self.lost = 0
        super().__init__(
            path, maxBytes=settings.max_mb * 1_000_000, backupCount=settings.keep, encoding="utf-8"
        )

    def _open(self) -> TextIOWrapper:
        path = Path(self.baseFilename)
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        found = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | getattr(os, "O_CLOEXEC", 0), 0o600)
        return os.fdopen(found, "a", encoding="utf-8", errors="backslashreplace")

    def emit(self, record: logging.LogRecord) -> None:
        """Write one line."""
        lost = self.lost
        super().emit(record)
        self._is_failing = self.lost > lost

    def doRollover(self) -> None:  # noqa: N802  # logging's own spelling
        """Begin a new file, and say so in the operations log."""
        super().doRollover()
        logging.getLogger(f"{OURS}.logs").info(
            "%s is full: it is %s.1 now", self.baseFilename, self.baseFilename
        )

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802  # logging's own spelling
        """Count the line as lost, instead of printing a traceback on the screen."""
        del record
        self.lost += 1
        if not self._is_failing:
            error = sys.exc_info()[1]
            self._failed(
                (isinstance(error, OSError) and error.strerror) or f"{type(error).__name__}: {error}"
            )


# --- lines ------------------------------------------------------------------------------------------------------------


class _Words(logging.Formatter):
    """A record's words without steering characters; a traceback follows indented."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the words."""
        said = _CONTROL.sub(_escaped, record.getMessage())[:LONGEST]
        if record.exc_info:
            said += "\n" + self.formatException(record.exc_info)
        return said.replace("\n", "\n    ")


class _Lines(logging.Formatter):
    """A line of a file: the time (UTC), of our own and of libraries' records the level and who says it, the words, masked."""

    def __init__(self, alias: Alias) -> None:
        super().__init__()
        self._alias = alias

    def format(self, record: logging.LogRecord) -> str:
        """Return the line."""
        at = datetime.fromtimestamp(round(record.created, 6), UTC)
        words = _ACCOUNT.sub(lambda found: self._alias(found[0]), str(record.msg))
        who = f"{record.levelname:<7} {record.name} " if record.name else ""
        return f"{at:%Y-%m-%dT%H:%M:%S.%f}Z {who}{words}"


def _message(way: str, frame: bytes | str) -> str:
    text = frame if isinstance(frame, str) else frame.decode("utf-8", "backslashreplace")
    cut = text[:LONGEST]
    shown = _CONTROL.sub(_escaped, cut.replace("|", "\\|").replace("\0", "|"))
    more = f"… {len(text)} characters" if len(text) > LONGEST else ""
    return f"{way} {shown}{more}"


def _escaped(found: re.Match[str]) -> str:
    return f"\\x{ord(found[0]):02x}"


def _fields(event: Event) -> str:
    names = (name for name in event.__struct_fields__ if name not in Event.__struct_fields__)
    values = ((name, getattr(event, name)) for name in names)
    return " ".join(f"{name}={value}" for name, value in values if value not in (None, "", ()))
