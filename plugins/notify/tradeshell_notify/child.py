"""The process that delivers. apprise lives here and nowhere else: what it takes, hangs in or breaks ends with this process.

Laws: one line of JSON in, one out; an answer comes within the seconds that the first line gives. No piece of an address is ever
written: what apprise says is told with every piece of the address taken out. It ends when its input does, and imports nothing of
tradeshell, which would cost a start.
"""

from __future__ import annotations

import json
import logging
import os
import re
import signal
import sys
import threading
import time
from typing import Any
from urllib.parse import unquote

GRACE = (
    5  # seconds beyond those of an answer: then the system ends a process that cannot even say that it hangs
)
HIDDEN = "****"


class _LastWords(logging.Handler):
    """Keeps the last warning of each thread: apprise says there, and nowhere else, why it failed."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.by_thread: dict[int, str] = {}

    def emit(self, record: logging.LogRecord) -> None:
        if record.thread is not None:
            self.by_thread[record.thread] = record.getMessage()


class Target:
    """One address: what it takes to send there, and how the last sending went."""

    def __init__(self, apprise: Any, url: str, words: _LastWords) -> None:
        self._url = url
        self._words = words
        self._thread: threading.Thread | None = None
        self.ok = False
        self.why = ""
        words.by_thread.clear()
        asset = apprise.AppriseAsset(app_id="tradeshell", app_desc="tradeshell", async_mode=False)
        try:
            self._service: Any = apprise.Apprise.instantiate(url, asset=asset)
        except Exception as error:  # noqa: BLE001  # a service may raise anything for an address
            self._service = None
            self.why = self._told(f"{type(error).__name__}: {error}")
        if self._service is None:
            self.why = self.why or "apprise does not understand this address"

    def begin(self, message: dict[str, str]) -> None:
        """Send on a thread of its own; ``finish`` waits for it."""
        if self._service is None:
            return
        self.ok, self.why = False, ""
        self._thread = threading.Thread(target=self._send, args=(message,), daemon=True)
        self._thread.start()

    def _send(self, message: dict[str, str]) -> None:
        me = threading.get_ident()
        self._words.by_thread.pop(me, None)
        try:
            self.ok = bool(
                self._service.notify(
                    body=message["body"], title=message["title"], notify_type=message["kind"]
                )
            )
            said = self._words.by_thread.get(me, "")
        except Exception as error:  # noqa: BLE001  # as above
            said = f"{type(error).__name__}: {error}"
        self.why = "" if self.ok else self._told(said or "not delivered")

    def finish(self, until: float, within: float) -> bool:
        """Wait for the sending until ``until``; ``False`` when it hangs."""
        if self._thread is None:
            return True
        self._thread.join(max(0.0, until - time.monotonic()))
        if not self._thread.is_alive():
            return True
        self.ok, self.why = False, f"no answer within {within:g} s"
        return False

    def _told(self, words: str) -> str:
        return without(words, self._url)


def without(words: str, url: str) -> str:
    """Return ``words`` in one line without any piece of ``url`` but its scheme."""
    scheme, _, rest = url.partition("://")
    pieces = {piece for text in (rest, unquote(rest)) for piece in re.split(r"[/:@?&=,;#\s]+", text)}
    for piece in sorted(pieces - {scheme}, key=len, reverse=True):
        if len(piece) > 2:
            words = words.replace(piece, HIDDEN)
    return " ".join(words.split())[:200]


def main() -> None:
    """Read addresses, then messages; answer each line."""
    out = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # a service that prints must not answer for us

    def answer(targets: list[Target], *, ends: bool) -> None:
        said = [[target.ok, target.why] for target in targets]
        out.write(json.dumps({"said": said, "ends": ends}) + "\n")
        out.flush()

    lines = iter(sys.stdin.readline, "")
    first = json.loads(next(lines))
    within: float = first["within"]
    signal.alarm(int(within) + GRACE)
    logging.raiseExceptions = False
    words = _LastWords()
    import apprise  # noqa: PLC0415  # within the time that is given

    logging.getLogger("apprise").addHandler(words)
    targets = [Target(apprise, url, words) for url in first["urls"]]
    while True:
        signal.alarm(0)
        answer(targets, ends=False)
        line = next(lines, None)
        if line is None:
            return
        signal.alarm(int(within) + GRACE)
        until = time.monotonic() + within
        message = json.loads(line)
        for target in targets:
            target.begin(message)
        finished = [target.finish(until, within) for target in targets]
        if not all(finished):
            answer(targets, ends=True)
            return  # what hangs ends here; the next message finds a new process


if __name__ == "__main__":
    code = 1
    try:
        main()
        code = 0
    finally:
        os._exit(code)  # at once: threads that hang are not waited for
