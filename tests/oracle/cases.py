"""The oracle: independently computed results on real days, and our own results for the same words.

``../shared/market-data`` lies beside the project; where it is absent the tests say so and are skipped. A row whose bracket does
not satisfy sl < level < tp cannot be typed as a breakout; such rows are named and counted, not traded.
"""

from __future__ import annotations

import io
import json
import tempfile
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any, NamedTuple

from tradeshell.bootstrap import Run, program
from tradeshell.cli import parser
from tradeshell.config import load_settings

DATA = Path(__file__).resolve().parents[3] / "shared" / "market-data"
ABSENT = f"the recorded market data ({DATA.name}) does not lie beside the project"
QTY = 100


class Row(NamedTuple):
    """One level of one day with one of its brackets (or none, for a level that is not to trigger)."""

    symbol: str
    date: str
    level: str
    level_price: Decimal
    search_from: str
    has_quotes: bool
    tp: Decimal | None
    sl: Decimal | None
    expected: Outcome

    @property
    def name(self) -> str:
        """A name for lists: ``SPY 2013-10-10 OR05 tp 165.42``."""
        return f"{self.symbol} {self.date} {self.level}" + (
            "" if self.tp is None else f" tp={self.tp} sl={self.sl}"
        )

    @property
    def can_be_typed(self) -> bool:
        """Whether the bracket lies around the level."""
        if self.tp is None or self.sl is None:
            return True
        return self.sl < self.level_price < self.tp


class Outcome(NamedTuple):
    """What became of a row. Times are the start of the bar (exit) or the instant (entry), ISO with Z; prices USD."""

    trigger: str | None = None
    entry_at: str | None = None
    entry: Decimal | None = None
    result: str = "NO_TRIGGER"
    exit_bar: str | None = None
    exit: Decimal | None = None


def rows() -> Iterator[Row]:
    """Yield every row of the oracle."""
    oracle = json.loads((DATA / "oracle.json").read_text(encoding="utf-8"))
    for case in oracle["cases"]:
        for level in case["levels"]:
            common = (
                case["symbol"],
                case["date"],
                level["level"],
                Decimal(level["level_price"]),
                level["search_from"],
            )
            if level["result"] != "ENTERED":
                yield Row(*common, case["has_quotes"], None, None, _expected(level, None))
                continue
            for bracket in level["brackets"]:
                tp, sl = Decimal(bracket["tp"]), Decimal(bracket["sl"])
                yield Row(*common, case["has_quotes"], tp, sl, _expected(level, bracket))


def _expected(level: dict[str, Any], bracket: dict[str, Any] | None) -> Outcome:
    if bracket is None:
        return Outcome()
    is_open = bracket["result"] == "EOD"
    return Outcome(
        trigger=level["trigger_ts"],
        entry_at=level["entry_ts"],
        entry=Decimal(level["entry"]),
        result=bracket["result"],
        exit_bar=None if is_open else bracket["hit_bar_ts"],
        exit=None if is_open else Decimal(bracket["exit_price"]),
    )


def files(row: Row) -> list[str]:
    """Return the recorded files that a row is replayed from."""
    stem = f"{row.symbol}_{row.date}"
    kinds = ("trades", "quotes") if row.has_quotes else ("trades",)
    return [str(DATA / "1m" / f"{stem}_{kind}.csv.gz") for kind in kinds]


def command(row: Row) -> str:
    """Return what is typed for a row."""
    bracket = "" if row.tp is None else f" tp={row.tp} sl={row.sl}"
    return f"breakout {row.symbol} level={row.level_price} qty={QTY}{bracket} max_chase=off"


def replayed(row: Row) -> Outcome:
    """Return our own result: the real program over the recorded files, read from its audit log."""
    with tempfile.TemporaryDirectory(prefix="oracle-") as folder:
        if (code := played(Path(folder), files(row), row.search_from, command(row))) != 0:
            return Outcome(result=f"exit code {code}")
        return outcome_of(Path(folder) / "replay" / "events.jsonl")


def played(folder: Path, names: Sequence[str], since: str, line: str) -> int:
    """Let the real program replay files from ``since``, with one line typed and waited for; return its exit code."""
    args = [f"--replay={name}" for name in names]
    args += ["--speed", "max", "--from", since, "--state-dir", str(folder)]
    options = vars(parser().parse_args(args))
    flags = {name: value for name, value in options.items() if name not in ("commands", "words")}
    empty = folder / "config.toml"
    empty.write_text("", encoding="utf-8")
    settings = load_settings(flags | {"config": str(empty)}, {})
    run = Run(commands=(line, "wait ALL"), batch=True, stdout=io.StringIO())
    with program(settings, run, {}) as running:
        return running.shell.run()


def outcome_of(log: Path) -> Outcome:
    """Return what an audit log says became of its one breakout."""
    found = Outcome()
    for line in log.read_text(encoding="utf-8").splitlines():
        record = json.loads(line)
        match record["event"]:
            case "BreakoutConfirmed":
                found = found._replace(trigger=_iso(record["bar_start"]), result="ENTERED")
            case "OrderFilled" if record["leg"] == "entry":
                found = found._replace(
                    entry_at=_iso(record["at"]), entry=Decimal(record["price"]), result="EOD"
                )
            case "BracketChildOrderFilled":
                bar = datetime.fromisoformat(record["at"]).replace(second=0, microsecond=0)
                kind = "TP" if record["leg"].startswith("tp") else "SL"
                found = found._replace(
                    result=kind, exit_bar=_iso(bar.isoformat()), exit=Decimal(record["price"])
                )
            case "BreakoutRejected":
                found = found._replace(result=f"REJECTED {record['reason']}")
    return found


def _iso(text: str) -> str:
    at = datetime.fromisoformat(text).astimezone(UTC)
    # An execution at the first instant of a bar may be dated a microsecond off by a clock of floats.
    return f"{(at + timedelta(milliseconds=1)).replace(microsecond=0):%Y-%m-%dT%H:%M:%SZ}"
