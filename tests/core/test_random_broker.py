"""The core against a broker that delays, interleaves, repeats, refuses and loses: thousands of stories, each from its seed.

A failing seed prints its story; ``told(seed)`` returns that of any seed.
"""

from __future__ import annotations

from collections import Counter
from datetime import datetime, timedelta
from functools import cache
from random import Random

import pytest
from tests.core.broker_model import AtBroker, BrokerModel, Habits, Message, Picture, Refusal
from tests.core.support import ACCOUNT, ENTRY, SESSION, Desktop, d, quote

from tradeshell.core import commands as c
from tradeshell.core import inputs as i
from tradeshell.core.events import OrderMissing
from tradeshell.core.orders import OrderState
from tradeshell.core.trade import TradePhase, inventory

SEEDS = 3_000
CHUNK = 100
STORM = 60  # order commands in one trade
TO_REST = 600  # events after which a story that goes on by itself is not resting
FAR = timedelta(seconds=3)  # timers further away do not fire in the middle of a story

WORTH_TELLING = (
    "partial entry",
    "cancel and fill raced",
    "refused change",
    "both legs filled",
    "picture ended an order",
    "late fill after a cancel",
    "link lost",
    "repeated message",
)


class Story:
    """One trade from its trigger to its rest, told by chance."""

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self.chance = Random(seed)
        self.habits = Habits(
            shows_totals=self.chance.random() < 0.7,
            children_stay=self.chance.random() < 0.5,
            refuses=self.chance.choice((0.0, 0.0, 0.3)),
        )
        self.has_operator = self.chance.random() < 0.3
        self.loses_link = self.chance.random() < 0.3
        self.broker = BrokerModel(self.chance, self.habits)
        self.desk = Desktop()
        self.timers: dict[str, datetime] = {}
        self.questions: list[str] = []
        self.lines: list[str] = []
        self.findings: list[str] = []
        self.orders_sent = 0

    # --- telling ------------------------------------------------------------------------------------------------------

    def tell(self) -> Story:
        """Play the story to its end and judge it."""
        self.desk.trigger(entry_timeout=self.chance.choice((20.0, None)))
        self._hand_over()
        for _ in range(self.chance.randint(20, 120)):
            self._happen()
            if self.findings:
                return self
        self._come_to_rest()
        if not self.findings:
            self._judge()
        return self

    def _happen(self) -> None:
        """Let one thing happen."""
        dice = self.chance.random()
        if dice < 0.25:
            self._arrive()
        elif dice < 0.65:
            self._deliver()
        elif dice < 0.90:
            self._trade()
        elif dice < 0.94:
            if self.timers and min(self.timers.values()) <= self.desk.at + FAR:
                self._fire()
        elif dice < 0.95:
            self._answer()
        elif dice < 0.96:
            self._do(
                i.WatchCancelRequested(at=self.desk.at, watch="br-1"), "the operator cancels the watcher"
            )
        elif dice < 0.98 and self.has_operator and self.desk.desk.link.is_open:
            self._operate()
        elif dice >= 0.98 and self.loses_link:
            self._change_link()

    def _come_to_rest(self) -> None:
        """Let all that is under way arrive and all timers fire, until nothing is left to do."""
        if not self.desk.desk.link.up:
            self._change_link()
        for _ in range(TO_REST):
            if not (self._arrive() or self._deliver() or self._fire()):
                return
        self.findings.append("it does not come to rest")

    # --- one thing each; what could not happen is False ---------------------------------------------------------------

    def _arrive(self) -> bool:
        if not self.broker.requests:
            return False
        self.lines.append("broker " + self.broker.take_next())
        if self.broker.seen["placed too much"]:
            self.findings.append(f"an order was placed for shares that are not held: {self._truth()}")
        return True

    def _deliver(self) -> bool:
        streams = self.broker.streams()
        if not streams:
            return False
        stream = self.chance.choice(streams)
        message = stream[0]
        self._pass(timedelta(milliseconds=self.chance.randint(1, 300)))
        if not isinstance(message, Picture) and self.chance.random() < 0.15:
            self.broker.seen["repeated message"] += 1
        else:
            stream.popleft()
        event, line = heard(message, self.desk.at)
        if isinstance(message, i.ExecutionReport):
            booked = self.desk.desk.order(message.ref)
            if booked is not None and booked.state is OrderState.CANCELLED:
                self.broker.seen["late fill after a cancel"] += 1
        self._do(event, line)
        return True

    def _trade(self) -> None:
        """Let the market elect or fill something, or the broker cancel it."""
        at_work = self.broker.at_work()
        if not at_work:
            return
        order = self.chance.choice(at_work)
        dice = self.chance.random()
        if order.spec.type.is_stop and order.state is OrderState.HELD:
            if dice < 0.3:
                self.lines.append(f"broker elects {order.spec.ref}")
                self.broker.elect(order)
        elif dice < 0.6:
            qty = self.chance.choice((order.left, self.chance.randint(1, order.left)))
            self.lines.append(f"broker fills {qty} of {order.spec.ref}")
            self.broker.fill(order, qty)
        elif dice < 0.64 and self.has_operator:
            self.lines.append(f"broker cancels {order.spec.ref} by itself")
            self.broker.end(order)

    def _fire(self) -> bool:
        """Fire the next timer. Chases, alarms, looks at the market go on for ever: left alone while nothing else happens."""
        due = {
            key: at
            for key, at in self.timers.items()
            if not key.startswith(("chase:", "halt:", "hours:")) and not key.endswith(":alarm")
        }
        if not due:
            return False
        key = min(due, key=lambda name: due[name])
        self._pass(max(timedelta(), self.timers.pop(key) - self.desk.at))
        self._do(i.TimerFired(at=self.desk.at, key=key), f"timer {key}")
        return True

    def _answer(self) -> None:
        """Answer the question for the touch of an elected stop."""
        if self.questions:
            key = self.questions.pop(0)
            bid = self.chance.choice(("187.00", "186.50", "186.00"))
            touch = quote(self.desk.at, bid=bid, ask=str(d(bid) + d("0.02")))
            event = i.QuoteAnswered(at=self.desk.at, key=key, quote=touch, session=SESSION)
            self._do(event, f"the touch is {bid}")

    def _operate(self) -> None:
        """Let the operator cancel or move something."""
        refs = [order.spec.ref for order in self.desk.desk.orders() if order.state.is_live]
        if not refs:
            return
        ref = self.chance.choice(refs)
        dice = self.chance.random()
        if dice < 0.4 or ref == ENTRY:
            self._do(i.CancelRequested(at=self.desk.at, ref=ref), f"the operator cancels {ref}")
        elif self.desk.order(ref).spec.type.is_stop:
            stop = d(self.chance.choice(("186.50", "187.50", "188")))
            self._do(
                i.ReplaceRequested(at=self.desk.at, ref=ref, stop=stop), f"the operator moves {ref} to {stop}"
            )
        else:
            limit = d(self.chance.choice(("194", "196")))
            event = i.ReplaceRequested(at=self.desk.at, ref=ref, limit=limit)
            self._do(event, f"the operator moves {ref} to {limit}")

    def _change_link(self) -> None:
        is_up = self.desk.desk.link.up
        if is_up:
            self.broker.seen["link lost"] += 1
            self.broker.lose_link()
        self.broker.is_linked = not is_up
        self._pass(timedelta(milliseconds=self.chance.randint(1, 5_000)))
        event = i.LinkChanged(at=self.desk.at, up=not is_up, account=ACCOUNT, paper=True)
        self._do(event, "the link is lost" if is_up else "the link is back")

    # --- feeding ------------------------------------------------------------------------------------------------------

    def _pass(self, time: timedelta) -> None:
        self.desk.at += time
        self.broker.now = self.desk.at

    def _do(self, event: i.Input, line: str) -> None:
        self.lines.append(f"{self.desk.at:%H:%M:%S.%f} {line}")
        self.desk.feed(event)
        self._hand_over()

    def _hand_over(self) -> None:
        """Put what the core wants under way."""
        for command in self.desk.last:
            if isinstance(command, c.SetTimer):
                self.timers[command.key] = command.at
            elif isinstance(command, c.AskQuote):
                self.questions.append(command.key)
            elif isinstance(command, c.AskSnapshot):
                self.broker.ask(command)
            elif isinstance(command, c.PlaceOrder | c.ModifyOrder | c.CancelOrder):
                self._send(command)
        self.broker.seen["picture ended an order"] += len(self.desk.told(OrderMissing))
        if self.orders_sent > STORM:
            self.findings.append(f"a storm: {self.orders_sent} order commands")

    def _send(self, command: c.PlaceOrder | c.ModifyOrder | c.CancelOrder) -> None:
        self.orders_sent += 1
        self.lines.append("    -> " + sent(command))
        if not self.desk.desk.link.is_open:
            self.findings.append("an order command left without an open link")
        self.broker.ask(command)

    # --- judging ------------------------------------------------------------------------------------------------------

    def _judge(self) -> None:
        """Compare what the core believes at rest with what is true."""
        trade, orders = self.desk.trade(), self.desk.desk.books["AAPL"].orders
        position, cover, living = self.broker.position, self.broker.cover(), self.broker.living()
        # A change that crosses executions of which nothing was heard yet raises a total, whoever sends it.
        has_crossed = self.broker.seen["changes crossed"] > 0
        self._expect(position >= 0 or has_crossed, "the account is short")
        self._expect(self.broker.excess() == 0, "SELLs work for shares that are not held")
        self._expect(inventory(trade, orders) == position, "the core's inventory is not the position")
        is_over = position <= 0 and not living
        self._expect(is_over == (trade.phase is TradePhase.CLOSED), f"the trade is {trade.phase.value}")
        if position > 0:
            is_covered = cover >= position
            word = trade.protection
            self._expect(is_covered or word != "PROTECTED", "it is told PROTECTED and is not")
            is_elected = any(
                order.spec.type.is_stop and order.state is OrderState.WORKING for order in living
            )
            words = ("PROTECTED", "ARMING", *(("EMERGENCY",) if is_elected else ()))
            self._expect(not is_covered or word in words, f"it is told {word} and is protected")
        for order in living:
            self._expect_agreement(order)

    def _expect_agreement(self, order: AtBroker) -> None:
        ours = self.desk.order(order.spec.ref)
        self._expect(ours.state.is_live, f"the core takes {order.spec.ref} for dead")
        self._expect(ours.remaining == order.left, f"the core takes {order.spec.ref} for {ours.remaining}")
        prices = (ours.spec.stop, ours.spec.limit)
        self._expect(prices == (order.spec.stop, order.spec.limit), f"{order.spec.ref}: the core's prices")

    def _expect(self, is_true: bool, finding: str) -> None:
        if not is_true:
            self.findings.append(f"{finding}: {self._truth()}")

    def _truth(self) -> str:
        works = ", ".join(
            f"{order.spec.ref} {order.state.value} {order.left} at {order.spec.stop}/{order.spec.limit}"
            for order in self.broker.living()
        )
        return f"{self.broker.position} held, working: {works or 'nothing'}"

    def __str__(self) -> str:
        return "\n".join(
            (f"seed {self.seed}: {self.habits}", *self.lines, *map("FOUND {}".format, self.findings))
        )


def heard(message: Message, at: datetime) -> tuple[i.Input, str]:
    """Return what the core hears when ``message`` arrives, and a line about it."""
    if isinstance(message, i.OrderReport):
        said = f"{message.ref} {message.state.value}, {message.filled} filled of {message.qty}"
        return i.OrderReported(at=at, report=message), said
    if isinstance(message, i.ExecutionReport):
        return i.ExecutionReported(at=at, execution=message), f"{message.ref} executed {message.qty}"
    if isinstance(message, i.PositionReport):
        return i.PositionReported(at=at, position=message), f"position {message.qty}"
    if isinstance(message, Refusal):
        refused = i.OrderRefusedByBroker(
            at=at, ref=message.ref, what=message.what, code=message.code, text="no"
        )
        return refused, f"{message.what.value} of {message.ref} refused"
    return pictured(message, at)


def pictured(picture: Picture, at: datetime) -> tuple[i.Input, str]:
    """Return what the core hears of a picture, and a line about it."""
    answered = i.SnapshotAnswered(
        at=at,
        epoch=picture.epoch,
        asked_at=picture.asked_at,
        orders=picture.orders,
        executions=picture.executions,
        positions=(picture.position,),
    )
    shown = ", ".join(f"{order.ref} {order.state.value} {order.remaining}" for order in picture.orders)
    return answered, f"picture: {picture.position.qty} held, {shown or 'no orders'}"


def sent(command: c.PlaceOrder | c.ModifyOrder | c.CancelOrder) -> str:
    """Return a line about an order command."""
    if isinstance(command, c.CancelOrder):
        return f"cancel {command.ref}"
    word = "place" if isinstance(command, c.PlaceOrder) else "change"
    order = command.order
    return f"{word} {order.ref} over {order.qty} at {order.stop}/{order.limit}"


def told(seed: int) -> str:
    """Return the story of a seed in words."""
    return str(Story(seed).tell())


@cache
def chunk(first: int) -> tuple[Counter[str], tuple[str, ...]]:
    """Return what was seen in the stories of a chunk of seeds, and those that found something."""
    seen: Counter[str] = Counter()
    failed: list[str] = []
    for seed in range(first, first + CHUNK):
        story = Story(seed).tell()
        seen += story.broker.seen
        if story.findings:
            failed.append(str(story))
    return seen, tuple(failed)


@pytest.mark.parametrize("first", range(0, SEEDS, CHUNK))
def test_whatever_the_broker_does_the_core_ends_in_agreement_with_it(first: int) -> None:
    _, failed = chunk(first)
    assert failed == (), "\n\n".join(failed)


def test_the_stories_are_worth_telling() -> None:
    seen = sum((chunk(first)[0] for first in range(0, SEEDS, CHUNK)), Counter[str]())
    assert [name for name in WORTH_TELLING if seen[name] < 5] == []
