"""What is told of notifications themselves. Law: none of it is ever sent as one."""

from __future__ import annotations

from typing import ClassVar

from tradeshell import Event, Weight


class NotifyFailed(Event, frozen=True, kw_only=True):
    """Nothing could be delivered to an address; told once until it works again. ``address``: its place and scheme, ``2 ntfy``."""

    weight: ClassVar[Weight] = Weight.BAD
    address: str
    reason: str

    def label(self) -> str:
        return "notify"

    def story(self) -> str | None:
        return f"address {self.address} gets nothing: {self.reason} · `notify` says more, trading is not concerned"


class NotifyRestored(Event, frozen=True, kw_only=True):
    """A message was delivered to an address that had failed."""

    weight: ClassVar[Weight] = Weight.GOOD
    address: str

    def label(self) -> str:
        return "notify"

    def story(self) -> str | None:
        return f"address {self.address} is reached again"
