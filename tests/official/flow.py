"""What somebody else's client does with the gateway: run by that client's own Python, which has nothing of ours.

    python flow.py PORT CLIENT_ID

Laws: every wait is bounded; what came back is told as JSON lines on standard output, and judged by whoever started this.
The two generations of the client differ in signatures only; what is asked for is the same.
"""

from __future__ import annotations

import json
import queue
import sys
import threading
import time
from typing import Any

from ibapi.client import EClient
from ibapi.contract import Contract
from ibapi.execution import ExecutionFilter
from ibapi.order import Order
from ibapi.wrapper import EWrapper

PATIENCE = 15.0  # seconds for any answer
QUIET = (2104, 2106, 2158, 2107, 2119)


class Program(EWrapper, EClient):  # type: ignore[misc]  # the client's own classes are not typed for us
    """Puts everything that is heard into one queue, in order."""

    def __init__(self) -> None:
        EClient.__init__(self, self)
        self.heard: queue.Queue[tuple[str, Any]] = queue.Queue()
        self.kept: list[tuple[str, Any]] = []
        self.next_id = 0

    def say(self, kind: str, **fields: Any) -> None:
        """Tell something to whoever started this, and to the flow."""
        sys.stdout.write(json.dumps({"event": kind, **fields}) + "\n")
        sys.stdout.flush()
        self.heard.put((kind, fields))

    def nextValidId(self, orderId: int) -> None:
        self.next_id = orderId
        self.say("nextValidId", id=orderId)

    def managedAccounts(self, accountsList: str) -> None:
        self.say("managedAccounts", accounts=accountsList)

    def error(self, *args: Any) -> None:
        # (id, code, text) or (id, time, code, text, more), and in between (id, code, text, more)
        numbers = [arg for arg in args[:3] if isinstance(arg, int)]
        text = next(arg for arg in args if isinstance(arg, str))
        if numbers[-1] not in QUIET:
            self.say("error", id=numbers[0], code=numbers[-1], text=text)

    def currentTime(self, time: int) -> None:
        self.say("currentTime", time=time)

    def contractDetails(self, reqId: int, contractDetails: Any) -> None:
        contract = contractDetails.contract
        self.say("contractDetails", symbol=contract.symbol, con_id=contract.conId,
                 exchange=contract.primaryExchange, min_tick=contractDetails.minTick,
                 hours=contractDetails.liquidHours, rules=contractDetails.marketRuleIds)  # fmt: skip

    def contractDetailsEnd(self, reqId: int) -> None:
        self.say("contractDetailsEnd")

    def historicalData(self, reqId: int, bar: Any) -> None:
        self.say("bar", date=bar.date, open=bar.open, high=bar.high, low=bar.low, close=bar.close,
                 volume=float(bar.volume))  # fmt: skip

    def historicalDataEnd(self, reqId: int, start: str, end: str) -> None:
        self.say("historicalDataEnd", start=start, end=end)

    def tickPrice(self, reqId: int, tickType: int, price: float, attrib: Any) -> None:
        self.say("tickPrice", type=int(tickType), price=price)

    def realtimeBar(self, reqId: int, time: int, *values: Any) -> None:
        self.say("realtimeBar", time=time, close=float(values[3]))

    def tickByTickAllLast(self, reqId: int, tickType: int, time: int, price: float, *more: Any) -> None:
        self.say("tickByTick", time=time, price=price)

    def openOrder(self, orderId: int, contract: Any, order: Any, orderState: Any) -> None:
        self.say("openOrder", id=orderId, symbol=contract.symbol, action=order.action, type=order.orderType,
                 qty=float(order.totalQuantity), limit=order.lmtPrice, stop=order.auxPrice, tif=order.tif,
                 parent=order.parentId, group=order.ocaGroup, oca_type=order.ocaType, ref=order.orderRef,
                 account=order.account, outside=order.outsideRth, status=orderState.status,
                 perm=order.permId)  # fmt: skip

    def openOrderEnd(self) -> None:
        self.say("openOrderEnd")

    def orderStatus(self, orderId: int, status: str, filled: Any, remaining: Any, *more: Any) -> None:
        self.say("orderStatus", id=orderId, status=status, filled=float(filled), remaining=float(remaining))

    def execDetails(self, reqId: int, contract: Any, execution: Any) -> None:
        self.say("execDetails", req=reqId, id=execution.orderId, exec=execution.execId, side=execution.side,
                 shares=float(execution.shares), price=execution.price, ref=execution.orderRef,
                 time=execution.time)  # fmt: skip

    def execDetailsEnd(self, reqId: int) -> None:
        self.say("execDetailsEnd")

    def commissionReport(self, commissionReport: Any) -> None:
        self.say("commission", exec=commissionReport.execId, fee=commissionReport.commission)

    def commissionAndFeesReport(self, report: Any) -> None:
        self.say("commission", exec=report.execId, fee=report.commissionAndFees)

    def position(self, account: str, contract: Any, position: Any, avgCost: float) -> None:
        self.say("position", account=account, symbol=contract.symbol, qty=float(position), cost=avgCost)

    def positionEnd(self) -> None:
        self.say("positionEnd")

    # --- waiting ------------------------------------------------------------------------------------------------------

    def await_all(self, what: str, *wanted: Any) -> list[dict[str, Any]]:
        """Return the first event that satisfies each of ``wanted``, in whatever order they come, past ones included."""
        found: list[dict[str, Any] | None] = [None] * len(wanted)
        end = time.monotonic() + PATIENCE

        def look(kind: str, fields: dict[str, Any]) -> None:
            for at, each in enumerate(wanted):
                if found[at] is None and each(kind, fields):
                    found[at] = fields

        for kind, fields in self.kept:
            look(kind, fields)
        while None in found:
            left = end - time.monotonic()
            try:
                kind, fields = self.heard.get(timeout=max(0.0, left))
            except queue.Empty:
                missing = [at for at, each in enumerate(found) if each is None]
                raise SystemExit(f"no answer within {PATIENCE} s: {what}, part {missing}") from None
            self.kept.append((kind, fields))
            look(kind, fields)
        return [each for each in found if each is not None]

    def forget(self) -> None:
        """Take what was heard up to now as answered."""
        self.kept.clear()


def named(name: str, **wanted: Any) -> Any:
    """Return a test for an event of a name with these fields."""
    return lambda kind, fields: (
        kind == name and all(fields.get(key) == value for key, value in wanted.items())
    )


def stock() -> Any:
    """Return a contract as people write it down."""
    contract = Contract()
    contract.symbol, contract.secType, contract.exchange, contract.currency = "AAPL", "STK", "SMART", "USD"
    return contract


def order(action: str, kind: str, qty: int, ref: str, **more: Any) -> Any:
    """Return an order."""
    made = Order()
    made.action, made.orderType, made.orderRef = action, kind, ref
    try:
        from decimal import Decimal

        made.totalQuantity = Decimal(qty) if type(made.totalQuantity).__name__ == "Decimal" else qty
    except ImportError:
        made.totalQuantity = qty
    made.eTradeOnly = made.firmQuoteOnly = False
    for key, value in more.items():
        setattr(made, key, value)
    return made


def cancel(program: Program, number: int) -> None:
    """Ask to cancel, in the words of this generation."""
    try:
        from ibapi.order_cancel import OrderCancel
    except ImportError:
        program.cancelOrder(number)
    else:
        program.cancelOrder(number, OrderCancel())


def connect(port: int, client: int) -> Program:
    """Return a program that has been greeted."""
    program = Program()
    program.connect("127.0.0.1", port, client)
    threading.Thread(target=program.run, daemon=True).start()
    program.await_all("greeting", named("nextValidId"), named("managedAccounts"))
    program.say("version", number=program.serverVersion())
    return program


def look_around(program: Program) -> tuple[float, float]:
    """Ask for what a client asks for before it trades; return bid and ask."""
    program.reqCurrentTime()
    program.await_all("the time", named("currentTime"))
    program.reqContractDetails(1, stock())
    program.await_all("the contract", named("contractDetails", symbol="AAPL"), named("contractDetailsEnd"))
    program.reqHistoricalData(2, stock(), "", "1 D", "5 mins", "TRADES", 0, 1, False, [])
    program.await_all("bars", named("bar"), named("historicalDataEnd"))
    program.reqMarketDataType(1)
    program.reqMktData(3, stock(), "", False, False, [])
    program.reqRealTimeBars(4, stock(), 5, "TRADES", True, [])
    program.reqTickByTickData(5, stock(), "Last", 0, False)
    program.await_all("five seconds", named("realtimeBar"), named("tickByTick"))
    program.cancelRealTimeBars(4)
    program.cancelTickByTickData(5)
    bid, ask = program.await_all("a touch", named("tickPrice", type=1), named("tickPrice", type=2))
    return bid["price"], ask["price"]


def bracket(program: Program, ask: float) -> None:
    """Buy with a target and a stop; change the stop; take everything back."""
    program.forget()
    first = program.next_id
    far = round(ask * 1.2, 2)
    near = round(ask * 0.8, 2)
    program.placeOrder(
        first, stock(), order("BUY", "LMT", 7, "flow:entry", lmtPrice=round(ask * 1.01, 2), transmit=False)
    )
    program.placeOrder(
        first + 1, stock(),
        order("SELL", "LMT", 7, "flow:tp", lmtPrice=far, tif="GTC", parentId=first, transmit=False),
    )  # fmt: skip
    program.placeOrder(
        first + 2, stock(),
        order("SELL", "STP", 7, "flow:sl", auxPrice=near, tif="GTC", parentId=first, transmit=True),
    )  # fmt: skip
    program.await_all(
        "the entry's fill and its exits at work",
        named("execDetails", id=first, side="BOT"),
        named("commission"),
        named("orderStatus", id=first, status="Filled", filled=7.0),
        named("openOrder", id=first + 2, type="STP", parent=first, ref="flow:sl"),
        lambda kind, it: kind == "orderStatus" and it["id"] == first + 1 and it["status"] == "Submitted",
        lambda kind, it: (
            kind == "orderStatus" and it["id"] == first + 2 and it["status"] in ("PreSubmitted", "Submitted")
        ),
    )
    program.forget()
    moved = round(ask * 0.85, 2)  # a child is on its own once its parent has filled: no parentId any more
    program.placeOrder(
        first + 2, stock(),
        order("SELL", "STP", 7, "flow:sl", auxPrice=moved, tif="GTC", transmit=True),
    )  # fmt: skip
    program.await_all("the changed stop", named("openOrder", id=first + 2, stop=moved))
    program.forget()
    cancel(program, first + 1)
    program.await_all(
        "the target's end and its stop's",
        named("orderStatus", id=first + 1, status="Cancelled"),
        named("error", id=first + 1, code=202),
    )
    cancel(program, first + 2)
    program.await_all("the stop's end", named("orderStatus", id=first + 2, status="Cancelled"))
    program.next_id = first + 3


def pair(program: Program, bid: float) -> None:
    """Sell what was bought through one of two orders that cancel each other."""
    program.forget()
    first = program.next_id
    both = {"ocaGroup": "flow-pair", "ocaType": 1, "tif": "GTC"}
    program.placeOrder(
        first, stock(), order("SELL", "STP", 7, "flow:b", auxPrice=round(bid * 0.8, 2), **both)
    )
    program.await_all("the pair's stop", named("openOrder", id=first, group="flow-pair", oca_type=1))
    program.placeOrder(
        first + 1, stock(), order("SELL", "LMT", 7, "flow:a", lmtPrice=round(bid * 0.99, 2), **both)
    )
    program.await_all(
        "one of the pair filled, the other cancelled",
        named("orderStatus", id=first + 1, status="Filled", filled=7.0),
        named("execDetails", id=first + 1, side="SLD"),
        named("orderStatus", id=first, status="Cancelled"),
    )
    program.next_id = first + 2


def look_back(program: Program) -> None:
    """Ask for what is left."""
    program.forget()
    program.reqOpenOrders()
    program.await_all("open orders", named("openOrderEnd"))
    program.reqExecutions(9, ExecutionFilter())
    program.await_all("executions", named("execDetails", req=9), named("execDetailsEnd"))
    program.reqPositions()
    program.await_all("positions", named("positionEnd"))


def main() -> None:
    """Do it all."""
    program = connect(int(sys.argv[1]), int(sys.argv[2]))
    bid, ask = look_around(program)
    bracket(program, ask)
    pair(program, bid)
    look_back(program)
    program.say("done")
    program.disconnect()


if __name__ == "__main__":
    main()
