"""``tradeshell gateway``: words -> a gateway on a port -> exit code.

Laws: what is wrong with the words or the files is one line and exit code 1 or 2, before anything is opened; SIGTERM and SIGINT
end it orderly, with exit code 0.
"""

from __future__ import annotations

import argparse
import asyncio
import ipaddress
import math
import signal
import sys
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import NoReturn

from tradeshell import ConfigError, ProgramContext, VenueOptions
from tradeshell_paper.calendar import new_york_day, previous_trading_day, session_on
from tradeshell_paper.feed import make_market
from tradeshell_paper.market import MarketData
from tradeshell_paper.settings import Settings, read_settings
from tradeshell_paper.tws.clock import ScaledClock
from tradeshell_paper.tws.control import Control
from tradeshell_paper.tws.frames import MAX_VERSION, MIN_VERSION
from tradeshell_paper.tws.gateway import Gateway
from tradeshell_paper.tws.house import AccountVenue
from tradeshell_paper.tws.ids import Ids
from tradeshell_paper.tws.scenario import Scenario, read_scenario
from tradeshell_paper.tws.server import Listener
from tradeshell_paper.tws.view import TapeView

ACCOUNT = "DU0000001"
GENERATED = "generated"
FIRST_HOURS = (10, 11, 12, 13)  # New York hours at which a generated market may begin out of hours


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        """Say one line and end with exit code 2."""
        sys.stderr.write(f"tradeshell gateway: {message} · `tradeshell gateway --help` shows what there is\n")
        sys.exit(2)


def parser() -> argparse.ArgumentParser:
    """Return the parser of the words."""
    p = _Parser(
        prog="tradeshell gateway", description="A paper gateway: the simulated exchange behind the TWS API."
    )
    p.add_argument(
        "--port", type=int, default=4002, metavar="N", help="port to listen on; 0 takes a free one (4002)"
    )
    p.add_argument("--host", default="127.0.0.1", help="address to listen on (127.0.0.1)")
    p.add_argument(
        "--market", action="append", nargs="+", metavar="WHAT", help="generated, SYM=PRICE, or recorded files"
    )
    p.add_argument(
        "--from", dest="start", metavar="TIME", help="where the market starts: HH:MM New York, or ISO"
    )
    p.add_argument("--speed", default="1", metavar="X", help="market seconds a second (1)")
    p.add_argument(
        "--hold", action="store_true", help="let the market stand still until the first client has connected"
    )
    p.add_argument("--seed", type=int, default=1, metavar="N", help="another generated market (1)")
    p.add_argument(
        "--account", action="append", metavar="DU…", help=f"an account; may be repeated ({ACCOUNT})"
    )
    p.add_argument("--scenario", metavar="FILE", help="switches and events, a TOML file")
    p.add_argument(
        "--control", type=int, metavar="N", help="also take switches and actions on this port; 0: a free one"
    )
    p.add_argument(
        "--version", type=int, default=MAX_VERSION, metavar="N", help="highest server version (178)"
    )
    p.add_argument("--log", action="store_true", help="say on stderr what is unusual")
    return p


def run(context: ProgramContext) -> int:
    """Run the gateway until a signal ends it."""
    options = parser().parse_args(list(context.words))
    if not MIN_VERSION <= options.version <= MAX_VERSION:
        raise ConfigError(f"--version {options.version}: this gateway speaks {MIN_VERSION} to {MAX_VERSION}")
    if not 0 <= options.port <= 65535 or not 0 <= (options.control or 0) <= 65535:
        raise ConfigError("--port: is 0 to 65535")
    scenario = read_scenario(None if options.scenario is None else Path(options.scenario))
    speed = _speed(options.speed)
    now = datetime.now(UTC)
    market, offset = open_market(options.market or [], options.start, options.seed, now, scenario)
    accounts = tuple(options.account or (ACCOUNT,))
    settings = [read_settings({**scenario.exchange, "account": account}) for account in accounts]
    if len({each.rules.account for each in settings}) != len(settings):
        raise ConfigError("--account: one of them is there twice")
    ids = Ids(context.state_dir / "numbers.json")
    served = _Served(options, scenario, market, settings, ids, offset, speed)
    return asyncio.run(served.run())


def _named(words: Sequence[Sequence[str]]) -> list[str]:
    """Return the symbols of a generated market that were named."""
    return [word.partition("=")[0].upper() for group in words for word in group if "=" in word]


def _speed(text: str) -> float:
    try:
        speed = float(text)
    except ValueError:
        speed = 0.0
    if not math.isfinite(speed) or speed <= 0:
        raise ConfigError(f"--speed {text}: is a number above zero")
    return speed


def open_market(
    words: Sequence[Sequence[str]], start: str | None, seed: int, now: datetime, scenario: Scenario
) -> tuple[MarketData, timedelta]:
    """Return the market and by how much clients see its time moved."""
    flat = [word for group in words for word in group if word != GENERATED]
    files = tuple(Path(word) for word in flat if "=" not in word)
    prices = tuple(word for word in flat if "=" in word)
    if files and prices:
        raise ConfigError("--market: either recorded files, or prices of generated symbols")
    settings: Settings = read_settings(scenario.exchange)
    offset = timedelta(0)
    if start is None and not files:
        begin = first_instant(now)
        start, offset = begin.isoformat(), now - begin
    options = VenueOptions(replay=files, start=start, market=prices, seed=seed)
    return make_market(options, settings), offset


def first_instant(now: datetime) -> datetime:
    """Return where a generated market begins, so that it is open: ``now`` in regular hours, else whole hours away from it.

    Out of hours it is the last trading day, at the same minute of an hour between ten and two; of these hours the first at which
    clients do not see the session reach over midnight.
    """
    today = new_york_day(now)
    session = session_on(today)
    if session is not None and session.open <= now < session.close - timedelta(minutes=15):
        return now
    day = today if session is not None and now >= session.close else previous_trading_day(today)
    session = session_on(day)
    assert session is not None
    minute = now.replace(second=0, microsecond=0).minute
    candidates = []
    for hour in range(len(FIRST_HOURS)):
        # 09:30 and half an hour is ten o'clock; on a half day the later hours do not exist.
        at = session.open + timedelta(
            minutes=30 + minute, hours=hour, seconds=now.second, microseconds=now.microsecond
        )
        if at < session.close - timedelta(hours=1):
            candidates.append(at)
    for at in candidates:
        offset = now - at
        if new_york_day(session.open + offset) == new_york_day(session.close + offset):
            return at
    return candidates[0]


class _Served:
    """A gateway that runs."""

    def __init__(
        self,
        options: argparse.Namespace,
        scenario: Scenario,
        market: MarketData,
        settings: list[Settings],
        ids: Ids,
        offset: timedelta,
        speed: float,
    ) -> None:
        self._options = options
        self._scenario = scenario
        self._market = market
        self._settings = settings
        self._ids = ids
        self._offset = offset
        self._speed = speed

    async def run(self) -> int:
        """Serve until a signal comes."""
        loop, options = asyncio.get_running_loop(), self._options
        clock = ScaledClock(loop, self._speed)
        venues = {
            each.rules.account: AccountVenue(clock, self._market, each.rules) for each in self._settings
        }
        for number, venue in enumerate(venues.values()):
            if number == 0:
                venue.start()
            else:
                venue.play_to_end()
        gateway = Gateway(
            clock,
            TapeView(self._market),
            venues,
            switches=self._scenario.switches,
            ids=self._ids,
            offset=self._offset,
        )
        gateway.house.highest_version = options.version
        if options.log:
            gateway.house.log = _log
        for symbol in _named(options.market or []):
            gateway.house.view.day(symbol, clock.now())  # made before anybody waits for it
        if options.hold:
            clock.hold()
            gateway.house.on_started = clock.release
        listener = Listener(gateway, options.host, options.port)
        control = Control(gateway, listener, self._scenario)
        ended = asyncio.Event()
        for name in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(name, ended.set)
        try:
            await self._open(listener, control)
            control.start()
            await ended.wait()
        finally:
            control.close()
            listener.close()
            gateway.close()
            await asyncio.sleep(0)
        return 0

    async def _open(self, listener: Listener, control: Control) -> None:
        options = self._options
        if self._ids.note:
            _log(self._ids.note)
        try:
            if options.host != "localhost" and not ipaddress.ip_address(options.host).is_loopback:
                _say(
                    f"warning: {options.host} can be reached from other machines, and whoever reaches it may trade here"
                )
            await listener.open()
            if options.control is not None:
                await control.open(options.control)
        except (OSError, ValueError) as error:
            raise ConfigError(f"{options.host}:{options.port}: {error}") from None
        if options.control is not None:
            _say(f"control on 127.0.0.1:{control.port}")
        _say(f"listening on {options.host}:{listener.port}")


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def _log(line: str) -> None:
    sys.stderr.write(f"{line}\n")
    sys.stderr.flush()
