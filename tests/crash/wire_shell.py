"""The shell as ``tradeshell`` starts it, with two commands more: a ladder at once, and a fuse that ends the process.

    python -m tests.crash.wire_shell WORDS…     with the words of ``tradeshell``

``fuse send:3:torn`` ends the process by SIGKILL at the third order message from now: ``before`` its bytes leave (its record is on
disk by then), ``after`` they have left, or with the first half of them on the wire. ``hear`` counts what the gateway says, before
it is read or after it was acted upon. ``WIRE_FUSE`` in the environment lights one from the start. Everything else is the
program's own.
"""

from __future__ import annotations

import os
import signal
import sys
from decimal import Decimal

from tradeshell import bootstrap
from tradeshell import words as w
from tradeshell.cli import main
from tradeshell.core.plan import EntryKind, ExitMode, TradePlan
from tradeshell.errors import OperatorError
from tradeshell.grammar import Answer, Command, Grammar, Key, Words
from tradeshell.ports import Trading
from tradeshell.shell.commands import BUILTIN_COMMANDS
from tradeshell_ibkr import connection
from tradeshell_ibkr.wire import Wire

ORDER_MESSAGES = (b"3\0", b"4\0")  # place (and change), cancel
MODES = {1: ExitMode.ATTACHED, 2: ExitMode.DETACHED70, 3: ExitMode.DETACHED}


class Fuse:
    """Where the process ends. ``kind`` is empty while none is lit."""

    def __init__(self) -> None:
        self.kind, self.left, self.where = "", 0, ""

    def light(self, words: str) -> None:
        """Light it: ``KIND:NUMBER:WHERE``."""
        self.kind, number, self.where = words.split(":")
        self.left = int(number)

    def is_due(self, kind: str) -> bool:
        """Count one, and say whether it is the one."""
        if kind != self.kind:
            return False
        self.left -= 1
        return self.left == 0


FUSE = Fuse()


def _die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


class FusedWire(Wire):
    """A wire with a fuse."""

    def write(self, frame: bytes) -> None:
        """Write, unless the process ends here."""
        if not frame[4:].startswith(ORDER_MESSAGES) or not FUSE.is_due("send"):
            super().write(frame)
            return
        if FUSE.where != "before":
            super().write(frame if FUSE.where == "after" else frame[: len(frame) // 2])
        _die()

    def feed(self, data: bytes) -> None:
        """Read, unless the process ends here."""
        is_it = FUSE.is_due("hear")
        if is_it and FUSE.where == "before":
            _die()
        super().feed(data)
        if is_it:
            _die()


def _fuse(trading: Trading, words: Words) -> Answer:
    del trading
    FUSE.light(words.get("where"))
    return Answer(data=words.get("where"))


def _ladder(trading: Trading, words: Words) -> Answer:
    """Buy now and protect by a ladder; prices are distances (USD) from the ask."""
    symbol, count = words.get("symbol"), words.get("targets")
    trading.instrument(symbol)
    quote = trading.quote(symbol)
    if quote is None or quote.ask is None:
        raise OperatorError(f"{symbol}: no touch")
    below: Decimal | None = words.get("below")
    base = quote.ask - (below or 0)
    up, down = words.get("up"), words.get("down")
    plan = TradePlan(
        symbol=symbol,
        qty=words.get("qty"),
        account=trading.view().desk.account,
        entry=EntryKind.TOUCH if below is None else EntryKind.PRICED,
        limit=None if below is None else base,
        level=base,
        tps=tuple(base + up * (n + 1) for n in range(count)),
        sl=base - down,
        mode=MODES[count],
        entry_timeout=float(words.get("timeout")),
        quote_age=5.0,
    )
    return Answer(data={"trade": trading.trade(plan, again=True)})


_KEYS = (
    Key(name="symbol", help="what", parse=w.symbol),
    Key(name="qty", help="shares", parse=w.quantity),
    Key(name="targets", help="how many", parse=w.quantity),
    Key(name="up", help="USD from one target to the next", parse=w.price),
    Key(name="down", help="USD to the stop", parse=w.price),
    Key(name="timeout", help="seconds for the entry", parse=w.quantity),
    Key(name="below", help="rest so many USD below the ask", parse=w.price),
)
COMMANDS = (
    Command(
        name="ladder",
        help="Buy, and protect by a ladder",
        grammar=Grammar(
            keys=_KEYS, positionals=("symbol",), required=("symbol",), example="ladder AAPL qty=100"
        ),
        run=_ladder,
    ),
    Command(
        name="fuse",
        help="End the process there",
        grammar=Grammar(
            keys=(Key(name="where", help="KIND:NUMBER:WHERE"),), positionals=("where",), required=("where",)
        ),
        run=_fuse,
    ),
)


def run() -> int:
    """Run the program."""
    setattr(connection, "Wire", FusedWire)  # noqa: B010  # mypy: a name of the module is replaced
    setattr(bootstrap, "BUILTIN_COMMANDS", (*BUILTIN_COMMANDS, *COMMANDS))  # noqa: B010  # as above
    if os.environ.get("WIRE_FUSE"):
        FUSE.light(os.environ["WIRE_FUSE"])
    return main(sys.argv[1:])


if __name__ == "__main__":
    sys.exit(run())
