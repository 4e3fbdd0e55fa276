"""The venue's own truth: what a witness is told, when, and that it is the truth."""

from __future__ import annotations

from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import initialize, invariant, precondition, rule
from tests.docs.pages import DOCS, sections, tables
from tests.plugins.paper.test_exchange_properties import PRICES, SIZES, ExchangeMachine
from tests.plugins.paper.venue import Venue, minutes, ny, on_venue, order, quote, usd

from tradeshell import ConfigError, Input, Tif
from tradeshell_paper.courier import CleanCourier
from tradeshell_paper.floor import Report
from tradeshell_paper.market import stock
from tradeshell_paper.matching import Exchange
from tradeshell_paper.settings import Halt, Print, Refusal, Rules, read_settings

TOUCHES = (quote("10:00", "9.99", "10.01"), quote("10:59", "9.99", "10.01"))
T = "2013-10-10T14:00:00+00:00"


class Notes:
    """A witness with a notebook."""

    def __init__(self) -> None:
        self.said: list[tuple[str, dict[str, Any]]] = []

    def __call__(self, kind: str, fields: dict[str, Any]) -> None:
        self.said.append((kind, fields))

    def of(self, kind: str, *names: str) -> list[Any]:
        """Return these fields of everything of a kind; one name gives plain values."""
        found = [tuple(fields[name] for name in names) for said, fields in self.said if said == kind]
        return [values[0] for values in found] if len(names) == 1 else found

    def kinds(self) -> list[str]:
        """Return what was told, each with the kind of a message to the host."""
        return [f"{kind} {fields['kind']}" if kind == "to_host" else kind for kind, fields in self.said]


def exchange_with(notes: Notes, **rules: Any) -> Exchange:
    """Return an exchange with ABC listed and a touch in force."""
    exchange = Exchange(Rules(**rules), notes)
    exchange.list_stock(stock("ABC"))
    exchange.quote(ny("10:00"), quote("10:00", "9.99", "10.01"))
    notes.said.clear()
    return exchange


# --- at the venue -----------------------------------------------------------------------------------------------------


def test_a_new_order_is_witnessed_with_every_field_in_plain_values() -> None:
    notes = Notes()
    exchange = exchange_with(notes)
    exchange.place(ny("10:00"), order("BUY", 7, "LMT 9", "in", transmit=False), 1)
    spec = order(
        "SELL",
        7,
        "STP LMT 8.5 8.4",
        "sl",
        tif=Tif.GTD,
        good_till=ny("11:00"),
        parent_ref="in",
        outside_rth=True,
    )
    exchange.place(ny("10:00"), spec, 2)
    assert [kind for kind, _ in notes.said] == ["accept", "state", "accept", "state", "state", "state"]
    assert notes.said[2][1] == {
        "t": T,
        "id": 2,
        "client": 0,
        "ref": "sl",
        "sym": "ABC",
        "side": "SELL",
        "qty": 7,
        "type": "STP LMT",
        "lmt": "8.4",
        "stp": "8.5",
        "tif": "GTD",
        "rth": True,
        "oca": "bracket 1",
        "oca_type": 3,
        "parent": "in",
        "account": "DU0000001",
        "con_id": stock("ABC").con_id,
        "till": "2013-10-10T15:00:00+00:00",
    }
    assert notes.of("state", "id", "state", "works") == [
        (1, "sent", False),
        (2, "sent", False),
        (1, "working", True),
        (2, "held", False),
    ]
    assert all(type(value) in (str, int, bool) for _, fields in notes.said for value in fields.values())


def test_a_fill_is_witnessed_before_the_state_that_follows_and_both_before_the_group() -> None:
    notes = Notes()
    exchange = exchange_with(notes)
    for number, words in ((1, "LMT 11"), (2, "STP 9")):
        exchange.place(ny("10:00"), order("SELL", 5, words, f"o{number}", oca_group="g"), number)
    notes.said.clear()
    exchange.trade(ny("10:00"), "ABC", usd("8.9"), 5)
    assert [kind for kind, _ in notes.said] == ["exec", "state", "state"]
    execution = {"t": T, "id": 2, "client": 0, "ref": "o2", "sym": "ABC", "side": "SELL", "qty": 5}
    assert notes.said[0][1] == {**execution, "px": "8.9", "exec_id": "paper.1.01"}
    wanted = [(2, "filled", 5, 0, 5, True, False), (1, "cancelled", 0, 0, 5, False, False)]
    assert notes.of("state", "id", "state", "filled", "left", "total", "elected", "works") == wanted


def test_whether_an_order_could_fill_is_witnessed_through_halts_and_hours() -> None:
    notes = Notes()
    exchange = exchange_with(notes)
    exchange.place(ny("10:00"), order("SELL", 5, "STP 9", "sl", tif=Tif.GTC), 1)
    exchange.halt(ny("10:01"), "ABC", on=True)
    exchange.halt(ny("10:01"), "ABC", on=True)
    exchange.halt(ny("10:02"), "ABC", on=False)
    exchange.pass_time(ny("16:00"))
    assert notes.of("state", "state", "works") == [
        ("sent", False),
        ("held", True),
        ("held", False),
        ("held", True),
        ("held", False),
    ]
    assert notes.of("halt", "sym", "on") == [("ABC", True), ("ABC", False)]


def test_changes_cancels_and_refusals_are_witnessed() -> None:
    notes = Notes()

    def refuse(spec: Any, at: datetime, action: str) -> Refusal | None:
        return Refusal(201, "no", advisory=action == "place") if spec.qty == 99 else None

    exchange = exchange_with(notes, refuse=refuse)
    now, ours = ny("10:00"), order("SELL", 5, "STP 9", "sl")
    exchange.place(now, order("SELL", 99, "STP 9", "big"), 9)
    exchange.place(now, ours, 1)
    exchange.place(now, ours, 1)
    exchange.modify(now, order("SELL", 5, "STP 9.5", "sl"), 1)
    exchange.modify(now, order("SELL", 99, "STP 9.5", "sl"), 1)
    exchange.modify(now, order("SELL", 5, "STP 9.5", "no"), 7)
    exchange.cancel(now, 7, ref="no")
    exchange.cancel(now, 1)
    exchange.cancel(now, 1)
    assert notes.of("refuse", "id", "ref", "action", "code") == [
        (9, "big", "place", 201),
        (1, "sl", "place", 103),
        (1, "sl", "modify", 201),
        (7, "no", "modify", 135),
        (7, "no", "cancel", 10147),
        (1, "sl", "cancel", 10148),
    ]
    assert notes.of("modify", "id", "stp", "qty") == [(1, "9.5", 5)]
    assert notes.of("cancel_asked", "id", "ref") == [(7, "no"), (1, ""), (1, "")]


def test_what_others_do_is_witnessed_as_states_and_not_as_our_changes() -> None:
    notes = Notes()
    exchange = exchange_with(notes)
    now = ny("10:00")
    exchange.place(now, order("SELL", 5, "STP 9", "sl"), 1)
    exchange.place(now, order("BUY", 5, "MKT", ""), 1, client=4)
    notes.said.clear()
    exchange.alter_order(now, 1, stop=usd("8.5"))
    exchange.kill_order(now, 1, 201, "margin", final=False)
    exchange.correct(now, "paper.1.01", 3, usd("9.5"))
    assert notes.of("state", "client", "state", "stp", "works") == [
        (0, "held", "8.5", True),
        (0, "refused", "8.5", False),
    ]
    assert notes.of("refuse", "action", "code") == [("kill", 201)]
    assert notes.of("corrected", "exec_id", "qty", "px") == [("paper.1.02", 3, "9.5")]
    assert [kind for kind, _ in notes.said] == ["state", "refuse", "state", "corrected"]


def test_the_touch_is_witnessed_when_it_changes_and_only_then() -> None:
    notes = Notes()
    exchange = exchange_with(notes)
    for second in (1, 2, 3):
        at = ny("10:00") + timedelta(seconds=second)
        exchange.quote(at, quote(at, "9.98" if second < 3 else None, "10.01"))
    assert notes.of("quote", "sym", "bid", "ask", "halted") == [
        ("ABC", "9.98", "10.01", False),
        ("ABC", "", "10.01", False),
    ]


class WitnessedMachine(ExchangeMachine):
    """Random orders and troubles, looked at by a witness that must come to the same picture."""

    @initialize(partial=st.booleans(), holds=st.booleans(), races=st.booleans())
    def begin_witnessed(self, partial: bool, holds: bool, races: bool) -> None:
        super().begin(partial, True, True, holds)
        self.notes = Notes()
        self.exchange = exchange_with(
            self.notes, partial=partial, holds_orphans=holds, oca_race=races, chased_stops=False
        )

    def begin(self, *args: Any) -> None:
        """Begin once, with a witness."""

    def take(self, reports: tuple[Report, ...]) -> None:
        """Take nothing: the sentences of the other machine hold for venues without troubles."""

    @precondition(lambda self: self.number > 0)
    @rule(data=st.data(), code=st.sampled_from([202, 201]), final=st.booleans())
    def kill(self, data: st.DataObject, code: int, final: bool) -> None:
        self.exchange.kill_order(
            self.now, data.draw(st.integers(1, self.number)), code, "killed", final=final
        )

    @precondition(lambda self: self.number > 0)
    @rule(data=st.data())
    def revive(self, data: st.DataObject) -> None:
        self.exchange.revive_order(self.now, data.draw(st.integers(1, self.number)))

    @precondition(lambda self: self.number > 0)
    @rule(data=st.data(), qty=SIZES, price=PRICES)
    def alter(self, data: st.DataObject, qty: int, price: Decimal) -> None:
        number = data.draw(st.integers(1, self.number))
        self.exchange.alter_order(self.now, number, limit=price, stop=price, qty=qty)

    @precondition(lambda self: self.number > 0)
    @rule(data=st.data(), qty=SIZES, price=PRICES)
    def fill_late(self, data: st.DataObject, qty: int, price: Decimal) -> None:
        self.exchange.fill_late(self.now, data.draw(st.integers(1, self.number)), qty, price)

    @precondition(lambda self: self.exchange.executions())
    @rule(data=st.data(), qty=st.integers(0, 300), price=PRICES)
    def correct(self, data: st.DataObject, qty: int, price: Decimal) -> None:
        execution = data.draw(st.sampled_from(self.exchange.executions()))
        self.exchange.correct(self.now, execution.exec_id, qty, price)

    @rule(on=st.booleans())
    def halt(self, on: bool) -> None:
        self.exchange.halt(self.now, "ABC", on=on)

    def no_order_fills_more_than_it_ever_asked_for(self) -> None:
        """Not said here: corrections change what filled."""

    def groups_of_type_1_and_2_never_sell_more_than_their_largest_order(self) -> None:
        """Not said here: late executions do."""

    @invariant()
    def the_witness_knows_every_order_as_it_is(self) -> None:
        if not hasattr(self, "notes"):
            return
        known = {fields["id"]: fields for kind, fields in self.notes.said if kind == "state"}
        floor = self.exchange._floor
        tickets = list(floor.tickets())
        assert known.keys() == {t.order_id for t in tickets} == set(self.notes.of("accept", "id"))
        for t in tickets:
            said = known[t.order_id]
            assert (said["state"], said["filled"], said["total"]) == (t.state.value, t.filled, t.qty)
            assert (said["left"], said["elected"]) == (t.left, t.elected)
            assert said["lmt"] == ("" if t.spec.limit is None else str(t.spec.limit))
            assert said["stp"] == ("" if t.spec.stop is None else str(t.spec.stop))
            assert said["works"] is (t.is_ready and not t.staged and not floor.line_of(t).is_halted)

    @invariant()
    def the_witness_can_count_the_position(self) -> None:
        if not hasattr(self, "notes"):
            return
        booked: dict[str, int] = {}
        signs: dict[str, int] = {}
        for kind, fields in self.notes.said:
            if kind == "exec":
                stem = fields["exec_id"].rpartition(".")[0]
                signs[stem] = 1 if fields["side"] == "BUY" else -1
                booked[stem] = fields["qty"]
            elif kind == "corrected":
                booked[fields["exec_id"].rpartition(".")[0]] = fields["qty"]
        position = sum(signs[stem] * qty for stem, qty in booked.items())
        assert position == sum(p.qty for p in self.exchange.positions())


TestWitnessed = WitnessedMachine.TestCase
TestWitnessed.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)


# --- to the host ------------------------------------------------------------------------------------------------------


class Slow(CleanCourier):
    """Executions take half a second, positions are lost, orders are shown as of a second ago."""

    def to_host(self, message: Input, now: datetime) -> tuple[float, ...]:
        return {"ExecutionReported": (0.5,), "PositionReported": ()}.get(type(message).__name__, (0.0,))

    def staleness(self, kind: str, now: datetime) -> float | None:
        return 1.0 if kind == "orders" else 0.0


def test_messages_are_witnessed_when_they_are_handed_over_and_lost_ones_never() -> None:
    notes = Notes()

    async def work(venue: Venue) -> None:
        await venue.broker.qualify("ABC")
        notes.said.clear()
        venue.place(order("BUY", 100, "MKT", "a"))
        await venue.until("10:00:02")
        await venue.broker.snapshot_account()
        assert notes.kinds() == [
            "quote",
            "accept",
            "state",
            "state",
            "exec",
            "state",
            "to_host status",
            "to_host status",
            "to_host commission",
            "to_host exec",
            "snapshot",
        ]
        *_, (_, execution), (_, snapshot) = notes.said
        assert execution == {
            "t": "2013-10-10T14:00:00.500000+00:00",
            "kind": "exec",
            "id": 1,
            "ref": "a",
            "exec_id": "paper.1.01",
            "sym": "ABC",
            "side": "BUY",
            "qty": 100,
            "px": "10.01",
        }
        assert (snapshot["t"], snapshot["orders_as_of"], snapshot["executions_as_of"]) == (
            "2013-10-10T14:00:02+00:00",
            "2013-10-10T14:00:01+00:00",
            "2013-10-10T14:00:02+00:00",
        )

    on_venue(work, script=TOUCHES, courier=Slow(), witness=notes)


def test_the_link_is_witnessed_where_it_drops_and_where_that_is_told() -> None:
    notes = Notes()

    async def work(venue: Venue) -> None:
        notes.said.clear()
        venue.broker.drop_link("gone", unnoticed=2.0)
        await venue.until("10:00:05")
        venue.broker.restore_link()
        assert [(kind, fields["t"][17:19], fields["up"]) for kind, fields in notes.said] == [
            ("link", "00", False),
            ("to_host", "02", False),
            ("link", "05", True),
            ("to_host", "05", True),
        ]

    on_venue(work, script=TOUCHES, witness=notes)


def test_a_touch_that_the_host_sees_is_witnessed_once_by_whatever_way_it_comes() -> None:
    notes = Notes()

    async def work(venue: Venue) -> None:
        broker = venue.broker
        broker.subscribe_quotes("ABC", lambda _quote: None)
        for _ in range(3):
            assert broker.latest("ABC") == await broker.snapshot("ABC", 1.0)
        await venue.until("10:02")
        assert [
            tuple(fields.values())[1:6] for kind, fields in notes.said if fields.get("kind") == "quote"
        ] == [
            ("quote", "ABC", "9.99", "10.01", False),
            ("quote", "ABC", "9.98", "10.00", True),
        ]

    script = (
        TOUCHES[0],
        Halt("ABC", ny("10:01")),
        quote("10:01", "9.98", "10.00"),
        Print("ABC", ny("10:00"), Decimal(10)),
        quote("10:59", "9.98", "10.00"),
    )
    on_venue(work, script=script, witness=notes)


def test_a_witness_changes_nothing() -> None:
    async def work(venue: Venue) -> list[Input]:
        await venue.broker.qualify("ABC")
        venue.place(order("BUY", 100, "LMT 10", "a"), order("SELL", 100, "STP 9", "sl"))
        await venue.until("10:02")
        return venue.inputs

    bars = minutes("10:00", 3)
    assert on_venue(work, bars=bars, witness=Notes()) == on_venue(work, bars=bars)


def test_only_a_callable_can_be_a_witness() -> None:
    with pytest.raises(ConfigError, match="witness = 'me': is a callable of a test"):
        read_settings({"witness": "me"})


def test_the_page_lists_every_word_with_its_fields() -> None:
    said: dict[str, list[str]] = {}
    for row in tables(sections(DOCS / "paper.md")["Faults on demand"])[2]:
        names = [word.strip("` ") for word in row["word"].split(",")]
        listed = [part.strip("` ").split() for part in row["fields beside `t`"].split(";")]
        said |= dict(zip(names, listed * len(names), strict=False))
    notes = Notes()

    async def work(venue: Venue) -> None:
        broker = venue.broker
        await broker.qualify("ABC")
        venue.place(
            order("BUY", 1, "MKT", "a"), order("SELL", 1, "STP 9", "sl"), order("SELL", 0, "STP 9", "no")
        )
        broker.modify(order("SELL", 1, "STP 8", "sl"), 2)
        broker.cancel("sl", 2)
        broker.place(order("BUY", 1, "LMT 8", "low"), 4)
        await venue.until("10:02")
        broker.bust("paper.1.01")
        await broker.snapshot_account()

    script = (TOUCHES[0], Print("ABC", ny("10:00"), Decimal(10)), Halt("ABC", ny("10:01")), TOUCHES[1])
    on_venue(work, script=script, witness=notes)
    assert {kind for kind, _ in notes.said} == said.keys()
    for kind, fields in notes.said:
        first, *others = fields
        assert first == "t"
        assert kind == "to_host" or others == said[kind]
