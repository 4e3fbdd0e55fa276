"""The stage of the fault scenarios: the real session and core on the real paper venue, with every fault on call.

Laws: time is virtual and moves in ``wait`` only (and to the end of a bar in ``close_bar`` and ``trigger``); nothing is random;
the venue's own books decide what is true: ``working``, ``position`` and ``excess`` never ask the program. The market stands still
unless a test moves it, and its touch is told anew twice a second until ``silence``.

Ladders as in the catalogue: LAD3 is 100 AAPL above 190, targets 195/198/205 for 60/30/10, stop 187, stops to 190 and 195 after
the first and the second target; LAD2 is 70/30 with 195/198 and 190. The entry is limited at the ask of the trigger, 190.02.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path
from types import MappingProxyType
from typing import Any

from msgspec.structs import replace
from tests.faults.looking import Looking
from tests.faults.parts import (
    BRACKET,
    CENT,
    LAD2,
    LAD3,
    MORNING,
    Rule,
    ScriptedCourier,
    Sent,
    Venue,
    Working,
    any_message,
    ref_of,
    usd,
)
from tests.simulation.loop import SECOND, SimClock, SimLoop
from tests.simulation.path import Move
from tests.simulation.venue import contract

from tradeshell.core import inputs as i
from tradeshell.core.market import Bar, DataKind, Instrument, Quote
from tradeshell.core.orders import OrderSpec, OrderType, Side
from tradeshell.core.plan import TradePlan, check_plan, put_on_grid
from tradeshell.core.policy import Policy
from tradeshell.core.step import Core
from tradeshell.core.trade import leg_of
from tradeshell.engine.audit import Audit
from tradeshell.engine.crash import CrashFile
from tradeshell.engine.journal import Journal
from tradeshell.engine.session import Session as EngineSession
from tradeshell.ports import Record
from tradeshell_breakout.strategy import Breakout
from tradeshell_paper.courier import MESSAGES
from tradeshell_paper.settings import Refusal

__all__ = ["BRACKET", "LAD2", "LAD3", "MORNING", "Sent", "Stage", "Working", "staged", "usd"]


class Stage(Looking):
    """One session, connected and reconciled, on a market that stands at 190.00/190.02.

    ``live``: the account is a live one; ``policy`` is what its operator allows; ``settings`` are those of the paper venue.
    """

    def __init__(
        self,
        folder: Path,
        *,
        live: bool = False,
        policy: Policy | None = None,
        start: datetime = MORNING,
        connect: bool = True,
        **settings: Any,
    ) -> None:
        self.live = live
        self.folder = folder
        self.loop = SimLoop()
        self.clock = SimClock(self.loop, start)
        self.records: list[Record] = []
        self.worst: tuple[int, float] = (
            0,
            0.0,
        )  # most shares that exits could have sold beyond the position, and when
        self.courier = ScriptedCourier()
        self.crashes = folder / "crash.log"
        self._refusals: list[tuple[Rule, Refusal]] = []
        self._holds: list[Rule] = []
        self._held: list[Any] = []
        self._quoting = self._is_open = True
        self._foreign = 9000
        self._asked = 0
        self._policy = policy or Policy()
        self.venue = self._open_venue(settings, "U0000001" if live else "DU0000001")
        self._start_session()
        contract(self.venue, "AAPL")
        self.quote("190.00", "190.02")
        self.loop.at(SECOND // 2, self._repeat)
        self._begin(connect=connect)

    def _open_venue(self, settings: dict[str, Any], account: str) -> Any:
        """Return where orders go."""
        known = {"partial": True, "courier": self.courier, "refuse": self._refuse, "witness": self._witness}
        return Venue(self.loop, self.clock, self.hear, {**known, **settings}, account)

    def _start_session(self) -> None:
        """Start the engine's session."""
        self.journal = Journal(self.folder / "journal", "s1", "paper", outlives_us=False)
        audit = Audit("s1", self.clock.now)
        audit.add("list", self.records.append)
        self.session = EngineSession(
            Core({"breakout": Breakout()}), self.clock, self.journal, audit, CrashFile(self.crashes)
        )
        self.session.paper_only = not self.live
        self.session.live_account = self.venue.info().account
        self.session.attach(self.venue)

    def _begin(self, *, connect: bool) -> None:
        """Say what the operator allows, and connect."""
        self.submit(i.PolicySet(at=self.now, policy=self._policy))
        if connect:
            self.inside(lambda: self.loop.create_task(self.venue.connect()))
            self.wait(0.5)

    # --- time and the engine ------------------------------------------------------------------------------------------

    @property
    def now(self) -> datetime:
        """The present instant."""
        return self.clock.now()

    def wait(self, seconds: float) -> None:
        """Let time pass."""
        self.loop.run_until(self.loop.micros + round(seconds * SECOND))
        assert not self.loop.faults, self.loop.faults
        assert not self.crashes.exists(), self.crashes.read_text()

    def inside(self, act: Callable[[], Any]) -> None:
        """Do something on the loop, now, and let everything happen that follows at this instant; raises what ``act`` raises."""
        raised: list[Exception] = []

        def guarded() -> None:
            try:
                act()
            except Exception as error:  # noqa: BLE001  # handed to whoever asked
                raised.append(error)

        self.loop.call_soon(guarded)
        self.wait(0)
        if raised:
            raise raised[0]

    def submit(self, event: i.Input) -> None:
        """Give the engine an input, as the operator's command does; raises the refusal."""
        self.inside(lambda: self.session.submit(event))

    def hear(self, event: i.Input) -> None:
        """Take what the venue says: kept back while a hold is on it, else handed to the engine."""
        if any(
            rule.takes(MESSAGES.get(type(event), ""), leg_of(ref_of(event)), event) for rule in self._holds
        ):
            self._held.append(event)
        else:
            if self.live and isinstance(event, i.LinkChanged):
                event = replace(event, paper=False)
            self.session.receive(replace(event, at=self.now))

    def close(self) -> None:
        """End: timers, tasks and files."""
        self.inside(lambda: self.loop.create_task(self.session.close()))
        self.venue.close()
        self.journal.close()

    # --- the market ---------------------------------------------------------------------------------------------------

    def touch(self, bid: Any, ask: Any, *, size: int = 10_000, symbol: str = "AAPL", **more: Any) -> Quote:
        """Return a touch of now; ``None`` is a side without a price, ``size`` limits what fills."""
        bid, ask = (None if price is None else Decimal(price) for price in (bid, ask))
        kind = DataKind.HALTED if self.venue.market.tapes[symbol].halted else DataKind.LIVE
        values: dict[str, Any] = {"bid_size": size, "ask_size": size, "kind": kind, **more}
        return Quote(symbol=symbol, at=self.now, bid=bid, ask=ask, **values)

    def quote(self, bid: Any, ask: Any, *, symbol: str = "AAPL", **more: Any) -> None:
        """Put a touch in force: see ``touch``."""
        self.venue.market.tapes[symbol].show(self.touch(bid, ask, symbol=symbol, **more))
        self.inside(lambda: self.venue.on_touch(self.now, symbol))

    def trade(self, price: Any, size: int = 10_000, *, symbol: str = "AAPL") -> None:
        """Let the market trade at ``price``: resting limits fill, stops are elected; the touch stays unless it was moved."""
        ticks = int(Decimal(price) / CENT)
        self.inside(lambda: self.venue.move(symbol, Move(0, "print", ticks, 0, size), CENT))

    def move_to(self, price: Any, size: int = 10_000) -> None:
        """Move the touch to ``price``/+0.02, and let it trade there."""
        self.quote(price, Decimal(price) + 2 * CENT, size=size)
        self.trade(price, size)

    def halt(self, *, on: bool = True, symbol: str = "AAPL") -> None:
        """Halt trading, or end the halt."""
        self.inside(lambda: self.venue.move(symbol, Move(0, "halt", int(on), 0, 0), CENT))

    def silence(self) -> None:
        """Stop telling the touch anew: it grows old from now on."""
        self._quoting = False

    def _repeat(self) -> None:
        if self._quoting:
            for tape in self.venue.market.tapes.values():
                if tape.touch is not None:
                    tape.show(replace(tape.touch, at=self.now))
                    self.venue.on_touch(self.now, tape.symbol)
        if self._is_open:
            self.loop.at(self.loop.micros + SECOND // 2, self._repeat)

    def close_market(self) -> None:
        """Let the market rest: nothing is told of it any more, and days pass quickly."""
        self._is_open = False

    def bar(self, close: Any, *, high: Any = "190.20", low: Any = "189.90", seconds: int = 60) -> Bar:
        """Return a bar that has ended just now."""
        start, end = self.now - timedelta(seconds=seconds), Decimal(close)
        top, bottom = max(end, Decimal(high)), min(end, Decimal(low))
        return Bar("AAPL", start, seconds, end, top, bottom, end, 1000)

    def close_bar_now(self, close: Any, **more: Any) -> None:
        """Tell a bar that has ended just now: see ``bar``."""
        self.tell_bar(self.bar(close, **more))

    def close_bar(self, close: Any, *, seconds: int = 60, **more: Any) -> None:
        """Wait for the end of the present bar, and tell it."""
        self.wait(seconds - self.t % seconds)
        self.close_bar_now(close, seconds=seconds, **more)

    def tell_bar(self, bar: Bar) -> None:
        """Tell a bar to whoever watches."""
        for listener in tuple(self.venue.listeners.get((bar.symbol, bar.seconds), ())):
            self.inside(lambda heard=listener: heard.on_bar(bar))  # type: ignore[misc]  # a lambda's default has no type

    # --- what the operator does ---------------------------------------------------------------------------------------

    def instrument(self, symbol: str) -> Instrument:
        """Return the contract of a symbol."""
        return contract(self.venue, symbol)

    def watch(
        self,
        kind: Mapping[str, Any] | None = None,
        *,
        id_: str = "br-1",
        bar: int = 60,
        words: Mapping[str, str] = MappingProxyType({}),
        **more: Any,
    ) -> str:
        """Start a breakout watcher: 100 AAPL above 190, stop 187, exits as ``kind`` says (LAD3, LAD2, BRACKET).

        ``words`` are further ones of the strategy's own.
        """
        values: dict[str, Any] = {
            "symbol": "AAPL",
            "qty": 100,
            "account": self.session.desk.account,
            "level": usd(190),
            "sl": usd(187),
            "chase_limit": usd("191.50"),
            **(LAD3 if kind is None else kind),
            **more,
        }
        instrument = self.instrument(values["symbol"])
        plan = put_on_grid(TradePlan(**values), instrument.grid)
        check_plan(plan)
        params = {"bar": str(bar), "rth": str(not plan.outside_rth).lower(), "max_bars": "", **words}
        session = self.session.broker.session(plan.symbol, self.now)
        watch = i.WatchSpec(
            id=id_, strategy="breakout", plan=plan, params=params, instrument=instrument, session=session
        )
        self.submit(i.WatchRequested(at=self.now, watch=watch))
        return id_

    def trigger(self, filled: int = 100, kind: Mapping[str, Any] | None = None, **more: Any) -> None:
        """Start a watcher, break out, and let ``filled`` shares of the entry execute at 190.02; then the market stays above.

        0: the entry rests at 190.02 under an ask of 190.12.
        """
        self.watch(kind, **more)
        self.wait(60 - self.t % 60)
        self.quote("190.00", "190.02", size=filled or 10_000)
        if not filled:
            self.delay("place", 0.01, "entry")
        self.close_bar_now("190.01")
        self.quote("190.10", "190.12")
        self.wait(0.02)

    def ladder(self, kind: Mapping[str, Any] | None = None, **more: Any) -> None:
        """Open a ladder (LAD3 unless told) and let it arm: every leg works when this returns."""
        self.trigger(kind=kind, **more)
        self.wait(3)
        legs = {order.leg for order in self.working()}
        wanted = len((LAD3 if kind is None else kind)["tps"])
        assert legs == {f"{leg}{n}" for leg in ("tp", "sl") for n in range(1, wanted + 1)}, legs

    def order_now(self, id_: str, side: Side = Side.BUY, qty: int = 100, **more: Any) -> None:
        """Type ``buy`` or ``sell``, without exits unless ``more`` says so."""
        plan = TradePlan(symbol="AAPL", qty=qty, account=self.session.desk.account, side=side, **more)
        instrument = self.instrument("AAPL")
        self.submit(i.TradeRequested(at=self.now, id=id_, plan=plan, instrument=instrument))

    def flatten(self, symbol: str | None = "AAPL") -> None:
        """Type ``flatten``."""
        self.submit(i.FlattenRequested(at=self.now, symbol=symbol))

    # --- faults of messages -------------------------------------------------------------------------------------------

    def fate(
        self, what: str, delays: Sequence[float], leg: str = "", times: int = 1, where: Any = None
    ) -> None:
        """Say what becomes of the next ``times`` messages: ``()`` is lost, several delays deliver it several times.

        ``what``: place modify cancel status execution commission position refusal; ``leg``: begin of the leg's name; ``where``:
        a condition on the message.
        """
        self.courier.rules.append(Rule(what, leg, where or any_message, times, tuple(delays)))

    def lose(self, what: str, leg: str = "", times: int = 1, where: Any = None) -> None:
        """Lose messages."""
        self.fate(what, (), leg, times, where)

    def delay(self, what: str, seconds: float, leg: str = "", times: int = 1, where: Any = None) -> None:
        """Delay messages."""
        self.fate(what, (seconds,), leg, times, where)

    def double(self, what: str, leg: str = "", times: int = 1, copies: int = 2) -> None:
        """Deliver messages ``copies`` times, 0.1 s apart."""
        self.fate(what, [0.1 * n for n in range(copies)], leg, times)

    def hold(self, what: str, leg: str = "", times: int = 1, where: Any = None) -> None:
        """Keep what the venue says back until ``release``."""
        self._holds.append(Rule(what, leg, where or any_message, times, None))

    def release(self) -> None:
        """Hand over what was kept back, in its order, and keep nothing back any more."""
        held, self._held, self._holds = self._held, [], []
        for event in held:
            self.inside(lambda heard=event: self.hear(heard))  # type: ignore[misc]  # as above

    def say(self, event: i.Input) -> None:
        """Let the broker say something that this venue would never say."""
        self.inside(lambda: self.hear(event))

    def pictures(self, *, answer: float = 0.0, **ages: float | None) -> None:
        """Say how old parts of a picture are (``orders executions positions``; ``None``: never answered); none: all fresh."""
        self.courier.ages, self.courier.answer = dict(ages), answer

    def refuse(
        self,
        action: str,
        leg: str,
        code: int = 201,
        text: str = "",
        times: int = 1,
        *,
        advisory: bool = False,
        where: Any = None,
    ) -> None:
        """Refuse the next ``times`` orders (``place``, ``modify``, ``cancel``) of legs whose name begins like that."""
        words = text or "Order rejected - reason: refused"
        self._refusals.append(
            (Rule(action, leg, where or any_message, times, None), Refusal(code, words, advisory))
        )

    def _refuse(self, spec: OrderSpec, at: datetime, action: str) -> Refusal | None:
        if not spec.ref:
            return None
        return next((r for rule, r in self._refusals if rule.takes(action, leg_of(spec.ref), spec)), None)

    # --- what happens outside -----------------------------------------------------------------------------------------

    def cancel_outside(self, leg: str) -> None:
        """Cancel an order of ours by hand in another window."""
        self.inside(lambda: self.venue.cancel_outside(self.number(leg)))

    def alter(self, leg: str, **more: Any) -> None:
        """Change an order of ours by hand in another window: ``stop``, ``limit``, ``qty``."""
        self.inside(lambda: self.venue.alter_order(self.number(leg), **more))

    def kill(
        self, leg: str, code: int = 202, text: str = "Order Canceled - reason:", *, final: bool = True
    ) -> None:
        """End an order that nobody asked to end: 202 cancels it, another code refuses it after all."""
        self.inside(lambda: self.venue.kill_order(self.number(leg), code, text, final=final))

    def fill_late(self, leg: str, qty: int, price: Any) -> None:
        """Execute shares of an order after its cancel was confirmed."""
        self.inside(lambda: self.venue.fill_late(self.number(leg), qty, Decimal(price)))

    def bust(self, leg: str) -> None:
        """Break the last trade of an order."""
        ids = [e.exec_id for e in self.venue.exchange.executions() if leg_of(e.ref) == leg]
        self.inside(lambda: self.venue.bust(ids[-1]))

    def foreign(self, side: Side, qty: int, *, client: int = 3, **more: Any) -> int:
        """Send an order of somebody else's (a market order unless told); returns its number."""
        self._foreign += 1
        number = self._foreign
        values: dict[str, Any] = {
            "type": OrderType.MARKET,
            "ref": "",
            "symbol": "AAPL",
            "account": self.account,
            **more,
        }
        spec = OrderSpec(con_id=contract(self.venue, values["symbol"]).con_id, side=side, qty=qty, **values)
        self.inside(lambda: self.venue.place_foreign(spec, number, client))
        return number

    def drop_link(
        self, why: str = "socket closed", *, lose_orders: bool = True, unnoticed: float = 0.0
    ) -> None:
        """Let the link drop."""
        self.inside(lambda: self.venue.drop_link(why, lose_orders=lose_orders, unnoticed=unnoticed))

    def restore_link(self) -> None:
        """Let it come back."""
        self.inside(self.venue.restore_link)


@contextmanager
def staged(folder: Path, **more: Any) -> Iterator[Stage]:
    """Open a stage, and close it at the end."""
    stage = Stage(folder, **more)
    try:
        yield stage
    finally:
        stage.close()
