"""After a crash: the desk as the journal says it was.

Laws: one reducer: the recorded inputs go through the same ``step`` that decided them, their commands are not executed again. A
torn last record was never acted upon and is cut off. What the journal cannot know (what became of the last orders, what executed
meanwhile) is asked of the broker: nothing leaves before its first complete picture.
"""

from __future__ import annotations

from pathlib import Path

from msgspec import Struct

from tradeshell.core.desk import Desk, WatchPhase
from tradeshell.core.step import Core
from tradeshell.core.trade import TradePhase
from tradeshell.engine.journal import read_header, read_journal
from tradeshell.errors import StateError


class Recovered(Struct, frozen=True):
    """What a journal tells: the desk after its last record, that record's number, and why it was not used, if so."""

    desk: Desk
    written: int = 0
    why_not: str = ""


def recover(core: Core, path: Path, broker: str) -> Recovered:
    """Return the desk that the journal at ``path`` leads to; an empty one when it is not there, not this broker's, or damaged."""
    if not path.exists():
        return Recovered(Desk())
    desk, written = Desk(), 0
    try:
        header = read_header(path)
        if header is None or header.broker != broker:
            return Recovered(Desk())
        for entry in read_journal(path):
            desk, _ = core.step(desk, entry.input)
            written = entry.n
    except StateError as error:
        return Recovered(Desk(), why_not=str(error))
    return Recovered(desk, written)


def is_open(desk: Desk) -> bool:
    """Return whether anything of a desk is still to be looked after."""
    return (
        bool(desk.stopped)
        or any(book.frozen for book in desk.books.values())
        or any(watcher.phase is not WatchPhase.DONE for watcher in desk.watchers.values())
        or any(trade.phase is not TradePhase.CLOSED for trade in desk.trades())
    )
