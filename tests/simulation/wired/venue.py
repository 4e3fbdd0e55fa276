"""The venue of one wired schedule: the simulated exchange, with a gateway in front of it.

Laws: the exchange knows orders by the gateway's names; everybody here speaks of them by the client's, and the record that the
checker gets does so too.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from decimal import Decimal
from random import Random
from typing import Any

from msgspec.structs import replace
from tests.simulation.hands import FOREIGN
from tests.simulation.loop import SECOND, SimClock, SimLoop
from tests.simulation.path import Bar as Told
from tests.simulation.schedule import Schedule
from tests.simulation.venue import Market, PushedMarket, rules_of
from tests.simulation.wired.market import SimView
from tests.simulation.wired.trouble import draw_switches

from tradeshell.core import inputs as i
from tradeshell.core.market import Instrument, Quote
from tradeshell.core.orders import OrderSpec
from tradeshell_paper.matching import Exchange, Reports
from tradeshell_paper.settings import Refusal
from tradeshell_paper.tws.gateway import Gateway
from tradeshell_paper.tws.house import AccountVenue
from tradeshell_paper.tws.ids import Ids
from tradeshell_paper.tws.records import Record, address_of
from tradeshell_paper.tws.switches import Switches
from tradeshell_paper.tws.values import WireContract, WireOrder

CLIENT = 7
PART = 5  # seconds of the bars that the protocol streams
Witness = Callable[[str, dict[str, Any]], None]


class SimHouse(PushedMarket, AccountVenue):
    """The account's venue, whose market is pushed."""


class _Exchange:
    """The exchange in the words of the program: its names for orders, its client by default."""

    def __init__(
        self,
        exchange: Exchange,
        ref_of: Callable[[str], str],
        known: Callable[[OrderSpec, int, int], OrderSpec],
    ) -> None:
        self.real = exchange
        self._ref_of, self._known = ref_of, known

    @property
    def _floor(self) -> Any:
        return self.real._floor

    def list_stock(self, instrument: Instrument) -> None:
        """Make a stock known."""
        self.real.list_stock(instrument)

    def open_orders(self) -> tuple[i.OrderReport, ...]:
        """Return what lives."""
        return tuple(replace(each, ref=self._ref_of(each.ref)) for each in self.real.open_orders())

    def executions(self) -> tuple[i.ExecutionReport, ...]:
        """Return all executions."""
        return tuple(replace(each, ref=self._ref_of(each.ref)) for each in self.real.executions())

    def quote(self, now: datetime, quote: Quote) -> Reports:
        """Put a touch in force."""
        return self.real.quote(now, quote)

    def place(self, now: datetime, order: OrderSpec, order_id: int, client: int) -> Reports:
        """Place an order of somebody else."""
        return self.real.place(now, self._known(order, order_id, client), order_id, client)

    def cancel_outside(self, now: datetime, order_id: int) -> Reports:
        """Cancel by hand."""
        return self.real.cancel_outside(now, order_id, CLIENT)

    def alter_order(self, now: datetime, order_id: int, **changes: Any) -> Reports:
        """Change by hand."""
        return self.real.alter_order(now, order_id, client=CLIENT, **changes)

    def kill_order(self, now: datetime, order_id: int, code: int, text: str, *, final: bool) -> Reports:
        """End an order that nobody asked to end."""
        return self.real.kill_order(now, order_id, code, text, client=CLIENT, final=final)

    def revive_order(self, now: datetime, order_id: int) -> Reports:
        """Let it work again."""
        return self.real.revive_order(now, order_id, CLIENT)

    def fill_late(self, now: datetime, order_id: int, qty: int, price: Decimal) -> Reports:
        """Let a cancelled order execute."""
        return self.real.fill_late(now, order_id, qty, price, CLIENT)

    def correct(self, now: datetime, exec_id: str, qty: int, price: Decimal) -> Reports:
        """Correct an execution."""
        return self.real.correct(now, exec_id, qty, price)

    def bust(self, now: datetime, exec_id: str) -> Reports:
        """Bust an execution."""
        return self.real.bust(now, exec_id)


class WiredVenue:
    """Everything at the far end of the wire, and what may be done to it from outside."""

    def __init__(
        self,
        schedule: Schedule,
        loop: SimLoop,
        clock: SimClock,
        witness: Witness,
        refuse: Callable[[OrderSpec, datetime, str], Refusal | None],
    ) -> None:
        known = rules_of(schedule, dict(schedule.habits.settings))
        market = Market(tuple(schedule.paths), schedule.start)
        self._schedule, self._loop, self._clock = schedule, loop, clock
        self._witness, self._refuse = witness, refuse
        self.house = SimHouse(clock, market, known.rules, self._translated)
        self.house.set_up(schedule, loop, clock)
        dice = Random(f"{schedule.seed}/version")
        self.gateway = Gateway(
            clock,
            SimView(schedule),
            {schedule.account: self.house},
            switches=draw_switches(schedule),
            ids=Ids(),
        )
        self.gateway.house.highest_version = dice.choice((178, 178, 178, *range(157, 178)))
        self.house.rule = self._asked
        self.exchange = _Exchange(self.house.exchange, self.ref_of, self._known)
        loop.at(schedule.fault_free_from, self._calm)

    def _calm(self) -> None:
        self.gateway.house.switches = Switches()

    # --- names --------------------------------------------------------------------------------------------------------

    def ref_of(self, name: str) -> str:
        """Return the client's name of an order."""
        if not name or "/" not in name:
            return name
        record = self.gateway.orders.records.get(address_of(name))
        return name if record is None else record.order.order_ref

    def exec_id(self, exec_id: str) -> str:
        """Return an execution's id as the wire has it."""
        _, number, revision = exec_id.split(".")
        return f"0000{self.gateway.ids.run % 65536:04x}.{int(number):08x}.01.{int(revision):02d}"

    def _translated(self, kind: str, fields: dict[str, Any]) -> None:
        for key in ("ref", "parent"):
            if key in fields:
                fields[key] = self.ref_of(fields[key])
        if "client" in fields:
            fields["client"] = 0 if fields["client"] == CLIENT else FOREIGN
        if "exec_id" in fields:
            fields["exec_id"] = self.exec_id(fields["exec_id"])
        self._witness(kind, fields)

    def _asked(self, spec: OrderSpec, at: datetime, action: str) -> Refusal | None:
        ref = self.ref_of(spec.ref)
        return self._refuse(replace(spec, ref=ref if ref.startswith("ts:") else ""), at, action)

    # --- what schedules and hands ask ---------------------------------------------------------------------------------

    def play(self) -> None:
        """Put the whole market on the loop: touches and prints of the path, and the protocol's bars."""
        view, loop = self.gateway.house.view, self._loop
        assert isinstance(view, SimView)
        for symbol, path in self._schedule.paths.items():
            self.house.play_moves(symbol)
            offset = int(self._schedule.start.timestamp()) % PART
            for begin in range(-offset, self._schedule.seconds, PART):
                start = self._clock.instant(begin * SECOND)
                bar = view.between(symbol, start, PART)
                if bar is None:
                    continue
                o, h, low, c = (
                    int(price / path.shape.tick) for price in (bar.open, bar.high, bar.low, bar.close)
                )
                told = Told((begin + PART) * SECOND, begin * SECOND, o, h, low, c, bar.volume)
                loop.at(told.at, self.house.tell_bar, symbol, path.shape.tick, told)

    def intervene(self, act: Callable[[Any, datetime], Reports]) -> None:
        """Let something happen at the exchange now."""
        self.house.intervene(lambda _, now: act(self.exchange, now))

    def place_foreign(self, order: OrderSpec, order_id: int, client: int) -> None:
        """Place an order of somebody else who trades the account."""
        self.house.act(order.symbol, lambda now: self.exchange.place(now, order, order_id, client))

    def _known(self, spec: OrderSpec, order_id: int, client: int) -> OrderSpec:
        """Let the gateway know an order of another client: its news go to that one, questions show it to everybody."""
        order = WireOrder(
            order_id=order_id,
            contract=WireContract(
                symbol=spec.symbol, con_id=spec.con_id, sec_type="STK", currency="USD", exchange="SMART"
            ),
            action=spec.side.value,
            quantity=Decimal(spec.qty),
            order_type=spec.type.value,
            account=spec.account,
        )
        found = self.gateway.house.resolve(order.contract)
        assert found is not None  # a symbol of the schedule
        record = Record(order, found[1], found[0], client, self.gateway.ids.perm_id())
        record.account = spec.account
        self.gateway.orders.records[client, order_id] = record
        return replace(spec, ref=record.ref)

    def session(self, symbol: str, at: datetime) -> Any:
        """Return the trading hours."""
        return self.house.session(symbol, at)

    def latest(self, symbol: str) -> Quote | None:
        """Return the touch as the venue has it."""
        return self.house.latest(symbol)

    def move(self, symbol: str, move: Any, tick: Decimal) -> None:
        """Do one thing that the market does."""
        self.house.move(symbol, move, tick)

    def close(self) -> None:
        """End."""
        self.gateway.close()
