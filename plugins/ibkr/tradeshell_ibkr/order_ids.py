"""The highest order number that was ever used here, and what traded instruments are called, on disk.

The gateway remembers the number too (nextValidId), and so does the journal; a gateway that was set up anew forgets, a journal can
be lost. A number that is used twice is refused (103), or worse: what is said about the old order is taken for the new one. And
after a restart executions name an instrument before anybody has looked it up again: its contract id says which of ours it is,
however the broker spells the symbol.

Laws: a number is never given out twice by one client id of one state folder; the file is written after the order has left, at
most once a second, because the journal has the number before; a damaged file counts as none.
"""

from __future__ import annotations

import contextlib
import json
import os
from datetime import timedelta
from pathlib import Path

from tradeshell import Clock, Handle

LAST_ORDER_ID = 2**31 - 1_000_000  # numbers above are not given to orders
FIRST_REQUEST_ID = LAST_ORDER_ID + 1_000  # requests have the numbers that orders never reach
LAST_REQUEST_ID = 2**31 - 100_000
WRITE_EVERY = 1.0  # seconds


class OrderIds:
    """The mark of one client id."""

    def __init__(self, folder: Path, client_id: int, clock: Clock) -> None:
        self._path = folder / f"order_ids.{client_id}.json"
        self._clock = clock
        self._highest, self.names = self._read()  # contract id -> the symbol that was traded here
        self._is_written = True
        self._timer: Handle | None = None

    @property
    def highest(self) -> int:
        """The highest number that was used or seen; 0 for none."""
        return self._highest

    def see(self, order_id: int) -> None:
        """Take note of a number that was used by whomever under this client id."""
        if self._highest < order_id <= LAST_ORDER_ID:
            self._highest = order_id
            self._write_later()

    def name(self, con_id: int, symbol: str) -> None:
        """Take note of what a traded instrument is called here."""
        if self.names.get(con_id) != symbol:
            self.names[con_id] = symbol
            self._write_later()

    def close(self) -> None:
        """Write what is not written yet."""
        if self._timer is not None:
            self._timer.cancel()
            self._write()

    def _read(self) -> tuple[int, dict[int, str]]:
        try:
            found = json.loads(self._path.read_bytes())
            highest = found["highest"]
            names = {int(key): str(name) for key, name in found.get("names", {}).items()}
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            return 0, {}
        return (highest if isinstance(highest, int) and 0 < highest <= LAST_ORDER_ID else 0), names

    def _write_later(self) -> None:
        self._is_written = False
        if self._timer is None:
            at = self._clock.now() + timedelta(seconds=WRITE_EVERY)
            self._timer = self._clock.call_at(at, self._write)

    def _write(self) -> None:
        self._timer = None
        if self._is_written:
            return
        new = self._path.with_suffix(".new")
        with contextlib.suppress(OSError):  # the journal has it; a full disk is told by those who need it
            new.write_text(json.dumps({"highest": self._highest, "names": self.names}), encoding="ascii")
            new.chmod(0o600)
            os.replace(new, self._path)  # noqa: PTH105  # atomic over an existing file, on every system
            self._is_written = True
