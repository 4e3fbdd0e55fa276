"""A journal that this program would not repeat: the record wins, entries are stopped, and what is protected stays so."""

from __future__ import annotations

import zlib
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from tests.core.support import ENTRY
from tests.engine.support import Stage
from tests.engine.test_session import arm, break_out, stage

from tradeshell.core import inputs as i
from tradeshell.core.checks import CheckContext, PreTradeCheck
from tradeshell.core.guards import Refusal
from tradeshell.core.market import Bar
from tradeshell.core.orders import OrderState
from tradeshell.core.step import Core
from tradeshell.core.strategy import Wish
from tradeshell.engine.journal import Journal, read_journal
from tradeshell.engine.recovery import DIFFERS, recover, take_up
from tradeshell_breakout.strategy import Breakout

__all__ = ["stage"]


class Never(Breakout):
    """A later version of the strategy, which does not enter."""

    def on_bar(self, watch: i.WatchSpec, state: Any, bar: Bar, at: datetime) -> tuple[Any, tuple[Wish, ...]]:
        """See nothing."""
        return state, ()


def refuses(context: CheckContext) -> Refusal:
    """Let nothing through."""
    return Refusal("moon", "the moon is in the way")


def core(*checks: Callable[[CheckContext], Refusal | None], strategy: Breakout | None = None) -> Core:
    """Return a core as a new process builds it."""
    found = tuple(PreTradeCheck(name="odd", owner="odd", check=check) for check in checks)
    return Core({"breakout": strategy or Breakout()}, found)


def test_a_check_that_refuses_now_does_not_take_back_an_order_that_left(stage: Stage) -> None:
    arm(stage)
    break_out(stage)
    found = recover(core(refuses), stage.journal.path, "quiet")
    order = found.desk.order(ENTRY)
    assert order == stage.session.desk.order(ENTRY)
    assert order is not None
    assert found.desk.books == stage.session.desk.books
    assert f"sent place {ENTRY} (#1) BUY 100" in found.differs
    assert found.differs.endswith("this program would send nothing")
    assert found.desk.stopped == DIFFERS
    assert "entries are stopped" in found.notes[0]
    assert "\n" not in found.notes[0]


def test_a_check_that_lets_through_now_what_it_refused_does_not_invent_an_order(tmp_path: Path) -> None:
    before = Stage(tmp_path)
    before.session._core = core(refuses)
    before.connect()
    arm(before)
    break_out(before)
    assert before.broker.sent == []
    found = recover(core(), before.journal.path, "quiet")
    assert "sent nothing, this program would send place" in found.differs
    assert found.desk.orders() == ()
    assert found.goes_on_after == 0  # the refusal ended the watcher: nothing is open
    before.close()


def test_a_strategy_that_would_not_have_entered_freezes_its_symbol_and_stops_entries(stage: Stage) -> None:
    arm(stage)
    break_out(stage)
    found = recover(core(strategy=Never()), stage.journal.path, "quiet")
    assert found.goes_on_after == stage.session.journal_seq
    assert found.desk.order(ENTRY) is None
    assert DIFFERS in found.desk.stopped
    sent = len(stage.broker.sent)
    stage.session._core = core(strategy=Never())
    stage.inside(lambda: take_up(stage.session, found))
    stage.connect()
    assert len(stage.broker.sent) == sent
    assert "KillSwitchEngaged" in stage.names()


def test_a_strategy_that_is_not_installed_any_more_does_not_keep_the_program_from_starting(
    stage: Stage,
) -> None:
    arm(stage)
    break_out(stage)
    found = recover(Core({}), stage.journal.path, "quiet")
    assert "would refuse" in found.differs
    assert DIFFERS in found.desk.stopped
    assert found.goes_on_after == stage.session.journal_seq


def _rewrite(path: Path, old: bytes, new: bytes) -> None:
    """Make the record as another version of the program would have written it."""
    lines = path.read_bytes().splitlines()
    payloads = [line.partition(b" ")[2] for line in lines]
    head, sep, orders = payloads[-1].partition(b'"orders":')
    assert old in orders
    payloads[-1] = head + sep + orders.replace(old, new)
    path.write_bytes(b"".join(b"%08x %s\n" % (zlib.crc32(p), p) for p in payloads))


def _until_the_orders_left(stage: Stage, tmp_path: Path) -> Path:
    """Return a journal that ends with the decision in which the entry and its children left."""
    arm(stage)
    break_out(stage)
    path = tmp_path / "cut"
    lines = stage.journal.path.read_bytes().splitlines(keepends=True)
    last = max(row for row, line in enumerate(lines) if b'"PlaceOrder"' in line)
    path.write_bytes(b"".join(lines[: last + 1]))
    return path


def test_an_order_that_was_sent_with_other_values_stands_as_it_was_sent(stage: Stage, tmp_path: Path) -> None:
    path = _until_the_orders_left(stage, tmp_path)
    _rewrite(path, b'"stop":"187"', b'"stop":"186.5"')
    _rewrite(path, b'"order_id":1}', b'"order_id":41}')
    found = recover(core(), path, "quiet")
    stop = next(order for order in found.desk.orders() if order.spec.stop is not None)
    assert str(stop.spec.stop) == "186.5"
    entry = found.desk.order(ENTRY)
    assert entry is not None
    assert entry.order_id == 41
    assert found.desk.next_order_id == 42
    assert not any(book.frozen for book in found.desk.books.values())
    assert "at 186.5" in found.differs


def test_an_order_that_never_left_is_forgotten_and_its_symbol_is_frozen(stage: Stage, tmp_path: Path) -> None:
    path = _until_the_orders_left(stage, tmp_path)
    lines = path.read_bytes().splitlines()
    head, _, orders = lines[-1].partition(b" ")[2].partition(b'"orders":')
    entry_alone = orders[: orders.index(b',{"command":"PlaceOrder"')] + b"]}"
    payload = head + b'"orders":' + entry_alone
    path.write_bytes(b"\n".join([*lines[:-1], b"%08x %s" % (zlib.crc32(payload), payload), b""]))
    found = recover(core(), path, "quiet")
    assert [order.spec.ref for order in found.desk.orders()] == [ENTRY]
    assert set(found.desk.refs) == {ENTRY}
    assert found.desk.trades()[0].refs == (ENTRY,)
    assert found.desk.books["AAPL"].frozen == DIFFERS
    assert "AAPL takes no order at all" in found.notes[0]
    stage.session._core = core()
    sent = len(stage.broker.sent)
    stage.inside(lambda: take_up(stage.session, found))
    stage.connect()
    assert len(stage.broker.sent) == sent


def test_the_operator_lifts_the_stop_and_the_next_start_does_not_set_it_again(
    stage: Stage, tmp_path: Path
) -> None:
    path = _until_the_orders_left(stage, tmp_path)
    _rewrite(path, b'"stop":"187"', b'"stop":"186.5"')
    found = recover(core(), path, "quiet")
    journal = Journal(path, "later", "quiet", after=found.written)
    journal.append(i.Restarted(at=stage.clock.now()), ())
    journal.append(i.StopEntryRequested(at=stage.clock.now(), on=False), ())
    journal.close()
    again = recover(core(), path, "quiet")
    assert again.differs == found.differs
    assert again.desk.stopped == ""
    assert again.notes == ()
    assert [order.state for order in again.desk.orders()] == [OrderState.UNKNOWN] * len(found.desk.orders())
    assert list(read_journal(path))[-1].n == again.written


@pytest.mark.parametrize("version", ["same", "other"])
def test_a_day_that_is_all_over_concerns_nobody_whether_it_can_be_repeated_or_not(
    stage: Stage, version: str
) -> None:
    arm(stage)
    stage.submit(i.WatchCancelRequested(at=stage.clock.now(), watch="br-1"))
    found = recover(core() if version == "same" else Core({}), stage.journal.path, "quiet")
    assert found.goes_on_after == 0
    assert found.notes == ()


def test_a_journal_that_cannot_be_read_stops_entries_until_the_operator_has_looked(stage: Stage) -> None:
    arm(stage)
    path = stage.journal.path
    lines = path.read_bytes().split(b"\n")
    path.write_bytes(b"\n".join([lines[0], lines[1][:-5] + b"xxxxx", *lines[2:]]))
    found = recover(core(), path, "quiet")
    assert found.goes_on_after == 0
    assert "nothing is resumed, entries are stopped" in found.notes[0]
    stage.inside(lambda: take_up(stage.session, found))
    assert stage.session.desk.stopped == "the journal cannot be read"
