"""The connection to TWS or IB Gateway: who may be talked to, whether it lives, and how it comes back.

Laws: nothing that could become an order leaves before the account is verified, on every connection anew; PAPER_ONLY refuses a
live port before it dials and a live account before anything else is asked. Every wait ends. There is one attempt at a time. A
link that is lost is told at once, with one line, and sought again by itself, later each time; a message that waits to be sent
dies with it, and its owner hears that it never left. A gateway that has lost Interactive Brokers (1100) counts as a lost link.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any, TypeVar

from tradeshell import (
    BrokerContext,
    BrokerError,
    Clock,
    Handle,
    LinkChanged,
)
from tradeshell_ibkr.codes import CODES, Effect, look_up
from tradeshell_ibkr.guards import LinkFailure, LiveUnconfirmed, check_account, check_place
from tradeshell_ibkr.order_ids import FIRST_REQUEST_ID, LAST_REQUEST_ID, OrderIds
from tradeshell_ibkr.owner import claim
from tradeshell_ibkr.pacing import Outbox, Priority
from tradeshell_ibkr.pulse import Pulse
from tradeshell_ibkr.settings import LinkSettings, is_paper
from tradeshell_ibkr.states import STEADY_AFTER, LinkState, pause, words_of
from tradeshell_ibkr.telling import Teller
from tradeshell_ibkr.wire import NOT_AN_API, Hub, Readers, Wire

T = TypeVar("T")
# What is told when it names no request. Words about an order that do not say which are attributed to none.
_TOLD = frozenset(
    {
        Effect.FARM_DOWN,
        Effect.PACING,
        Effect.LINK_ENDS,
        Effect.REFUSED,
        Effect.REJECTED,
        Effect.CHANGE_REFUSED,
        Effect.CANCEL_REFUSED,
        Effect.CANCELLED,
        Effect.COMMENT,
    }
)
DIAL_WITHIN = 5.0  # seconds for the socket
GREET_WITHIN = 6.0  # seconds for version, accounts and the next order number


class Connection:
    """The one connection of a program. The rest of the plugin hangs its handlers on it once, before the first ``connect``."""

    def __init__(self, context: BrokerContext, settings: LinkSettings) -> None:
        self.clock: Clock = context.clock
        self.settings = settings
        self.hub = Hub()
        self.outbox = Outbox(self.clock)
        self.order_ids = OrderIds(context.state_dir, self.settings.client_id, self.clock)
        self.names = dict(self.order_ids.names)  # contract id -> the symbol it has here
        self.notices: list[Callable[[int, str], None]] = []
        self.on_up: list[Callable[[bool], None]] = []  # (whether subscriptions are lost)
        self.on_down: list[Callable[[str], None]] = []
        self.on_next_id: Callable[[int], None] = lambda _: None
        self.on_order_error: Callable[[int, int, str], None] = lambda *_: None
        self.account = ""
        self.unconfirmed = ""  # a live account that was left because nobody has typed its id
        self.state = LinkState.OFF
        self.words = words_of(LinkState.OFF, self.settings.place, self.settings.client_id)
        self.epoch = 0
        self.wire: Wire | None = None
        self._emit = context.emit
        self._folder = context.state_dir
        self._log = context.wire
        self._packet = context.packet
        self._readers: Readers = {}
        self._after_data: list[Callable[[], None]] = []
        self._trial: tuple[Wire, asyncio.Future[None]] | None = None
        self._attempt: asyncio.Task[None] | None = None
        self._requests: dict[int, Callable[[int, str], None]] = {}
        self.pulse = Pulse(self)
        self._next_request = FIRST_REQUEST_ID
        self._waits: set[asyncio.Future[Any]] = set()
        self._is_wanted = False
        self._has_ib = True
        self._is_told_up = False
        self._askers = 0  # who waits for the attempt and will hear what became of it
        self._state_told = LinkState.OFF
        self._tries = 0
        self._retry: Handle | None = None
        self._up_at: datetime | None = None
        self._teller = Teller(self.clock, context.emit)
        self.hub.listen("error", self._error)
        self.hub.listen("dataProcessed", self._data_processed)
        self.hub.listen("nextValidId", self._next_id_told)
        self.hub.listen("unreadable", self._unreadable)

    # --- state --------------------------------------------------------------------------------------------------------

    @property
    def is_ready(self) -> bool:
        """Whether the socket is up, the API has answered and the account is verified."""
        return self.wire is not None

    @property
    def is_served(self) -> bool:
        """Whether the gateway also has its own link to Interactive Brokers: orders may leave."""
        return self.wire is not None and self._has_ib

    def must_be_served(self) -> Wire:
        """Return the wire; raises ``BrokerError`` with the state's words when nothing may be sent."""
        if self.wire is None or not self._has_ib:
            raise BrokerError(self.words)
        return self.wire

    def first_order_id(self) -> int:
        """Return the lowest number for a new order: above every one that is known here or there."""
        told = 1 if self.wire is None else self.wire.first_order_id
        return max(told, self.order_ids.highest + 1)

    @property
    def server_offset(self) -> float:
        """Seconds the broker's clock is ahead of ours; 0 while that is not known, or too little to matter."""
        return self.pulse.offset

    @property
    def has_ib(self) -> bool:
        """Whether the gateway has its own link, as far as it has said."""
        return self._has_ib

    # --- requests -----------------------------------------------------------------------------------------------------

    def request_id(self) -> int:
        """Return a number for a request, which no order ever has."""
        number = self._next_request
        self._next_request = number + 1 if number < LAST_REQUEST_ID else FIRST_REQUEST_ID
        return number

    def ask(self, method: str, *args: Any, priority: Priority = Priority.DATA) -> None:
        """Send ib_async's request ``method`` in its turn; raises ``BrokerError`` when there is no connection.

        What waits for its turn dies with the connection.
        """
        wire = self.wire
        if wire is None:
            raise BrokerError(self.words)
        send = getattr(wire, method)
        self.outbox.post(priority, lambda: send(*args))

    def on_error(self, request_id: int, handler: Callable[[int, str], None]) -> None:
        """Call ``handler`` with code and text of each error of a request, until ``forget``."""
        self._requests[request_id] = handler

    def forget(self, request_id: int) -> None:
        """Hear no more of a request."""
        self._requests.pop(request_id, None)

    def hear(self, message: int, handler: Callable[[list[str]], None]) -> None:
        """Give each message of a kind to ``handler`` as its fields, instead of decoding it."""
        self._readers[message] = handler

    def after_data(self, handler: Callable[[], None]) -> None:
        """Call ``handler`` when the messages of one packet have been handed out."""
        self._after_data.append(handler)

    def _data_processed(self) -> None:
        for handler in self._after_data:
            handler()

    async def within(self, future: asyncio.Future[T], seconds: float, words: str) -> T:
        """Return the result; raises ``BrokerError`` when it is late (with ``words``) or the connection ends before."""
        self._waits.add(future)
        try:
            async with asyncio.timeout(seconds):
                return await future
        except TimeoutError:
            raise BrokerError(words) from None
        finally:
            self._waits.discard(future)
            future.cancel()

    # --- connecting ---------------------------------------------------------------------------------------------------

    async def connect(self) -> None:
        """Connect; raises ``BrokerError`` with one line. What may heal by itself is tried again afterwards."""
        self._is_wanted = True
        if self.is_served:
            return
        if self.is_ready:
            raise BrokerError(self.words)
        self._askers += 1
        try:
            await asyncio.shield(self._attempting())
        finally:
            self._askers -= 1
        if not self.is_served:
            raise BrokerError(self.words)

    def disconnect(self) -> None:
        """Disconnect and stay so."""
        self._is_wanted = False
        self._stop_trying()
        self.pulse.end()
        wire, self.wire = self.wire, None
        if wire is not None:
            wire.close()
        self._set(LinkState.OFF)
        self._came_down("disconnected by the operator")

    def close(self) -> None:
        """End without a word."""
        self._is_wanted = False
        self._stop_trying()
        wire, self.wire = self.wire, None
        if wire is not None:
            wire.close()
        self.pulse.end()
        self.outbox.drop_all("the program ends")
        self.order_ids.close()

    def drop(self, state: LinkState, detail: str) -> None:
        """Give up a connection that is of no use, and make a new one."""
        if self.wire is not None:
            self.wire.end(detail)
            self._gone(self.wire, detail, state)

    def _attempting(self) -> asyncio.Task[None]:
        if self._retry is not None:
            self._retry.cancel()
            self._retry = None
        if self._attempt is None or self._attempt.done():
            self._attempt = asyncio.get_running_loop().create_task(self._try())
            self._attempt.add_done_callback(_looked_at)
        return self._attempt

    async def _try(self) -> None:
        before = self.state
        self._set(LinkState.CONNECTING)
        self.unconfirmed = ""
        try:
            await self._dial()
        except LinkFailure as failure:
            self.unconfirmed = failure.account if isinstance(failure, LiveUnconfirmed) else ""
            self._fail(failure, before)
            raise BrokerError(self.words) from None

    def _fail(self, failure: LinkFailure, before: LinkState) -> None:
        state = failure.state
        was_up = before in (LinkState.DROPPED, LinkState.RESTARTING, LinkState.LIFELESS, LinkState.UP)
        if state is LinkState.REFUSED and was_up:
            state = LinkState.RESTARTING
        self._set(state, failure.detail)
        if not self._askers and state is not self._state_told:
            self.tell(0, self.words)
        self._state_told = state
        seconds = pause(state, self._tries, self.settings.client_id)
        if seconds is None:
            self._is_wanted = False
        self._try_later(seconds)

    async def _dial(self) -> None:
        settings = self.settings
        check_place(settings)
        ready: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        wire = Wire(
            self.hub,
            lambda: _resolve(ready),
            lambda why: self._gone(wire, why),
            self._log,
            self._readers,
            self._packet,
        )
        self._trial, self._has_ib = (wire, ready), True
        try:
            try:
                async with asyncio.timeout(DIAL_WITHIN):
                    await wire.open(settings.host, settings.port, settings.client_id)
            except TimeoutError:
                raise LinkFailure(LinkState.UNREACHABLE, f"no answer within {DIAL_WITHIN:g} s") from None
            except ConnectionRefusedError:
                raise LinkFailure(LinkState.REFUSED) from None
            except OSError as error:
                raise LinkFailure(LinkState.UNREACHABLE, error.strerror or str(error)) from None
            try:
                async with asyncio.timeout(GREET_WITHIN):
                    await ready
            except TimeoutError:
                raise LinkFailure(LinkState.SILENT) from None
            account = check_account(settings, wire.accounts, self.account)
            claim(self._folder, account)
            if not wire.isConnected():
                raise LinkFailure(LinkState.SHUT_OUT, "it ended as soon as it was there")
        except BaseException:
            self._trial = None
            wire.close()
            raise
        self._trial, self.account = None, account
        self._came_up(wire)

    # --- up and down --------------------------------------------------------------------------------------------------

    def _came_up(self, wire: Wire) -> None:
        self.wire = wire
        self.epoch += 1
        self._up_at = self.clock.now()
        self.pulse.begin()
        if self._has_ib:
            self._tell_up(is_data_lost=True)
        else:
            self._set(LinkState.WITHOUT_IB)

    def _tell_up(self, *, is_data_lost: bool, why: str = "") -> None:
        assert self.wire is not None
        self._set(LinkState.UP)
        self._state_told = LinkState.UP
        self._is_told_up = True
        for listener in self.on_up:
            listener(is_data_lost)
        self._emit(
            LinkChanged(
                at=self.clock.now(),
                up=True,
                account=self.account,
                paper=is_paper(self.account),
                first_order_id=self.first_order_id(),
                why=why,
            )
        )

    def _came_down(self, why: str) -> None:
        """Tell everybody that nothing passes any more; the second time it is told by nobody."""
        self.outbox.drop_all(why)
        for future in tuple(self._waits):
            if not future.done():
                future.set_exception(BrokerError(f"the request was lost with the connection: {why}"))
        for listener in self.on_down:
            listener(why)
        if self._is_told_up:
            self._is_told_up = False
            self._emit(
                LinkChanged(
                    at=self.clock.now(), up=False, account=self.account, paper=is_paper(self.account), why=why
                )
            )

    def _gone(self, wire: Wire, why: str, state: LinkState = LinkState.DROPPED) -> None:
        """A wire has ended."""
        if self._trial is not None and self._trial[0] is wire:
            _resolve(self._trial[1], _why_shut_out(wire, why))
            return
        if wire is not self.wire:
            return
        self.wire = None
        self.pulse.end()
        now = self.clock.now()
        if self._up_at is not None and (now - self._up_at).total_seconds() >= STEADY_AFTER:
            self._tries = 0
        self._set(state, why)
        self._came_down(self.words)
        self._try_later(pause(state, self._tries, self.settings.client_id))

    def _try_later(self, seconds: float | None) -> None:
        if seconds is None or not self._is_wanted:
            return
        self._tries += 1
        if self._retry is not None:
            self._retry.cancel()
        self._retry = self.clock.call_at(self.clock.now() + timedelta(seconds=seconds), self._try_again)

    def _try_again(self) -> None:
        self._retry = None
        if self._is_wanted and self.wire is None:
            self._attempting()

    def _stop_trying(self) -> None:
        self._tries = 0
        if self._retry is not None:
            self._retry.cancel()
            self._retry = None
        if self._attempt is not None:
            self._attempt.cancel()
            self._attempt = None

    def _set(self, state: LinkState, detail: str = "") -> None:
        self.state = state
        self.words = words_of(state, self.settings.place, self.settings.client_id, detail)

    # --- messages -----------------------------------------------------------------------------------------------------

    def _next_id_told(self, order_id: int) -> None:
        """The gateway's next number: of numbers it has seen under our client id, whoever sent them."""
        if self.wire is not None and self.order_ids.highest < order_id - 1:
            self.order_ids.see(order_id - 1)
            self.on_next_id(order_id)

    def _error(self, number: int, code: int, text: str, reject: str = "") -> None:
        if reject:
            text = f"{text} {reject}"
        text = " ".join(text.split())
        handler = self._requests.get(number)
        if handler is not None:
            handler(code, text)
        elif number > 0 and not FIRST_REQUEST_ID <= number <= LAST_REQUEST_ID:
            self.on_order_error(number, code, text)
        elif number <= 0:
            self._notice(code, text)

    def _notice(self, code: int, text: str) -> None:
        effect = look_up(code).effect
        if self._trial is not None and self.wire is None:
            self._trial[0].refusal = f"{code}: {text}"
        if effect is Effect.LINK_LOST:
            self._lost_ib(code)
        elif effect in (Effect.LINK_BACK, Effect.LINK_BACK_EMPTY):
            self._found_ib(code, is_data_lost=effect is Effect.LINK_BACK_EMPTY)
        elif effect in _TOLD or code not in CODES:
            self.tell(code, text)
        for listener in self.notices:
            listener(code, text)

    def _lost_ib(self, code: int) -> None:
        if not self._has_ib:
            return  # it is said again and again during an outage
        self._has_ib = False
        if self.wire is not None:
            self._set(LinkState.WITHOUT_IB)
            self._came_down(f"{self.words} ({code})")

    def _found_ib(self, code: int, *, is_data_lost: bool) -> None:
        known, self._has_ib = self._has_ib, True
        if self.wire is None:
            return
        if known:  # the loss was not heard
            self._came_down(f"the gateway lost Interactive Brokers for a while ({code})")
        self._tell_up(is_data_lost=is_data_lost, why=f"Interactive Brokers is back ({code})")

    def _unreadable(self, fields: list[str]) -> None:
        del fields
        if self.wire is not None:
            self._teller.tell_unreadable(self.wire.complaint)

    def tell(self, code: int, text: str) -> None:
        """Tell the operator what is about no order of ours; the same words once a minute at most."""
        self._teller.tell(code, text)


def _why_shut_out(wire: Wire, why: str) -> LinkFailure:
    if wire.refusal.startswith("326"):
        return LinkFailure(LinkState.IN_USE)
    if wire.serverVersion() == 0 and (why == NOT_AN_API or "version" in why):
        return LinkFailure(LinkState.STRANGE, why)
    return LinkFailure(LinkState.SHUT_OUT, wire.refusal or why)


def _resolve(future: asyncio.Future[None], error: BaseException | None = None) -> None:
    if not future.done():
        if error is None:
            future.set_result(None)
        else:
            future.set_exception(error)


def _looked_at(task: asyncio.Task[None]) -> None:
    """Take note of a failed attempt: whoever waited for it has its words, and ``words`` keeps them."""
    if not task.cancelled():
        task.exception()
