"""One measurement in a process of its own: ``measure.py KIND FOLDER [NUMBER…]``; prints one JSON object.

A fresh process for each, so that no measurement finds another one's memory, garbage or warm caches; the market comes from a file
that the caller wrote, and nothing outside FOLDER is touched.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeAlias

if __name__ == "__main__":
    sys.path[0] = str(Path(__file__).resolve().parents[2])  # a script begins in its own folder

from tests.bench.market import load, write_trades  # the path is set above

MARKET = "market.pickle"
Numbers: TypeAlias = tuple[int, ...]
Found: TypeAlias = dict[str, Any]


def measure_floor(folder: Path, numbers: Numbers) -> Found:
    """Run the bare loop."""
    from tests.bench import floor

    del numbers
    market = load(folder / MARKET)
    seconds, cpu, trades = floor.run(market)
    write_trades(folder / "floor.csv", trades)
    return {"seconds": seconds, "cpu": cpu, "bars": market.size}


def measure_ours(folder: Path, numbers: Numbers) -> Found:
    """Run the real thing; ``NUMBER`` tells the rounds' files apart."""
    from tests.bench.ours import replay

    market = load(folder / MARKET)
    found = replay(market, folder / f"replay-{numbers[0]}")
    write_trades(folder / "ours.csv", found.trades)
    return {
        "seconds": found.run,
        "cpu": found.cpu,
        "build": found.build,
        "start": found.start,
        "events": found.events,
        "decisions": found.decisions,
        "rss_mb": found.rss_mb,
    }


def measure_disk(folder: Path, numbers: Numbers) -> Found:
    """Write lines: the round, how many."""
    from tests.bench.disk import measure

    number, count = numbers
    return measure(count, folder / f"disk-{number}")._asdict()


def measure_latency(folder: Path, numbers: Numbers) -> Found:
    """Trigger breakouts: the round, watchers of a desk (0: the direct function), triggers of a desk, desks."""
    from tests.bench import latency

    number, watchers, triggers, desks = numbers
    samples: list[latency.Sample] = []
    for desk in range(desks):
        place = folder / f"latency-{number}-{watchers}-{desk}"
        samples += latency.ours(watchers, triggers, place) if watchers else latency.direct(triggers, place)
    warm = samples[triggers // 2 :] if desks == 1 else samples[triggers:]
    return {name: _quantiles([getattr(sample, name) for sample in warm]) for name in latency.Sample._fields}


def _quantiles(values: list[float]) -> dict[str, float]:
    values = sorted(values)
    return {"p50": values[len(values) // 2], "p99": values[int(len(values) * 0.99)], "max": values[-1]}


KINDS: dict[str, Callable[[Path, Numbers], Found]] = {
    "floor": measure_floor,
    "ours": measure_ours,
    "disk": measure_disk,
    "latency": measure_latency,
}

if __name__ == "__main__":
    os.environ.pop("APPS_EVENT_LOG_PATH", None)
    print(json.dumps(KINDS[sys.argv[1]](Path(sys.argv[2]), tuple(int(word) for word in sys.argv[3:]))))
