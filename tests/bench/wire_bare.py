"""The barest script on ib_async: subscribe, compare, ``placeOrder``. Run as ``wire_bare.py PORT CLIENT_ID SCRIPT``.

No journal, no audit, no limits, no book: what a person writes who wants one breakout and nothing else. It gets the same bytes
as the program and sends as many orders. A ladder's exits follow its entry's execution.
"""

from __future__ import annotations

import sys
from pathlib import Path

if __name__ == "__main__":
    sys.path[0] = str(Path(__file__).resolve().parents[2])  # a script begins in its own folder

import msgspec  # the path is set above
from ib_async import (
    IB,
    Contract,
    Fill,
    LimitOrder,
    Order,
    RealTimeBarList,
    StartupFetchNONE,
    StopLimitOrder,
    Ticker,
    Trade,
)
from tests.bench.wire_server import LEVEL, Script, contract_of

LEGS = ((60, 195.0), (30, 198.0), (10, 202.0))  # shares and target (USD) of a ladder's legs
STOP = 187.0
QTY = 100


def exits(group: str) -> list[Order]:
    """Return the six exits of a ladder: a stop and a target for each leg, one cancels the other."""
    found: list[Order] = []
    for number, (qty, target) in enumerate(LEGS, 1):
        oca = {"ocaGroup": f"{group}-{number}", "ocaType": 3, "tif": "GTC"}
        found.append(StopLimitOrder("SELL", qty, STOP, STOP, **oca))
        found.append(LimitOrder("SELL", qty, target, **oca))
    return found


def main(port: int, client_id: int, script: Script) -> None:
    """Run it."""
    level = float(LEVEL)
    ib = IB()
    ib.connect("127.0.0.1", port, clientId=client_id, fetchFields=StartupFetchNONE)
    ib.client.MaxRequests = 0  # while it subscribes: nobody waits for that
    tickers: dict[str, Ticker] = {}
    ladders = frozenset(script.ladders)

    def on_bar(bars: RealTimeBarList, has_new: bool) -> None:
        contract = bars.contract
        if has_new and bars[-1].close >= level:
            trade = ib.placeOrder(contract, LimitOrder("BUY", QTY, tickers[contract.symbol].ask))
            if contract.symbol in ladders:
                trade.fillEvent += on_fill

    def on_fill(trade: Trade, fill: Fill) -> None:
        del fill
        for order in exits(trade.contract.symbol):
            ib.placeOrder(trade.contract, order)

    for symbol in script.symbols:
        known = contract_of(script, symbol)
        contract = Contract(
            secType="STK", conId=known.con_id, symbol=symbol, exchange="SMART", currency="USD"
        )
        tickers[symbol] = ib.reqMktData(contract)
        if symbol in script.streamed:
            tickers[symbol].updateEvent += lambda ticker: ticker.ask >= 1e9
        else:
            ib.reqRealTimeBars(contract, 5, "TRADES", False).updateEvent += on_bar
    ib.client.MaxRequests = 45  # as the library comes
    ib.disconnectedEvent += lambda: sys.exit(0)
    ib.run()


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), msgspec.json.decode(sys.argv[3], type=Script))
