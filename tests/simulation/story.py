"""One seed, told: a line for each thing that happened, in the order of time, with what the checker found marked in it.

    python -m tests.simulation.story SEED [--all] [--wire] [--dense]

Columns: virtual seconds, who (venue, host, wire, operator and the others), what. ``--all`` also tells every touch of the market.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
from collections.abc import Sequence
from typing import Any, NamedTuple

from tests.simulation.loop import SECOND
from tests.simulation.run import memory_folder, world_of
from tests.simulation.schedule import Schedule, draw
from tests.simulation.world import Outcome, run_schedule

ENVELOPE = frozenset({"v", "seq", "ts", "mono", "session", "n", "event"})


class Line(NamedTuple):
    """One line. Lines of one instant stand in this order of ``rank``: what caused before what followed."""

    t: float
    rank: int
    number: int
    who: str
    text: str


def tell(schedule: Schedule, outcome: Outcome, *, everything: bool = False) -> list[str]:
    """Return the story."""
    lines = [
        *_venue(outcome.b, everything=everything),
        *_host(outcome.audit),
        *(Line(note.micros / SECOND, 1, n, note.who, note.text) for n, note in enumerate(outcome.notes)),
        *(Line(found.t, 9, n, ">>> " + found.rule, found.text) for n, found in enumerate(outcome.findings)),
        Line(schedule.fault_free_from / SECOND, 0, 0, "schedule", "--- no faults from here on ---"),
    ]
    body = [f"{line.t:11.6f}  {line.who:<9} {line.text}" for line in sorted(lines)]
    return [*_head(schedule), *body, f"{len(outcome.findings)} violations"]


def _head(schedule: Schedule) -> list[str]:
    head = [f"seed {schedule.seed} · {schedule.start:%Y-%m-%d %H:%M:%S} UTC · account {schedule.account}"]
    head += [f"habits  {schedule.habits.settings}", f"wire    {schedule.wire._asdict()}"]
    head += [f"refuses {rule._asdict()}" for rule in schedule.refusing]
    head += [f"act     {act._asdict()}" for act in schedule.acts]
    head += [f"kill    {kill._asdict()}" for kill in schedule.kills]
    head += [f"ask     {ask.symbol} bars={ask.bars} " + _words(ask.plan) for ask in schedule.asks]
    return head


def _words(fields: dict[str, Any]) -> str:
    return " ".join(
        f"{key}={_short(value)}" for key, value in fields.items() if value not in (None, "", (), [])
    )


def _short(value: Any) -> str:
    return "/".join(_short(item) for item in value) if isinstance(value, list | tuple) else str(value)


def _venue(b: list[dict[str, Any]], *, everything: bool) -> list[Line]:
    lines: list[Line] = []
    for number, record in enumerate(b):
        kind = record["event"]
        is_touch = kind == "quote" or record.get("kind") == "quote"
        if is_touch and not everything:
            continue
        who = {"to_host": "to host", "snapshot": "to host", "op": "operator"}.get(kind, "venue")
        what = record.get("kind", kind)
        text = _words(
            {key: value for key, value in record.items() if key not in ("event", "t", "kind", "client")}
        )
        lines.append(Line(record["t"], 2, number, who, f"{what:<9} {text}"))
    return lines


def _host(audit: list[bytes]) -> list[Line]:
    lines: list[Line] = []
    for number, raw in enumerate(audit):
        try:
            record = json.loads(raw)
        except ValueError:
            lines.append(Line(lines[-1].t if lines else 0.0, 3, number, "host", f"(torn) {raw!r}"))
            continue
        text = _words({key: value for key, value in record.items() if key not in ENVELOPE})
        lines.append(Line(record["mono"], 3, number, "  host", f"{record['event']} {text}"))
    return lines


def main(arguments: Sequence[str] | None = None) -> int:
    """Tell the seed that the arguments name."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.simulation.story", description="Tell one simulated schedule."
    )
    parser.add_argument("seed", type=int)
    parser.add_argument("--all", action="store_true", help="every touch of the market too")
    parser.add_argument("--wire", action="store_true", help="through the real client and the gateway")
    parser.add_argument("--dense", action="store_true", help="all faults at once that were drawn")
    asked = parser.parse_args(arguments)
    folder = memory_folder()
    try:
        schedule = draw(asked.seed, dense=asked.dense)
        outcome = run_schedule(schedule, folder, world_of(wired=asked.wire))
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    for line in tell(schedule, outcome, everything=asked.all):
        sys.stdout.write(line + "\n")
    return 1 if outcome.findings else 0


if __name__ == "__main__":
    sys.exit(main())
