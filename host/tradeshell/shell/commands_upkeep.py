"""Looking after the program itself: ``tail`` shows what the logs say, ``doctor`` what is well and what is not.

Laws: nothing here reaches an order. A log is read from its end, whatever its size; what it holds cannot steer the terminal.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path

from tradeshell import words as w
from tradeshell.errors import OperatorError
from tradeshell.grammar import Answer, Column, Command, Flag, Grammar, Key, Table, Words
from tradeshell.ports import Trading
from tradeshell.shell import choices, results
from tradeshell.shell.helptext import CONNECT
from tradeshell.upkeep import LogFile, Outcome

LINES = 20
MOST_LINES = 10_000
BLOCK = 1 << 16
PAUSE = (
    0.2  # seconds between two looks at a log that is followed, and for which lines under way are waited for
)
TURNS = 20
LONGEST = 1 << 20  # bytes of a line that is shown; more of them are no log of ours


# --- tail -------------------------------------------------------------------------------------------------------------

_LOGS = (
    ("gateway", "every message from and to the broker's gateway"),
    ("ops", "link, streams, disks, what libraries say"),
    ("events", "every event, as JSON"),
)
_HOW = {
    "gateway": '[logs] gateway = "on" in the config or APPS_IB_GATEWAY_LOG_PATH=on, then start again, writes it',
    "ops": '[logs] ops = "on" in the config or APPS_OPS_LOG_PATH=on, then start again, writes it',
    "events": "`plugins` shows whether jsonl_log is there",
}


def _lines(text: str) -> int:
    number = w.count(text)
    if number > MOST_LINES:
        raise ValueError(f"at most {MOST_LINES} lines")
    return number


TAIL = Grammar(
    keys=(
        Key(
            name="log",
            help="which log",
            parse=w.one_of(*(name for name, _ in _LOGS)),
            values=_LOGS,
            default="gateway",
            example="ops",
        ),
        Key(name="n", help="how many lines", parse=_lines, metavar="N", default=str(LINES), example="50"),
        Key(
            name="follow",
            help="go on with what is written from now on",
            parse=w.boolean,
            values=choices.booleans("go on until Enter or Ctrl-C", "only what is there"),
            default="false",
        ),
    ),
    positionals=("log",),
    flags=(Flag(word="follow", key="follow", value="true", help="go on until Enter or Ctrl-C"),),
    example="tail ops n=50",
)


def tail(trading: Trading, words: Words) -> Answer:
    """Show the end of a log."""
    name: str = words.get("log", "gateway")
    log = _log(trading, name)
    for _ in range(TURNS):
        if not log.waiting:
            break
        time.sleep(PAUSE / TURNS)
        log = _log(trading, name)
    if log.path is None:
        raise OperatorError(f"tail: the {name} log is not written ({log.why}) · {_HOW[name]}")
    try:
        found, size = last_lines(log.path, words.get("n", LINES))
    except FileNotFoundError:
        found, size = (), 0
    except OSError as error:
        raise OperatorError(f"tail: {log.path}: {error.strerror}") from None
    lines = [*found] or [f"the {name} log is empty: {log.path}"]
    if log.lost:
        lines.append(f"{log.lost} lines were lost: the disk is full or too slow")
    path = log.path
    return Answer(
        lines=tuple(lines),
        data={"log": name, "path": str(path), "lost": log.lost, "lines": found},
        more=(lambda: following(path, size)) if words.get("follow", False) else None,
    )


def _log(trading: Trading, name: str) -> LogFile:
    return next((each for each in trading.view().logs if each.name == name), LogFile(name=name, why="off"))


def last_lines(path: Path, most: int) -> tuple[tuple[str, ...], int]:
    """Return the last ``most`` lines of a file, and where they end; a line that is being written counts when it is whole."""
    with path.open("rb") as file:
        size = at = file.seek(0, os.SEEK_END)
        tail_ = b""
        while at > 0 and tail_.count(b"\n") <= most and len(tail_) < LONGEST * most:
            step = min(BLOCK, at)
            at -= step
            file.seek(at)
            tail_ = file.read(step) + tail_
    whole = tail_.rfind(b"\n") + 1
    lines = tail_[:whole].splitlines()[-most:]
    return tuple(line.decode("utf-8", "replace") for line in lines), size - (len(tail_) - whole)


def following(path: Path, at: int) -> Iterator[str]:
    """Yield the lines written to ``path`` from ``at`` on, and an empty one whenever there is none; a new file is begun with."""
    rest = b""
    inode: int | None = None
    while True:
        try:
            with path.open("rb") as file:
                found = os.fstat(file.fileno())
                if found.st_size < at or inode not in (None, found.st_ino):
                    at, rest = 0, b""  # it was set aside: this is the next one
                inode = found.st_ino
                file.seek(at)
                new = file.read(LONGEST)
        except OSError:
            new = b""  # between two files
        at += len(new)
        *whole, rest = (rest + new).split(b"\n")
        for line in whole:
            yield line.decode("utf-8", "replace")
        yield ""
        if not new:
            time.sleep(PAUSE)


# --- doctor -----------------------------------------------------------------------------------------------------------

_COLUMNS = (Column("check"), Column("result"), Column("found"), Column("what to do"))
_SHOWN = {
    Outcome.OK: "ok",
    Outcome.WARNING: "warning",
    Outcome.FAILED: "FAILED",
    Outcome.SKIPPED: "skipped",
}


def doctor(trading: Trading, words: Words) -> Answer:
    """Examine the host and the broker."""
    del words
    findings = trading.examine()
    rows = tuple((each.name, _SHOWN[each.outcome], each.told, each.remedy) for each in findings)
    failed = [each.name for each in findings if each.outcome is Outcome.FAILED]
    warned = [each.name for each in findings if each.outcome is Outcome.WARNING]
    parts = [f"{len(findings)} checks"]
    parts += [f"failed: {', '.join(failed)}"] if failed else []
    parts += [f"to look at: {', '.join(warned)}"] if warned else []
    return Answer(
        lines=(
            Table(columns=_COLUMNS, rows=rows),
            " · ".join(parts if failed or warned else [*parts, "all is well"]),
        ),
        data={"ok": not failed, "findings": findings},
        ok=not failed,
    )


COMMANDS = (
    Command(
        name="tail",
        help="Show the end of a log: gateway, ops or events",
        grammar=TAIL,
        run=tail,
        group=CONNECT,
        data=results.LogTail,
        examples=("tail ops", "tail n=50", "tail events follow"),
        notes="`follow` goes on with what is written, at a terminal, until Enter or Ctrl-C. The gateway log is off unless the "
        "config or APPS_IB_GATEWAY_LOG_PATH switches it on. Accounts are masked in all of them.",
    ),
    Command(
        name="doctor",
        help="Examine install, config, disk, plugins, logs, clock, link, broker",
        grammar=Grammar(),
        run=doctor,
        group=CONNECT,
        data=results.Examined,
        examples=("doctor",),
        notes="Fails (exit code 1 in a script, and for `tradeshell doctor`) when a check failed; warnings do not. No order is "
        "sent that could trade.",
    ),
)  # fmt: skip
