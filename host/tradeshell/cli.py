"""The command line: words -> settings -> program -> exit code.

Start-up cost is paid by what is used: ``--help`` and ``--version`` import nothing of the trading side.
"""

from __future__ import annotations

import argparse
import os
import shlex
import signal
import sys
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from tradeshell.errors import TradeshellError
from tradeshell.version import VERSION

if TYPE_CHECKING:
    from tradeshell.engine.clock import Pace

ENGINE_ENDED = 70  # exit code when the engine has ended by itself (EX_SOFTWARE)

USAGE = """\
tradeshell                          interactive shell
       tradeshell COMMAND WORDS…          run one command and end
       tradeshell -c COMMAND [-c …]       run several; the first that fails ends the run with exit code 1
       tradeshell run_script FILE         run the commands of a file
       tradeshell doctor                  examine the install, the disk, the clock and the broker; exit code 1 if a check fails
       tradeshell demo [--seed N]         a breakout from bar to closed trade on a generated market
       tradeshell gateway --port N        a paper gateway that speaks the TWS API (gateway --help)
"""


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        """Say one line and end with exit code 2."""
        sys.stderr.write(f"tradeshell: {message} · `tradeshell --help` shows what there is\n")
        sys.exit(2)


def parser() -> argparse.ArgumentParser:
    """Return the command line's parser."""
    p = _Parser(
        prog="tradeshell", usage=USAGE, description="Watch breakouts, enter and protect them.", add_help=True
    )
    p.add_argument("--version", action="version", version=f"tradeshell {VERSION}")
    p.add_argument(
        "-c", dest="commands", action="append", metavar="COMMAND", help="run a command; may be repeated"
    )
    p.add_argument("--keep-going", action="store_true", help="in a script go on after a command that failed")
    p.add_argument("--json", action="store_true", help="one JSON object per line for every result and event")
    p.add_argument(
        "--broker", metavar="NAME", help="broker or venue to use (default: from the config, else paper)"
    )
    p.add_argument(
        "--config", metavar="FILE", help="config file instead of the one under the user's config folder"
    )
    p.add_argument("--state-dir", metavar="DIR", help="where state, journal, log and history are kept")
    p.add_argument("--safe-mode", action="store_true", help="load bundled plugins only")
    p.add_argument(
        "--live-account",
        metavar="ID",
        help="the live account that may be traded, typed in full (PAPER_ONLY=false)",
    )
    venue = p.add_argument_group("paper venue")
    venue.add_argument(
        "--replay", action="append", metavar="FILE", help="feed it from recorded bars and quotes (files)"
    )
    venue.add_argument("--from", dest="start", metavar="TIME", help="start there: HH:MM New York, or ISO")
    venue.add_argument("--speed", metavar="X", help="a factor, or max (default 1)")
    venue.add_argument("--market", action="append", metavar="SYM=PRICE", help="price of a generated symbol")
    venue.add_argument("--seed", metavar="N", help="another generated market")
    p.add_argument("words", nargs=argparse.REMAINDER, help=argparse.SUPPRESS)
    return p


def main(argv: Sequence[str] | None = None, environ: Mapping[str, str] | None = None) -> int:
    """Run the program and return its exit code."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    options = parser().parse_args(replay_ends_at_a_command(arguments))
    try:
        return _run(options, os.environ if environ is None else environ)
    except TradeshellError as error:
        sys.stderr.write(f"tradeshell: {error}\n")
        return 1
    except KeyboardInterrupt:
        return 130


def replay_ends_at_a_command(arguments: list[str]) -> list[str]:
    """``--replay FILE… COMMAND WORDS`` cannot be told apart by argparse: files end where a word names no file and no option."""
    if "--replay" not in arguments:
        return arguments
    at = arguments.index("--replay") + 1
    end = at
    while end < len(arguments) and not arguments[end].startswith("-") and _is_file_name(arguments[end]):
        end += 1
    files = arguments[at:end]
    return (
        [*arguments[: at - 1], *(f"--replay={name}" for name in files), *arguments[end:]]
        if files
        else arguments
    )


def _is_file_name(word: str) -> bool:
    return "." in word or "/" in word or os.sep in word


def _run(options: argparse.Namespace, environ: Mapping[str, str]) -> int:
    # --help and --version must not pay for the trading side.
    from tradeshell.bootstrap import Run, load_plugins, program, run_program  # noqa: PLC0415  # see above
    from tradeshell.config import first_config, load_settings  # noqa: PLC0415  # see above

    flags = {
        name: getattr(options, name)
        for name in (
            "broker", "config", "state_dir", "safe_mode", "json", "keep_going",
            "live_account", "replay", "start", "speed", "market", "seed",
        )
    }  # fmt: skip
    commands, pace = list(options.commands or ()), None
    with ExitStack() as opened:
        if options.words[:1] == ["demo"]:
            folder = opened.enter_context(tempfile.TemporaryDirectory(prefix="tradeshell-demo-"))
            commands, pace, port = _demo(options, flags, folder, opened)
            if port:
                environ = {**environ, "IB_HOST": "127.0.0.1", "IB_PORT": str(port), "PAPER_ONLY": "true"}
        elif options.words:
            commands.append(shlex.join(options.words))
        settings = load_settings(flags, environ)
        plugins = load_plugins(settings)
        if options.words:
            code = run_program(settings, plugins, tuple(options.words), environ)
            if code is not None:
                return code
        batch = bool(commands) or not sys.stdin.isatty()
        hints = () if batch or settings.json else first_config(settings)
        run = Run(commands=tuple(commands) if commands else None, batch=batch, pace=pace, hints=hints)
        _end_on_signal()
        with program(settings, run, environ, plugins) as running:
            code = running.shell.run()
            return ENGINE_ENDED if running.engine.has_ended else code


def _demo(
    options: argparse.Namespace, flags: dict[str, object], folder: str, opened: ExitStack
) -> tuple[list[str], Pace | None, int]:
    """Return the demo's commands, and the time and the port of a gateway, if it needs one: ``None``, 0 without."""
    from tradeshell import demo  # noqa: PLC0415  # only the demo needs it
    from tradeshell.engine.clock import Pace  # noqa: PLC0415  # as above

    is_wired = (options.broker or "paper") != "paper"
    inner = _Parser(prog="tradeshell demo", add_help=True)
    inner.add_argument("--seed", type=int, default=int(options.seed or 1))
    inner.add_argument("--speed", default=options.speed or (demo.WIRE_SPEED if is_wired else demo.SPEED))
    chosen = inner.parse_args(options.words[1:])
    flags |= {
        "broker": options.broker or "paper",
        "seed": str(chosen.seed),
        "speed": chosen.speed,
        "market": [f"{demo.SYMBOL}={demo.price_of(chosen.seed)}"],
        "state_dir": options.state_dir or folder,
    }
    commands = list(demo.script(chosen.seed))
    if not is_wired:
        return commands, None, 0
    port = opened.enter_context(demo.gateway(chosen.seed, chosen.speed, Path(folder)))
    return commands, Pace(demo.MORNING, float(chosen.speed)), port


def _end_on_signal() -> None:
    """Let SIGTERM and SIGHUP end the program as `quit` does: everything that was opened is closed."""

    def end(number: int, frame: object) -> None:
        del frame
        raise SystemExit(128 + number)

    for name in ("SIGTERM", "SIGHUP"):
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), end)
