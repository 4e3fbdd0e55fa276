"""Measure tradeshell against named references: ``make bench`` (``ARGS='--only replay --rounds 7'`` chooses).

Every figure is a ratio within one round: reference and program run one after the other, several rounds, the median of the ratios
is shown. Absolute times move with the machine, ratios hardly. Writes nothing outside a folder of its own that is removed at the
end. Exit code 1 when the trades of the replay and of its reference are not identical.
"""

from __future__ import annotations

import argparse
import cProfile
import json
import os
import pstats
import resource
import subprocess
import sys
import sysconfig
import tempfile
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

HERE = Path(__file__).resolve().parent
if __name__ == "__main__":
    sys.path[0] = str(HERE.parents[1])  # a script begins in its own folder

from tests.bench import reconciling as bench_reconciling  # noqa: E402  # the path is set above
from tests.bench import shell as bench_shell  # noqa: E402  # the path is set above
from tests.bench import wire as bench_wire  # noqa: E402  # the path is set above
from tests.bench.market import Market, differences, make_market, read_trades, save  # noqa: E402  # the path is set above
from tests.bench.measure import MARKET  # noqa: E402  # as above

CHILD_TIMEOUT = 900.0  # seconds
SECTIONS = ("replay", "startup", "shell", "disk", "latency", "wire", "reconcile")


class Row(NamedTuple):
    """One line of a table. ``ratio`` is the median over rounds, ``low`` and ``high`` the extremes."""

    name: str
    value: str
    ratio: float | None = None
    low: float = 0.0
    high: float = 0.0
    note: str = ""


def child(kind: str, folder: Path, *numbers: int) -> dict[str, Any]:
    """Run one measurement in a fresh process and return what it found."""
    words = [
        sys.executable,
        str(HERE / "measure.py"),
        kind,
        str(folder),
        *(str(number) for number in numbers),
    ]
    done = subprocess.run(words, capture_output=True, text=True, timeout=CHILD_TIMEOUT, check=False)
    if done.returncode != 0:
        raise SystemExit(f"the measurement {kind} failed:\n{done.stderr}")
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def show(title: str, rows: Iterable[Row], reference: str) -> None:
    """Print a table."""
    print(f"\n{title}\n  ratio to: {reference}")
    print(f"  {'':40}{'median':>14}  {'ratio':>7}  {'lowest – highest':>18}")
    for row in rows:
        ratio = "" if row.ratio is None else f"{row.ratio:7.3f}"
        spread = "" if row.ratio is None else f"{row.low:.3f} – {row.high:.3f}"
        print(f"  {row.name:40}{row.value:>14}  {ratio:>7}  {spread:>18}  {row.note}".rstrip())
    sys.stdout.flush()


def row(
    name: str,
    values: Sequence[float],
    reference: Sequence[float],
    words: Callable[[float], str],
    *,
    speed: bool = False,
    note: str = "",
) -> Row:
    """Return a line: ``values`` and ``reference`` are seconds, one a round; with ``speed`` more than 1 is faster."""
    ratios = [r / v if speed else v / r for v, r in zip(values, reference, strict=True)]
    return Row(name, words(median(values)), median(ratios), min(ratios), max(ratios), note)


def in_ms(seconds: float) -> str:
    """Return milliseconds for a table."""
    return f"{seconds * 1e3:,.1f} ms"


def in_us(seconds: float) -> str:
    """Return microseconds for a table."""
    return f"{seconds * 1e6:,.2f} µs"


# --- replay -----------------------------------------------------------------------------------------------------------


def replay(folder: Path, market: Market, rounds: int) -> bool:
    """Measure the replay; returns whether the trades are identical."""
    floor: list[dict[str, Any]] = []
    ours: list[dict[str, Any]] = []
    same = True
    for number in range(rounds):
        floor.append(child("floor", folder))
        ours.append(child("ours", folder, number))
        same = same_trades(folder, "ours.csv", "tradeshell") and same
    bars = market.size

    def speed(seconds: float) -> str:
        return f"{bars / seconds:,.0f}/s"

    walls, cpus = [f["seconds"] for f in floor], [f["cpu"] for f in floor]
    last = ours[-1]
    show(
        f"Replay · {len(market.plans):,} symbol-days, {bars:,} one-minute bars, {rounds} rounds",
        (
            Row("bare loop, wall", speed(median(walls))),
            row("tradeshell, wall", [o["seconds"] for o in ours], walls, speed, speed=True),
            row(
                "tradeshell, wall, making its bars too",
                [o["seconds"] + o["build"] for o in ours],
                walls,
                speed,
                speed=True,
            ),
            Row("bare loop, CPU of its thread", speed(median(cpus))),
            row("tradeshell, CPU of its thread", [o["cpu"] for o in ours], cpus, speed, speed=True),
        ),
        "the bare loop: an object a bar, synchronous calls (floor.py); more is faster",
    )
    trades = read_trades(folder / "ours.csv")
    print(
        f"  {len(trades):,} trades{', identical' if same else ' DIFFER'} · {last['decisions']:,} journal lines · "
        f"{last['events']:,} audit lines · {last['rss_mb']:.0f} MB"
    )
    return same


def same_trades(folder: Path, name: str, who: str) -> bool:
    """Compare a program's trades with the floor's; says what differs."""
    theirs = read_trades(folder / "floor.csv")
    found = list(differences(read_trades(folder / name), theirs))
    for ours, expected in found[:5]:
        print(f"  DIFFERS: {who} {ours}\n           bare loop  {expected}")
    if len(found) > 5:
        print(f"  … and {len(found) - 5} more of {len(theirs)}")
    return not found and bool(theirs)


def profile(folder: Path, market: Market) -> None:
    """Say where the time of a replay goes. A profiler makes calls dearer than they are: read the shares."""
    from tests.bench.ours import replay as run_replay

    profiler = cProfile.Profile()
    run_replay(market, folder / "profile", around=profiler)
    stats = pstats.Stats(profiler)
    total, bars = stats.total_tt, market.size  # type: ignore[attr-defined]  # not in the stubs
    parts: dict[str, float] = {}
    lines: list[tuple[float, float, int, str]] = []
    for (path, number, name), (_, calls, own, whole, _) in stats.stats.items():  # type: ignore[attr-defined]  # as above
        part = _part(path)
        parts[part] = parts.get(part, 0.0) + own
        lines.append((own, whole, calls, f"{part}:{number} {name}" if number else name))
    print(f"\nWhere the time goes · {bars:,} bars, {total / bars * 1e6:.1f} µs a bar with the profiler on")
    for part, own in sorted(parts.items(), key=lambda item: -item[1])[:20]:
        print(f"  {own / total:6.1%}  {own / bars * 1e6:8.2f} µs/bar  {part}")
    print(f"\n  {'own':>6}  {'own µs/bar':>10}  {'all µs/bar':>10}  {'calls/bar':>9}  function")
    for own, whole, calls, name in sorted(lines, reverse=True)[:30]:
        print(
            f"  {own / total:6.1%}  {own / bars * 1e6:10.3f}  {whole / bars * 1e6:10.3f}  {calls / bars:9.3f}  {name}"
        )


def _part(path: str) -> str:
    parts = Path(path).parts
    for root in ("tradeshell", "tradeshell_paper", "tradeshell_breakout", "tradeshell_jsonl_log"):
        if root in parts:
            return "/".join(parts[len(parts) - parts[::-1].index(root) - 1 :])
    return "built in" if path == "~" else f"Python's {parts[-1]}"


# --- start-up ---------------------------------------------------------------------------------------------------------


def startup(folder: Path, rounds: int) -> None:
    """Measure whole processes, from exec to exit."""
    program = Path(sysconfig.get_path("scripts")) / "tradeshell"
    home = folder / "home"
    home.mkdir()
    state = str(folder / "state")
    commands = {
        "Python alone": [sys.executable, "-c", "pass"],
        "bare cmd2 app, quit": [sys.executable, str(HERE / "bare_shell.py"), "quit"],
        "tradeshell -c quit": [str(program), "--state-dir", state, "-c", "quit"],
        "tradeshell --help": [str(program), "--help"],
        "tradeshell --version": [str(program), "--version"],
    }
    environ = {
        key: value
        for key, value in os.environ.items()
        if not key.startswith(("TRADESHELL", "APPS_", "IB_", "XDG_", "PYTHON"))
    }
    environ |= {"HOME": str(home)}
    walls: dict[str, list[float]] = {name: [] for name in commands}
    cpus: dict[str, list[float]] = {name: [] for name in commands}
    for number in range(rounds + 1):
        for name, words in commands.items():
            wall, cpu = _timed(words, environ)
            if number:  # the first round fills the file cache
                walls[name].append(wall)
                cpus[name].append(cpu)
    bare = "bare cmd2 app, quit"
    show(
        f"Start-up · fresh process, {rounds} rounds",
        (
            *(row(name, values, walls[bare], in_ms) for name, values in walls.items()),
            row(
                "tradeshell -c quit, CPU",
                cpus["tradeshell -c quit"],
                cpus[bare],
                in_ms,
                note=f"bare app {in_ms(median(cpus[bare]))}",
            ),
        ),
        "the smallest cmd2 application running quit; less is faster",
    )


def _timed(words: Sequence[str], environ: dict[str, str]) -> tuple[float, float]:
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    began = time.perf_counter()
    done = subprocess.run(
        words, env=environ, stdin=subprocess.DEVNULL, capture_output=True, timeout=60, check=False
    )
    wall = time.perf_counter() - began
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.returncode != 0:
        raise SystemExit(f"{' '.join(words)} ended with {done.returncode}:\n{done.stderr.decode()}")
    return wall, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


# --- the shell ----------------------------------------------------------------------------------------------------------


def shell(folder: Path, rounds: int) -> None:
    """Measure completion and typing in a real terminal, on a loaded desk and while events arrive."""
    found = bench_shell.menus(folder / "shell", rounds * 10)
    bare = found[bench_shell.BARE]

    def both(values: Sequence[float]) -> str:
        return f"{quantile(values, 0.5) * 1e3:,.1f} / {quantile(values, 0.99) * 1e3:,.1f} ms"

    show(
        f"Tab to completion menu, p50 / p99 · {bench_shell.SYMBOLS} symbols, {bench_shell.WATCHERS} watchers, "
        f"{bench_shell.ORDERS} orders, {rounds * 10} times each",
        [_against(name, both(values), values, bare) for name, values in found.items()],
        "Tab in the smallest cmd2 application, in turns with ours (ratio of p50); less is faster",
    )
    quiet, busy = (
        bench_shell.echoes(folder / f"echo-{rate:g}", 200, rate) for rate in (1, bench_shell.EVENTS)
    )
    show(
        "Key to echo, p50 / p99 · 200 keys",
        (
            Row("an event a second", both(quiet)),
            _against(f"{bench_shell.EVENTS} events a second", both(busy), busy, quiet),
        ),
        "the same keys with hardly any events; less is faster",
    )


def _against(name: str, words: str, values: Sequence[float], reference: Sequence[float]) -> Row:
    """Return a line with the ratio of the medians, and those of the tenths and nine tenths for its spread."""
    ratio, low, high = (quantile(values, part) / quantile(reference, part) for part in (0.5, 0.1, 0.9))
    return Row(name, words, ratio, min(low, high), max(low, high))


# --- disk and latency -------------------------------------------------------------------------------------------------


def disk(folder: Path, rounds: int) -> None:
    """Measure what a line costs."""
    found = [child("disk", folder, number, 20_000) for number in range(rounds)]
    rows: list[Row] = []
    for name, words in (("journal", "a decision into the journal"), ("audit", "an event into the audit log")):
        bare = [f[f"{name}_write"] for f in found]
        rows += [
            Row(f"bare write of that line ({name})", in_us(median(bare))),
            row(words, [f[name] for f in found], bare, in_us),
        ]
    show(
        f"A line on disk · 20,000 lines of a replay, {rounds} rounds",
        rows,
        "os.write of the same bytes; less is faster",
    )


def latency(folder: Path, rounds: int) -> None:
    """Measure from the bar's close to the order port."""
    desks = {0: "by hand", 20: "tradeshell, 20 watchers", 1000: "tradeshell, 1,000 watchers"}
    found: dict[int, list[dict[str, Any]]] = {watchers: [] for watchers in desks}
    for number in range(rounds):
        found[0].append(child("latency", folder, number, 0, 500, 4))
        found[20].append(child("latency", folder, number, 20, 20, 75))
        found[1000].append(child("latency", folder, number, 1000, 300, 1))
    rows: list[Row] = []
    for which, quantile, words in (
        ("first", "p50", "first order, p50"),
        ("first", "p99", "first order, p99"),
        ("cpu", "p99", "first order, p99 of its CPU"),
        ("last", "p50", "last of three, p50"),
    ):
        bare = [f[which][quantile] for f in found[0]]
        for watchers, name in desks.items():
            values = [f[which][quantile] for f in found[watchers]]
            rows.append(row(f"{words} · {name}" if watchers == 0 else f"    {name}", values, bare, in_us))
    show(
        f"Bar close to broker port, in process · {rounds} rounds",
        rows,
        "one function that does the same by hand (latency.py); less is faster",
    )


# --- the wire ---------------------------------------------------------------------------------------------------------


def wire(folder: Path, rounds: int, desks: int, symbols: int) -> None:
    """Measure from the last data byte to the orders' bytes, and what quotes cost, against the barest ib_async script."""
    bare, ours = bench_wire.BARE, bench_wire.OURS
    found = [bench_wire.triggers(folder / f"wire-{number}", desks) for number in range(rounds)]
    rows: list[Row] = []
    for field, words, parts in (
        ("entry", "bar to entry", (0.5, 0.99)),
        ("seven", "bar to the last of seven orders", (0.5,)),
        ("exits", "of these, fill to the last of six exits", (0.5,)),
    ):
        for part in parts:
            times = {
                name: [quantile(getattr(each, field)[name], part) for each in found] for name in (bare, ours)
            }
            rows += [
                Row(f"{words}, p{part * 100:g} · {bare}", in_us(median(times[bare]))),
                row(f"    {ours}", times[ours], times[bare], in_us),
            ]
    counted, ladders = len(found[0].entry[ours]), len(found[0].exits[ours])
    show(
        f"Data byte to order bytes, on loopback · {counted} entries and {ladders} ladders of seven a round, {rounds} rounds",
        rows,
        "the barest ib_async script, same bytes, in turns (wire_bare.py); less is faster",
    )
    streams = bench_wire.run(bench_wire.stream_script(symbols, rounds), folder / "wire-stream")["streams"]
    cpu = {name: [each["cpu"] / each["wall"] for each in streams[name]] for name in (bare, ours)}

    def part_of_core(seconds: float) -> str:
        return f"{seconds:.1%} of a core"

    show(
        f"Quotes · {symbols:,} symbols, {bench_wire.RATE} quotes a second each, {rounds} rounds",
        (
            Row(f"CPU of the process · {bare}", part_of_core(median(cpu[bare]))),
            row(f"    {ours}", cpu[ours], cpu[bare], part_of_core),
        ),
        "the barest ib_async script, same bytes; less is cheaper",
    )


def reconcile(folder: Path, rounds: int) -> None:
    """Measure a comparison with the broker against the broker's own answers."""
    found = bench_reconciling.measure(folder / "reconcile", max(rounds, 9))
    show(
        f"Reconciling · {found.positions} positions, {found.orders} orders, {found.executions:,} executions, "
        f"{len(found.ours)} rounds",
        (
            row("the gateway's bytes, not looked into", found.reader, found.script, in_ms),
            Row("the broker's answers · ib_async script", in_ms(median(found.script))),
            row("    tradeshell, compared and on disk", found.ours, found.script, in_ms),
        ),
        "the barest ib_async script that awaits the same four answers (reconciling.py); less is faster",
    )


def quantile(values: Sequence[float], part: float) -> float:
    """Return the value below which ``part`` of ``values`` lie."""
    return sorted(values)[min(len(values) - 1, int(len(values) * part))]


def main() -> int:
    """Run the sections; returns the exit code."""
    p = argparse.ArgumentParser(prog="make bench", description=(__doc__ or "").splitlines()[0])
    p.add_argument("--rounds", type=int, default=5, help="interleaved rounds (default 5)")
    p.add_argument("--only", nargs="+", choices=SECTIONS, default=SECTIONS, help="sections to run")
    p.add_argument("--symbols", type=int, default=20)
    p.add_argument("--days", type=int, default=50, help="trading days a symbol (default 50: 390,000 bars)")
    p.add_argument(
        "--desks", type=int, default=7, help="desks of 45 entries in a round of the wire (default 7)"
    )
    p.add_argument("--lines", type=int, default=1000, help="symbols whose quotes are streamed over the wire")
    p.add_argument("--profile", action="store_true", help="only say where the time of a replay goes")
    options = p.parse_args()
    same = True
    with tempfile.TemporaryDirectory(prefix="tradeshell-bench-") as name:
        folder = Path(name)
        market = make_market(options.symbols, options.days)
        save(market, folder / MARKET)
        if options.profile:
            profile(folder, market)
            return 0
        print(f"Python {sys.version.split()[0]}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}")
        if "replay" in options.only:
            same = replay(folder, market, options.rounds)
        if "startup" in options.only:
            startup(folder, max(options.rounds, 7))
        if "shell" in options.only:
            shell(folder, options.rounds)
        if "disk" in options.only:
            disk(folder, options.rounds)
        if "latency" in options.only:
            latency(folder, options.rounds)
        if "wire" in options.only:
            wire(folder, options.rounds, options.desks, options.lines)
        if "reconcile" in options.only:
            reconcile(folder, options.rounds)
    return 0 if same else 1


if __name__ == "__main__":
    sys.exit(main())
