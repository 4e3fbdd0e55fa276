"""A program around the shell for tests that need a process: ``python -m tests.shell.stand_in [options] [-c LINE]…``."""

from __future__ import annotations

import argparse
import sys
import threading
import time
from pathlib import Path

from tests.shell.support import LIVE, PAPER, Line, make_shell

from tradeshell.grammar import Answer, Command, Grammar, Words
from tradeshell.upkeep import LogFile


def _boom(trading: object, words: Words) -> Answer:
    raise ZeroDivisionError("a secret detail")


def _soft(trading: object, words: Words) -> Answer:
    return Answer(lines=("soft failure",), ok=False)


def _leave(trading: object, words: Words) -> Answer:
    raise SystemExit(0)


def _ready(trading: object, words: Words) -> Answer:
    """Say that the line has been reached: a test can wait for it."""
    return Answer(lines=("ready",))


EXTRA = tuple(
    ("rude", Command(name=name, help=f"{name} in one way", grammar=Grammar(), run=run))
    for name, run in (("boom", _boom), ("soft", _soft), ("leave", _leave), ("ready", _ready))
)


def main() -> int:
    """Run the shell as the command line says."""
    parser = argparse.ArgumentParser()
    parser.add_argument("-c", dest="commands", action="append")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--keep-going", action="store_true")
    parser.add_argument("--live-account", action="store_true")
    parser.add_argument("--hold", action="store_true", help="hold a position from the start")
    parser.add_argument("--events", type=float, default=0, help="events a second, from the start")
    parser.add_argument("--most", type=int, default=10**9, help="how many events")
    parser.add_argument("--state-dir", type=Path, required=True)
    options = parser.parse_args()
    shell, trading = make_shell(
        options.state_dir,
        extra=EXTRA,
        broker=LIVE if options.live_account else PAPER,
        batch=bool(options.commands) or not sys.stdin.isatty(),
        as_json=options.json,
        keep_going=options.keep_going,
        commands_to_run=None if options.commands is None else tuple(options.commands),
        live=True,
        stdin=None,
    )
    trading.logs = (LogFile(name="ops", path=options.state_dir / "ops.log"),)
    if options.hold:
        trading.hold_position()
        trading.on_wait = (options.state_dir / "waiting").touch
    if options.events:
        threading.Thread(target=_tell, args=(trading, options.events, options.most), daemon=True).start()
    code = shell.run()
    sys.stderr.write("closed in good order\n")
    return code


def _tell(trading: object, rate: float, most: int) -> None:
    from tests.shell.support import FakeTrading

    assert isinstance(trading, FakeTrading)
    start = time.monotonic()
    for number in range(1, most + 1):
        trading.post(Line(symbol="AAPL", words=f"event number {number} of the flood"))
        time.sleep(max(0.0, start + number / rate - time.monotonic()))


if __name__ == "__main__":
    sys.exit(main())
