"""The rule in nautilus_trader, in an environment of its own: ``peer_nautilus.py FOLDER``; prints one JSON object.

One engine, all symbols, one strategy that watches them all, as in tradeshell. Bars, instruments and engine are made before the
clock starts; logging is off. A market order sent at a bar's close fills at that close, which is the next open in this market.
"""

from __future__ import annotations

import json
import sys
import time
from decimal import Decimal
from importlib.metadata import version
from pathlib import Path
from typing import Any

if __name__ == "__main__":
    sys.path[0] = str(Path(__file__).resolve().parents[2])  # a script begins in its own folder

from nautilus_trader.backtest.engine import BacktestEngine  # type: ignore[import-not-found,unused-ignore]  # there, not here
from nautilus_trader.config import BacktestEngineConfig, LoggingConfig, RiskEngineConfig, StrategyConfig  # type: ignore[import-not-found,unused-ignore]  # as above
from nautilus_trader.model.currencies import USD  # type: ignore[import-not-found,unused-ignore]  # as above
from nautilus_trader.model.data import Bar, BarType  # type: ignore[import-not-found,unused-ignore]  # as above
from nautilus_trader.model.enums import AccountType, OmsType, OrderSide  # type: ignore[import-not-found,unused-ignore]  # as above
from nautilus_trader.model.identifiers import InstrumentId, Symbol, Venue  # type: ignore[import-not-found,unused-ignore]  # as above
from nautilus_trader.model.instruments import Equity  # type: ignore[import-not-found,unused-ignore]  # as above
from nautilus_trader.model.objects import Money, Price, Quantity  # type: ignore[import-not-found,unused-ignore]  # as above
from nautilus_trader.trading.strategy import Strategy  # type: ignore[import-not-found,unused-ignore]  # as above
from tests.bench.market import MINUTES, QTY, Columns, Market, Plan, Trade, load, write_trades

VENUE = Venue("XNAS")
MINUTE = 60_000_000_000  # ns


class Watch:
    """One symbol's day."""

    def __init__(self, bar_type: Any, plans: tuple[Plan, ...]) -> None:
        self.bar_type = bar_type
        self.plans = iter(plans)
        self.plan: Plan
        self.level = self.chase = 0.0
        self.day_ends = 0
        self.last_close = 0
        self.armed = False


class Breakout(Strategy):  # type: ignore[misc,unused-ignore]  # untyped base
    """Enter once a day when a bar closes at or above the level, not on the day's last bar."""

    def __init__(self, watches: dict[Any, Watch]) -> None:
        super().__init__(StrategyConfig(strategy_id="breakout-1", oms_type="HEDGING"))
        self.watches = watches

    def on_start(self) -> None:
        """Subscribe."""
        for watch in self.watches.values():
            self.subscribe_bars(watch.bar_type)

    def on_bar(self, bar: Any) -> None:
        """Look at one closed bar."""
        watch = self.watches[bar.bar_type]
        now = bar.ts_event
        if now > watch.day_ends:
            plan = watch.plan = next(watch.plans)
            watch.level, watch.chase = plan.level / 100, plan.chase / 100
            watch.last_close = (plan.day + 60 * MINUTES) * 1_000_000_000
            watch.day_ends = (plan.day + 86_400) * 1_000_000_000
            watch.armed = True
        if watch.armed:
            close = bar.close.as_double()
            if close >= watch.level:
                watch.armed = False
                if now < watch.last_close and close < watch.chase:
                    self._enter(bar, watch.plan)

    def _enter(self, bar: Any, plan: Plan) -> None:
        bracket = self.order_factory.bracket(
            instrument_id=bar.bar_type.instrument_id,
            order_side=OrderSide.BUY,
            quantity=Quantity.from_int(QTY),
            tp_price=Price(plan.tp / 100, 2),
            sl_trigger_price=Price(plan.sl / 100, 2),
        )
        self.submit_order_list(bracket)


def make_bars(bar_type: Any, columns: Columns) -> list[Any]:
    """Return a symbol's bars as the engine wants them: stamped at their close."""
    known = {cents: Price(cents / 100, 2) for prices in columns[1:5] for cents in prices}
    sizes = {volume: Quantity.from_int(volume) for volume in columns.volumes}
    found = []
    for start, o, h, low, c, volume in zip(*columns, strict=True):
        closed = start * 1_000_000_000 + MINUTE
        found.append(Bar(bar_type, known[o], known[h], known[low], known[c], sizes[volume], closed, closed))
    return found


def main(folder: Path) -> None:
    """Run everything and print what it took."""
    market = load(folder / "market.pickle")
    engine = BacktestEngine(
        BacktestEngineConfig(
            logging=LoggingConfig(bypass_logging=True),
            risk_engine=RiskEngineConfig(bypass=True),
            run_analysis=False,
        )
    )
    engine.add_venue(
        venue=VENUE,
        oms_type=OmsType.HEDGING,
        account_type=AccountType.MARGIN,
        base_currency=USD,
        starting_balances=[Money(1_000_000_000, USD)],
        default_leverage=Decimal(10),
    )
    watches: dict[Any, Watch] = {}
    for symbol, columns in market.bars.items():
        instrument = Equity(
            instrument_id=InstrumentId(Symbol(symbol), VENUE),
            raw_symbol=Symbol(symbol),
            currency=USD,
            price_precision=2,
            price_increment=Price(0.01, 2),
            lot_size=Quantity.from_int(1),
            ts_event=0,
            ts_init=0,
        )
        engine.add_instrument(instrument)
        bar_type = BarType.from_str(f"{symbol}.XNAS-1-MINUTE-LAST-EXTERNAL")
        watches[bar_type] = Watch(bar_type, market.plans_of(symbol))
        engine.add_data(make_bars(bar_type, columns))
    engine.add_strategy(Breakout(watches))
    began, cpu = time.perf_counter(), time.process_time()
    engine.run()
    seconds, cpu = time.perf_counter() - began, time.process_time() - cpu
    write_trades(folder / "nautilus.csv", _trades(engine, market))
    engine.dispose()
    print(json.dumps({"seconds": seconds, "cpu": cpu, "version": version("nautilus_trader")}))


def _trades(engine: Any, market: Market) -> list[Trade]:
    targets = {(plan.symbol, plan.day // 86_400): plan.tp for plan in market.plans}
    found = []
    for position in (*engine.cache.positions(), *engine.cache.position_snapshots()):
        symbol = position.instrument_id.symbol.value
        entered = position.ts_opened // 1_000_000
        closed = position.ts_closed // 1_000_000 if position.is_closed else None
        exit_ = None if closed is None else round(position.avg_px_close * 100)
        target = targets[symbol, entered // 86_400_000]
        kind = "open" if exit_ is None else "tp" if exit_ >= target else "sl"
        # What fills within a bar is dated at its close: the bar began a minute before.
        exited = None if closed is None else closed - 60_000
        found.append(Trade(symbol, entered, round(position.avg_px_open * 100), exited, exit_, kind))
    return found


if __name__ == "__main__":
    main(Path(sys.argv[1]))
