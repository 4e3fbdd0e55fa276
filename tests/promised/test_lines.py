"""The lines, keys and defaults that traders were promised, typed as they were written down.

Every line is typed on the embedded paper venue and with Interactive Brokers as the broker, over TCP to a gateway in a process of
its own. It has to arm what it says; then it is typed with ``fast=true``, on a market that is above its level already, and has to
put the exits to work that it says. The gateway's market is open whenever the tests run; its prices differ from run to run.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from tests.gateway.process import running_gateway

from tradeshell.core.desk import WatchPhase
from tradeshell.core.inputs import WatchSpec
from tradeshell.core.orders import Order, OrderState, Tif
from tradeshell.core.plan import EntryKind, ExitMode
from tradeshell.core.trade import leg_of
from tradeshell.testing import Runner, open_shell
from tradeshell.testing.pytest_plugin import fix_terminal
from tradeshell.testing.transcript import discard_start

pytestmark = [pytest.mark.slow, pytest.mark.timeout(120)]

COMPUTED = tuple(
    f"AUTO{letter}" for letter in "ABCDEFGH"
)  # a symbol each: the same history is not asked for twice in 15 s
MARKET = ("AAPL=190.40", "XRTX=0.4204", "CISS=2.90", *(f"{symbol}=190.40" for symbol in COMPUTED))
ACCOUNT = "DU0000001"
LIVING = (OrderState.WORKING, OrderState.HELD)


class Line(NamedTuple):
    """A line that arms a watcher, and what it arms. ``legs``: shares, target and stop of each; targets may be computed."""

    typed: str
    qty: int
    level: str
    mode: ExitMode
    legs: tuple[tuple[int, str | None], ...] = ()
    sl: str | None = None

    @property
    def symbol(self) -> str:
        """What it watches."""
        return self.typed.split()[1]

    @property
    def is_computed(self) -> bool:
        """Whether its targets are."""
        return any(target is None for _, target in self.legs)


LINES = (
    Line("breakout AAPL level=190 qty=1", 1, "190", ExitMode.NONE),
    Line("breakout AAPL level=190 qty=1 tp=195 sl=187", 1, "190", ExitMode.ATTACHED, ((1, "195"),), "187"),
    Line(
        "breakout AAPL level=190 qty=100 tp=195-198 sl=187", 100, "190", ExitMode.DETACHED70,
        ((70, "195"), (30, "198")), "187",
    ),
    Line(
        "breakout AAPL level=190 qty=100 tp=195-198-205 sl=187", 100, "190", ExitMode.DETACHED,
        ((60, "195"), (30, "198"), (10, "205")), "187",
    ),
    Line(
        "breakout AAPL level=190 qty=100 tp=195-198-205 sl=187 tp_alloc=50-30-20", 100, "190", ExitMode.DETACHED,
        ((50, "195"), (30, "198"), (20, "205")), "187",
    ),
    Line(
        "breakout XRTX level=0.42 qty=1000 tp=auto tp_count=3 sl=0.37", 1000, "0.42", ExitMode.DETACHED,
        ((600, None), (300, None), (100, None)), "0.37",
    ),
    Line("breakout XRTX 0.42 1000 tp-2 sl=0.37", 1000, "0.42", ExitMode.DETACHED70, ((700, None), (300, None)), "0.37"),
)  # fmt: skip


class Desk:
    """A shell that is typed into, and what its program knows. ``name``: which broker it trades with."""

    def __init__(self, name: str, runner: Runner) -> None:
        self.name, self._runner = name, runner

    def types(self, line: str) -> str:
        """Type a line, which has to succeed, and return what it said."""
        return self._runner.run(line).assert_ok().text

    def is_refused(self, line: str, *words: str) -> None:
        """Type a line that has to be refused in those words."""
        self._runner.run(line).assert_refused(*words)

    def waits(self, until: Callable[[], bool], what: str) -> None:
        """Let market time pass until something is so, 20 s of it at most."""
        for _ in range(20):
            if until():
                return
            self._runner.run("wait timeout=1s")
        assert until(), f"never happened: {what}\n{self._runner.run('orders').text}"

    def armed(self, symbol: str) -> list[WatchSpec]:
        """The watchers of a symbol that wait for their trigger."""
        desk = self._runner.shell.trading.view().desk
        live = [w for w in desk.watchers.values() if w.phase is WatchPhase.ARMED]
        return [watcher.spec for watcher in live if watcher.spec.plan.symbol == symbol]

    def newest(self, symbol: str) -> WatchSpec:
        """The newest watcher of a symbol, whatever became of it: on this market a minute may close at any moment."""
        watchers = self._runner.shell.trading.view().desk.watchers.values()
        return [watcher.spec for watcher in watchers if watcher.spec.plan.symbol == symbol][-1]

    def orders(self, symbol: str) -> dict[str, Order]:
        """The living orders of a symbol by leg."""
        orders = self._runner.shell.trading.view().desk.orders()
        mine = [o for o in orders if o.spec.symbol == symbol and o.state in LIVING]
        return {leg_of(o.spec.ref): o for o in mine}

    def held(self, symbol: str) -> int:
        """The shares that the broker says are held."""
        found = self._runner.shell.trading.view().desk.positions.get(symbol)
        return 0 if found is None else found.qty

    def ends_watchers(self) -> None:
        """Cancel whatever a test that failed has left armed."""
        self._runner.run("breakout cancel ALL")

    def clears(self, symbol: str) -> None:
        """End everything in a symbol."""
        self._runner.run(f"breakout cancel {symbol}")
        self._runner.run(f"flatten {symbol}")
        self.waits(lambda: not self.orders(symbol) and not self.held(symbol), f"{symbol} is flat")


@pytest.fixture(scope="module", params=["paper", "ibkr"])
def desk(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    with pytest.MonkeyPatch.context() as patch:
        fix_terminal(patch, "160")
        yield from (
            _on_paper() if request.param == "paper" else _over_the_wire(tmp_path_factory.mktemp("gateway"))
        )


def _on_paper() -> Iterator[Desk]:
    with open_shell(["--speed", "max", *(word for price in MARKET for word in ("--market", price))]) as shell:
        discard_start(shell)
        yield Desk("paper", Runner(shell))


def _over_the_wire(folder: Path) -> Iterator[Desk]:
    log = folder / "wire.log"
    with running_gateway(folder, "--market", *MARKET, day=()) as gateway:
        environ = {
            "IB_HOST": "127.0.0.1",
            "IB_PORT": str(gateway.port),
            "IB_CLIENT_ID": "9",
            "APPS_IB_GATEWAY_LOG_PATH": str(log),
            "PAPER_ONLY": "true",
        }
        with open_shell(["--broker", "ibkr"], environ=environ) as shell:
            discard_start(shell)
            yield Desk("ibkr", Runner(shell))
    said = log.read_text(encoding="utf-8")  # of the connection that has ended: both directions are in it
    assert " < " in said
    assert " > " in said


@pytest.fixture(autouse=True)
def nothing_is_left_armed(desk: Desk) -> Iterator[None]:
    yield
    desk.ends_watchers()


# --- watchers ---------------------------------------------------------------------------------------------------------


def targets_of(line: Line, plan_tps: tuple[Decimal, ...]) -> list[Decimal]:
    """Return the targets that the line names, or those that were computed for it, which have to rise from the level."""
    assert len(plan_tps) == len([target for _, target in line.legs])
    if not line.is_computed:
        return [Decimal(target) for _, target in line.legs if target is not None]
    assert list(plan_tps) == sorted({*plan_tps})
    assert plan_tps[0] > Decimal(line.level)
    return list(plan_tps)


@pytest.mark.parametrize("line", LINES, ids=lambda line: line.typed)
def test_a_line_that_was_promised_arms_what_it_says(desk: Desk, line: Line) -> None:
    said = desk.types(line.typed)
    assert "armed" in said
    plan = desk.newest(line.symbol).plan
    assert (plan.qty, plan.level, plan.mode) == (line.qty, Decimal(line.level), line.mode)
    assert plan.sl == (None if line.sl is None else Decimal(line.sl))
    targets = targets_of(line, plan.tps)
    assert list(plan.tps) == targets
    assert (plan.tp_method == "auto") is line.is_computed
    assert len(plan.tp_why) == (len(targets) if line.is_computed else 0)  # a computed one explains itself
    desk.clears(line.symbol)
    assert desk.armed(line.symbol) == []


@pytest.mark.parametrize("line", LINES, ids=lambda line: line.typed)
def test_a_line_that_was_promised_enters_and_puts_the_exits_to_work_that_it_says(
    desk: Desk, line: Line
) -> None:
    if line.is_computed and desk.name == "ibkr":
        pytest.skip("that market is another one at every run, and the ask may have reached a computed target")
    desk.types(f"{line.typed} fast=true")
    targets = targets_of(line, desk.newest(line.symbol).plan.tps)
    legs = [(shares, target) for (shares, _), target in zip(line.legs, targets, strict=True)]
    wanted = {f"tp{number}": (shares, target) for number, (shares, target) in enumerate(legs, 1)}
    if line.sl is not None:
        wanted |= {f"sl{number}": (shares, Decimal(line.sl)) for number, (shares, _) in enumerate(legs, 1)}

    def is_there() -> bool:
        there = desk.orders(line.symbol)
        return desk.held(line.symbol) == line.qty and there.keys() == wanted.keys()

    desk.waits(is_there, f"{line.qty} shares and {sorted(wanted)}")
    there = desk.orders(line.symbol)
    assert {leg: (o.spec.qty, o.spec.stop or o.spec.limit) for leg, o in there.items()} == wanted
    if line.mode.is_detached:  # one OCA pair a leg: tp1<->sl1, tp2<->sl2, …
        groups = [
            {there[f"{side}{number}"].spec.oca_group for side in ("tp", "sl")}
            for number in range(1, len(legs) + 1)
        ]
        assert all(len(group) == 1 for group in groups)
        assert len({group for pair in groups for group in pair}) == len(legs)
    desk.clears(line.symbol)


def test_watchers_are_listed_and_cancelled_by_the_lines_that_were_promised(desk: Desk) -> None:
    def arm(*symbols: str) -> None:
        for symbol in symbols:
            desk.types(f"breakout {symbol} level={LEVELS[symbol]} qty=1")

    arm("XRTX", "CISS", "AAPL")
    table = desk.types("breakouts")
    assert all(symbol in table for symbol in LEVELS)
    desk.types("breakout cancel XRTX")
    assert [len(desk.armed(symbol)) for symbol in LEVELS] == [1, 0, 1]
    arm("XRTX")
    desk.types("breakout cancel XRTX CISS")
    assert [len(desk.armed(symbol)) for symbol in LEVELS] == [1, 0, 0]
    arm("XRTX", "CISS")
    desk.types("breakout cancel ALL")
    assert [len(desk.armed(symbol)) for symbol in LEVELS] == [0, 0, 0]


LEVELS = {"AAPL": "220", "XRTX": "0.60", "CISS": "4"}


# --- quick orders -----------------------------------------------------------------------------------------------------


def test_quick_orders_do_what_was_promised(desk: Desk) -> None:
    desk.types("buy AAPL 100")
    desk.waits(lambda: desk.held("AAPL") == 100, "100 shares")
    desk.types("sell AAPL 50")
    desk.waits(lambda: desk.held("AAPL") == 50, "50 shares")
    desk.is_refused("orders cancel 12345", "12345")  # nobody's number
    desk.is_refused("orders replace 12345 limit=191.25", "12345")
    desk.types("sell AAPL 40 limit=195")
    (order,) = desk.orders("AAPL").values()
    number = order.order_id
    desk.types(f"orders replace {number} limit=191.25")
    desk.waits(
        lambda: [o.spec.limit for o in desk.orders("AAPL").values()] == [Decimal("191.25")], "the new limit"
    )
    assert [o.order_id for o in desk.orders("AAPL").values()] == [number]
    desk.types(f"orders cancel {number}")
    desk.waits(lambda: not desk.orders("AAPL"), "the order is gone")
    assert desk.held("AAPL") == 50
    desk.clears("AAPL")


# --- keys and defaults ------------------------------------------------------------------------------------------------

Sees = Callable[[WatchSpec], Any]
LADDER = "tp=195-198-205 sl=187"


class Word(NamedTuple):
    """A key: what it is without being typed, what is typed, and what it is then. ``beside``: what else has to be typed."""

    typed: str
    sees: Sees
    default: Any
    then: Any
    beside: str = ""


WORDS = (
    Word("tp=195", lambda s: s.plan.tps, (), (Decimal(195),)),
    Word("tp=195-198", lambda s: s.plan.tps, (), (Decimal(195), Decimal(198)), "sl=187"),
    Word("sl=187", lambda s: s.plan.sl, None, Decimal(187)),
    Word("tp_exec=attached", lambda s: s.plan.mode, ExitMode.ATTACHED, ExitMode.ATTACHED, "tp=195 sl=187"),
    Word("tp_exec=detached70", lambda s: s.plan.mode, ExitMode.DETACHED70, ExitMode.DETACHED70, "tp=195-198 sl=187"),
    Word("tp_exec=detached", lambda s: s.plan.mode, ExitMode.DETACHED, ExitMode.DETACHED, LADDER),
    Word("rth=false", lambda s: (s.params["rth"], s.plan.outside_rth), ("true", False), ("false", True)),
    Word("outside_rth=true", lambda s: (s.params["rth"], s.plan.outside_rth), ("true", False), ("true", True)),
    Word("outside_rth=false", lambda s: (s.params["rth"], s.plan.outside_rth), ("false", True), ("false", False), "rth=false"),
    Word("bar=5m", lambda s: s.params["bar"], "1m", "5m"),
    Word("fast=true", lambda s: s.params["fast"], "", "true", LADDER),
    Word("fast_bar=5s", lambda s: s.params["fast_bar"], "1s", "5s", f"{LADDER} fast=true"),
    Word("max_bars=30", lambda s: s.params["max_bars"], "", "30"),
    Word("tif=GTC", lambda s: (s.plan.tif, s.plan.exit_tif), (Tif.DAY, Tif.GTC), (Tif.GTC, Tif.GTC)),
    Word("tif=DAY", lambda s: (s.plan.tif, s.plan.exit_tif), (Tif.DAY, Tif.GTC), (Tif.DAY, Tif.DAY)),
    Word("entry=market", lambda s: s.plan.entry, EntryKind.TOUCH, EntryKind.MARKET),
    Word("entry=limit", lambda s: s.plan.entry, EntryKind.TOUCH, EntryKind.TOUCH),
    Word("quote_age=5", lambda s: s.plan.quote_age, 2.0, 5.0),
    Word(f"account={ACCOUNT}", lambda s: s.plan.account, "DU…0001", "DU…0001"),
    Word("client_tag=morning", lambda s: s.plan.client_tag, None, "morning"),
    Word("tp_alloc=60-30-10", lambda s: s.plan.parts, (60, 30, 10), (60, 30, 10), LADDER),
    Word("tp_alloc=50-30-20", lambda s: s.plan.parts, (60, 30, 10), (50, 30, 20), LADDER),
    Word("stop_updates=193-196", lambda s: s.plan.updates, (Decimal(192), Decimal(195)), (Decimal(193), Decimal(196)), LADDER),
)  # fmt: skip
LINE = "breakout AAPL level=192 qty=100"  # nothing triggers meanwhile


def test_what_is_required_is_asked_for(desk: Desk) -> None:
    desk.is_refused("breakout", "symbol is missing")
    desk.is_refused("breakout AAPL", "level is missing")
    desk.is_refused("breakout AAPL level=192", "qty")


@pytest.mark.parametrize("word", WORDS, ids=lambda word: f"{word.typed} {word.beside}".strip())
def test_a_key_that_was_promised_has_its_default_and_does_what_it_says(desk: Desk, word: Word) -> None:
    line = f"{LINE} {word.beside}".strip()
    for typed, wanted in ((line, word.default), (f"{line} {word.typed}", word.then)):
        desk.types(typed)
        (spec,) = desk.armed("AAPL")
        assert word.sees(spec) == wanted, typed
        desk.types("breakout cancel AAPL")


AUTO = (
    ("tp=auto", (100,), ExitMode.ATTACHED),
    *((f"tp=auto tp_count={n}", parts, mode) for n, parts, mode in (
        (1, (100,), ExitMode.ATTACHED), (2, (70, 30), ExitMode.DETACHED70), (3, (60, 30, 10), ExitMode.DETACHED),
    )),
    ("tp-1", (100,), ExitMode.ATTACHED),
    ("tp-2", (70, 30), ExitMode.DETACHED70),
    ("tp-3", (60, 30, 10), ExitMode.DETACHED),
    ("tp-3 tp_alloc=50-30-20", (50, 30, 20), ExitMode.DETACHED),
)  # fmt: skip


@pytest.mark.parametrize(
    "symbol, words, parts, mode",
    [(symbol, *each) for symbol, each in zip(COMPUTED, AUTO, strict=True)],
    ids=[words for words, _, _ in AUTO],
)
def test_computed_targets_are_asked_for_and_shared_as_promised(
    desk: Desk, symbol: str, words: str, parts: tuple[int, ...], mode: ExitMode
) -> None:
    desk.types(f"{LINE} {words} sl=187".replace("AAPL", symbol))
    (spec,) = desk.armed(symbol)
    assert (spec.plan.parts[: len(parts)], len(spec.plan.tps), spec.plan.mode) == (parts, len(parts), mode)
    desk.types(f"breakout cancel {symbol}")
