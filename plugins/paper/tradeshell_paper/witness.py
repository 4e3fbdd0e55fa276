"""The venue's own truth, for a checker that believes nobody: what happens at the venue and what is handed to the host.

Laws: a witness is told at the very instant and in the order in which things happen, in plain values: prices as text, instants as
ISO 8601 text in UTC, ``""`` for a value that there is none of. Without a witness nothing is computed. It is never asked anything
and changes nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any, TypeAlias

from tradeshell import (
    CommissionReported,
    ExecutionReport,
    ExecutionReported,
    Input,
    LinkChanged,
    OrderRefusedByBroker,
    OrderReported,
    OrderSpec,
    PositionReported,
    Price,
    Quote,
    RefusedWhat,
    Shares,
)
from tradeshell_paper.tickets import Line, Ticket

Witness: TypeAlias = Callable[[str, dict[str, Any]], None]

ACTION_OF = {RefusedWhat.ORDER: "place", RefusedWhat.CHANGE: "modify", RefusedWhat.CANCEL: "cancel"}


def _usd(price: Price | None) -> str:
    return "" if price is None else str(price)


class Recorder:
    """Words what happens for a witness."""

    def __init__(self, witness: Witness) -> None:
        self._witness = witness
        self._instant: datetime | None = None
        self._text = ""
        self._touches: dict[str, tuple[Price | None, Price | None, bool]] = {}
        self._told_touches: dict[str, Quote] = {}

    def _at(self, now: datetime) -> str:
        if now is not self._instant:
            self._instant, self._text = now, now.isoformat()
        return self._text

    # --- at the venue -------------------------------------------------------------------------------------------------

    def order(self, kind: str, now: datetime, ticket: Ticket, spec: OrderSpec) -> None:
        """Tell that an order (``accept``) or a change (``modify``) was accepted."""
        self._witness(
            kind,
            {
                "t": self._at(now),
                "id": ticket.order_id,
                "client": ticket.client,
                "ref": spec.ref,
                "sym": spec.symbol,
                "side": spec.side.value,
                "qty": spec.qty,
                "type": spec.type.value,
                "lmt": _usd(spec.limit),
                "stp": _usd(spec.stop),
                "tif": spec.tif.value,
                "rth": spec.outside_rth,
                "oca": ticket.oca or "",
                "oca_type": 0 if ticket.oca is None else int(ticket.oca_type),
                "parent": spec.parent_ref or "",
                "account": spec.account,
                "con_id": spec.con_id,
                "till": "" if spec.good_till is None else spec.good_till.isoformat(),
            },
        )

    def refusal(
        self, now: datetime, client: int, order_id: int, ref: str, action: str, code: int, text: str
    ) -> None:
        """Tell that something was refused."""
        fields: dict[str, Any] = {"t": self._at(now), "id": order_id, "client": client, "ref": ref}
        self._witness("refuse", {**fields, "action": action, "code": code, "text": text})

    def cancel_asked(self, now: datetime, client: int, order_id: int, ref: str) -> None:
        """Tell that a cancel came."""
        self._witness("cancel_asked", {"t": self._at(now), "id": order_id, "client": client, "ref": ref})

    def state(self, now: datetime, ticket: Ticket, line: Line) -> None:
        """Tell how an order stands, unless that was told already."""
        spec, left = ticket.spec, ticket.left
        works = ticket.is_ready and not ticket.staged and not line.is_halted
        shown = (
            ticket.state,
            ticket.filled,
            left,
            ticket.qty,
            ticket.elected,
            works,
            spec.stop,
            spec.limit,
        )
        if shown == ticket.witnessed:
            return
        ticket.witnessed = shown
        self._witness(
            "state",
            {
                "t": self._at(now),
                "id": ticket.order_id,
                "client": ticket.client,
                "ref": spec.ref,
                "state": ticket.state.value,
                "filled": ticket.filled,
                "left": left,
                "total": ticket.qty,
                "elected": ticket.elected,
                "works": works,
                "stp": _usd(spec.stop),
                "lmt": _usd(spec.limit),
            },
        )

    def execution(self, now: datetime, client: int, execution: ExecutionReport) -> None:
        """Tell an execution."""
        self._witness(
            "exec",
            {
                "t": self._at(now),
                "id": execution.order_id,
                "client": client,
                "ref": execution.ref,
                "sym": execution.symbol,
                "side": execution.side.value,
                "qty": execution.qty,
                "px": str(execution.price),
                "exec_id": execution.exec_id,
            },
        )

    def corrected(self, now: datetime, exec_id: str, qty: Shares, price: Price) -> None:
        """Tell that an execution was corrected."""
        self._witness("corrected", {"t": self._at(now), "exec_id": exec_id, "qty": qty, "px": str(price)})

    def halt(self, now: datetime, symbol: str, *, on: bool) -> None:
        """Tell that a halt began or ended."""
        self._witness("halt", {"t": self._at(now), "sym": symbol, "on": on})

    def touch(self, now: datetime, symbol: str, line: Line) -> None:
        """Tell the touch that is in force, unless that was told already."""
        shown = (line.bid, line.ask, line.is_halted)
        if self._touches.get(symbol) == shown:
            return
        self._touches[symbol] = shown
        fields = {"t": self._at(now), "sym": symbol, "bid": _usd(line.bid), "ask": _usd(line.ask)}
        self._witness("quote", {**fields, "halted": line.is_halted})

    # --- to the host --------------------------------------------------------------------------------------------------

    def link(self, now: datetime, why: str, *, up: bool) -> None:
        """Tell that messages pass from now on, or no longer."""
        self._witness("link", {"t": self._at(now), "up": up, "why": why})

    def snapshot(self, now: datetime, as_of: tuple[datetime, datetime, datetime]) -> None:
        """Tell that a snapshot is handed over whose orders, executions and positions are as of these instants."""
        orders, executions, positions = (at.isoformat() for at in as_of)
        fields = {"t": self._at(now), "orders_as_of": orders, "executions_as_of": executions}
        self._witness("snapshot", {**fields, "positions_as_of": positions})

    def quote_to_host(self, now: datetime, quote: Quote, *, halted: bool) -> None:
        """Tell that the host sees a touch, unless it was the last it saw of that symbol."""
        if self._told_touches.get(quote.symbol) == quote:
            return
        self._told_touches[quote.symbol] = quote
        fields = {"t": self._at(now), "kind": "quote", "sym": quote.symbol, "bid": _usd(quote.bid)}
        at = quote.at.isoformat()
        self._witness("to_host", {**fields, "ask": _usd(quote.ask), "halted": halted, "at": at})

    def to_host(self, now: datetime, message: Input) -> None:
        """Tell that a message is handed to the host."""
        told = _words(message)
        if told is not None:
            self._witness("to_host", {"t": self._at(now), **told})


def _words(message: Input) -> dict[str, Any] | None:
    if isinstance(message, OrderReported):
        shown = message.report
        return {
            "kind": "status",
            "id": shown.order_id,
            "ref": shown.ref,
            "state": shown.state.value,
            "filled": shown.filled,
            "left": shown.remaining,
            "qty": shown.filled + shown.remaining if shown.qty is None else shown.qty,
            "stp": _usd(shown.stop),
            "lmt": _usd(shown.limit),
        }
    if isinstance(message, ExecutionReported):
        execution = message.execution
        return {
            "kind": "exec",
            "id": execution.order_id,
            "ref": execution.ref,
            "exec_id": execution.exec_id,
            "sym": execution.symbol,
            "side": execution.side.value,
            "qty": execution.qty,
            "px": str(execution.price),
        }
    if isinstance(message, PositionReported):
        return {"kind": "position", "sym": message.position.symbol, "qty": message.position.qty}
    if isinstance(message, OrderRefusedByBroker):
        what, code = message.what.value, message.code
        return {"kind": "refusal", "ref": message.ref, "what": what, "code": code, "text": message.text}
    if isinstance(message, CommissionReported):
        return {"kind": "commission", "exec_id": message.exec_id, "usd": str(message.amount)}
    if isinstance(message, LinkChanged):
        return {"kind": "link", "up": message.up, "why": message.why}
    return None
