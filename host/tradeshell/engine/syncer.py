"""Brings what was written to the disk, on a thread of its own, and knows how far that is and how long it takes.

Laws: the loop never waits for a disk longer than ``SLOW``. A sync that has failed is never tried again and believed: the kernel
may have thrown the pages away, so nothing that was written until then, or is written later, counts as safe any more.
"""

from __future__ import annotations

import os
import threading
import time

SYNC_AFTER = 0.008  # seconds for what follows at once
SYNC_ANYWAY = 0.050  # seconds in which nobody said that something was written
SLOW = 0.25  # seconds: a disk that takes longer holds no entry's record


class Syncer:
    """Syncs one file. ``why_unsafe``: why what was written may not be on the disk; "" while it is, or will be within ``SLOW``."""

    def __init__(self, fd: int) -> None:
        self._fd = fd
        self._state = threading.Condition()
        self._wanted = self._synced = 0  # writes
        self._at_once = self._soon = False
        self._since: float | None = None  # when the sync that runs has begun
        self._failed = ""
        self._ends = False
        self._thread = threading.Thread(target=self._run, name="journal-sync", daemon=True)
        self._thread.start()

    @property
    def why_unsafe(self) -> str:
        """Why what was written may not be on the disk."""
        if self._failed:
            return self._failed
        since = self._since
        if since is not None and (taken := time.monotonic() - since) > SLOW:
            return f"the disk is slow: a sync has taken {taken:.1f} s so far"
        return ""

    def written(self) -> None:
        """Say that something was written; never waits."""
        self._wanted += (
            1  # a plain number: waking a thread between decision and order costs the order its time
        )

    def soon(self) -> None:
        """Have what was written synced in a moment; never waits. Not between decision and order: it wakes a thread."""
        if self._wanted != self._synced and not self._soon:
            with self._state:
                self._soon = True
                self._state.notify_all()

    def wait(self) -> bool:
        """Have what was written synced now, and wait for it, for ``SLOW`` at most; say whether it is, or never will be."""
        with self._state:
            wanted = self._wanted
            self._at_once = True
            self._state.notify_all()
            return self._state.wait_for(lambda: self._synced >= wanted or bool(self._failed), SLOW)

    def close(self) -> None:
        """Sync what is left, within two seconds, and end."""
        with self._state:
            self._ends = True
            self._state.notify_all()
        self._thread.join(2)

    def _run(self) -> None:
        while True:
            with self._state:
                self._state.wait_for(lambda: self._ends or self._at_once or self._soon, SYNC_ANYWAY)
                if self._wanted != self._synced:
                    self._state.wait_for(lambda: self._ends or self._at_once, SYNC_AFTER)
                self._at_once, self._soon, ends = False, False, self._ends
            wanted = self._wanted
            if wanted != self._synced and not self._failed:
                self._since = time.monotonic()
                try:
                    os.fdatasync(self._fd)
                except OSError as error:
                    self._failed = f"a sync has failed: {error.strerror}; nothing on this disk counts as safe until a restart"
                self._since = None
                with self._state:
                    self._synced = wanted
                    self._state.notify_all()
            if ends:
                return
