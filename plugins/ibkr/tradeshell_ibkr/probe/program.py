"""``tradeshell probe``: words -> an interview with a gateway -> a table, a file, an exit code.

Exit codes: 0 every question has its row and nothing is left behind; 1 something failed, was refused or remains; 130 interrupted.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import logging
import os
import signal
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NoReturn

import msgspec
from msgspec.structs import replace

from tradeshell import (
    BrokerContext,
    ConfigError,
    Handle,
    OperatorError,
    ProgramContext,
    VenueOptions,
    parse_symbol,
)
from tradeshell_ibkr.broker import split_settings
from tradeshell_ibkr.connection import Connection
from tradeshell_ibkr.market_data import DataSettings, MarketData
from tradeshell_ibkr.probe.answers import FILE, Outcome, read_answers, write_answers
from tradeshell_ibkr.probe.bench import Bench
from tradeshell_ibkr.probe.catalogue import TRIALS
from tradeshell_ibkr.probe.interview import Report, chosen, interview
from tradeshell_ibkr.settings import LinkSettings

SYMBOL = "SPY"
CLIENTS_AHEAD = 100  # the probe's client id lies so far above the shell's
INTERRUPTED = 130


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        """Say one line and end with exit code 2."""
        sys.stderr.write(f"tradeshell probe: {message} · `tradeshell probe --help` shows what there is\n")
        sys.exit(2)


def parser() -> argparse.ArgumentParser:
    """Return the parser of the words."""
    p = _Parser(
        prog="tradeshell probe",
        description="Ask a paper account what Interactive Brokers does where nobody says.",
    )
    p.add_argument(
        "--symbol", default=SYMBOL, metavar="SYM", help=f"the stock that is traded for it ({SYMBOL})"
    )
    p.add_argument(
        "--only", action="append", metavar="NAME", default=[], help="one question; may be repeated"
    )
    p.add_argument("--port", type=int, metavar="N", help="the gateway's port (IB_PORT)")
    p.add_argument("--client-id", type=int, metavar="N", help=f"(IB_CLIENT_ID and {CLIENTS_AHEAD})")
    p.add_argument("--json", action="store_true", help="print one JSON object instead of lines")
    p.add_argument("--list", action="store_true", help="show the questions and ask nothing")
    return p


class LoopTime:
    """The computer's clock on the running loop."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop

    def now(self) -> datetime:
        """Return the present instant, UTC."""
        return datetime.now(UTC)

    def call_at(self, when: datetime, callback: Callable[[], None]) -> Handle:
        """Call ``callback`` at ``when``."""
        return self._loop.call_later(max(0.0, (when - self.now()).total_seconds()), callback)

    def call_soon(self, callback: Callable[[], None]) -> None:
        """Call ``callback`` on the loop's next turn."""
        self._loop.call_soon(callback)


def run(context: ProgramContext) -> int:
    """Ask, print and write; raises ``OperatorError``, ``ConfigError`` or ``BrokerError`` with one line."""
    options = parser().parse_args(list(context.words))
    try:
        symbol = parse_symbol(options.symbol)
    except ValueError as error:
        raise OperatorError(f"probe: --symbol {options.symbol}: {error}") from None
    if options.list:
        sys.stdout.write("\n".join(listing()) + "\n")
        return 0
    chosen(options.only)
    link, data = split_settings(context.brokers.get("ibkr", {}))
    port = link.port if options.port is None else options.port
    client_id = link.client_id + CLIENTS_AHEAD if options.client_id is None else options.client_id
    if not 0 < port < 65536 or not 0 < client_id < 2**31:
        raise ConfigError("probe: --port is 1 to 65535, and --client-id a number above zero")
    # Whatever the config says: no live port is dialled and no live account is asked.
    link = replace(link, port=port, client_id=client_id, paper_only=True, live_account="")
    logging.getLogger("ib_async").setLevel(logging.CRITICAL)
    say = _quiet if options.json else _say
    report = asyncio.run(_interviewed(context.state_dir, link, data, symbol, tuple(options.only), say))
    path = keep(context.state_dir, report)
    if options.json:
        _say(json.dumps(as_json(report, path), ensure_ascii=False))
    else:
        for line in summary(report, path):
            _say(line)
    return exit_code(report)


async def _interviewed(
    folder: Path,
    link: LinkSettings,
    data: DataSettings,
    symbol: str,
    only: tuple[str, ...],
    say: Callable[[str], None],
) -> Report:
    loop = asyncio.get_running_loop()
    context = BrokerContext(
        emit=lambda _: None,
        clock=LoopTime(loop),
        venue_clock=None,
        options=VenueOptions(),
        settings={},
        state_dir=folder,
    )
    bench = make_bench(context, link, data)

    async def whole() -> Report:
        await bench.connection.connect()
        return await interview(bench, symbol, only, say)

    task = asyncio.ensure_future(whole())
    for name in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(name, task.cancel)
    try:
        return await task
    except asyncio.CancelledError:
        raise OperatorError("probe: interrupted, nothing was placed") from None
    finally:
        bench.data.close()
        bench.connection.close()


def make_bench(context: BrokerContext, link: LinkSettings, data: DataSettings) -> Bench:
    """Return a bench over a connection that is not dialled yet."""
    connection = Connection(context, link)
    made = MarketData(connection, data)
    connection.on_up.append(made.on_connected)
    connection.on_down.append(lambda _: made.on_lost())
    return Bench(connection, made)


# --- what comes out ---------------------------------------------------------------------------------------------------


def keep(folder: Path, report: Report) -> Path:
    """Write the answers; answers of another account go to ``probe.toml.1``."""
    path = folder / FILE
    before = {}
    if path.exists():
        text = path.read_text(encoding="utf-8", errors="replace")
        before = read_answers(text, report.asked.account)
        if not before:
            path.replace(path.with_suffix(".toml.1"))
    new = path.with_suffix(".new")
    new.write_text(write_answers(report.asked, report.rows, before), encoding="utf-8")
    new.chmod(0o600)
    os.replace(new, path)  # noqa: PTH105  # atomic over an existing file, on every system
    return path


def exit_code(report: Report) -> int:
    """Return the exit code of a report."""
    if report.stopped == "interrupted":
        return INTERRUPTED
    failed = any(row.outcome is Outcome.FAILED for row in report.rows)
    return 1 if failed or report.remains or report.stopped else 0


def summary(report: Report, path: Path) -> list[str]:
    """Return the lines at the end."""
    count = {outcome: sum(row.outcome is outcome for row in report.rows) for outcome in Outcome}
    lines = [", ".join(f"{number} {outcome.value}" for outcome, number in count.items() if number)]
    lines += [f"≠ {row.difference()}" for row in report.rows if row.differs]
    if report.stopped:
        lines.append(f"not everything was asked: {report.stopped}")
    if report.remains:
        lines.append(f"REMAINS, see to it in TWS: {' · '.join(report.remains)}")
    return [*lines, f"written to {path}"]


def as_json(report: Report, path: Path) -> dict[str, Any]:
    """Return a report as plain values."""
    made: dict[str, Any] = msgspec.to_builtins(report)
    return made | {"file": str(path), "differences": [row.difference() for row in report.rows if row.differs]}


def listing() -> list[str]:
    """Return every question with all that is known of it."""
    lines = []
    for trial in TRIALS:
        for q in trial.questions:
            answers = " · ".join(f"{value}: {meaning}" for value, meaning in q.answers.items())
            lines += [
                f"{q.name}: {q.asks}",
                f"  how      {q.how}; {q.costs}",
                f"  answers  {answers or 'seconds'}",
                f"  default  {q.default} · {q.rests}",
            ]
    return lines


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def _quiet(line: str) -> None:
    del line
