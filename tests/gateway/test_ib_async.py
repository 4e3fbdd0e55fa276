"""Unmodified ib_async against the gateway, over real sockets: everything that a program of ours asks for."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator
from datetime import timedelta
from decimal import Decimal

import pytest
from ib_async import IB, LimitOrder, MarketOrder, Order, StopLimitOrder, StopOrder, Trade
from ib_async.client import Client
from ib_async.order import OrderStatus
from tradeshell_paper.tws.gateway import Gateway

from tests.gateway.support import AAPL, client_of, contract, on_virtual_time, served, until

VERSIONS = (157, 163, 164, 176, 177, 178)


@pytest.fixture(autouse=True)
def no_complaint(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """A message that ib_async cannot read is an ERROR of its decoder: no test of this file may cause one."""
    caplog.set_level(logging.ERROR)
    yield
    bad = [r.getMessage() for r in caplog.records if "ecoder" in r.name or "Error handling" in r.getMessage()]
    assert bad == []


async def qualified(ib: IB) -> None:
    await ib.qualifyContractsAsync(AAPL)


@pytest.mark.parametrize("version", VERSIONS)
def test_the_whole_day_of_a_program_at_every_version(version: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Client, "MaxClientVersion", version)

    async def story() -> None:
        async with served() as gateway, client_of(gateway.port) as ib:
            assert ib.client.serverVersion() == version
            assert ib.managedAccounts() == ["DU0000001"]
            await qualified(ib)
            assert AAPL.conId > 0
            (details,) = await ib.reqContractDetailsAsync(contract())
            assert details.contract is not None
            assert details.timeZoneId == "US/Eastern"
            assert details.liquidHours.startswith("20250708:0930-20250708:1600;")
            assert len(details.marketRuleIds.split(",")) == len(details.validExchanges.split(","))
            rule = await ib.reqMarketRuleAsync(26)
            assert rule is not None
            assert [(each.lowEdge, each.increment) for each in rule] == [(0.0, 0.0001), (1.0, 0.01)]
            bars = await ib.reqHistoricalDataAsync(AAPL, "", "1 D", "30 mins", "TRADES", True, 2)
            assert [bar.date.strftime("%H:%M") for bar in bars][:2] == ["13:30", "14:00"]
            ticker = ib.reqMktData(AAPL)
            await until(lambda: ticker.bid > 0 and ticker.ask > ticker.bid and ticker.last > 0)
            assert ticker.minTick == 0.01
            entry = ib.placeOrder(AAPL, MarketOrder("BUY", 100, orderRef="day:entry"))
            await until(
                lambda: entry.orderStatus.status == "Filled" and entry.fills[0].commissionReport.execId
            )
            assert entry.fills[0].execution.avgPrice == entry.orderStatus.avgFillPrice
            stop = ib.placeOrder(AAPL, StopLimitOrder("SELL", 100, 150, 151, orderRef="day:stop", tif="GTC"))
            await until(lambda: stop.orderStatus.whyHeld == "trigger")
            stop.order.auxPrice, stop.order.lmtPrice = 152, 151
            ib.placeOrder(AAPL, stop.order)
            await until(lambda: "Modify" in [entry.message for entry in stop.log])
            (shown,) = await ib.reqAllOpenOrdersAsync()
            assert (shown.order.auxPrice, shown.order.lmtPrice, shown.order.tif) == (152, 151, "GTC")
            ib.cancelOrder(stop.order)
            await until(lambda: stop.orderStatus.status == "Cancelled")
            assert [each.position for each in await ib.reqPositionsAsync()] == [100]
            assert len(await ib.reqExecutionsAsync()) == 1
            done = await ib.reqCompletedOrdersAsync(False)
            assert sorted(trade.orderStatus.status for trade in done) == ["Cancelled", "Filled"]
            state = await ib.whatIfOrderAsync(AAPL, LimitOrder("BUY", 100, 100))
            assert Decimal(state.initMarginChange) == 2500
            values = {value.tag: value.value for value in ib.accountValues()}
            assert Decimal(values["NetLiquidation"]) > 990_000

    asyncio.run(story())


def test_bars_that_are_kept_up_to_date_repeat_the_unfinished_one_and_begin_a_new_one() -> None:
    async def story() -> None:
        async with served(speed=20) as gateway, client_of(gateway.port) as ib:
            await qualified(ib)
            bars = await ib.reqHistoricalDataAsync(
                AAPL, "", "300 S", "15 secs", "TRADES", True, 2, keepUpToDate=True
            )
            seen: list[tuple[bool, str, float]] = []
            bars.updateEvent += lambda b, new: seen.append((new, f"{b[-1].date:%H:%M:%S}", b[-1].volume))
            await until(lambda: sum(new for new, _, _ in seen) >= 3)
            ib.cancelHistoricalData(bars)
            starts = [at for new, at, _ in seen if new]
            assert starts[0][-2:] in {"00", "15", "30", "45"}
            for begun in starts[1:-1]:
                volumes = [volume for _, at, volume in seen if at == begun]
                assert len(volumes) >= 3
                assert volumes == sorted(volumes)
            again = await ib.reqHistoricalDataAsync(AAPL, "", "120 S", "15 secs", "TRADES", True, 2)
            closed = {f"{bar.date:%H:%M:%S}": bar.volume for bar in again}
            assert [volume for _, at, volume in seen if at == starts[1]][-1] == closed[starts[1]]

    asyncio.run(story())


def test_five_second_bars_come_at_every_boundary_and_ticks_add_up_to_them() -> None:
    async def story() -> None:
        async with served(speed=20) as gateway, client_of(gateway.port) as ib:
            await qualified(ib)
            bars = ib.reqRealTimeBars(AAPL, 5, "TRADES", False)
            ticker = ib.reqTickByTickData(AAPL, "AllLast")
            ticks: list[tuple[int, float]] = []
            ticker.updateEvent += lambda t: ticks.extend(
                (int(tick.time.timestamp()), tick.size) for tick in t.tickByTicks
            )
            await until(lambda: len(bars) >= 4)
            starts = [bar.time for bar in bars]
            assert all(b - a == timedelta(seconds=5) for a, b in zip(starts, starts[1:], strict=False))
            at = int(bars[2].time.timestamp())
            assert bars[2].volume == sum(size for when, size in ticks if at <= when < at + 5)

    asyncio.run(story())


def test_a_bracket_protects_and_its_members_end_together() -> None:
    async def story() -> None:
        async with served() as gateway, client_of(gateway.port) as ib:
            await qualified(ib)
            orders = ib.bracketOrder("BUY", 100, 250, 260, 150, tif="GTC")
            entry, take, stop = (ib.placeOrder(AAPL, order) for order in orders)
            await until(lambda: entry.orderStatus.status == "Filled")
            await until(
                lambda: (take.orderStatus.status, stop.orderStatus.whyHeld) == ("Submitted", "trigger")
            )
            ib.cancelOrder(take.order)
            await until(lambda: {t.orderStatus.status for t in (take, stop)} == {"Cancelled"})

    asyncio.run(story())


def test_a_snapshot_ends_by_itself_and_profit_comes_every_second() -> None:
    async def story() -> None:
        async with served(speed=20) as gateway, client_of(gateway.port) as ib:
            await qualified(ib)
            (ticker,) = await ib.reqTickersAsync(AAPL)
            assert ticker.bid > 0
            ib.placeOrder(AAPL, MarketOrder("BUY", 100))
            profit = ib.reqPnL("DU0000001")
            single = ib.reqPnLSingle("DU0000001", "", AAPL.conId)
            await until(lambda: profit.realizedPnL == -1.0 and single.position == 100)
            assert await ib.accountSummaryAsync() != []

    asyncio.run(story())


def test_a_client_that_comes_back_finds_its_orders_its_number_and_its_executions() -> None:
    async def story() -> None:
        async with served() as gateway:
            async with client_of(gateway.port, 5) as ib:
                await qualified(ib)
                rest = ib.placeOrder(AAPL, LimitOrder("BUY", 100, 100, orderRef="rests", tif="GTC"))
                filled = ib.placeOrder(AAPL, MarketOrder("BUY", 10, orderRef="filled"))
                await until(lambda: filled.isDone() and rest.orderStatus.status == "Submitted")
                last = filled.order.orderId
            async with client_of(gateway.port, 5) as ib:
                assert {t.order.orderRef: t.orderStatus.status for t in ib.openTrades()} == {
                    "rests": "Submitted"
                }
                assert [fill.execution.orderRef for fill in ib.fills()] == ["filled"]
                assert ib.client.getReqId() > last
                (trade,) = ib.openTrades()
                ib.cancelOrder(trade.order)
                await until(lambda: trade.orderStatus.status == "Cancelled")

    asyncio.run(story())


def test_several_accounts_keep_their_orders_and_positions_apart() -> None:
    async def story() -> None:
        async with served(accounts=("DU1", "DU2")) as gateway, client_of(gateway.port) as ib:
            await qualified(ib)
            assert ib.managedAccounts() == ["DU1", "DU2"]
            nobody = ib.placeOrder(AAPL, MarketOrder("BUY", 10))
            one = ib.placeOrder(AAPL, MarketOrder("BUY", 10, account="DU1"))
            two = ib.placeOrder(AAPL, MarketOrder("BUY", 20, account="DU2"))
            await until(lambda: one.isDone() and two.isDone() and nobody.isDone())
            assert nobody.log[-1].errorCode == 435
            assert {p.account: p.position for p in await ib.reqPositionsAsync()} == {"DU1": 10, "DU2": 20}
            assert one.fills[0].execution.execId != two.fills[0].execution.execId

    asyncio.run(story())


# --- on virtual time --------------------------------------------------------------------------------------------------


def test_the_same_client_trades_a_whole_day_on_virtual_time_without_a_socket() -> None:
    told: list[str] = []

    async def story(gateway: Gateway) -> None:
        ib = IB()
        await ib.connectAsync("nowhere", 1, clientId=1, raiseSyncErrors=True)
        await qualified(ib)
        bars = await ib.reqHistoricalDataAsync(
            AAPL, "", "1800 S", "1 min", "TRADES", True, 2, keepUpToDate=True
        )
        entry = ib.placeOrder(AAPL, MarketOrder("BUY", 100))
        stop = ib.placeOrder(AAPL, StopOrder("SELL", 100, 185, tif="GTC"))
        day = ib.placeOrder(AAPL, LimitOrder("BUY", 100, 100, tif="DAY"))
        bars.updateEvent += lambda b, new: told.append(f"{b[-2].date:%H:%M} {b[-2].close}") if new else None
        await asyncio.sleep(5.8 * 3600)
        assert entry.orderStatus.status == "Filled"
        assert stop.orderStatus.status in {"Filled", "PreSubmitted"}
        assert day.orderStatus.status == "Cancelled"
        ib.disconnect()
        await asyncio.sleep(1)
        assert gateway.sessions == []

    on_virtual_time(story, delay=0.002)
    assert len(told) == 329  # 10:31 to 15:59, one as each next one began
    first = list(told)
    told.clear()
    on_virtual_time(story, delay=0.002)
    assert told == first


def test_every_kind_of_order_that_the_client_can_write_is_understood_to_the_last_field() -> None:
    from ib_async import ComboLeg, Contract, OrderComboLeg, PriceCondition, TagValue, TimeCondition
    from tradeshell_paper.tws.frames import decode
    from tradeshell_paper.tws.parse_order import parse_place_order

    combo = Contract(symbol="A,B", secType="BAG", exchange="SMART", currency="USD")
    combo.comboLegs = [ComboLeg(1, 1, "BUY", "SMART"), ComboLeg(2, 1, "SELL", "SMART")]
    plain = dict(totalQuantity=100, action="BUY")
    kinds = "MKT LMT STP TRAIL REL MIT LIT MOC LOC MOO LOO VOL MTL".split() + [
        "STP LMT",
        "TRAIL LIMIT",
        "PEG BENCH",
        "PEGBENCH",
        "PEG BEST",
        "PEG MID",
        "PEG STK",
        "MIDPRICE",
        "SNAP MKT",
    ]
    cases: list[tuple[Contract, Order]] = [(AAPL, Order(orderType=kind, **plain)) for kind in kinds]  # type: ignore[arg-type]  # plain's values differ in kind
    rich = Order(orderType="LMT", lmtPrice=1e-05, **plain)  # type: ignore[arg-type]  # see above
    rich.conditions = [
        PriceCondition(1, "o", True, 5.0, 1, "SMART", 0),
        TimeCondition(3, "a", True, "20250101 10:00:00"),
    ]
    rich.algoStrategy, rich.algoParams = "Adaptive", [TagValue("adaptivePriority", "Normal")]
    rich.hedgeType, rich.hedgeParam, rich.scalePriceIncrement = "D", "1", 0.1
    rich.deltaNeutralOrderType, rich.goodTillDate, rich.tif = "MKT", "20260101 10:00:00 US/Eastern", "GTD"
    cases.append((AAPL, rich))
    basket = Order(orderType="LMT", lmtPrice=1, **plain)  # type: ignore[arg-type]  # see above
    basket.orderComboLegs = [OrderComboLeg(1.5), OrderComboLeg(2.5)]
    basket.smartComboRoutingParams = [TagValue("NonGuaranteed", "1")]
    cases.append((combo, basket))
    ats = Order(orderType="PEG BEST", lmtPrice=1, competeAgainstBestOffset=float("inf"), **plain)  # type: ignore[arg-type]  # see above
    cases.append((Contract(symbol="A", secType="STK", exchange="IBKRATS"), ats))

    async def story() -> None:
        client = IB().client
        sent: list[str] = []
        client.isConnected = lambda: True  # type: ignore[method-assign]  # only its encoder is wanted
        client.sendMsg = sent.append  # type: ignore[method-assign]  # only its encoder is wanted
        for version in range(157, 179):
            client._serverVersion = version
            for what, order in cases:
                sent.clear()
                client.placeOrder(7, what, order)
                values = decode(sent[0].encode())
                parsed = parse_place_order(values[1:], version)
                assert (parsed.order_id, parsed.order_type, parsed.quantity) == (7, order.orderType, 100)

    asyncio.run(story())


def test_what_was_ordered_comes_back_with_equal_values() -> None:
    async def story() -> None:
        async with served() as gateway:
            async with client_of(gateway.port) as ib:
                await qualified(ib)
                sent = Order(
                    action="SELL", totalQuantity=7, orderType="STP LMT", lmtPrice=150.25, auxPrice=151.5, tif="GTD",
                    goodTillDate="20260110 16:00:00 US/Eastern", ocaGroup="g-1", ocaType=2, orderRef="a ref/ü",
                    outsideRth=True, hidden=True, displaySize=5, triggerMethod=2, openClose="O", sweepToFill=True,
                    modelCode="", rule80A="I", settlingFirm="F", clearingIntent="IB", solicited=True,
                    randomizeSize=True, cashQty=0.0, autoCancelParent=True, duration=60,
                )  # fmt: skip
                trade = ib.placeOrder(AAPL, sent)
                await until(lambda: trade.orderStatus.status == OrderStatus.PreSubmitted)
            async with client_of(gateway.port) as ib:
                (back,) = ib.openTrades()
                assert isinstance(back, Trade)
                for name in (
                    "action", "totalQuantity", "orderType", "lmtPrice", "auxPrice", "tif", "goodTillDate", "ocaGroup",
                    "ocaType", "orderRef", "outsideRth", "hidden", "displaySize", "triggerMethod", "openClose",
                    "sweepToFill", "rule80A", "settlingFirm", "clearingIntent", "solicited", "randomizeSize",
                    "autoCancelParent", "duration",
                ):  # fmt: skip
                    assert getattr(back.order, name) == getattr(sent, name), name

    asyncio.run(story())
