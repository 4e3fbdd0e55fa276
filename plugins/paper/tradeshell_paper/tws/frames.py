r"""Frames: the bytes of the TWS API, in both directions.

Laws: after the four bytes ``API\0`` everything is a frame: a length of four bytes, big-endian, and that many bytes of payload; a
payload is fields, each ended by a NUL. Bytes may come split or joined in any way. What cannot be a client of this protocol is a
``ProtocolError``, and its connection ends; nothing that a client sends makes the reader keep more than ``MAX_FRAME`` bytes.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from msgspec import Struct

PREFIX = b"API\0"
MAX_FRAME = 0xFFFFFF  # bytes; the official client refuses longer ones too
MAX_GREETING = 4096  # bytes of the first frame
MIN_VERSION, MAX_VERSION = 157, 178
# Between these two the clients disagree about one field: the lower one is offered instead.
SKIPPED_VERSIONS = frozenset({158})
_GREETING = re.compile(rb"v(\d{1,9})(?:\.\.(\d{1,9}))?(?: ([\x20-\x7e]*))?\0?", re.ASCII)


class ProtocolError(Exception):
    """What came is not this protocol."""


class Greeting(Struct, frozen=True):
    """What a client offers: the versions it speaks, and connect options such as ``+PACEAPI``."""

    lowest: int
    highest: int
    options: str = ""


def encode(*fields: object) -> bytes:
    """Return one frame. ``None`` is an empty field, truth is ``1`` or ``0``, anything else its text."""
    texts = [
        field
        if type(field) is str
        else ""
        if field is None
        else "1"
        if field is True
        else "0"
        if field is False
        else str(field)
        for field in fields
    ]
    payload = ("\0".join(texts) + "\0").encode("utf-8", "surrogateescape")
    return len(payload).to_bytes(4, "big") + payload


def decode(payload: bytes) -> list[str]:
    """Return the fields of a payload."""
    fields = payload.decode("utf-8", "surrogateescape").split("\0")
    if fields[-1] == "":
        fields.pop()
    return fields


def parse_greeting(payload: bytes) -> Greeting:
    """Return what a client offers; raises ``ProtocolError``."""
    found = _GREETING.fullmatch(payload)
    if found is None:
        raise ProtocolError(f"the first frame offers no versions: {payload[:40]!r}")
    lowest = int(found[1])
    highest = lowest if found[2] is None else int(found[2])
    if highest < lowest:
        raise ProtocolError(f"versions {lowest}..{highest} are none")
    return Greeting(lowest, highest, (found[3] or b"").decode("ascii"))


def choose_version(greeting: Greeting, ours: int = MAX_VERSION) -> int | None:
    """Return the highest version that both sides speak, ``None`` when there is none."""
    version = min(greeting.highest, ours)
    while version in SKIPPED_VERSIONS:
        version -= 1
    return version if version >= max(MIN_VERSION, greeting.lowest) else None


class FrameReader:
    """Takes bytes as they come and gives whole payloads. The first one is the greeting."""

    def __init__(self) -> None:
        self._data = bytearray()
        self._is_greeted = False
        self._has_prefix = False

    def feed(self, data: bytes) -> Iterator[bytes]:
        """Yield every payload that is complete now; raises ``ProtocolError``. A reader that raised is over."""
        buffer = self._data
        buffer += data
        if not self._has_prefix:
            start = bytes(buffer[: len(PREFIX)])
            if not PREFIX.startswith(start):
                raise ProtocolError(f"begins with {start!r} instead of {PREFIX!r}")
            if len(buffer) < len(PREFIX):
                return
            del buffer[: len(PREFIX)]
            self._has_prefix = True
        at = 0
        try:
            while len(buffer) - at >= 4:
                length = int.from_bytes(buffer[at : at + 4], "big")
                limit = MAX_FRAME if self._is_greeted else MAX_GREETING
                if not 0 < length <= limit:
                    raise ProtocolError(f"a frame of {length} bytes")
                if len(buffer) - at - 4 < length:
                    break
                payload = bytes(buffer[at + 4 : at + 4 + length])
                at += 4 + length
                self._is_greeted = True
                yield payload
        finally:
            del buffer[:at]
