"""One gateway, and the lives of one shell that trades with it: buy, kill, start again, judge."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
from tests.crash.wire_draw import Draw, Kill
from tests.crash.wire_judge import Order, Shown, breaches
from tests.crash.wire_parts import CLIENT, Control, Life

LOOK = 0.03  # seconds between two looks at the gateway
BOUND = 5.0  # seconds from the new process's connection until every share has a stop
ARMED_WITHIN, BURNT_WITHIN, CONNECTED_WITHIN, SETTLED_WITHIN = 8.0, 1.5, 60.0, 25.0
KNOWN_WITHIN = (
    12.0  # an entry that never came is given up after two pictures that cannot be too old to show it
)
WATCHING_WITHIN = 10.0  # seconds from the connection until a watcher that waited is armed again
WAITS = "EEE"  # the symbol of a watcher that waits through all kills of a chain, far below its level
WAITS_AT, WAITS_FOR = "40", "80"
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
    until_watching: float = 0.0
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
        self._waiting: str = ""  # the id of the watcher that waits
        self._begin_to_wait()

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

    def _begin_to_wait(self) -> None:
        until = time.monotonic() + CONNECTED_WITHIN
        while not self.life.is_reconciled and time.monotonic() < until:
            time.sleep(LOOK)
        data = self.ask(f"breakout {WAITS} {WAITS_FOR} 10 tp=90 sl=70")
        self._waiting = data["watch"] if data else ""

    def _watches(self, fact: Fact, connected: float) -> None:
        """Wait until the watcher that waited is armed again."""
        said: Any = "the shell was not asked"
        while time.monotonic() < connected + WATCHING_WITHIN:
            said = self.ask("breakouts")
            mine = [each for each in said or () if each["watch"] == self._waiting]
            said = [f"{each['state']} {each['reason']}" for each in mine]
            if [each["state"] for each in mine] == ["armed"]:
                fact.until_watching = time.monotonic() - connected
                return
            time.sleep(LOOK)
        fact.wrong.append(f"the watcher {self._waiting} does not watch again: {said}")

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
        ahead = 60 - time.time() % 60
        if is_entry and what.targets > 1 and MINUTE_AHEAD[0] < ahead < MINUTE_AHEAD[1]:
            fact.buys = "watch"
            self._watch(what)  # which sets the fuse, too
            self._sleep(symbol, fact, 60 - time.time() % 60)
        else:
            if is_entry and what.kill.fuse:
                self.ask(f"fuse {what.kill.fuse}")
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
        if what.kill.fuse:  # not before it has answered: the messages that bring a quote would burn it
            self.ask(f"fuse {what.kill.fuse}")
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
        self._watches(fact, connected)
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
        until = time.monotonic() + KNOWN_WITHIN
        while wrong and time.monotonic() < until:
            wrong = self._differences(symbol)
        fact.wrong += wrong
        self.life.say(
            f"breakout cancel {symbol}"
        )  # one that was killed before it fired waits, or is asked about
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
