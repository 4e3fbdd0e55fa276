"""``python -m tests.shell.fuzz --lines N --typed N --from K``: generated lines at the parser, and through whole shells.

At the parser every line is understood or refused in one printable line, and what is understood becomes a plan that keeps the
policy, which is written down here a second time. In a shell, on the paper venue with trades under way, no line leaves a defect,
every line of JSON has its documented shape, and what the desk holds keeps the policy.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import itertools
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

from tests.shell.any_lines import any_line, is_typed
from tests.shell.support import PAPER

from tradeshell import Defaults, Target, TradePlan, View
from tradeshell.core.desk import Desk, Link, WatchPhase
from tradeshell.core.market import Instrument, Quote
from tradeshell.core.orders import OrderType, Side, Tif
from tradeshell.core.plan import ExitMode, split
from tradeshell.errors import OperatorError, TradeshellError
from tradeshell.grammar import Command, parse
from tradeshell.shell import lines
from tradeshell.shell.app import TradeShell
from tradeshell.shell.consent import NeedsConsent
from tradeshell.testing import JsonLines, open_shell
from tradeshell.testing.outcome import Runner

MOST_SHARES = 10_000_000
NOON = datetime(2025, 7, 8, 16, tzinfo=UTC)
A_SESSION = 250  # lines that one shell gets
AGAIN = (
    "connect",
    "stopentry off",
    "breakout DEMO 100.05 30 tp=100.40-100.80-101.50 sl=99.50 another=true",
    "wait timeout=5m",
)
ARGS = "--speed max --market DEMO=100 --seed {seed} --state-dir {folder}"
LIMITS = {"TRADESHELL_MAX_ORDERS_PER_MINUTE": "off", "TRADESHELL_DUPLICATE_WINDOW": "off"}


class Broken(AssertionError):
    """A line did what no line may do."""


# --- the policy, a second time ----------------------------------------------------------------------------------------


def breaches(plan: TradePlan) -> list[str]:
    """Return what of the policy a plan breaks; written from docs/orders.md, not from the code."""
    found: list[str] = []

    def must(holds: bool, words: str) -> None:
        if not holds:
            found.append(words)

    base = plan.level if plan.level is not None else plan.limit
    prices = [plan.level, plan.limit, plan.sl, plan.chase_limit, *plan.tps, *plan.stop_updates]
    must(
        1 <= plan.qty <= MOST_SHARES and plan.qty == int(plan.qty),
        "whole shares above zero, and not too many",
    )
    must(all(p is None or (p.is_finite() and p > 0) for p in prices), "prices above zero")
    if found:
        return found  # what is no price cannot be compared
    ladder = [p for p in (plan.sl, base, *plan.tps) if p is not None]
    must(all(low < high for low, high in itertools.pairwise(ladder)), "sl < level < tp1 < tp2 < tp3")
    must(len(plan.tps) <= 3, "at most three targets")
    by_targets = {2: ExitMode.DETACHED70, 3: ExitMode.DETACHED}
    alone = ExitMode.ATTACHED if plan.tps or plan.sl is not None else ExitMode.NONE
    must(plan.mode is by_targets.get(len(plan.tps), alone), "the mode is that of the number of targets")
    if plan.mode.is_detached:
        must(plan.sl is not None, "a stop for every leg")
        shares = split(plan.qty, plan.parts)
        must(
            len(shares) == len(plan.tps) and min(shares) >= 1 and sum(shares) == plan.qty,
            "a share for every leg",
        )
        must(plan.mode is not ExitMode.DETACHED70 or plan.parts == (70, 30), "two targets share 70 to 30")
        stops = [p for p in (plan.sl, *plan.updates) if p is not None]
        must(all(low <= high for low, high in itertools.pairwise(stops)), "a stop is never loosened")
        must(
            all(p < tp for p, tp in zip(plan.updates, plan.tps, strict=False)),
            "a stop stays below the target reached",
        )
    else:
        must(not plan.stop_updates and not plan.weights, "a split belongs to a ladder")
    must(plan.sl is None or Decimal(0) <= plan.sl_offset < plan.sl, "the limit of a stop stays above zero")
    if plan.risk_usd is not None:
        must(plan.risk_usd > 0 and plan.sl is not None, "a risk is above zero and has a stop")
        must(
            not plan.mode.is_detached or sum(plan.parts) == 100,
            "shares that are counted later are split in percent",
        )
        lost = Decimal(0) if base is None or plan.sl is None else (base - plan.sl) * plan.qty
        must(lost <= plan.risk_usd, "the shares lose no more than the risk")
    must(plan.exit_tif in (Tif.DAY, Tif.GTC), "exits rest")
    must(
        not (plan.sl_type is OrderType.STOP and plan.outside_rth and plan.sl is not None),
        "no plain stop outside hours",
    )
    must(plan.quote_age > 0, "a quote has an age")
    must(plan.entry_timeout is None or plan.entry_timeout > 0, "a timeout is above zero")
    must(
        plan.level is None or plan.chase_limit is None or plan.chase_limit >= plan.level,
        "the chase begins at the level",
    )
    must(plan.side is Side.BUY or not (plan.tps or plan.sl), "a sale has no exits")
    return found


# --- at the parser ----------------------------------------------------------------------------------------------------


class Recorder:
    """A trading facade that sends nothing and keeps the plan that it was asked to send."""

    def __init__(self) -> None:
        self.defaults = Defaults()
        self.plan: TradePlan | None = None
        desk = Desk(link=Link(up=True, reconciled=True, epoch=1), account=PAPER.account)
        self._view = View(now=NOON, desk=desk, broker=PAPER, symbols=("AAPL", "DEMO"))

    def view(self) -> View:
        return self._view

    def instrument(self, symbol: str) -> Instrument:
        return Instrument(symbol=symbol, con_id=1)

    def equity(self) -> Decimal:
        return Decimal(100_000)

    def preview(self, plan: TradePlan) -> None:
        return None

    def quote(self, symbol: str) -> Quote | None:
        return None

    def take_profits(
        self, method: str, symbol: str, level: Decimal, count: int, rth: bool, sl: Decimal | None = None
    ) -> tuple[Target, ...]:
        return tuple(Target(price=level + number, why="a test") for number in range(1, count + 1))

    def start_watch(
        self, strategy: str, plan: TradePlan, params: Mapping[str, str], another: bool = False
    ) -> str:
        self.plan = plan
        return "br-1"

    def trade(self, plan: TradePlan, again: bool = False) -> str:
        self.plan = plan
        raise OperatorError("nothing is sent here")


PLANNING = ("breakout", "plan", "buy", "sell")


def at_the_parser(line: str, commands: Mapping[str, Command]) -> str:
    """Put a line through splitting, parsing and planning; return what became of it. Raises ``Broken``."""
    try:
        tokens = lines.raw_tokens(line)
        if (refusal := lines.refused_operator(tokens)) is not None:
            return _refused(refusal)
        name, *words = [lines.unquoted(token) for token in tokens] or [""]
    except ValueError as error:
        return _refused(str(error))
    command = commands.get(name)
    if command is None or words in (["?"], ["-h"], ["--help"]):
        return "no command"
    try:
        parsed = parse(command.name, command.grammar, words)
    except OperatorError as error:
        return _refused(str(error))
    if name not in PLANNING or parsed.verb:
        return "understood"
    recorder = Recorder()
    try:
        command.run(recorder, parsed)
    except OperatorError as error:
        if recorder.plan is None:
            return _refused(str(error))
    if recorder.plan is None:
        return "understood"
    if found := breaches(recorder.plan):
        raise Broken(f"{'; '.join(found)}: {recorder.plan}")
    return "planned"


def _refused(words: str) -> str:
    if not (words and words.isprintable() and len(words) < 700):
        raise Broken(f"a refusal that is no printable line: {words!r}")
    return "refused"


# --- through a shell --------------------------------------------------------------------------------------------------


@contextlib.contextmanager
def session(seed: int, *, as_json: bool) -> Iterator[tuple[TradeShell, Path]]:
    """Open a whole shell on a market of its own, with nothing that outlives it."""
    with tempfile.TemporaryDirectory(prefix="tradeshell-fuzz-") as folder:
        words = ARGS.format(seed=1 + seed % 50, folder=folder) + (" --json" if as_json else "")
        with open_shell(words, environ=LIMITS, terminal=(io.StringIO(), io.StringIO())) as shell:
            yield shell, Path(folder)


def typed(seed: int, count: int) -> Counter[str]:
    """Type ``count`` lines into one shell, from ``seed`` on; raises ``Broken`` with the line that did what no line may."""
    found: Counter[str] = Counter()
    as_json = seed // A_SESSION % 2 == 1
    with session(seed, as_json=as_json) as (shell, folder):
        commands = tuple(shell.commands.values())
        checked = JsonLines(shell.commands) if as_json else None
        runner = Runner(shell)
        for number in range(seed, seed + count):
            for line in AGAIN if number % 25 == 0 else ():
                runner.run(line)
            line = any_line(number, commands)
            if not is_typed(line):
                continue
            if next(iter(line.split()), "") == "wait":
                line += " timeout=30s"  # given twice it is refused
            began = time.monotonic()
            outcome = runner.run(line)
            problem = _problem(outcome.text, shell, checked)
            if not problem and outcome.stopped:
                problem = "it ended the session"
            if not problem and time.monotonic() - began > 60:
                problem = "it took a minute"
            if problem:
                raise Broken(f"seed {number}, {line!r}: {problem}")
            found["accepted" if outcome.ok else "refused"] += 1
        if [*folder.rglob("crash*")]:
            raise Broken(f"seeds {seed}…: a crash report was written")
        desk = shell.trading.view().desk
        found["trades"] = len(tuple(desk.trades()))
    return found


def _problem(text: str, shell: TradeShell, checked: JsonLines | None) -> str:
    """Return what is wrong with what a line printed or did, "" when all is well."""
    for word in ("Traceback", "internal error", "defect"):
        if word in text:
            return text
    if not all(line.isprintable() for line in text.split("\n")):
        return f"not printable: {text!r}"
    if checked is not None:
        for line in text.splitlines():
            try:
                checked.check(line)
            except ValueError as error:
                return f"{error} · {line}"
    desk = shell.trading.view().desk
    plans = [watch.spec.plan for watch in desk.watchers.values() if watch.phase is not WatchPhase.DONE]
    plans += [trade.plan for trade in desk.trades()]
    for plan in plans:
        if found := breaches(plan):
            return f"{'; '.join(found)}: {plan}"
    for symbol, book in desk.books.items():
        if book.held() < 0:
            return f"{symbol} is short: {book.held()}"
    return ""


# --- the program ------------------------------------------------------------------------------------------------------


def parser_lines(seeds: Sequence[int]) -> Counter[str]:
    """Put lines through the parser; raises ``Broken`` with the seed."""
    found: Counter[str] = Counter()
    with open_shell("--speed max") as shell:
        commands = dict(shell.commands)
    listed = tuple(commands.values())
    for seed in seeds:
        line = any_line(seed, listed)
        try:
            found[at_the_parser(line, commands)] += 1
        except (Broken, NeedsConsent, TradeshellError) as error:
            raise Broken(f"seed {seed}, {line!r}: {error}") from None
        except Exception as error:
            raise Broken(f"seed {seed}, {line!r}: {type(error).__name__}: {error}") from error
    return found


def main(words: list[str]) -> int:
    """Run what was asked for and print the counts."""
    options = argparse.ArgumentParser(
        prog="python -m tests.shell.fuzz", description=__doc__.partition("\n")[0]
    )
    options.add_argument("--lines", type=int, default=1_000_000, help="lines at the parser")
    options.add_argument("--typed", type=int, default=10_000, help="lines through the shell")
    options.add_argument("--from", type=int, default=0, dest="start", help="the first seed")
    asked = options.parse_args(words)
    for name, count, run in (("parser", asked.lines, _all_parsed), ("shell", asked.typed, _all_typed)):
        if count:
            began = time.monotonic()
            found = run(asked.start, count)
            sys.stdout.write(
                f"{name}: {count} lines from seed {asked.start}: "
                f"{', '.join(f'{number} {what}' for what, number in found.most_common())} · "
                f"{time.monotonic() - began:.0f} s · no defect\n"
            )
            sys.stdout.flush()
    return 0


def _all_parsed(start: int, count: int) -> Counter[str]:
    return parser_lines(range(start, start + count))


def _all_typed(start: int, count: int) -> Counter[str]:
    found: Counter[str] = Counter()
    for seed in range(start, start + count, A_SESSION):
        found += typed(seed, min(A_SESSION, start + count - seed))
    return found


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
