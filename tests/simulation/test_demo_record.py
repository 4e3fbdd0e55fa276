"""The demo's own record passes the checker: what it shows is safe, not only a good story."""

from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace
from tests.simulation.checker import check

from tradeshell import demo
from tradeshell.testing import Runner, open_shell
from tradeshell_paper import broker as paper
from tradeshell_paper.settings import read_settings

SNAPSHOT_AGES = ("orders_as_of", "executions_as_of", "positions_as_of")


class Record:
    """What the venue saw of a demo, and what the program wrote down."""

    def __init__(self) -> None:
        self.start: datetime | None = None
        self.venue: list[dict[str, Any]] = []
        self.audit: list[bytes] = []
        self.journal: list[bytes] = []

    def witness(self, kind: str, fields: dict[str, Any]) -> None:
        """Take one fact from the venue."""
        at = datetime.fromisoformat(fields["t"])
        self.start = self.start or at
        for key in SNAPSHOT_AGES:
            if key in fields:
                fields[key] = self._seconds(datetime.fromisoformat(fields[key]))
        self.venue.append(fields | {"event": kind, "t": self._seconds(at)})

    def _seconds(self, at: datetime) -> float:
        assert self.start is not None
        return (at - self.start).total_seconds()

    def read(self, state: Path) -> None:
        """Read what is on disk; the audit's times become the venue's."""
        for line in (state / "events.jsonl").read_bytes().splitlines():
            record = json.loads(line)
            record["mono"] = max(0.0, self._seconds(datetime.fromisoformat(record["ts"])))
            del record["crc"]  # of the line as it was; its time is another here
            self.audit.append(json.dumps(record).encode() + b"\n")
        self.journal = (state / "journal").read_bytes().splitlines(keepends=True)


def played(seed: int, state: Path, monkeypatch: pytest.MonkeyPatch) -> Record:
    """Play a demo and return its record."""
    record = Record()
    monkeypatch.setattr(
        paper, "read_settings", lambda values: replace(read_settings(values), witness=record.witness)
    )
    market = f"{demo.SYMBOL}={demo.price_of(seed)}"
    with open_shell(f"--speed max --seed {seed} --market {market} --state-dir {state}") as shell:
        runner = Runner(shell)
        for line in demo.script(seed):
            runner.run(line).assert_ok()
    (folder,) = (path.parent for path in state.rglob("events.jsonl"))
    record.read(folder)
    return record


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_the_record_of_a_demo_passes_the_checker(
    seed: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    record = played(seed, tmp_path, monkeypatch)
    intents = [json.loads(line) for line in record.audit if b'"OrderIntent"' in line]
    watch = intents[0]["watch"]
    words = demo.script(seed)[2].split()
    plan: dict[str, Any] = {
        "symbol": demo.SYMBOL,
        "qty": 100,
        "level": words[2],
        "tps": words[4].removeprefix("tp=").split("-"),
        "sl": words[5].removeprefix("sl="),
        "mode": "detached",
        "weights": [60, 30, 10],
        "stop_updates": [words[2], words[4].removeprefix("tp=").split("-")[0]],
        "cover": "own",
        "entry_timeout": 20.0,
    }
    end = record.venue[-1]["t"] + 60
    facts = {
        "account": "DU0000001",
        "is_paper": True,
        "fault_free_from": 0.0,
        "end": end,
        "has_faults": False,
        "plans": {watch: plan},
    }
    report = check(record.venue, record.audit, record.journal, facts)
    assert [f"{found.rule} {found.text}" for found in report.violations] == []
    assert {"accept", "exec", "state", "to_host"} <= {each["event"] for each in record.venue}
    if seed == 1:  # both milestones
        moved = [each for each in record.venue if each["event"] == "modify" and ":sl" in each["ref"]]
        stops = dict.fromkeys((each["ref"].split(":")[2], each["stp"]) for each in moved)
        level, first = plan["stop_updates"]
        assert list(stops) == [("sl2", level), ("sl3", level), ("sl3", first)]
