"""The story of one session, told by an official client in an environment of its own: ``python official_story.py PORT``.

It runs where the client is installed and nothing of ours; every callback is written down by its name, and what was heard is
printed as JSON at the end. A step that is not answered in time ends the program with what was heard until then.
"""

from __future__ import annotations

import importlib
import json
import queue
import sys
import threading
import time
from collections.abc import Callable
from typing import Any

PATIENCE = 10.0  # seconds


def module(name: str) -> Any:
    return importlib.import_module(f"ibapi.{name}")


def plain(value: object) -> object:
    """Return a value of the client as something that JSON knows."""
    if isinstance(value, str | int | bool) or value is None:
        return value
    if isinstance(value, float) or type(value).__name__ == "Decimal":
        return float(value)  # type: ignore[arg-type]  # a Decimal
    if isinstance(value, list | tuple | set):
        return [plain(each) for each in value]
    if hasattr(value, "__dict__"):
        return {name: plain(each) for name, each in vars(value).items() if not name.startswith("_")}
    return str(value)


class Teller:
    """The client with everything that it hears."""

    def __init__(self) -> None:
        wrapper, client = module("wrapper").EWrapper, module("client").EClient
        self.heard: list[tuple[str, list[Any]]] = []
        self._news: queue.Queue[tuple[str, list[Any]]] = queue.Queue()
        names = [
            name for name, thing in vars(wrapper).items() if callable(thing) and not name.startswith("_")
        ]
        methods = {name: self._hears(name) for name in names if name != "logAnswer"}
        app = type("App", (wrapper, client), methods)
        self.client: Any = object.__new__(app)
        client.__init__(self.client, self.client)

    def _hears(self, name: str) -> Callable[..., None]:
        def hear(_: object, *arguments: object, **named: object) -> None:
            said = (name, [plain(each) for each in (*arguments, *named.values())])
            self.heard.append(said)
            self._news.put(said)

        return hear

    def wait(self, name: str, test: Callable[[list[Any]], object] = lambda _: True) -> list[Any]:
        """Return the arguments of a callback, heard already or within ten seconds."""
        for known, arguments in self.heard:
            if known == name and test(arguments):
                return arguments
        end = time.monotonic() + PATIENCE
        while (left := end - time.monotonic()) > 0:
            try:
                known, arguments = self._news.get(timeout=left)
            except queue.Empty:
                break
            if known == name and test(arguments):
                return arguments
        seen = [each for each in self.heard if not each[0].startswith(("tick", "historical", "update"))]
        raise SystemExit(f"no {name} came; heard: {seen[-20:]}")

    def status(self, order: int, status: str) -> list[Any]:
        """Wait for an order's status."""
        return self.wait("orderStatus", lambda a: a[:2] == [order, status])

    def error(self, code: int) -> list[Any]:
        """Wait for an error."""
        return self.wait("error", lambda a: code in a)


def stock(symbol: str) -> Any:
    made = module("contract").Contract()
    made.symbol, made.secType, made.exchange, made.currency = symbol, "STK", "SMART", "USD"
    return made


def order(side: str, quantity: int, kind: str, **values: object) -> Any:
    made = module("order").Order()
    made.action, made.totalQuantity, made.orderType, made.tif = side, quantity, kind, "DAY"
    for name, value in values.items():
        setattr(made, name, value)
    return made


def cancel(client: Any, number: int) -> None:
    try:
        client.cancelOrder(number, module("order_cancel").OrderCancel())
    except ImportError:  # the client of 2020
        client.cancelOrder(number)


def look(t: Teller, share: Any) -> tuple[float, float]:
    """Ask for everything about a stock; returns its bid and ask."""
    c = t.client
    c.reqCurrentTime()
    t.wait("currentTime")
    c.reqContractDetails(100, share)
    t.wait("contractDetailsEnd", lambda a: a[0] == 100)
    c.reqContractDetails(101, stock("NOT A SYMBOL!"))
    t.error(200)
    c.reqMarketRule(26)
    t.wait("marketRule")
    c.reqHistoricalData(102, share, "", "1 D", "5 mins", "TRADES", 1, 1, False, [])
    t.wait("historicalDataEnd", lambda a: a[0] == 102)
    c.reqHistoricalData(103, share, "", "600 S", "5 secs", "TRADES", 0, 2, True, [])
    c.reqMktData(104, share, "233", False, False, [])
    ask = t.wait("tickPrice", lambda a: a[0] == 104 and a[1] == 2)[2]
    bid = t.wait("tickPrice", lambda a: a[0] == 104 and a[1] == 1)[2]
    c.reqRealTimeBars(105, share, 5, "TRADES", False, [])
    c.reqTickByTickData(106, share, "Last", 0, False)
    c.reqTickByTickData(107, share, "BidAsk", 0, False)
    c.reqPositions()
    t.wait("positionEnd")
    c.reqAccountSummary(108, "All", "NetLiquidation,BuyingPower")
    t.wait("accountSummaryEnd")
    c.reqAccountUpdates(True, "")
    t.wait("accountDownloadEnd")
    return bid, ask


def trade(t: Teller, share: Any, first: int, bid: float, ask: float) -> None:
    """A limit that is changed and cancelled, a bracket that fills, a pair of which one ends the other, a what-if."""
    c = t.client
    low, high = round(bid - 5, 2), round(ask + 9, 2)
    c.placeOrder(first, share, order("BUY", 10, "LMT", lmtPrice=low, orderRef="one"))
    t.status(first, "Submitted")
    c.placeOrder(first, share, order("BUY", 10, "LMT", lmtPrice=low - 1, orderRef="one"))
    t.wait("openOrder", lambda a: a[0] == first and a[2]["lmtPrice"] == low - 1)
    cancel(c, first)
    t.status(first, "Cancelled")
    t.error(202)
    parent = first + 1
    c.placeOrder(parent, share, order("BUY", 10, "LMT", lmtPrice=round(ask + 1, 2), transmit=False))
    take = {"lmtPrice": high, "parentId": parent, "tif": "GTC"}
    c.placeOrder(parent + 1, share, order("SELL", 10, "LMT", transmit=False, **take))
    stop = {"auxPrice": round(bid - 9, 2), "parentId": parent, "tif": "GTC"}
    c.placeOrder(parent + 2, share, order("SELL", 10, "STP", transmit=True, **stop))
    t.status(parent, "Filled")
    t.status(parent + 1, "Submitted")
    t.wait("orderStatus", lambda a: a[0] == parent + 2 and "trigger" in a)
    t.wait("execDetails", lambda a: a[2]["orderId"] == parent)
    c.placeOrder(parent + 1, share, order("SELL", 10, "LMT", lmtPrice=round(bid - 1, 2), tif="GTC"))
    t.status(parent + 1, "Filled")
    t.status(parent + 2, "Cancelled")
    pair = parent + 3
    group = {"ocaGroup": f"pair-{pair}", "ocaType": 1}
    c.placeOrder(pair, share, order("BUY", 5, "LMT", lmtPrice=low, **group))
    t.status(pair, "Submitted")
    c.placeOrder(pair + 1, share, order("BUY", 5, "LMT", lmtPrice=round(ask + 1, 2), **group))
    t.status(pair + 1, "Filled")
    t.status(pair, "Cancelled")
    c.placeOrder(pair + 2, share, order("BUY", 5, "LMT", lmtPrice=100, whatIf=True))
    t.wait("openOrder", lambda a: a[0] == pair + 2)


def main(port: int) -> None:
    t = Teller()
    t.client.connect("127.0.0.1", port, 7)
    threading.Thread(target=t.client.run, daemon=True).start()
    first = t.wait("nextValidId")[0]
    t.wait("managedAccounts")
    share = stock("AAPL")
    trade(t, share, first, *look(t, share))
    c = t.client
    c.reqExecutions(110, module("execution").ExecutionFilter())
    t.wait("execDetailsEnd")
    c.reqCompletedOrders(False)
    t.wait("completedOrdersEnd")
    c.reqOpenOrders()
    t.wait("openOrderEnd")
    for name in ("historicalDataUpdate", "realtimeBar", "tickByTickAllLast", "tickByTickBidAsk"):
        t.wait(name)
    told = {"version": c.serverVersion(), "first": first, "heard": t.heard}
    sys.stdout.write(json.dumps(told))
    sys.stdout.flush()
    c.disconnect()


if __name__ == "__main__":
    main(int(sys.argv[1]))
