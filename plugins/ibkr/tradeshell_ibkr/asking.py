"""Asking for data: what market data needs of the connection, and questions that are answered once.

Laws: every question ends: by its answer, by an error of the broker in one line (``Refused``), by its patience, or with the link.
An advice is no answer. What comes for a question that has ended is nobody's, and ignored.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import timedelta
from typing import Any, Protocol, TypeVar

from tradeshell import BrokerError, Clock

T = TypeVar("T")
LONGEST_WORDS = 200  # characters of a broker's text that are shown
ADVICE = range(2100, 2200)  # codes that say something and end nothing


class Messages(Protocol):
    """Messages as the library's decoder reads them, by the name of its callback."""

    def listen(self, name: str, handler: Callable[..., None]) -> None:
        """Call ``handler`` for each message of that name."""
        ...


class Link(Protocol):
    """What market data needs of the connection. ``names`` maps contract ids to our symbols and is filled here."""

    @property
    def clock(self) -> Clock:
        """The engine's clock."""
        ...

    @property
    def hub(self) -> Messages:
        """Where rare messages are listened for."""
        ...

    @property
    def names(self) -> dict[int, str]:
        """Our symbols by contract id."""
        ...

    @property
    def notices(self) -> list[Callable[[int, str], None]]:
        """Who hears messages that are about nothing in particular (code, text)."""
        ...

    @property
    def wire(self) -> Any:
        """What reads messages, an ib_async ``Client``; ``None`` without a connection."""
        ...

    @property
    def is_ready(self) -> bool:
        """Whether requests can be sent."""
        ...

    @property
    def is_served(self) -> bool:
        """Whether they will be answered: the gateway has its own link to Interactive Brokers."""
        ...

    @property
    def epoch(self) -> int:
        """Which connection this is: what was subscribed on an earlier one is gone."""
        ...

    def request_id(self) -> int:
        """Return a number that no request and no order has."""
        ...

    def ask(self, method: str, *args: Any) -> None:
        """Send the request that ib_async's ``Client`` calls ``method``, behind everything about orders.

        Raises ``BrokerError`` when there is no link.
        """
        ...

    def on_error(self, req_id: int, handler: Callable[[int, str], None]) -> None:
        """Call ``handler`` with code and text of each error about ``req_id``."""
        ...

    def forget(self, req_id: int) -> None:
        """Hand on no more errors about ``req_id``."""
        ...

    def tell(self, code: int, text: str) -> None:
        """Tell the operator; the same words not again and again."""
        ...

    async def within(self, future: asyncio.Future[T], seconds: float, words: str) -> T:
        """Return the result; ``BrokerError`` with ``words`` after ``seconds``, or when the link goes."""
        ...


class Refused(BrokerError):
    """The broker answered a question with an error."""

    def __init__(self, code: int, text: str) -> None:
        super().__init__(f"IBKR says {code}: {one_line(text)}")
        self.code = code
        self.text = text


def one_line(text: str) -> str:
    """Return the broker's words as one line of bounded length."""
    found = " ".join("".join(c if c.isprintable() else " " for c in text).split())
    return found if len(found) <= LONGEST_WORDS else found[: LONGEST_WORDS - 1] + "…"


async def rest(clock: Clock, seconds: float) -> None:
    """Wait on the engine's clock."""
    done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    timer = clock.call_at(
        clock.now() + timedelta(seconds=seconds), lambda: None if done.done() else done.set_result(None)
    )
    try:
        await done
    finally:
        timer.cancel()


class Questions:
    """Questions under way, by the number of their request as text (as it comes back)."""

    def __init__(self, link: Link) -> None:
        self._link = link
        self._open: dict[str, tuple[asyncio.Future[list[Any]], list[Any]]] = {}

    async def ask(
        self, method: str, *args: Any, patience: float, words: str, cancel: str = "", key: str = ""
    ) -> list[Any]:
        """Send a request and return the parts of its answer; raises ``BrokerError`` (``Refused`` for an error).

        ``cancel`` is the request that calls it off when nobody waits any more. A request without a number is known by ``key``.
        """
        link = self._link
        future: asyncio.Future[list[Any]] = asyncio.get_running_loop().create_future()
        req_id = 0 if key else link.request_id()
        name = key or str(req_id)
        self._open[name] = (future, [])
        if req_id:
            link.on_error(req_id, lambda code, text: self._refuse(name, code, text))
        try:
            link.ask(method, *((req_id, *args) if req_id else args))
            return await link.within(future, patience, words)
        finally:
            self._open.pop(name, None)
            if req_id:
                link.forget(req_id)
            if cancel and not (future.done() and not future.cancelled()) and link.is_ready:
                link.ask(cancel, req_id)

    def part(self, name: str, part: Any) -> bool:
        """Add to an answer; return whether anybody waits for it."""
        found = self._open.get(name)
        if found is None:
            return False
        found[1].append(part)
        return True

    def end(self, name: str) -> bool:
        """Complete an answer; return whether anybody waits for it."""
        found = self._open.get(name)
        if found is None:
            return False
        future, parts = found
        if not future.done():
            future.set_result(parts)
        return True

    def _refuse(self, name: str, code: int, text: str) -> None:
        found = self._open.get(name)
        if found is not None and code not in ADVICE and not found[0].done():
            found[0].set_exception(Refused(code, text))
