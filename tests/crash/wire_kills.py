"""A campaign of kills over TCP: the real shell trades with a gateway in another process, is killed, and starts again on its files.

    python -m tests.crash.wire_kills --kills 300 [--from K] [--results FILE] [--keep FOLDER]

A seed buys (a ladder, a bracket, a watcher when a minute is about to end), lets something happen, and kills the shell by SIGKILL at
an instant that the seed draws. The gateway goes on. The shell starts again on the same state folder, now and then is killed once
more while it starts, and has to bring everything to rest. It is then the one that the next seed kills. Ten seeds share a gateway.

What is judged is the gateway's own record, looked at every few milliseconds, and at the end of each seed what the shell knows:

- never short; never more working sells than shares; no order twice; no second generation while the first lives; no second entry;
- every share has a working stop within 5 s of the connection of the new process, and its target;
- orders and executions of the shell are those of the gateway, one by one; the audit log tells each execution once;
- nothing works when nothing is held; no traceback, on either side.

Processes run in real time, so a seed repeats what is tried and not what comes of it: each leaves a line of facts in ``--results``, and
a seed that breaks a rule leaves its files, both processes' words and what the gateway showed in ``--keep``.
"""

from __future__ import annotations

import argparse
import shutil
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
from tests.crash.wire_draw import PRICES, SYMBOLS, Draw, Kill, draw, habits
from tests.crash.wire_judge import Order, Shown, breaches
from tests.crash.wire_parts import CLIENT, Control, Life
from tests.gateway.process import running_gateway

CHAIN = 10  # seeds on one gateway
LOOK = 0.012  # seconds between two looks at the gateway
BOUND = 5.0  # seconds from the new process's connection until every share has a stop
ARMED_WITHIN, BURNT_WITHIN, CONNECTED_WITHIN, SETTLED_WITHIN = 8.0, 1.5, 20.0, 25.0
MINUTE_AHEAD = (1.5, 7.0)  # seconds to the end of a minute for which a watcher is worth it


class Fact(msgspec.Struct, kw_only=True):
    """What became of one seed. Seconds; ``naked``: from the connection, the longest time in which a share had no stop."""

    seed: int
    buys: str
    stage: str
    kill: str
    kills: int = 0
    burnt: bool = False
    killed_at: dict[str, str] = {}  # what lived at the gateway when the process was gone
    held_at_kill: int = 0
    bare_at_kill: int = 0
    until_connected: float = 0.0
    until_settled: float = 0.0
    naked: float = 0.0
    held_after: int = 0
    orders: int = 0
    wrong: list[str] = []


class Trouble(Exception):
    """A seed cannot go on."""


class Chain:
    """One gateway, and the lives of one shell on one folder."""

    def __init__(self, folder: Path, port: int, control: Control) -> None:
        self.folder, self._port, self._control = folder, port, control
        self._lives = 0
        self._known: set[str] = set()  # refs of seeds that are over
        self.trace: list[str] = []
        self._last = ""
        self._shown: Shown = control.show()
        self.is_lost = False  # what a seed left does not let the next one begin
        self.life = self._start()
        self._connect()

    # --- looking ------------------------------------------------------------------------------------------------------

    def look(self, symbol: str, fact: Fact | None = None) -> Shown:
        """Look at the gateway, and judge."""
        shown = self._shown = self._control.show()
        told = " ".join(
            f"{o.ref.split(':', 2)[-1]}#{o.id} {o.status} {o.filled}/{o.qty} left {o.left}"
            f"{'' if o.stop == 'None' else ' stop ' + o.stop}{'' if o.over else ' *'};"
            for o in shown.orders
            if o.symbol == symbol and o.ref not in self._known
        )
        told = f"clients {shown.clients} held {shown.held(symbol)} covered {shown.covered(symbol)} · {told}"
        if told != self._last:
            self.trace.append(f"{time.monotonic():.3f} {told}")
            self._last = told
        if fact is not None:
            fact.wrong += [each for each in breaches(shown, symbol) if each not in fact.wrong]
        return shown

    def wait(
        self, symbol: str, fact: Fact, seconds: float, is_so: Callable[[Shown], bool]
    ) -> tuple[bool, Shown]:
        """Look until it is so; say whether it became so."""
        until = time.monotonic() + seconds  # real processes: there is no other clock
        while True:
            shown = self.look(symbol, fact)
            if is_so(shown) or time.monotonic() > until:
                return is_so(shown), shown
            time.sleep(LOOK)

    def note(self, words: str) -> None:
        """Write into the trace."""
        self.trace.append(f"{time.monotonic():.3f} -- {words}")

    # --- lives --------------------------------------------------------------------------------------------------------

    def _start(self, fuse: str = "") -> Life:
        self._lives += 1
        self.note(f"life {self._lives} begins {fuse}")
        return Life(self.folder, self._port, self._lives, fuse)

    def _connect(self) -> None:
        until = time.monotonic() + CONNECTED_WITHIN
        while CLIENT not in self._control.show().clients:
            if not self.life.is_alive or time.monotonic() > until:
                return
            time.sleep(LOOK)

    def ask(self, line: str, seconds: float = 10.0) -> Any:
        """Type a line and return the data of its answer; ``None`` when there is none."""
        count = len(self.life.results(line))
        self.life.say(line)
        until = time.monotonic() + seconds
        while len(self.life.results(line)) == count:
            if time.monotonic() > until or not self.life.is_alive:
                return None
            time.sleep(LOOK)
        return self.life.results(line)[-1]["data"]

    # --- one seed -----------------------------------------------------------------------------------------------------

    def play(self, what: Draw) -> Fact:
        """Buy, kill, start again, judge."""
        fact = Fact(seed=what.seed, buys=what.buys, stage=what.stage, kill=_words(what.kill))
        self.trace.clear()
        self._last = ""
        try:
            self._until_the_kill(what, fact)
            self._after_the_kill(what, fact)
            self._come_to_an_end(what, fact)
        except Trouble as trouble:
            fact.wrong.append(str(trouble))
            self.is_lost = True
        mine = [o for o in self._shown.orders if o.ref not in self._known]
        fact.orders = len(mine)
        self._known |= {o.ref for o in mine}
        return fact

    def _mine(self, shown: Shown, symbol: str) -> list[Order]:
        return [o for o in shown.orders if o.symbol == symbol and o.ref not in self._known]

    def _until_the_kill(self, what: Draw, fact: Fact) -> None:
        symbol = what.symbol
        self._control.say(f"set latency={what.latency} status_delay={what.status_delay}")
        is_entry = what.stage == "entry"
        if is_entry and what.kill.fuse:
            self.ask(f"fuse {what.kill.fuse}")
        ahead = 60 - time.time() % 60
        if is_entry and what.targets > 1 and MINUTE_AHEAD[0] < ahead < MINUTE_AHEAD[1]:
            fact.buys = "watch"
            self._watch(what)
            self._sleep(symbol, fact, 60 - time.time() % 60)
        else:
            self.life.say(_line(what))
        if is_entry:
            self._kill(what, fact)
            return
        if what.stage == "cancel":
            self.wait(symbol, fact, 2.0, lambda shown: bool(self._mine(shown, symbol)))
        else:
            self.wait(symbol, fact, ARMED_WITHIN, lambda shown: _is_protected(shown, symbol))
        if what.kill.fuse:
            self.ask(f"fuse {what.kill.fuse}")
        self._act(what, fact)
        self._kill(what, fact)

    def _watch(self, what: Draw) -> None:
        data = self.ask(f"quote {what.symbol}")
        quotes = data["quotes"] if data else []
        if not quotes:
            raise Trouble("no quote for the watcher")
        level = Decimal(quotes[0]["bid"]) - Decimal("0.25")
        up, down = Decimal(what.up) + Decimal("0.30"), Decimal(what.down)
        tps = "-".join(str(level + up * (n + 1)) for n in range(what.targets))
        self.ask(
            f"breakout {what.symbol} {level} {what.qty} tp={tps} sl={level - down} max_chase=off entry_timeout={what.timeout}"
        )

    def _sleep(self, symbol: str, fact: Fact, seconds: float) -> None:
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            self.look(symbol, fact)
            time.sleep(LOOK)

    def _act(self, what: Draw, fact: Fact) -> None:
        symbol, shown = what.symbol, self._shown
        if what.stage == "flatten":
            self.life.say(f"flatten {symbol}")
        elif what.stage == "cancel":
            self.life.say(f"orders cancel {symbol}.entry")
        elif what.stage == "replace":
            stops = [o for o in shown.living(symbol) if o.leg == "sl1"]
            if stops:
                self.life.say(f"orders replace {symbol}.sl1 stop={Decimal(stops[0].stop) + Decimal('0.02')}")
        elif what.stage == "milestone":
            targets = sorted((o for o in shown.living(symbol) if o.is_target), key=lambda o: o.leg)
            if targets:
                first = targets[0]
                qty = max(1, first.left // 3) if what.part else first.left
                self._control.say(f"fill order={first.id} client={CLIENT} price={first.limit} qty={qty}")
        self.look(symbol, fact)

    def _kill(self, what: Draw, fact: Fact) -> None:
        symbol, kill = what.symbol, what.kill
        if kill.fuse:
            fact.burnt, _ = self.wait(symbol, fact, BURNT_WITHIN, lambda _: not self.life.is_alive)
        if kill.records:
            self.wait(
                symbol, fact, BURNT_WITHIN, lambda shown: len(self._mine(shown, symbol)) >= kill.records
            )
        if kill.seconds:
            self._sleep(symbol, fact, kill.seconds)
        self.life.kill()
        fact.kills += 1
        self.note("killed")
        self.wait(symbol, fact, 2.0, lambda shown: CLIENT not in shown.clients)
        shown = self._shown
        fact.killed_at = {o.ref: f"{o.status} {o.filled}/{o.qty}" for o in self._mine(shown, symbol)}
        fact.held_at_kill = shown.held(symbol)
        fact.bare_at_kill = max(0, shown.held(symbol) - shown.covered(symbol))
        self._sleep(symbol, fact, what.pause)

    def _after_the_kill(self, what: Draw, fact: Fact) -> None:
        symbol = what.symbol
        if what.again is not None:
            self.life = self._start(what.again_fuse)
            if what.again_fuse:
                self.wait(symbol, fact, BURNT_WITHIN, lambda _: not self.life.is_alive)
            elif what.again > 0:
                self._sleep(symbol, fact, what.again)
            else:
                self.wait(symbol, fact, CONNECTED_WITHIN, lambda shown: CLIENT in shown.clients)
                self._sleep(symbol, fact, -what.again)
            self.life.kill()
            fact.kills += 1
            self.note("killed again")
            self.wait(symbol, fact, 2.0, lambda shown: CLIENT not in shown.clients)
        self.life = self._start()
        is_there, _ = self.wait(symbol, fact, CONNECTED_WITHIN, lambda shown: CLIENT in shown.clients)
        connected = time.monotonic()
        fact.until_connected = connected - self.life.began
        if not is_there:
            raise Trouble("the new process did not connect")
        bare_since: float | None = None

        def is_settled(shown: Shown) -> bool:
            nonlocal bare_since
            now = time.monotonic()
            if shown.held(symbol) > shown.covered(symbol) and not self._waits_by_plan(what, shown):
                bare_since = now if bare_since is None else bare_since
                fact.naked = max(fact.naked, now - bare_since)
            else:
                bare_since = None
            fact.held_after = max(fact.held_after, shown.held(symbol))
            return self.life.is_reconciled and self._is_settled(what, shown)

        is_at_rest, shown = self.wait(symbol, fact, SETTLED_WITHIN, is_settled)
        fact.until_settled = time.monotonic() - connected
        if fact.naked > BOUND:
            fact.wrong.append(f"shares without a stop for {fact.naked:.2f} s")
        if not is_at_rest:
            raise Trouble(
                f"not at rest: held {shown.held(symbol)}, covered {shown.covered(symbol)}, targets {shown.targeted(symbol)}, "
                f"living {[o.ref for o in shown.living(symbol)]}"
            )

    def _waits_by_plan(self, what: Draw, shown: Shown) -> bool:
        """Say whether its stop is held by the broker until the entry is over."""
        return what.targets == 1 and any(o.leg == "entry" for o in shown.living(what.symbol))

    def _is_settled(self, what: Draw, shown: Shown) -> bool:
        symbol = what.symbol
        living = shown.living(symbol)
        entries = [o for o in living if o.leg == "entry"]
        if entries:  # one of a bracket rests with its children, one of a ladder has a time-out
            return what.targets == 1 and len(living) == 3 and all(o.status != "PendingSubmit" for o in living)
        held = shown.held(symbol)
        if held == 0:
            return not living
        sells = [o for o in living if not o.is_stop and not o.is_target]
        return not sells and shown.covered(symbol) == held == shown.targeted(symbol)

    def _come_to_an_end(self, what: Draw, fact: Fact) -> None:
        symbol = what.symbol
        wrong = ["the shell was not asked"]
        until = time.monotonic() + 6.0
        while wrong and time.monotonic() < until:
            wrong = self._differences(symbol)
        fact.wrong += wrong
        if self._shown.living(symbol) or self._shown.held(symbol):
            self.life.say(f"flatten {symbol}")
        is_over, shown = self.wait(symbol, fact, 12.0, lambda s: not s.living(symbol) and s.held(symbol) == 0)
        if not is_over:
            raise Trouble(
                f"not flat: held {shown.held(symbol)}, living {[o.ref for o in shown.living(symbol)]}"
            )
        if not self.life.is_alive:
            raise Trouble("the shell has ended")

    def _differences(self, symbol: str) -> list[str]:
        """Return where the shell and the gateway differ."""
        orders, executions = self.ask("orders"), self.ask("executions")
        shown = self.look(symbol)
        ours = {(o["order_ref"], o["id"], o["qty"] - o["filled"]) for o in orders or ()}
        theirs = {(o.ref, o.id, o.left) for o in shown.orders if not o.over}
        found = [f"the shell has {each}, the gateway has not" for each in sorted(ours - theirs)]
        found += [f"the gateway has {each}, the shell has not" for each in sorted(theirs - ours)]
        heard = Counter((e["exec_id"], e["order_ref"], e["qty"]) for e in executions or ())
        done = Counter((e.exec, e.ref, e.qty) for e in shown.executions)
        found += [f"execution {each}: {heard[each]} told, {done[each]} happened" for each in heard - done]
        found += [f"execution {each}: {heard[each]} told, {done[each]} happened" for each in done - heard]
        return found

    # --- the end ------------------------------------------------------------------------------------------------------

    def end(self) -> list[str]:
        """End the shell, and return what its files hold that should not be there."""
        code = self.life.end()
        wrong = [] if code in (0, 1) else [f"the shell ended with {code}"]
        for file in sorted(self.folder.glob("life-*.err")):
            text = file.read_text(encoding="utf-8")
            wrong += [f"{file.name}: {text[-600:]}"] if "Traceback" in text else []
        wrong += [
            f"{file.name}: {file.read_text(encoding='utf-8')[-600:]}"
            for file in self.folder.rglob("crash.log")
        ]
        told = Counter[str]()
        for file in self.folder.rglob("events.jsonl"):
            for line in file.read_bytes().split(b"\n"):
                if b'OrderFilled"' in line:
                    told[msgspec.json.decode(line)["exec_id"]] += 1
        return wrong + [
            f"execution {name} is told {count} times" for name, count in told.items() if count > 1
        ]


def _is_protected(shown: Shown, symbol: str) -> bool:
    held = shown.held(symbol)
    return held > 0 and shown.covered(symbol) == held == shown.targeted(symbol)


def _line(what: Draw) -> str:
    below = f" below={what.below}" if what.below else ""
    return (
        f"ladder {what.symbol} qty={what.qty} targets={what.targets} up={what.up} down={what.down} "
        f"timeout={what.timeout}{below}"
    )


def _words(kill: Kill) -> str:
    if kill.fuse:
        return f"fuse {kill.fuse}"
    return f"{f'{kill.records} records + ' if kill.records else ''}{kill.seconds * 1000:.0f} ms"


# --- the campaign -----------------------------------------------------------------------------------------------------


def run_chain(seeds: range, folder: Path, keep: Path | None, tell: Callable[[Fact], None]) -> int:
    """Play some seeds on one gateway; return how many rules were broken."""
    folder.mkdir(parents=True)
    scenario = folder / "scenario.toml"
    scenario.write_text(habits(seeds.start).scenario, encoding="utf-8")
    market = [f"{symbol}={price}" for symbol, price in zip(SYMBOLS, PRICES, strict=True)]
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
    what = Counter(f"{fact.buys}, {fact.stage}" for fact in facts)

    def three(values: list[float]) -> str:
        return f"p50 {part_of(values, 0.5):.2f}, p99 {part_of(values, 0.99):.2f}, most {max(values, default=0):.2f}"

    return "\n".join(
        (
            "  ".join(f"{count} {name}" for name, count in what.most_common()),
            f"shares held after the restart in {len(with_shares)} seeds; bare when the process died in {bare}",
            f"seconds without a stop after the connection: {three(naked)}",
            f"seconds from the connection until all is at rest: {three(settled)}",
            f"seconds from the start of the process to its connection: {three(up)}",
            f"{len(facts)} seeds, {sum(fact.kills for fact in facts)} kills, {sum(fact.orders for fact in facts)} orders, "
            f"{sum(1 for fact in facts if fact.wrong)} violations",
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
        words = f"{fact.seed} {fact.buys}, {fact.stage}, {fact.kill}: held {fact.held_after}, bare {fact.naked:.2f} s, at rest after {fact.until_settled:.2f} s"
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
