"""The benchmark compares like with like: the program and its reference make the same trades. Nothing here looks at a clock."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest
from msgspec.structs import replace
from tests.bench import floor, latency, reconciling, wire
from tests.bench.market import MINUTES, Market, differences, make_market, read_trades, write_trades
from tests.bench.ours import instant, replay
from tests.bench.run import HERE, same_trades

from tradeshell_paper.calendar import session_on


@pytest.mark.parametrize("rough", [False, True], ids=["smooth", "rough"])
def test_the_program_and_the_bare_loop_make_the_same_trades(tmp_path: Path, rough: bool) -> None:
    market = make_market(symbols=6, days=5, rough=rough)
    _, _, expected = floor.run(market)
    found = replay(market, tmp_path / "state")
    assert list(differences(found.trades, expected)) == []
    kinds = Counter(trade.kind for trade in expected)
    assert kinds["tp"] > 0, "a benchmark without targets measures something else"
    assert kinds["sl"] > 0, "a benchmark without stops measures something else"


def test_what_a_replay_writes_is_all_there(tmp_path: Path) -> None:
    records: list[object] = []
    found = replay(make_market(symbols=2, days=2), tmp_path / "state", extra_sink=records.append)
    assert found.events == len(records)
    journal = (tmp_path / "state" / "journal").read_bytes()
    assert journal.count(b"\n") == found.decisions + 1  # and its header


def test_a_market_depends_on_its_seed_alone() -> None:
    assert make_market(2, 2, seed=3) == make_market(2, 2, seed=3)
    assert make_market(2, 2, seed=3) != make_market(2, 2, seed=4)


def test_the_days_are_full_trading_days_of_the_venue() -> None:
    market = make_market(symbols=1, days=60)
    for plan in market.plans:
        session = session_on(instant(plan.day).date())
        assert session is not None
        assert session.open == instant(plan.day)
        assert session.close == instant(plan.day + 60 * MINUTES)


def test_a_realistic_share_of_the_levels_is_reached() -> None:
    market = make_market(symbols=10, days=20)
    _, _, trades = floor.run(market)
    assert 0.4 < len(trades) / len(market.plans) < 0.9


def test_a_changed_trade_is_found(tmp_path: Path) -> None:
    _, _, trades = floor.run(make_market(symbols=2, days=5))
    write_trades(tmp_path / "trades.csv", trades)
    again = read_trades(tmp_path / "trades.csv")
    assert list(differences(trades, again)) == []
    missing = again[1:]
    assert [pair[0] for pair in differences(missing, trades)] == [None]
    moved = (again[0]._replace(entry=again[0].entry + 1), *again[1:])
    assert len(list(differences(moved, trades))) == 1


def test_a_run_with_other_trades_is_not_the_same(tmp_path: Path) -> None:
    _, _, trades = floor.run(make_market(symbols=2, days=5))
    write_trades(tmp_path / "floor.csv", trades)
    write_trades(tmp_path / "ours.csv", trades)
    assert same_trades(tmp_path, "ours.csv", "tradeshell")
    write_trades(tmp_path / "ours.csv", [trades[0]._replace(kind="open"), *trades[1:]])
    assert not same_trades(tmp_path, "ours.csv", "tradeshell")


def test_the_engine_and_the_direct_function_hand_over_the_same_orders(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[object] = []
    place = latency.Port.place

    def keep(port: latency.Port, order: object, order_id: int) -> None:
        seen.append(order)
        place(port, order, order_id)  # type: ignore[arg-type]  # handed on as it came

    monkeypatch.setattr(latency.Port, "place", keep)
    latency.ours(2, 2, tmp_path / "ours")
    engine, seen[:] = list(seen), []
    latency.direct(2, tmp_path / "direct")
    assert engine == seen


def test_the_script_and_the_program_send_the_same_orders_and_the_program_has_them_on_disk_before(
    tmp_path: Path,
) -> None:
    folder = tmp_path / "wire"
    script = replace(
        wire.entries_script(triggers=2, ladders=1, warm=0, warm_ladders=0),
        witnesses=wire.OURS,
        witnessed=tuple(str(folder / wire.OURS / name) for name in ("events.jsonl", "journal")),
    )
    found = wire.run(script, folder)
    script_s, ours = (found["orders"][name] for name in (wire.BARE, wire.OURS))
    assert [_order(fields) for fields in ours] == [_order(fields) for fields in script_s]
    assert [fields[0] for fields in ours] == ["E0000", "E0001", *["L0000"] * 7]
    assert len(found["entries"][wire.OURS]) == len(found["entries"][wire.BARE]) == 2


def _order(fields: list[str]) -> tuple[object, ...]:
    """Return an order as it is meant: the price texts of two encoders differ in their zeros."""
    symbol, side, qty, kind, limit, stop = fields
    return symbol, side, float(qty), kind, float(limit or 0), float(stop or 0)


def test_both_ends_of_a_stream_get_the_same_quotes(tmp_path: Path) -> None:
    script = wire.stream_script(symbols=20, rounds=1, seconds=0.2)
    found = wire.run(script, tmp_path / "wire")["streams"]
    assert [each["quotes"] for each in found[wire.BARE]] == [each["quotes"] for each in found[wire.OURS]]
    assert found[wire.OURS][0]["quotes"] == 20 * wire.RATE * 0.2


def test_the_programs_of_the_peers_are_where_the_runner_looks() -> None:
    from tests.bench.peers import PEERS

    assert all((HERE / peer.script).is_file() for peer in PEERS)


def test_an_empty_market_is_no_benchmark() -> None:
    assert Market({}, ()).size == 0


def test_reconciling_is_measured_on_what_it_says(tmp_path: Path) -> None:
    found = reconciling.measure(tmp_path / "reconcile", rounds=1, positions=2, fills=3)
    assert (found.positions, found.orders, found.executions) == (2, 8, 6)
    assert len(found.reader) == len(found.script) == len(found.ours) == 1
