"""What was heard, in order, and what can be read off it."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from msgspec import Struct

from tradeshell import Shares

FINAL = ("Cancelled", "ApiCancelled", "Filled")
CANCELLED = 202


class Said(Struct, frozen=True, kw_only=True):
    """One message. ``kind``: ``order`` (openOrder), ``status``, ``execution``, ``fee``, ``position``, ``error``, ``completed``.

    ``at`` seconds of the loop's clock; ``order`` its number; ``total`` of an openOrder; ``price`` its stop or limit in USD.
    """

    at: float
    kind: str
    order: int = 0
    status: str = ""
    filled: Shares = 0
    remaining: Shares = 0
    total: Shares = 0
    price: float = 0.0
    code: int = 0
    text: str = ""
    exec_id: str = ""


class Tape:
    """Messages in the order in which they came."""

    def __init__(self) -> None:
        self.said: list[Said] = []

    def of(self, order: int, *kinds: str, since: int = 0) -> Iterator[Said]:
        """Return what was said of an order, from position ``since`` on."""
        return (s for s in self.said[since:] if s.order == order and (not kinds or s.kind in kinds))

    def first(self, check: Callable[[Said], bool], since: int = 0) -> int | None:
        """Return the position of the first message that passes."""
        return next((n for n, said in enumerate(self.said[since:], since) if check(said)), None)

    def last(self, order: int, kind: str) -> Said | None:
        """Return the newest message of a kind about an order."""
        return next((s for s in reversed(self.said) if s.order == order and s.kind == kind), None)

    def errors(self, order: int, since: int = 0) -> list[Said]:
        """Return the errors of an order."""
        return list(self.of(order, "error", since=since))

    def words(self, order: int) -> str:
        """Return what was said of an order in short: ``Submitted Cancelled 202``."""
        short: list[str] = []
        for said in self.of(order):
            word = {"status": said.status, "execution": "execution", "error": str(said.code), "fee": "fee"}
            if word.get(said.kind, "") and (not short or short[-1] != word[said.kind]):
                short.append(word[said.kind])
        return " ".join(short)
