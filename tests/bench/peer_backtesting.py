"""The rule in backtesting.py, in an environment of its own: ``peer_backtesting.py FOLDER``; prints one JSON object.

Every symbol is one run over its whole series, the cheapest way this library offers. The data frames are made before the clock
starts. An order sent at a bar's close fills at the next open, a stop before a target, a gap at the open: the paper venue's rule.
"""

from __future__ import annotations

import json
import sys
import time
import warnings
from importlib.metadata import version
from pathlib import Path
from typing import Any

if __name__ == "__main__":
    sys.path[0] = str(Path(__file__).resolve().parents[2])  # a script begins in its own folder

import pandas as pd  # type: ignore[import-untyped,import-not-found,unused-ignore]  # there, not here
from backtesting import Backtest, Strategy  # type: ignore[import-not-found,unused-ignore]  # as above
from tests.bench.market import MINUTES, QTY, Columns, Trade, load, write_trades


class Breakout(Strategy):  # type: ignore[misc,unused-ignore]  # untyped base
    """Enter once a day when a bar closes at or above the level, not on the day's last bar."""

    setups: tuple[tuple[float, float, float, float], ...] = ()

    def init(self) -> None:
        """Begin before the first day."""
        self.row = 0
        self.armed = True

    def next(self) -> None:
        """Look at one closed bar. The library begins with the second bar of the data."""
        self.row += 1
        minute = self.row % MINUTES
        if minute == 0:
            self.armed = True
        level, sl, tp, chase = self.setups[self.row // MINUTES]
        close = self.data.Close[-1]
        if self.armed and close >= level:
            self.armed = False
            if minute < MINUTES - 1 and close < chase:
                self.buy(size=QTY, sl=sl, tp=tp)


def frame(columns: Columns) -> Any:
    """Return a symbol's bars as the library wants them."""
    prices = {
        name: [cents / 100 for cents in values]
        for name, values in zip(("Open", "High", "Low", "Close"), columns[1:5], strict=True)
    }
    index = pd.to_datetime(columns.starts, unit="s")
    return pd.DataFrame(prices | {"Volume": columns.volumes}, index=index)


def main(folder: Path) -> None:
    """Run every symbol and print what it took."""
    warnings.simplefilter("ignore")
    market = load(folder / "market.pickle")
    prepared = []
    for symbol, columns in market.bars.items():
        setups = tuple(
            (plan.level / 100, plan.sl / 100, plan.tp / 100, plan.chase / 100)
            for plan in market.plans_of(symbol)
        )
        prepared.append((symbol, columns, frame(columns), setups))
    trades: list[Trade] = []
    began, cpu = time.perf_counter(), time.process_time()
    results = []
    for _symbol, _columns, data, setups in prepared:
        test = Backtest(data, Breakout, cash=1e9, commission=0, finalize_trades=False)
        results.append(test.run(setups=setups))
    seconds, cpu = time.perf_counter() - began, time.process_time() - cpu
    for (symbol, columns, _, _), result in zip(prepared, results, strict=True):
        trades += _trades(symbol, columns, result)
    write_trades(folder / "backtesting.csv", trades)
    print(json.dumps({"seconds": seconds, "cpu": cpu, "version": version("backtesting")}))


def _trades(symbol: str, columns: Columns, result: Any) -> list[Trade]:
    found = []
    for row in result["_trades"].itertuples():
        kind = "tp" if row.ExitPrice >= row.TP else "sl"
        found.append(_trade(symbol, columns, row.EntryBar, row.EntryPrice, row.ExitBar, row.ExitPrice, kind))
    still_open = result["_strategy"].trades
    return [
        *found,
        *(_trade(symbol, columns, one.entry_bar, one.entry_price, None, None, "open") for one in still_open),
    ]


def _trade(
    symbol: str,
    columns: Columns,
    entry_bar: int,
    entry: float,
    exit_bar: int | None,
    exit_: float | None,
    kind: str,
) -> Trade:
    return Trade(
        symbol,
        columns.starts[entry_bar] * 1000,
        round(entry * 100),
        None if exit_bar is None else columns.starts[exit_bar] * 1000,
        None if exit_ is None else round(exit_ * 100),
        kind,
    )


if __name__ == "__main__":
    main(Path(sys.argv[1]))
