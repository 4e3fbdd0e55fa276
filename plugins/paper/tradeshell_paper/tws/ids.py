"""Numbers that must not come twice, also after the gateway was started again: order ids, permanent ids, execution ids.

Laws: what was handed out is on disk as a mark that lies ahead of it, so that a number costs a write once in a while only; a crash
skips numbers and repeats none. Without a file the numbers begin anew with the process.
"""

from __future__ import annotations

import os
from pathlib import Path

import msgspec
from msgspec import Struct

AHEAD = 100  # numbers that one write covers
FIRST_PERM_ID = 1_426_086_000


class _Marks(Struct, kw_only=True):
    orders: dict[str, int] = {}
    perm: int = FIRST_PERM_ID
    run: int = 0


class Ids:
    """The numbers of one gateway. ``run`` counts its starts."""

    def __init__(self, file: Path | None = None) -> None:
        self._file = file
        self._marks = _Marks(orders={})
        self.note = ""  # what was wrong with the file
        if file is not None:
            try:
                self._marks = msgspec.json.decode(file.read_bytes(), type=_Marks)
            except FileNotFoundError:
                pass
            except (OSError, msgspec.DecodeError) as error:
                self.note = f"{file}: {error} · order numbers begin anew"
        self._highest = {int(client): number for client, number in self._marks.orders.items()}
        self._perm = self._marks.perm
        self.run = self._marks.run = self._marks.run + 1
        self._save()

    def next_order(self, client: int) -> int:
        """Return the lowest order id that a client may use."""
        return self._highest.get(client, 0) + 1

    def used(self, client: int, order_id: int) -> None:
        """Remember that a client used an id."""
        if order_id <= self._highest.get(client, 0):
            return
        self._highest[client] = order_id
        if order_id > self._marks.orders.get(str(client), 0):
            self._marks.orders[str(client)] = order_id + AHEAD
            self._save()

    def perm_id(self) -> int:
        """Return a new permanent id."""
        self._perm += 1
        if self._perm > self._marks.perm:
            self._marks.perm = self._perm + AHEAD
            self._save()
        return self._perm

    def close(self) -> None:
        """Write the numbers as they are: nothing is skipped after an orderly end."""
        self._marks.orders = {str(client): number for client, number in self._highest.items()}
        self._marks.perm = self._perm
        self._save()

    def _save(self) -> None:
        if self._file is None:
            return
        try:
            self._file.parent.mkdir(parents=True, exist_ok=True)
            fresh = self._file.with_suffix(f".{os.getpid()}.new")
            fresh.write_bytes(msgspec.json.encode(self._marks))
            fresh.replace(self._file)
        except OSError as error:
            self.note = f"{self._file}: {error} · order numbers are not kept"
            self._file = None
