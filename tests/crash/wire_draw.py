"""What a seed asks for: what is bought, and when the process that trades is killed."""

from __future__ import annotations

from random import Random

from msgspec import Struct

SYMBOLS = ("AAA", "BBB", "CCC", "DDD")
PRICES = ("190", "54", "121", "78")
FUSES = ("before", "after", "torn")
FILLED = {"entry": 55, "milestone": 25, "flatten": 10, "replace": 10}  # in the midst of what, and how often
RESTING = {"entry": 60, "cancel": 25, "flatten": 15}


class Kill(Struct, frozen=True, kw_only=True):
    """When the process ends.

    So many ``seconds`` after what the stage does; after so many ``records`` at the gateway if there is a number; at ``fuse``.
    """

    seconds: float = 0.0
    records: int = 0
    fuse: str = ""


class Draw(Struct, frozen=True, kw_only=True):
    """One seed. ``again``: a second kill, so many seconds after the new process has begun or, below zero, has connected."""

    seed: int
    symbol: str
    buys: str  # ladder, resting, bracket, resting bracket, watch
    stage: str  # entry, milestone, flatten, replace, cancel
    qty: int
    targets: int
    up: str
    down: str
    below: str
    timeout: int
    kill: Kill
    part: bool  # a milestone fills a part of the first target
    again: float | None
    again_fuse: str
    latency: float
    status_delay: float
    pause: float  # seconds in which nobody is there


class Habits(Struct, frozen=True, kw_only=True):
    """How the exchange of one gateway behaves."""

    partial: bool
    oca_shows: str

    @property
    def scenario(self) -> str:
        """The words of a scenario file."""
        partial = str(self.partial).lower()
        return f'[exchange]\npartial = {partial}\noca_shows = "{self.oca_shows}"\n'


def draw(seed: int) -> Draw:
    """Return what a seed asks for."""
    rng = Random(f"wire kills {seed}")
    buys = rng.choices(("ladder", "resting", "bracket", "resting bracket"), (60, 14, 20, 6))[0]
    stages = RESTING if buys.startswith("resting") else FILLED
    stage = rng.choices(tuple(stages), tuple(stages.values()))[0]
    targets = rng.choice((2, 3)) if buys in ("ladder", "resting") else 1
    is_tight = rng.random() < 0.3
    return Draw(
        seed=seed,
        symbol=SYMBOLS[seed % len(SYMBOLS)],
        buys=buys,
        stage=stage,
        qty=rng.choice((60, 100, 300, 600)) if targets > 1 else 50,
        targets=targets,
        up="0.03" if is_tight else "0.60",
        down="0.05" if is_tight and rng.random() < 0.4 else "0.90",
        below=rng.choice(("0.01", "0.03", "0.5")) if buys.startswith("resting") else "",
        timeout=rng.choice((2, 4)),
        kill=_kill(rng, stage, targets),
        part=rng.random() < 0.3,
        again=rng.choice((rng.uniform(0.3, 1.5), -rng.uniform(0.0, 0.4))) if rng.random() < 0.25 else None,
        again_fuse=rng.choice(("", "", f"hear:{rng.randint(1, 20)}:{rng.choice(FUSES[:2])}", _fuse(rng, 6))),
        latency=rng.choice((0.0, 0.0, 0.01, 0.1)),
        status_delay=rng.choice((0.0, 0.0, 0.05, 0.3)),
        pause=rng.choice((0.0, 0.0, 0.3, 1.0)),
    )


def _fuse(rng: Random, most: int) -> str:
    return f"send:{rng.randint(1, most)}:{rng.choice(FUSES)}"


def _kill(rng: Random, stage: str, targets: int) -> Kill:
    kind = rng.random()
    if kind < 0.4:
        return Kill(fuse=_fuse(rng, 2 * targets + 2 if stage == "entry" else 3))
    if kind < 0.55:
        return Kill(fuse=f"hear:{rng.randint(1, 12)}:{rng.choice(FUSES[:2])}")
    if kind < 0.75 and stage == "entry":
        return Kill(records=rng.randint(1, 2 * targets + 1), seconds=rng.uniform(0.0, 0.03))
    return Kill(seconds=rng.choice((rng.uniform(0.0, 0.05), rng.uniform(0.0, 0.4), rng.uniform(0.2, 1.2))))


def habits(seed: int) -> Habits:
    """Return how the exchange behaves in the chain that begins with a seed."""
    rng = Random(f"wire habits {seed}")
    return Habits(partial=rng.random() < 0.6, oca_shows=rng.choice(("total", "remaining")))
