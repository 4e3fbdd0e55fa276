"""The same rule on the same bars in other programs: ``make bench-peers`` (``ARGS='--rounds 5'``).

Each peer lives in an environment of its own under ``.bench/``, which is made when it is missing and which git ignores; nothing
else learns of it. A peer that cannot be installed or that fails is named with the reason and left out. Bare loop, tradeshell and
peers run one after the other in every round. A row that a peer trades otherwise is named with the rule it differs by; a
difference that no rule explains makes exit code 1.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
if __name__ == "__main__":
    sys.path[0] = str(ROOT)  # a script begins in its own folder

from tests.bench.market import Market, Plan, Trade, differences, make_market, read_trades, save  # noqa: E402
from tests.bench.measure import MARKET  # noqa: E402  # the path is set above
from tests.bench.run import Row, child, row, same_trades, show  # noqa: E402  # as above

ENVIRONMENTS = ROOT / ".bench"
INSTALL_TIMEOUT = 900.0  # seconds
RUN_TIMEOUT = 600.0


class Skipped(Exception):
    """A peer cannot take part; the reason in one line."""


class Peer(NamedTuple):
    """Another program. ``why`` returns the rule by which a differing row (theirs, ours) is explained, or nothing."""

    name: str
    package: str
    version: str
    script: str
    why: Callable[[Plan, Trade, Trade], str]


def nothing_differs(plan: Plan, theirs: Trade, floor: Trade) -> str:
    """Return nothing: the rules are the same."""
    del plan, theirs, floor
    return ""


def gaps_fill_at_the_price(plan: Plan, theirs: Trade, floor: Trade) -> str:
    """Return the rule for exits that a bar's first price lies beyond: the bare loop then books that price."""
    own_price = plan.sl if floor.kind == "sl" else plan.tp
    if floor.exit != own_price and theirs == floor._replace(exit=own_price):
        return "an exit that the bar's open lies beyond fills at its own price, not at the open"
    return ""


PEERS = (
    Peer("backtesting.py", "backtesting", "0.6.6", "peer_backtesting.py", nothing_differs),
    Peer("nautilus_trader", "nautilus_trader", "1.221.0", "peer_nautilus.py", gaps_fill_at_the_price),
)


def install(peer: Peer) -> Path:
    """Return the Python of a peer's environment, made and filled when that was not done before."""
    folder = ENVIRONMENTS / peer.package
    python, stamp = folder / "bin" / "python", folder / f"{peer.version}.stamp"
    if stamp.exists():
        return python
    ENVIRONMENTS.mkdir(exist_ok=True)
    (ENVIRONMENTS / ".gitignore").write_text("*\n", encoding="ascii")
    print(f"installing {peer.package} into {folder.relative_to(ROOT)}", flush=True)
    _install_step([sys.executable, "-m", "venv", "--clear", str(folder)])
    pip = [
        str(python),
        "-m",
        "pip",
        "--quiet",
        "--quiet",
        "--disable-pip-version-check",
        "--no-input",
        "install",
    ]
    try:
        _install_step([*pip, f"{peer.package}=={peer.version}"])
    except Skipped:
        _install_step([*pip, peer.package])  # the newest that this Python can have
    stamp.touch()
    return python


def _install_step(words: list[str]) -> None:
    try:
        done = subprocess.run(words, capture_output=True, text=True, timeout=INSTALL_TIMEOUT, check=False)
    except subprocess.TimeoutExpired:
        raise Skipped(f"cannot be installed: not done within {INSTALL_TIMEOUT:.0f} s") from None
    except OSError as error:
        raise Skipped(f"cannot be installed: {error.strerror}") from None
    if done.returncode != 0:
        raise Skipped(f"cannot be installed: {_last_line(done.stderr)}")


def run(peer: Peer, python: Path, folder: Path) -> dict[str, Any]:
    """Run a peer once and return what it found."""
    try:
        done = subprocess.run(
            [str(python), str(HERE / peer.script), str(folder)],
            capture_output=True,
            text=True,
            timeout=RUN_TIMEOUT,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise Skipped(f"not done within {RUN_TIMEOUT:.0f} s") from None
    if done.returncode != 0:
        raise Skipped(f"failed: {_last_line(done.stderr)}")
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def _last_line(text: str) -> str:
    lines = [line for line in text.splitlines() if line.strip()]
    return lines[-1].strip()[:200] if lines else "it said nothing"


def compare(peer: Peer, market: Market, folder: Path) -> bool:
    """Say how a peer's trades differ from the floor's; returns whether every difference has a rule."""
    plans = {(plan.symbol, plan.day // 86_400): plan for plan in market.plans}
    theirs = read_trades(folder / f"{Path(peer.script).stem.removeprefix('peer_')}.csv")
    floor = [trade.by_the_bar() for trade in read_trades(folder / "floor.csv")]
    at_open = {
        (trade.symbol, trade.entered): trade for trade in read_trades(folder / "floor.csv")
    }  # their exits still say whether the open filled them
    rules: dict[str, int] = {}
    unexplained: list[tuple[Trade | None, Trade | None]] = []
    for left, right in differences([trade.by_the_bar() for trade in theirs], floor):
        rule = ""
        if left is not None and right is not None:
            exact = at_open[right.symbol, right.entered]
            rule = peer.why(plans[right.symbol, right.entered // 86_400_000], left, exact)
        if rule:
            rules[rule] = rules.get(rule, 0) + 1
        else:
            unexplained.append((left, right))
    differing = sum(rules.values()) + len(unexplained)
    print(f"  {peer.name}: {len(theirs) - differing} of {len(floor)} trades identical")
    for rule, count in rules.items():
        print(f"    {count} differ in their exit price: {rule}")
    for left, right in unexplained[:5]:
        print(f"    DIFFERS: {peer.name} {left}\n             bare loop {right}")
    return not unexplained


def main() -> int:
    """Run everything; returns the exit code."""
    p = argparse.ArgumentParser(prog="make bench-peers", description=(__doc__ or "").splitlines()[0])
    p.add_argument("--rounds", type=int, default=3)
    p.add_argument("--symbols", type=int, default=20)
    p.add_argument("--days", type=int, default=50, help="trading days a symbol (default 50: 390,000 bars)")
    options = p.parse_args()
    skipped: dict[str, str] = {}
    pythons: dict[str, Path] = {}
    for peer in PEERS:
        try:
            pythons[peer.name] = install(peer)
        except Skipped as reason:
            skipped[peer.name] = str(reason)
    with tempfile.TemporaryDirectory(prefix="tradeshell-bench-") as name:
        folder = Path(name)
        market = make_market(options.symbols, options.days)
        save(market, folder / MARKET)
        print(f"Python {sys.version.split()[0]}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}")
        rounds: dict[str, list[dict[str, Any]]] = {"bare loop": [], "tradeshell": []}
        same = True
        for number in range(options.rounds):
            rounds["bare loop"].append(child("floor", folder))
            rounds["tradeshell"].append(child("ours", folder, number))
            same = same_trades(folder, "ours.csv", "tradeshell") and same
            for peer in PEERS:
                if peer.name in skipped:
                    continue
                try:
                    rounds.setdefault(peer.name, []).append(run(peer, pythons[peer.name], folder))
                except Skipped as reason:
                    skipped[peer.name] = str(reason)
                    rounds.pop(peer.name, None)
        for clock, words in (("seconds", "wall"), ("cpu", "CPU")):
            _show(rounds, clock, words, market.size)
        print(f"\nTrades\n  tradeshell: {'all identical' if same else 'DIFFER'}")
        for peer in PEERS:
            if peer.name in skipped:
                print(f"  {peer.name}: left out, {skipped[peer.name]}")
            else:
                same = compare(peer, market, folder) and same
    return 0 if same else 1


def _show(rounds: dict[str, list[dict[str, Any]]], clock: str, words: str, bars: int) -> None:
    floor, ours = ([found[clock] for found in rounds[name]] for name in ("bare loop", "tradeshell"))
    rows: list[Row] = []
    for name, found in rounds.items():
        seconds = [one[clock] for one in found]
        title = f"{name} {found[0].get('version', '')}".strip()
        against_us = median(theirs / us for theirs, us in zip(seconds, ours, strict=True))
        rows.append(
            row(
                title,
                seconds,
                floor,
                lambda value: f"{bars / value:,.0f}/s",
                speed=True,
                note=""
                if name in ("bare loop", "tradeshell")
                else f"tradeshell is {against_us:.2f} x as fast",
            )
        )
    show(f"Replay of {bars:,} bars, {words} time, {len(floor)} rounds", rows, "the bare loop; more is faster")


if __name__ == "__main__":
    sys.exit(main())
