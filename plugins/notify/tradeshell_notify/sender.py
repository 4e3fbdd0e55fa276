"""Messages on their way: a child process delivers them, so that nothing it does can touch trading.

Laws: ``send`` answers within a bound whatever the services do, and never raises; only a thread of its own or a command waits for
it, never the engine. Addresses go to the child by its input alone: no list of processes, no log and no error shows them.
"""

from __future__ import annotations

import contextlib
import json
import re
import subprocess
import sys
import threading
from pathlib import Path

from msgspec import Struct

from tradeshell import Result

CHILD = Path(__file__).with_name("child.py")
WITHIN = 20.0  # seconds that a service has for one message


class Message(Struct, frozen=True, kw_only=True):
    """What is sent. ``kind`` is apprise's word for how it is marked: ``info``, ``success``, ``warning`` or ``failure``."""

    title: str
    body: str
    kind: str


class Delivery(Result, frozen=True, kw_only=True):
    """What became of a message at one address, which is called by its place in the list and its scheme."""

    address: str
    ok: bool
    why: str = ""


def names(urls: tuple[str, ...]) -> tuple[str, ...]:
    """Return what addresses are called where people read: ``1 ntfy``; nothing of them but the scheme."""
    found = (re.match(r"[a-z0-9]+(?=://)", url, re.IGNORECASE) for url in urls)
    return tuple(
        f"{number} {'?' if scheme is None else scheme[0].lower()}" for number, scheme in enumerate(found, 1)
    )


class Sender:
    """Delivers to a list of addresses. ``send`` is called by one thread, ``close`` by any."""

    def __init__(self, urls: tuple[str, ...], within: float = WITHIN) -> None:
        self._urls = urls
        self._names = names(urls)
        self._within = within
        self._child: subprocess.Popen[str] | None = None
        self._lock = threading.Lock()  # of the child, against a close that comes meanwhile
        self._is_closed = False
        self.understood: tuple[Delivery, ...] = ()  # whether each address is one, said at the child's start

    def start(self) -> str:
        """Have a child that answers; return why there is none."""
        if self._child is not None:
            return ""
        try:
            with self._lock:
                if self._is_closed:
                    return "the program ends"
                self._child = subprocess.Popen(  # noqa: S603  # our own file, by this very Python
                    [sys.executable, "-P", str(CHILD)],
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.DEVNULL,
                    text=True,
                    encoding="utf-8",
                    start_new_session=True,  # Ctrl-C at the terminal is for the shell
                )
        except OSError as error:
            return f"no process to deliver: {error.strerror}"
        answer = self._ask({"urls": self._urls, "within": self._within})
        if isinstance(answer, str):
            return answer
        self.understood = tuple(
            Delivery(address=each.address, ok=not each.why, why=each.why) for each in answer
        )
        return ""

    def send(self, message: Message) -> tuple[Delivery, ...]:
        """Send to every address at once and return what became of it."""
        answer = self.start() or self._ask(
            {"title": message.title, "body": message.body, "kind": message.kind}
        )
        if isinstance(answer, str):
            return tuple(Delivery(address=name, ok=False, why=answer) for name in self._names)
        return answer

    def _ask(self, words: dict[str, object]) -> tuple[Delivery, ...] | str:
        """Return the child's answer, or why it has none."""
        child = self._child
        assert child is not None, "start has made one"
        assert child.stdin is not None, "as asked for above"
        assert child.stdout is not None, "as asked for above"
        try:
            child.stdin.write(json.dumps(words) + "\n")
            child.stdin.flush()
            answer = json.loads(child.stdout.readline())
            if answer["ends"]:  # it hangs somewhere; the next message starts another
                self._end()
        except (OSError, ValueError):  # it has ended: an empty line is no JSON
            code = self._end()
            return f"the delivering process ended ({code})"
        return tuple(
            Delivery(address=name, ok=ok, why=why)
            for name, (ok, why) in zip(self._names, answer["said"], strict=True)
        )

    def _end(self) -> int | None:
        """End the child, and return how it ended."""
        with self._lock:
            child, self._child = self._child, None
        if child is None:
            return None
        child.kill()
        for pipe in (child.stdin, child.stdout):
            with contextlib.suppress(OSError):  # what was not written is lost with the child
                if pipe is not None:
                    pipe.close()
        return child.wait()

    def close(self) -> None:
        """End the child, whatever it does; a ``send`` that waits for it returns at once."""
        with self._lock:
            self._is_closed = True
            if self._child is not None:
                self._child.kill()

    def clean_up(self) -> None:
        """Give back what the child held; called by the thread that sends, or when there is none any more."""
        self._end()
