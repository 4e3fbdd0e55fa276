"""What `doctor` finds out about the host: files, disk, plugins, logs, clocks; and what sinks and the broker say of themselves.

Laws: an examination changes nothing but one small file, which it removes; each ends by itself; what one of them raises is a
finding and not an end. Findings stand in the order in which things depend on each other.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import sys
import time
from collections.abc import Iterable
from pathlib import Path

from msgspec import Struct

from tradeshell.errors import TradeshellError
from tradeshell.ports import Broker, Clock, PluginReport, View
from tradeshell.upkeep import EXAMINE_WITHIN, Diagnosable, Finding, KeepsTime, LogFile, Outcome
from tradeshell.version import VERSION

SLOW_SYNC = 0.25  # seconds: a slower disk makes entries wait
LOW_SPACE = 200_000_000  # bytes
CLOCK_OFF = 1.0  # seconds between our clock and the broker's
CLOCK_WRONG = 10.0
CLOCK_WITHIN = 5.0
SINK_WITHIN = 2.0


class Facts(Struct, frozen=True, kw_only=True):
    """What only the start knows.

    ``chosen``: settings that are not at their default, with where each was set. ``notes`` and ``problems``: what the operator was
    told about settings and about plugins.
    """

    config_file: Path | None = None
    chosen: tuple[tuple[str, str], ...] = ()
    notes: tuple[str, ...] = ()
    problems: tuple[str, ...] = ()
    state_dir: Path = Path()


def examine_host(facts: Facts, reports: Iterable[PluginReport], view: View) -> tuple[Finding, ...]:
    """Examine what needs no broker; blocks for as long as the disk takes."""
    return (
        Finding(
            name="install",
            outcome=Outcome.OK,
            told=f"tradeshell {VERSION} on Python {sys.version_info.major}.{sys.version_info.minor}.{sys.version_info.micro}",
        ),
        _config(facts),
        _plugins(tuple(reports), facts.problems),
        *_disk(facts.state_dir),
        _audit(view),
        *(_log(log) for log in view.logs if log.name != "events"),
        _link(view),
    )


async def examine_broker(broker: Broker, clock: Clock) -> tuple[Finding, ...]:
    """Examine the clock against the broker's, and let the broker examine itself."""
    found: list[Finding] = []
    if isinstance(broker, Diagnosable):
        try:
            async with asyncio.timeout(EXAMINE_WITHIN):
                found += await broker.examine()
        except Exception as error:  # noqa: BLE001  # whatever the adapter raises is what was found
            found.append(_raised("broker", error, EXAMINE_WITHIN))
    else:
        found.append(
            Finding(name="broker", outcome=Outcome.SKIPPED, told=f"{broker.info().name} cannot be examined")
        )
    found.append(await _clock(broker, clock))
    return tuple(found)


async def examine_sinks(sinks: Iterable[tuple[str, object]]) -> tuple[Finding, ...]:
    """Let the sinks that can examine themselves do so; at once, without asking anybody."""
    found: list[Finding] = []
    for name, sink in sinks:
        if isinstance(sink, Diagnosable):
            try:
                async with asyncio.timeout(SINK_WITHIN):
                    found += await sink.examine()
            except Exception as error:  # noqa: BLE001  # whatever the sink raises is what was found
                found.append(_raised(name, error, SINK_WITHIN))
    return tuple(found)


async def _clock(broker: Broker, clock: Clock) -> Finding:
    if not isinstance(broker, KeepsTime):
        return Finding(name="clock", outcome=Outcome.SKIPPED, told="the broker's clock cannot be asked for")
    before = clock.now()
    try:
        async with asyncio.timeout(CLOCK_WITHIN):
            theirs = await broker.broker_time()
    except Exception as error:  # noqa: BLE001  # as above
        return _raised("clock", error, CLOCK_WITHIN)
    after = clock.now()
    off = (before + (after - before) / 2 - theirs).total_seconds()
    # A broker that tells whole seconds is up to one behind its own time.
    off = off if theirs.microsecond else off - 0.5
    said = "agrees with the broker's"
    if abs(off) > CLOCK_OFF:
        said = f"is {abs(off):.1f} s {'ahead of' if off > 0 else 'behind'} the broker's"
    outcome = Outcome.OK if abs(off) <= CLOCK_OFF else Outcome.WARNING
    return Finding(
        name="clock",
        outcome=Outcome.FAILED if abs(off) > CLOCK_WRONG else outcome,
        told=f"this computer's clock {said}",
        remedy="" if outcome is Outcome.OK else "set it by NTP: bars and quotes are judged by their age",
    )


def _raised(name: str, error: Exception, within: float) -> Finding:
    if isinstance(error, TimeoutError):
        told = f"no answer within {within:g} s"
    else:
        told = str(error) if isinstance(error, TradeshellError) else f"{type(error).__name__}: {error}"
    return Finding(
        name=name, outcome=Outcome.FAILED, told=" ".join(told.split()), remedy="`status` shows the link"
    )


# --- the host ---------------------------------------------------------------------------------------------------------


def _config(facts: Facts) -> Finding:
    where = "no file, defaults" if facts.config_file is None else str(facts.config_file)
    set_here = ", ".join(f"{key} ({source})" for key, source in facts.chosen)
    return Finding(
        name="config",
        outcome=Outcome.WARNING if facts.notes else Outcome.OK,
        told=where + (f" · set: {set_here}" if set_here else ""),
        remedy=" · ".join(facts.notes),
    )


def _plugins(reports: tuple[PluginReport, ...], problems: tuple[str, ...]) -> Finding:
    if problems:
        return Finding(
            name="plugins",
            outcome=Outcome.FAILED,
            told=" · ".join(problems),
            remedy="update or remove it: the others work without it",
        )
    loaded = [report.name for report in reports if not report.refused]
    if not loaded:
        return Finding(
            name="plugins",
            outcome=Outcome.FAILED,
            told="none is loaded",
            remedy="pip install 'tradeshell[all]'",
        )
    return Finding(name="plugins", outcome=Outcome.OK, told=" ".join(loaded))


def _disk(folder: Path) -> tuple[Finding, Finding]:
    """Write and sync a small file, as the journal does."""
    probe = folder / f".doctor-{os.getpid()}"
    began = time.perf_counter()
    try:
        found = os.open(probe, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            os.write(found, b"x" * 4096)
            os.fsync(found)
        finally:
            os.close(found)
            probe.unlink()
        free = shutil.disk_usage(folder).free
    except OSError as error:
        words = f"{folder}: {error.strerror}"
        remedy = "make it writable, or choose another with --state-dir"
        return (
            Finding(name="state", outcome=Outcome.FAILED, told=words, remedy=remedy),
            Finding(name="disk", outcome=Outcome.SKIPPED, told="nothing can be written"),
        )
    took = time.perf_counter() - began
    is_slow, is_full = took > SLOW_SYNC, free < LOW_SPACE
    remedies = [
        "a slow disk makes entries wait: choose another with --state-dir" if is_slow else "",
        "make room: without it no entry leaves" if is_full else "",
    ]
    return (
        Finding(name="state", outcome=Outcome.OK, told=f"{folder} is writable"),
        Finding(
            name="disk",
            outcome=Outcome.WARNING if is_slow or is_full else Outcome.OK,
            told=f"a write is safe after {took * 1000:.1f} ms · {free / 1e9:.1f} GB free",
            remedy=" · ".join(filter(None, remedies)),
        ),
    )


def _audit(view: View) -> Finding:
    events = next((log for log in view.logs if log.name == "events"), None)
    if events is None or events.path is None:
        return Finding(
            name="audit",
            outcome=Outcome.WARNING,
            told="no event is written" if events is None else events.why,
            remedy="`pip install tradeshell-jsonl-log`, or `enabled = true` under [sinks.jsonl]",
        )
    if events.why:
        return Finding(
            name="audit",
            outcome=Outcome.FAILED,
            told=events.why,
            remedy="make room or mend the disk: until then no entry leaves, exits go on",
        )
    return Finding(name="audit", outcome=Outcome.OK, told=str(events.path))


def _log(log: LogFile) -> Finding:
    name = f"{log.name} log"
    if log.path is None:
        return Finding(name=name, outcome=Outcome.OK, told=log.why)
    if log.lost:
        return Finding(
            name=name,
            outcome=Outcome.WARNING,
            told=f"{log.path} · {log.lost} lines lost",
            remedy="the disk is full or too slow for it",
        )
    return Finding(name=name, outcome=Outcome.OK, told=str(log.path))


def _link(view: View) -> Finding:
    link = view.desk.link
    words = view.broker.words
    if link.is_open:
        return Finding(name="link", outcome=Outcome.OK, told=f"{words} · up, reconciled")
    if link.up:
        return Finding(
            name="link",
            outcome=Outcome.WARNING,
            told=f"{words} · up, orders and positions are not known yet",
            remedy="wait for `reconciled`, or type: connect",
        )
    return Finding(
        name="link", outcome=Outcome.FAILED, told=f"{words} · down ({link.why})", remedy="type: connect"
    )
