"""What can be made to happen to a gateway while it runs: outages, deaths of connections and data, hands in the order book.

Laws: an action takes arguments by name and says what it did not understand; what is not there (any more) is left alone. An action
answers ``None`` or plain values.
"""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable, Mapping
from decimal import Decimal, InvalidOperation
from typing import Any

from tradeshell import ConfigError
from tradeshell_paper.tws import outgoing
from tradeshell_paper.tws.encode_orders import completed_order
from tradeshell_paper.tws.gateway import Gateway
from tradeshell_paper.tws.records import MANUAL, Record
from tradeshell_paper.tws.session import Session
from tradeshell_paper.tws.switches import changed
from tradeshell_paper.tws.values import WireContract, WireOrder

LOST = "Connectivity between IB and Trader Workstation has been lost."
BACK = {
    1101: "Connectivity between IB and Trader Workstation has been restored - data lost.",
    1102: "Connectivity between IB and Trader Workstation has been restored - data maintained. "
    "All data farms are connected: usfarm; ushmds; secdefnj.",
}
FARM_DOWN = {
    "market": (2103, "Market data farm connection is broken:usfarm"),
    "history": (2105, "HMDS data farm connection is broken:ushmds"),
}
FARM_UP = {
    "market": (2104, "Market data farm connection is OK:usfarm"),
    "history": (2106, "HMDS data farm connection is OK:ushmds"),
}
DEAD_BARS = {
    10182: "Failed to request live updates (disconnected).",
    10225: "Bust event occurred, current subscription is deactivated. "
    "Please resubscribe real-time bars immediately.",
}


class Actions:
    """The actions by name: every public method. ``open_port`` and ``close_port`` come from who listens."""

    def __init__(
        self, gateway: Gateway, open_port: Callable[[], Awaitable[None]], close_port: Callable[[], None]
    ) -> None:
        self._gateway = gateway
        self._house = gateway.house
        self._open = open_port
        self._close = close_port
        self.spawn: Callable[[Awaitable[None]], None] = _never
        self._manual = 0

    def __getitem__(self, name: str) -> Callable[..., Any]:
        """Return an action; raises ``ConfigError``."""
        if name in ACTIONS:
            method: Callable[..., Any] = getattr(self, name)
            return method
        raise ConfigError(f"there is no action {name!r}; known are {', '.join(ACTIONS)}")

    def do(self, name: str, arguments: Mapping[str, Any]) -> Any:
        """Do one thing; raises ``ConfigError`` for what cannot be done."""
        action = self[name]
        try:
            inspect.signature(action).bind(**arguments)
        except TypeError as error:
            raise ConfigError(f"{name}: {error}") from None
        try:
            return action(**arguments)
        except (ValueError, TypeError, InvalidOperation) as error:
            raise ConfigError(f"{name}: {error}") from None

    # --- switches and looking -----------------------------------------------------------------------------------------

    def set(self, **values: Any) -> None:
        """Set switches."""
        switches = self._house.switches
        for name, value in values.items():
            switches = changed(switches, name, value)
        was, self._house.switches = self._house.switches.competing, switches
        if switches.competing is not was:
            for session in self._started():
                session.quotes.compete(on=switches.competing)

    def show(self) -> dict[str, Any]:
        """Return orders, executions and positions, as the gateway knows them."""
        orders = [
            {
                "client": r.client, "id": r.number, "ref": r.order.order_ref, "perm": r.perm_id,
                "symbol": r.contract.symbol, "side": r.order.action, "type": r.order.order_type, "status": r.status,
                "qty": r.total, "filled": r.filled, "left": r.left, "limit": str(r.order.limit), "stop": str(r.order.aux),
                "parent": 0 if r.parent is None else r.parent.number, "group": r.oca_group, "over": r.is_over,
                "account": r.account,
            }
            for r in self._gateway.news.records.values()
        ]  # fmt: skip
        executions = [
            {"exec": b.view.exec_id, "ref": b.view.order_ref, "side": b.view.side, "qty": b.view.shares,
             "price": str(b.view.price), "symbol": b.symbol, "perm": b.view.perm_id}
            for b in self._gateway.news.executions.values()
        ]  # fmt: skip
        positions = {
            account: {each.symbol: each.qty for each in venue.exchange.positions()}
            for account, venue in self._house.venues.items()
        }
        clients = sorted(self._house.clients)
        return {"orders": orders, "executions": executions, "positions": positions, "clients": clients}

    # --- connections --------------------------------------------------------------------------------------------------

    def drop(self, client: int | None = None, *, reset: bool = True) -> None:
        """End connections: of one client, or all."""
        for session in tuple(self._gateway.sessions):
            if client is None or session.number == client:
                if reset:
                    session.abort()
                else:
                    session.close()

    def close_port(self) -> None:
        """Refuse new connections."""
        self._close()

    def open_port(self) -> None:
        """Take connections again."""
        self.spawn(self._open())

    def restart(self, seconds: float = 5.0) -> None:
        """Restart as a gateway does once a day: every socket ends, the port refuses for a while, staged orders are lost."""
        self._close()
        self.drop(reset=False)
        self._gateway.orders.forget_staged()
        self._house.after(seconds, self.open_port)

    def outage(self, seconds: float = 10.0, code: int = 1102) -> None:
        """Cut the line to the exchange (1100), for so long; it comes back with 1101 (data lost) or 1102."""
        if code not in BACK:
            raise ConfigError("outage: code is 1101 or 1102")
        self.cut()
        self._house.after(seconds, lambda: self.restore(code))

    def cut(self) -> None:
        """Cut the line to the exchange."""
        self._house.is_cut_off = True
        self._tell_all(1100, LOST)

    def restore(self, code: int = 1102) -> None:
        """Join the line again."""
        self._house.is_cut_off = False
        self._tell_all(code, BACK[code])
        if code == 1101:
            for session in self._started():
                session.quotes.end()
                session.history.die(0, "")
                session.history.real_time.clear()
        self._gateway.news.restore()
        self._gateway.orders.restore()

    def farm(self, kind: str = "market", seconds: float = 5.0, *, bars_die: bool = False) -> None:
        """Let a data farm be away for a while; ``bars_die``: bars that are kept up to date never speak again."""
        self._tell_all(*FARM_DOWN[kind])
        name = "competing" if kind == "market" else "history_down"
        self._house.switches = changed(self._house.switches, name, value=True)
        if bars_die:
            self.bars_die(0)

        def back() -> None:
            self._house.switches = changed(self._house.switches, name, value=False)
            self._tell_all(*FARM_UP[kind])

        self._house.after(seconds, back)

    def bars_die(self, code: int = 10182, client: int | None = None) -> None:
        """End all updates of bars, with an error or (0) without a word."""
        for session in self._started():
            if client in (None, session.number):
                session.history.die(code, DEAD_BARS.get(code, "No longer updated."))

    def say(self, code: int, text: str, request: int = -1, client: int | None = None) -> None:
        """Send an error message."""
        for session in self._started():
            if client in (None, session.number):
                session.error(request, code, text)

    # --- the order book -----------------------------------------------------------------------------------------------

    def fill(self, order: int, price: float | str, qty: int | None = None, client: int = 0) -> None:
        """Execute a living order at a price, whatever the market says."""
        record = self._record(client, order)
        if record is not None:
            usd = Decimal(str(price))
            self._at(record, lambda e, now: e.execute(now, record.number, usd, qty, record.client))

    def late_fill(self, order: int, qty: int, price: float | str, client: int = 0) -> None:
        """Execute shares of an order whose cancel was confirmed."""
        record = self._record(client, order)
        if record is not None:
            usd = Decimal(str(price))
            self._at(record, lambda e, now: e.fill_late(now, record.number, qty, usd, record.client))

    def kill(
        self,
        order: int,
        code: int = 202,
        text: str = "Order Canceled - reason:",
        client: int = 0,
        *,
        final: bool = True,
    ) -> None:
        """End an order that nobody asked to end: 202 cancels it, another code makes it Inactive."""
        record = self._record(client, order)
        if record is not None:
            self._at(
                record,
                lambda e, now: e.kill_order(
                    now, record.number, code, text, client=record.client, final=final
                ),
            )

    def revive(self, order: int, client: int = 0) -> None:
        """Let an order work again that is Inactive."""
        record = self._record(client, order)
        if record is not None:
            self._at(record, lambda e, now: e.revive_order(now, record.number, record.client))

    def cancel(self, order: int, client: int = 0) -> None:
        """Cancel an order by hand, in the gateway's own window."""
        record = self._record(client, order)
        if record is not None:
            self._at(record, lambda e, now: e.cancel_outside(now, record.number, record.client))

    def alter(
        self,
        order: int,
        limit: float | str | None = None,
        stop: float | str | None = None,
        qty: int | None = None,
        client: int = 0,
    ) -> None:
        """Change an order by hand, in the gateway's own window."""
        record = self._record(client, order)
        if record is not None:
            prices = {
                name: Decimal(str(price))
                for name, price in (("limit", limit), ("stop", stop))
                if price is not None
            }
            self._at(
                record,
                lambda e, now: e.alter_order(now, record.number, qty=qty, client=record.client, **prices),
            )

    def correct(self, order: int, qty: int, price: float | str | None = None, client: int = 0) -> None:
        """Correct an order's last execution; no shares: bust it."""
        record = self._record(client, order)
        if record is None:
            return
        stems = [key for key, each in self._gateway.news.executions.items() if each.record is record]
        if stems:
            stem = stems[-1].partition(" ")[2]
            usd = None if price is None else Decimal(str(price))
            self._at(record, lambda e, now: e.correct(now, f"{stem}.01", qty, usd))

    def manual(
        self,
        side: str,
        symbol: str,
        qty: int,
        kind: str = "MKT",
        limit: float | None = None,
        stop: float | None = None,  # the word of the order
    ) -> int:
        """Place an order by hand, in the gateway's own window; returns its number there."""
        self._manual += 1
        contract = WireContract(symbol=symbol, sec_type="STK", currency="USD", exchange="SMART")
        order = WireOrder(
            order_id=self._manual,
            contract=contract,
            action=side,
            quantity=Decimal(qty),
            order_type=kind,
            limit=None if limit is None else Decimal(str(limit)),
            aux=None if stop is None else Decimal(str(stop)),
            account=self._house.accounts[0],
        )
        self._gateway.orders.place(_Window(), order)
        return self._manual

    def halt(self, symbol: str, *, on: bool = True) -> None:
        """Halt a symbol, or end its halt."""
        for venue in self._house.venues.values():
            if venue.exchange.is_listed(symbol):
                venue.act(None, lambda now, venue=venue: venue.exchange.halt(now, symbol, on=on))  # type: ignore[misc]  # a default binds the loop's variable

    def completed(self, order: int, client: int = 0) -> None:
        """Send a completedOrder that nobody asked for."""
        record = self._record(client, order)
        if record is not None:
            view = record.view()
            self._house.broadcast(lambda version: completed_order(view, version), (record.client,))

    # --- inside -------------------------------------------------------------------------------------------------------

    def _record(self, client: int, order: int) -> Record | None:
        key = (MANUAL, -order) if order < 0 else (client, order)
        return self._gateway.news.records.get(key)

    def _at(self, record: Record, act: Callable[[Any, Any], Any]) -> None:
        venue = self._house.venues[record.account]
        venue.act(record.instrument.symbol, lambda now: act(venue.exchange, now))

    def _started(self) -> list[Session]:
        return [session for session in self._gateway.sessions if session.is_started]

    def _tell_all(self, code: int, text: str) -> None:
        for session in self._started():
            session.send(outgoing.error(-1, code, text, session.version))


class _Window:
    """The gateway's own window, as a client: it hears nothing."""

    number = MANUAL
    version = 178

    def send(self, frame: bytes) -> None:
        """Hear nothing."""

    def error(self, request: int, code: int, text: str, reject: str = "") -> None:
        """Refuse aloud: whoever asked for the order should know."""
        del request, reject
        raise ConfigError(f"manual: {code} {text}")

    def abort(self) -> None:
        """Stay."""


def _never(work: Awaitable[None]) -> None:
    del work


ACTIONS = tuple(
    name
    for name, thing in vars(Actions).items()
    if not name.startswith("_") and name != "do" and callable(thing)
)
