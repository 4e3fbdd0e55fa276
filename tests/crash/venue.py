"""A venue of a few lines that outlives the program: it listens on the loopback, keeps orders, and writes down what it was sent.

Laws: a BUY fills at its limit at once, a SELL rests for ever; a reference that is sent a second time is kept as what it is, a
second order. One program is connected at a time.
"""

from __future__ import annotations

import socket
import threading
from contextlib import suppress
from datetime import UTC, datetime
from decimal import Decimal

import msgspec
from msgspec import Struct

from tradeshell.core.inputs import (
    ExecutionReport,
    ExecutionReported,
    OrderReport,
    OrderReported,
    PositionReport,
    PositionReported,
)
from tradeshell.core.orders import OrderSpec, OrderState, Side

ACCOUNT = "DU0000001"
CON_ID = 265598


class Place(Struct, frozen=True, tag=True):
    """A new order."""

    order: OrderSpec
    order_id: int


class Modify(Struct, frozen=True, tag=True):
    """An order again, changed."""

    order: OrderSpec
    order_id: int


class Cancel(Struct, frozen=True, tag=True):
    """An order that is to end."""

    ref: str
    order_id: int


class Ask(Struct, frozen=True, tag=True):
    """A request for everything."""


class Hello(Struct, frozen=True, tag="hello", tag_field="input"):
    """The first word of the venue: the lowest order number that it takes."""

    first_order_id: int


class Answer(Struct, frozen=True, tag="answer", tag_field="input"):
    """Everything."""

    orders: tuple[OrderReport, ...]
    executions: tuple[ExecutionReport, ...]
    positions: tuple[PositionReport, ...]


Told = Place | Modify | Cancel | Ask
Said = Hello | Answer | OrderReported | ExecutionReported | PositionReported
encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(Told).decode


class Venue:
    """The venue. ``sent`` is what it was sent, in order; ``orders`` is what lives, by reference."""

    def __init__(self) -> None:
        self.sent: list[str] = []
        self.ids: list[int] = []
        self.orders: dict[str, OrderReport] = {}
        self._executions: list[ExecutionReport] = []
        self._server = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._server.getsockname()[1]
        self._thread = threading.Thread(target=self._serve, name="venue", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Close the door."""
        self._server.shutdown(socket.SHUT_RDWR)
        self._server.close()
        self._thread.join(5)

    @property
    def held(self) -> int:
        """Shares in the account."""
        return sum(execution.side.sign * execution.qty for execution in self._executions)

    def stops(self) -> dict[str, int]:
        """Return the shares of each stop that rests, by leg."""
        return {ref.split(":")[2]: r.remaining for ref, r in self.orders.items() if r.stop is not None}

    def targets(self) -> dict[str, int]:
        """Return the shares of each target that rests, by leg."""
        return {ref.split(":")[2]: r.remaining for ref, r in self.orders.items() if r.stop is None}

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._server.accept()
            except OSError:
                return
            with connection, connection.makefile("rb") as lines:
                try:
                    self._say(connection, Hello(max(self.ids, default=0) + 1))
                    for line in lines:
                        if line.endswith(b"\n"):  # a killed program may leave half a message
                            self._hear(connection, _decode(line))
                except OSError:
                    continue

    def _say(self, connection: socket.socket, said: Said) -> None:
        with suppress(OSError):  # who was killed hears nothing; what it had sent is in the line and counts
            connection.sendall(encode(said) + b"\n")

    def _hear(self, connection: socket.socket, told: Told) -> None:
        if isinstance(told, Ask):
            self._say(connection, Answer(tuple(self.orders.values()), tuple(self._executions), self._where()))
            return
        ref = told.ref if isinstance(told, Cancel) else told.order.ref
        self.sent.append(f"{type(told).__name__.lower()} {ref}")
        self.ids += [told.order_id] if isinstance(told, Place) else []
        replies: list[Said] = []
        if isinstance(told, Cancel):
            gone = self.orders.pop(ref, None)
            if gone is not None:
                replies.append(OrderReported(at=_now(), report=_ended(gone)))
        elif told.order.side is Side.BUY:
            replies += self._fill(told.order, told.order_id)
        else:
            order = told.order
            state = OrderState.WORKING if order.stop is None else OrderState.HELD
            self.orders[ref] = OrderReport(
                ref=ref,
                order_id=told.order_id,
                state=state,
                filled=0,
                remaining=order.qty,
                qty=order.qty,
                limit=order.limit,
                stop=order.stop,
            )
            replies.append(OrderReported(at=_now(), report=self.orders[ref]))
        for reply in replies:
            self._say(connection, reply)

    def _fill(self, order: OrderSpec, order_id: int) -> list[Said]:
        price = order.limit or Decimal(190)
        execution = ExecutionReport(
            exec_id=f"v{len(self._executions) + 1}.01",
            ref=order.ref,
            order_id=order_id,
            symbol=order.symbol,
            account=ACCOUNT,
            side=order.side,
            qty=order.qty,
            price=price,
            at=_now(),
        )
        self._executions.append(execution)
        report = OrderReport(
            ref=order.ref,
            order_id=order_id,
            state=OrderState.FILLED,
            filled=order.qty,
            remaining=0,
            qty=order.qty,
        )
        return [
            ExecutionReported(at=_now(), execution=execution),
            OrderReported(at=_now(), report=report),
            *(PositionReported(at=_now(), position=where) for where in self._where()),
        ]

    def _where(self) -> tuple[PositionReport, ...]:
        if not self.held:
            return ()
        return (
            PositionReport(
                symbol="AAPL", con_id=CON_ID, account=ACCOUNT, qty=self.held, average=Decimal(190)
            ),
        )


def _ended(report: OrderReport) -> OrderReport:
    return msgspec.structs.replace(report, state=OrderState.CANCELLED)


def _now() -> datetime:
    return datetime.now(UTC)  # a real process trades against it: time is the computer's
