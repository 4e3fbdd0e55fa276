"""The demo: the shell's own commands on the real engine and the generated market, on a fast clock.

Another seed makes another market and so another story. Nothing is printed but what commands answer and events say. The distances
are such that a usual day of this market tells something, and the market of seed 1 all of it: entry, armed legs, TP1, stops moved,
TP2, the last stop moved, stopped out there.
"""

from __future__ import annotations

import hashlib
from decimal import Decimal

SYMBOL = "DEMO"
SPEED = "400"  # venue seconds a second


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
