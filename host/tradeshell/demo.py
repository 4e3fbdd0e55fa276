"""The demo: the shell's own commands on the real engine and the generated market, on a fast clock.

Another seed makes another market and so another story. Nothing is printed but what commands answer and events say. The distances
are such that a usual day of this market tells something, and the market of seed 1 all of it: entry, armed legs, TP1, stops moved,
TP2, the last stop moved, stopped out there.

With another broker than the embedded venue the same commands go to the paper gateway in a process of its own, whose day
begins when we connect and passes as fast as ours.
"""

from __future__ import annotations

import hashlib
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

from tradeshell.errors import BrokerError

SYMBOL = "DEMO"
SPEED = "400"  # venue seconds a second
WIRE_SPEED = "60"  # the same with a gateway in between: what takes a millisecond there must not take half a second of its day
MORNING = datetime(2025, 7, 8, 13, 30, tzinfo=UTC)  # the generated market's first day
PATIENCE = 30.0  # seconds for the gateway to start


def _number(seed: int, what: str, low: int, high: int) -> int:
    digest = hashlib.blake2s(f"{seed}:{what}".encode(), digest_size=8).digest()
    return low + int.from_bytes(digest) % (high - low + 1)


def price_of(seed: int) -> Decimal:
    """Return the price (USD) at which the demo's market starts: between 20 and 400, on whole cents."""
    return Decimal(_number(seed, "price", 2000, 40000)) / 100


def script(seed: int) -> tuple[str, ...]:
    """Return the demo's command lines: a ladder of three targets, 1, 1.8 and 3 times the risk above the level."""
    level = _near(price_of(seed), "1.0005")
    stop = _near(level, "0.994")
    targets = "-".join(str(_near(level, factor)) for factor in ("1.006", "1.011", "1.018"))
    words = f"{SYMBOL} {level} 100 tp={targets} sl={stop}"
    return (
        f"quote {SYMBOL}",
        f"plan {words}",
        f"breakout {words}",
        "breakouts",
        "wait ALL",
        "executions",
        "orders",
        "positions",
    )


def _near(price: Decimal, factor: str) -> Decimal:
    return (price * Decimal(factor)).quantize(Decimal("0.01"))


@contextmanager
def gateway(seed: int, speed: str, folder: Path) -> Iterator[int]:
    """Run the paper gateway with the demo's market and yield its port; raises ``BrokerError`` when it does not come up."""
    words = [
        "--state-dir",
        str(folder),
        "gateway",
        "--port",
        "0",
        "--hold",
        "--speed",
        speed,
        "--seed",
        str(seed),
    ]
    words += ["--from", MORNING.isoformat(), "--market", f"{SYMBOL}={price_of(seed)}"]
    process = subprocess.Popen(  # noqa: S603  # our own program
        [sys.executable, "-m", "tradeshell", *words],
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    alarm = threading.Timer(PATIENCE, process.kill)
    alarm.start()
    try:
        port = _port_of(process)
        alarm.cancel()
        yield port
    finally:
        alarm.cancel()
        process.terminate()
        process.communicate()


def _port_of(process: subprocess.Popen[str]) -> int:
    assert process.stdout is not None
    said = process.stdout.readline().strip()
    port = said.rpartition(":")[2]
    if not said.startswith("listening on ") or not port.isdigit():
        process.terminate()
        complaint = process.communicate()[1].strip().splitlines()
        raise BrokerError(
            f"the paper gateway did not start: {complaint[-1] if complaint else 'it said nothing'}"
        )
    return int(port)
