"""What the program makes of a ladder over recorded files, read from its audit log in the words of the calculation."""

from __future__ import annotations

import io
import json
import tempfile
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

from tests.oracle.ladder import Course, Fill, Ladder, Move

from tradeshell.bootstrap import Run, program
from tradeshell.cli import parser
from tradeshell.config import load_settings

MILLISECOND = timedelta(milliseconds=1)
# On a venue without faults none of these has a reason.
TROUBLE = frozenset(
    {
        "CoverStopPlaced",
        "EngineFault",
        "IncidentStepTaken",
        "InventoryConfirmFailed",
        "LadderStopLossCancelled",
        "LadderStopLossReplaceFailed",
        "LadderTakeProfitLost",
        "OrderMissing",
        "OrderOutcomeUnknown",
        "ProtectionAlarm",
        "SymbolFrozen",
        "TradeReopened",
    }
)


def typed(symbol: str, ladder: Ladder, more: str = "") -> str:
    """Return the command of a ladder. The entry waits as long as it takes and chases as far: the rules know no limit."""
    words = [f"breakout {symbol} {ladder.level} {ladder.qty} sl={ladder.sl}", f"tp={_joined(ladder.tps)}"]
    words += [f"tp_alloc={_joined(ladder.parts)}"] if ladder.parts else []
    words += [f"stop_updates={_joined(ladder.updates)}"] if ladder.updates else []
    bar = f"{ladder.minutes}m" if ladder.minutes < 60 else "1h"
    return " ".join([*words, f"bar={bar} max_chase=off entry_timeout=off {more}"]).rstrip()


def _joined(parts: Iterable[object]) -> str:
    return "-".join(map(str, parts))


def climbed(files: Iterable[Path], start: datetime, *commands: str) -> list[Course]:
    """Return what the program makes of each of the commands over recorded files."""
    with tempfile.TemporaryDirectory(prefix="ladder-") as name:
        folder = Path(name)
        config = folder / "config.toml"
        config.touch()
        args = [*(f"--replay={file}" for file in files), "--speed=max", f"--from={start.isoformat()}"]
        options = vars(parser().parse_args([*args, f"--state-dir={folder}", f"--config={config}"]))
        flags = {name: value for name, value in options.items() if name not in ("commands", "words")}
        run = Run(commands=(*commands, "wait ALL"), batch=True, stdout=io.StringIO())
        with program(load_settings(flags, {}), run, {}) as running:
            assert running.shell.run() == 0, commands
        # A log for each day that is over, and that of the last one.
        logs = (*sorted((folder / "replay").glob("events-*.jsonl")), folder / "replay" / "events.jsonl")
        records = [json.loads(line) for log in logs for line in log.read_text(encoding="utf-8").splitlines()]
    # What is told after the end of the data has no market behind it: the touch is the last regular close then.
    ended = next((n for n, record in enumerate(records) if record["event"] == "ReplayEnded"), len(records))
    records = records[:ended]
    watches = [record["watch"] for record in records if record["event"] == "BreakoutStarted"]
    return [_course([record for record in records if record.get("watch") == watch]) for watch in watches]


def _course(records: Iterable[Mapping[str, Any]]) -> Course:
    found = Course(why_not="NO_TRIGGER")
    for record in records:
        assert record["event"] not in TROUBLE, record
        # A change may meet an order that the same bar has just ended.
        assert record["event"] != "OrderRefused" or record["is_late"], record
        match record["event"]:
            case "BreakoutConfirmed":
                found = found._replace(why_not="NO_ENTRY")
            case "BreakoutRejected":
                found = found._replace(why_not=f"REJECTED {record['reason']}")
            case "OrderFilled" | "BracketChildOrderFilled":
                fill = Fill(_at(record["at"]), record["leg"], record["qty"], Decimal(record["price"]))
                found = found._replace(why_not="", fills=(*found.fills, fill))
            case "LadderStopLossReplaced":
                move = Move(_at(record["ts"]), record["leg"], Decimal(record["stop"]))
                # Two targets of one bar move a stop once, or twice in order.
                others = (each for each in found.moves if (each.at, each.leg) != (move.at, move.leg))
                found = found._replace(moves=(*others, move))
            case "LadderArmed":
                assert _at(record["ts"]) == found.fills[0].at, record
                found = found._replace(legs=tuple(record["legs"]))
            case "TradeClosed":
                found = found._replace(pnl=Decimal(record["pnl"]))
    return found


def _at(text: str) -> datetime:
    """Return an instant to the millisecond: a clock of floats may date it a microsecond off."""
    at = datetime.fromisoformat(text).astimezone(UTC) + MILLISECOND / 2
    return at.replace(microsecond=at.microsecond // 1000 * 1000)


def agreed(course: Course, *, has_quotes: bool) -> Course:
    """Return a course in the rule text's words: an entry that could not leave is none."""
    if course.why_not == "REJECTED session_closed" or (
        course.why_not == "REJECTED no_quote" and not has_quotes
    ):
        return Course(why_not="NO_ENTRY")
    return course._replace(why_not="REJECTED no_ask") if course.why_not == "REJECTED no_quote" else course
