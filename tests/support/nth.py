"""A system whose N-th call fails: every place where a disk can fail is met once, in order, until nothing fails any more."""

from __future__ import annotations

import os
from collections import Counter
from typing import Any

import pytest

# What our files ask of the system; a real file system does the rest.
CALLS = (
    "open",
    "write",
    "fsync",
    "fdatasync",
    "ftruncate",
    "rename",
    "replace",
    "truncate",
    "stat",
    "close",
    "pread",
)


class Nth:
    """Lets the ``nth`` of our calls to the system fail, once or from then on."""

    def __init__(self, patched: pytest.MonkeyPatch, nth: int, code: int, *, is_for_good: bool) -> None:
        self.count, self.failed = 0, Counter[str]()
        for name in CALLS:
            patched.setattr(os, name, self._counted(name, getattr(os, name), nth, code, is_for_good))

    def _counted(self, name: str, real: Any, nth: int, code: int, is_for_good: bool) -> Any:
        def call(*arguments: Any, **keywords: Any) -> Any:
            self.count += 1
            if self.count == nth or (is_for_good and self.count > nth):
                self.failed[name] += 1
                if name == "close":
                    real(*arguments)  # Linux closes it all the same
                raise OSError(code, os.strerror(code))
            return real(*arguments, **keywords)

        return call
