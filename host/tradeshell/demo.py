"""The demo: the shell's own commands on the real engine and the generated market, on a fast clock.

Another seed makes another market and so another story. Nothing is printed but what commands answer and events say.
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
    """Return the demo's command lines."""
    start = price_of(seed)
    cents = Decimal("0.01")
    level = (start * Decimal("1.0005")).quantize(cents)
    stop = (level * Decimal("0.994")).quantize(cents)
    target = (level * Decimal("1.008")).quantize(cents)
    words = f"{SYMBOL} {level} 100 tp={target} sl={stop}"
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
