"""One line at a terminal about what is waited for: it grows while nothing comes, and goes before anything else is written.

Law: it never stands in a file, a pipe or a transcript; whoever writes to the screen clears it first, under the screen's lock.
"""

from __future__ import annotations

from collections.abc import Callable

AFTER = 1.0  # seconds: what answers sooner needs no words
ERASE = "\r\x1b[K"


class Progress:
    """Says what is waited for with ``write``, in lines of at most ``width()`` columns."""

    def __init__(self, write: Callable[[str], None], width: Callable[[], int]) -> None:
        self._write = write
        self._width = width
        self._shown: int | None = None  # the second that stands there

    def tick(self, what: str, waited: float) -> None:
        """Say that ``what`` has been waited for during ``waited`` seconds; once a second."""
        second = int(waited)
        if waited >= AFTER and second != self._shown:
            self._shown = second
            text = f"… waiting for {what} · {second} s · Ctrl-C stops waiting"
            self._write(f"{ERASE}{text[: max(1, self._width() - 1)]}")

    def clear(self) -> None:
        """Take the line away."""
        if self._shown is not None:
            self._shown = None
            self._write(ERASE)
