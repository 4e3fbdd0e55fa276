"""A campaign of kills over TCP: a real shell trades with a gateway in another process, is killed, and starts again.

    python -m tests.crash.wire_kills --kills 300 [--from K] [--results FILE] [--keep FOLDER]

A seed buys (a ladder, a bracket, a watcher when a minute is about to end), lets something happen, and kills the shell by SIGKILL
at an instant that the seed draws. The gateway goes on. The shell starts again on the same state folder, now and then is killed
once more while it starts, and has to bring everything to rest. It is then the one that the next seed kills. Ten seeds share a
gateway.

What is judged is the gateway's own record, looked at every few milliseconds, and at the end of each seed what the shell knows:

- never short; never more working sells than shares; no order twice; no second generation while the first lives; no second entry;
- a watcher that waited through the kill is armed again within 10 s of the connection, by itself;
- every share has a working stop within 5 s of the connection of the new process, and its target;
- orders and executions of the shell are those of the gateway, one by one; the audit log tells each execution once;
- nothing works when nothing is held; no traceback, on either side.

Processes run in real time, so a seed repeats what is tried and not what comes of it: each leaves a line of facts in
``--results``, and a seed that breaks a rule leaves its files, both processes' words and what the gateway showed in ``--keep``.
"""

from __future__ import annotations

import argparse
import shutil
import signal
import sys
import tempfile
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import msgspec
from tests.crash.wire_chain import WAITS, WAITS_AT, Chain, Fact
from tests.crash.wire_draw import PRICES, SYMBOLS, draw, habits
from tests.crash.wire_parts import Control
from tests.gateway.process import running_gateway

CHAIN = 10  # seeds on one gateway


def run_chain(seeds: range, folder: Path, keep: Path | None, tell: Callable[[Fact], None]) -> int:
    """Play some seeds on one gateway; return how many rules were broken."""
    folder.mkdir(parents=True)
    scenario = folder / "scenario.toml"
    scenario.write_text(habits(seeds.start).scenario, encoding="utf-8")
    market = [f"{symbol}={price}" for symbol, price in zip(SYMBOLS, PRICES, strict=True)]
    market.append(f"{WAITS}={WAITS_AT}")
    options = ("--control", "0", "--log", "--seed", str(seeds.start), "--scenario", str(scenario))
    wrong = 0
    with running_gateway(folder / "gateway", *options, "--market", *market, day=()) as gateway:
        control = Control(gateway.control)
        chain = Chain(folder, gateway.port, control)
        for seed in seeds:
            fact = chain.play(draw(seed))
            if seed == seeds[-1] or chain.is_lost:
                fact.wrong += chain.end()
            tell(fact)
            if fact.wrong:
                wrong += 1
                if keep is not None:
                    _keep(chain, fact, keep / f"seed-{seed}")
                if chain.is_lost:
                    break  # what follows would stand on it
        chain.life.kill()
        control.close()
    return wrong


def _keep(chain: Chain, fact: Fact, folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(chain.folder, folder)
    (folder / "trace").write_text("\n".join(chain.trace) + "\n", encoding="utf-8")
    (folder / "fact.json").write_bytes(msgspec.json.format(msgspec.json.encode(fact)))


def part_of(values: list[float], share: float) -> float:
    """Return a percentile: the smallest value that so many are at or below."""
    return sorted(values)[min(len(values) - 1, int(len(values) * share))] if values else 0.0


def summary(facts: list[Fact]) -> str:
    """Return what a campaign shows, in a few lines."""
    with_shares = [fact for fact in facts if fact.held_after]
    naked = [fact.naked for fact in with_shares]
    settled = [fact.until_settled for fact in facts]
    up = [fact.until_connected for fact in facts]
    bare = sum(1 for fact in facts if fact.bare_at_kill)
    kills, orders = sum(fact.kills for fact in facts), sum(fact.orders for fact in facts)
    what = Counter(f"{fact.buys}, {fact.stage}" for fact in facts)

    def three(values: list[float]) -> str:
        return f"p50 {part_of(values, 0.5):.2f}, p99 {part_of(values, 0.99):.2f}, most {max(values, default=0):.2f}"

    return "\n".join(
        (
            "  ".join(f"{count} {name}" for name, count in what.most_common()),
            f"shares held after the restart in {len(with_shares)} seeds; bare when the process died in {bare}",
            f"seconds without a stop after the connection: {three(naked)}",
            f"seconds from the connection until a watcher that waited watches: {three([f.until_watching for f in facts])}",
            f"seconds from the connection until all is at rest: {three(settled)}",
            f"seconds from the start of the process to its connection: {three(up)}",
            f"{len(facts)} seeds, {kills} kills, {orders} orders, {sum(1 for fact in facts if fact.wrong)} violations",
        )
    )


def main(arguments: list[str] | None = None) -> int:
    """Run the campaign."""
    parser = argparse.ArgumentParser(prog="wire_kills", description="Kills of a shell that trades over TCP.")
    parser.add_argument("--kills", type=int, default=300, help="how many seeds, each at least one kill")
    parser.add_argument("--from", dest="first", type=int, default=0, help="the first seed")
    parser.add_argument(
        "--results", type=Path, help="a file of facts, a line a seed; what it has is not done again"
    )
    parser.add_argument(
        "--keep", type=Path, default=Path(".kills"), help="where files of seeds go that break a rule"
    )
    options = parser.parse_args(arguments)
    signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))  # the gateway ends with us
    facts: list[Fact] = []
    if options.results is not None and options.results.exists():
        facts = [
            msgspec.json.decode(line, type=Fact) for line in options.results.read_bytes().splitlines() if line
        ]
    last = options.first + options.kills
    done = {fact.seed for fact in facts}
    facts = [fact for fact in facts if options.first <= fact.seed < last]

    def tell(fact: Fact) -> None:
        facts.append(fact)
        done.add(fact.seed)
        if options.results is not None:
            with options.results.open("ab") as file:
                file.write(msgspec.json.encode(fact) + b"\n")
        came = f"held {fact.held_after}, bare {fact.naked:.2f} s, at rest after {fact.until_settled:.2f} s"
        words = f"{fact.seed} {fact.buys}, {fact.stage}, {fact.kill}: {came}"
        sys.stdout.write(f"{words}{''.join(f' · {each}' for each in fact.wrong)}\n")
        sys.stdout.flush()

    while rest := [seed for seed in range(options.first, last) if seed not in done]:
        first = rest[0]
        following = next((s for s in range(first, first + CHAIN) if s in done or s == last), first + CHAIN)
        with tempfile.TemporaryDirectory(prefix="tradeshell-kills-") as folder:
            run_chain(range(first, following), Path(folder) / "chain", options.keep, tell)
    sys.stdout.write(summary(facts) + "\n")
    return 1 if any(fact.wrong for fact in facts) else 0


if __name__ == "__main__":
    sys.exit(main())
