"""What the program under test can do already: a schedule asks for nothing else, and a campaign expects to see all of it."""

from __future__ import annotations

from typing import NamedTuple

from tradeshell.core import inputs as i
from tradeshell.core.step import Core


class Features(NamedTuple):
    """Inputs that have a handler, and what follows from them."""

    ladders: bool
    flatten: bool
    stopentry: bool
    resume: bool


def _look() -> Features:
    handlers = Core({})._handlers
    flatten = i.FlattenRequested in handlers
    return Features(
        ladders=flatten,
        flatten=flatten,
        stopentry=i.StopEntryRequested in handlers,
        resume=i.Restarted in handlers,
    )


FEATURES = _look()
