"""The form of a line, and how a line is known to be the one that was written.

Laws:

1. A line is one JSON object. No value makes one that cannot be parsed: NaN becomes null, what JSON does not know becomes text,
   what is too long or cannot be encoded at all is described.
2. ``crc`` is its last field: eight hex digits of a CRC-32 over what the file says up to there, this line and all before it. A
   flipped bit, a line that is missing, repeated or moved, and a torn end break the chain at that line.
3. What breaks the chain ends the log: ``scan`` finds the longest beginning of a file that is as it was written.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator
from datetime import datetime
from functools import cache
from operator import attrgetter
from typing import Any, BinaryIO
from zlib import crc32

import msgspec
from msgspec import Struct

from tradeshell import Event, Record

ENVELOPE = ("v", "seq", "ts", "mono", "session", "n", "event", "crc")
OURS = b'{"v":'  # how every line begins
SEAL = b',"crc":"'
END = b'"}\n'
SEALED = len(SEAL) + 8 + len(END)  # bytes of a line's end
LONGEST = 1 << 20  # bytes of a line; what holds more is described instead
_DIGITS = -len(END) - 8
_SEAL = -SEALED


# --- writing ----------------------------------------------------------------------------------------------------------


def encode(record: Record, seq: int) -> bytes:
    """Return the JSON object of ``record`` under the number ``seq``: the envelope, then the event's fields that are set.

    A field that is called like one of the envelope gets a ``_`` behind its name.
    """
    event = record.event
    line = {
        "v": record.v,
        "seq": seq,
        "ts": record.ts,
        "mono": round(record.mono, 6),  # what is no number becomes null
        "session": record.session,
        "n": record.seq,
        "event": type(event).__name__,
    }
    try:
        keys, values = _fields(type(event))
        for key, value in zip(keys, values(event), strict=True):
            if value is not None:
                line[key] = value  # noqa: PERF403  # into the envelope: on the path of every order
        body = _encode(line)
        if len(body) < LONGEST - SEALED:
            return body
        why = f"{len(body)} bytes are too long for a line"
    except Exception as error:  # noqa: BLE001  # an event of a plugin may hold anything; its line is kept as far as it goes
        why = _described(error)
    mono = record.mono if math.isfinite(record.mono) else None
    head = {key: value for key, value in line.items() if key in ENVELOPE}
    instead = {"ts": _described(record.ts), "mono": mono, "unreadable": why, "fields": _shallow(event)}
    return json.dumps(head | instead).encode("ascii")


def seal(body: bytes, chain: int) -> tuple[bytes, int]:
    """Return the line of ``body`` behind lines whose chain is ``chain`` (0: the first of a file), and the chain after it."""
    text = body[:-1] + SEAL
    chain = crc32(text, chain)
    return text + b'%08x"}\n' % chain, chain


_encode = msgspec.json.Encoder(enc_hook=str).encode


@cache
def _fields(kind: type[Event]) -> tuple[tuple[str, ...], Callable[[Event], tuple[Any, ...]]]:
    """Return the names that a kind of event's fields have in a line, and what takes their values."""
    named = [
        (name, f"{key}_" if key in ENVELOPE else key)
        for name, key in zip(kind.__struct_fields__, kind.__struct_encode_fields__, strict=True)
        if key != "event"
    ]
    return tuple(key for _, key in named), attrgetter(*(name for name, _ in named))


def _shallow(event: object) -> dict[str, str]:
    names: tuple[str, ...] = getattr(event, "__struct_fields__", ())
    return {name: _described(getattr(event, name, None)) for name in names}


def _described(value: object) -> str:
    try:
        return value.isoformat() if isinstance(value, datetime) else ascii(value)[:200]
    except Exception:  # noqa: BLE001  # not even its repr works
        return f"<{type(value).__name__}>"


# --- checking ---------------------------------------------------------------------------------------------------------


def check(line: bytes, chain: int) -> int | None:
    """Return the chain after ``line``, ``None`` when it is not the line that was written behind ``chain``."""
    if line[_SEAL : _SEAL + len(SEAL)] != SEAL or not line.endswith(END):
        return None
    chain = crc32(line[:_DIGITS], chain)
    return chain if b"%08x" % chain == line[_DIGITS : -len(END)] else None


def is_sealed(line: bytes) -> bool:
    """Return whether ``line`` ends as one of ours does, damaged or not."""
    return line[_SEAL : _SEAL + len(SEAL)] == SEAL and line.endswith(END)


def good_lines(file: BinaryIO) -> Iterator[tuple[bytes, int]]:
    """Yield the lines of ``file``, each with the chain after it, up to the first that is not as it was written."""
    chain = 0
    while line := file.readline(LONGEST):
        found = check(line, chain)
        if found is None:
            return
        chain = found
        yield line, chain


class Whole(Struct, frozen=True):
    """The longest good beginning of a file: ``size`` bytes in ``count`` lines, the chain after it, its first and last line."""

    size: int = 0
    count: int = 0
    chain: int = 0
    first: bytes = b""
    last: bytes = b""


def scan(file: BinaryIO) -> Whole:
    """Return what of ``file`` is good; it is read from its beginning, a line at a time."""
    file.seek(0)
    size = count = chain = 0
    first = last = b""
    for line, chain in good_lines(file):  # noqa: B007  # the chain after the last line is returned
        first = first or line
        last = line
        size += len(line)
        count += 1
    return Whole(size, count, chain, first, last)


def parsed(line: bytes) -> dict[str, Any]:
    """Return the record of a good line; raises ``ValueError`` for one that a program with a defect has sealed."""
    record: dict[str, Any] = msgspec.json.decode(line)
    if not isinstance(record["seq"], int) or not isinstance(record["event"], str):
        raise ValueError("a line without number or name")  # noqa: TRY004  # what is wrong is the line
    instant(record)
    return record


def instant(record: dict[str, Any]) -> datetime:
    """Return when a record was made, UTC."""
    return datetime.fromisoformat(record["ts"])
