"""Reads what the program left on disk: the audit's lines and the journal's, strictly, by the forms that the docs give.

Laws: nothing is repaired and nothing is guessed; a line that is not what it must be is a breach of V23, unless it is the last one
of a life and torn. What cannot be read does not count as written.
"""

from __future__ import annotations

import json
import zlib
from datetime import datetime, timedelta
from decimal import Decimal, InvalidOperation
from typing import Any

import msgspec
from tests.simulation.checker.report import Findings

LARGEST = 64 * 1024  # bytes of a line
_decode = msgspec.json.Decoder().decode
_SENT_NOTHING = b'"orders":[]}'


def same_price(one: str | None, other: str | None) -> bool:
    """Return whether two prices are the same number; ``""`` and ``None`` are no price."""
    if one == other or (not one and not other):
        return True
    if not one or not other:
        return False
    try:
        return Decimal(one) == Decimal(other)
    except InvalidOperation:
        return False


def instant(text: str) -> datetime:
    """Return the instant of an ISO 8601 text."""
    return datetime.fromisoformat(text)


class Intent:
    """One ``OrderIntent``: ``at`` is its row among the records, ``t`` its time, ``is_ready`` whether L says orders may leave."""

    __slots__ = ("at", "is_ready", "is_stopped", "record", "t")

    def __init__(
        self, at: int, t: float, record: dict[str, Any], *, is_ready: bool, is_stopped: bool
    ) -> None:
        self.at, self.t, self.record = at, t, record
        self.is_ready, self.is_stopped = is_ready, is_stopped


class Log:
    """The audit. ``begins``: with which lines a file of it begins, counted from 0; a chain of checksums ends with its file."""

    def __init__(self, lines: list[bytes], findings: Findings, begins: frozenset[int] = frozenset()) -> None:
        self._begins = begins
        self.records: list[dict[str, Any]] = []
        self.by_event: dict[str, list[dict[str, Any]]] = {}
        self.intents: dict[str, list[Intent]] = {}
        self.placed: dict[str, Intent] = {}
        self.changes: dict[str, list[Intent]] = {}
        self.placed_twice: list[Intent] = []
        self.start: datetime | None = None  # the instant of t = 0
        self._read(lines, findings)
        if self.records and isinstance(self.records[0].get("ts"), str):
            first = self.records[0]
            self.start = instant(first["ts"]) - timedelta(seconds=first["mono"])

    def _read(self, lines: list[bytes], findings: Findings) -> None:
        seq = chain = 0
        last = len(lines) - 1
        is_ready = is_stopped = False
        session = None
        for number, line in enumerate(lines):
            if number in self._begins:
                chain = 0
            record = _strict(line)
            if isinstance(record, str):
                if number == last:
                    if line.strip():
                        findings.saw("torn tail")
                    continue
                findings.breach("V23", 0.0, f"audit line {number + 1}: {record}")
                seq += 1
                continue
            seq += 1
            if "crc" in record:  # a day that a test tells has none
                chain = zlib.crc32(line[: line.rindex(b'"crc":"') + len(b'"crc":"')], chain)
                if record["crc"] != f"{chain:08x}":
                    findings.breach(
                        "V23", record["mono"], f"audit line {number + 1}: its checksum does not match"
                    )
                    chain = int(record["crc"], 16)
            if record["seq"] != seq:
                findings.breach(
                    "V23", record["mono"], f"audit line {number + 1}: seq {record['seq']}, expected {seq}"
                )
                seq = record["seq"]
            event = record["event"]
            if record["session"] != session:
                session, is_ready = record["session"], False
            if event == "OrderIntent":
                intent = Intent(
                    len(self.records), record["mono"], record, is_ready=is_ready, is_stopped=is_stopped
                )
                ref = record["order_ref"]
                self.intents.setdefault(ref, []).append(intent)
                if record["action"] == "replace":
                    self.changes.setdefault(ref, []).append(intent)
                if record["action"] == "place":
                    if ref in self.placed:
                        self.placed_twice.append(intent)
                    else:
                        self.placed[ref] = intent
            elif event == "ReconciliationCompleted":
                is_ready = True
            elif event == "ConnectionChanged":
                is_ready = is_ready and record["link"] == "up"
            elif event == "KillSwitchEngaged":
                is_stopped = True
            elif event == "KillSwitchLifted":
                is_stopped = False
            elif event == "LogTailRepaired":
                findings.saw("torn tail")
            self.records.append(record)
            self.by_event.setdefault(event, []).append(record)
        findings.counters["V23"] += len(self.records)

    def of(self, *events: str) -> list[dict[str, Any]]:
        """Return the records of these events, oldest first."""
        found = [record for event in events for record in self.by_event.get(event, ())]
        return found if len(events) == 1 else sorted(found, key=lambda record: int(record["seq"]))

    def last_intent(self, ref: str, action: str, t: float) -> Intent | None:
        """Return the latest intent of that action for an order at or before ``t``."""
        for intent in reversed(self.intents.get(ref, ())):
            if intent.t <= t + 1e-6 and intent.record["action"] == action:
                return intent
        return None


def _strict(line: bytes) -> dict[str, Any] | str:
    """Return one record, or what is wrong with its line."""
    if len(line) > LARGEST:
        return f"{len(line)} bytes"
    try:
        record = _decode(line)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        return str(error)
    if type(record) is not dict:
        return "not an object"
    # A key that comes twice: rare enough to look twice, and quick to suspect.
    if line.count(b'":') != len(record) and (wrong := _repeated(line)):
        return wrong
    try:
        if record["v"] != 1 or type(record["seq"]) is not int or record["mono"] < 0:
            return "an envelope that is not the documented one"
        if type(record["event"]) is not str or type(record["session"]) is not str or record["ts"][-1] != "Z":
            return "an envelope that is not the documented one"
    except (KeyError, TypeError, IndexError) as error:
        return f"an envelope that is not the documented one ({error!r})"
    return record


def _repeated(line: bytes) -> str:
    twice: list[str] = []

    def pairs(found: list[tuple[str, Any]]) -> dict[str, Any]:
        names = [name for name, _ in found]
        twice.extend(name for name in set(names) if names.count(name) > 1)
        return dict(found)

    json.loads(line, object_pairs_hook=pairs)
    return f"the key {twice[0]} comes twice" if twice else ""


class Written:
    """One order command in the journal."""

    __slots__ = ("order", "order_id", "t")

    def __init__(self, t: float, order: dict[str, Any], order_id: int) -> None:
        self.t, self.order, self.order_id = t, order, order_id


class Journal:
    """The journal, of one life or of several, one after the other."""

    def __init__(self, lines: list[bytes], start: datetime | None, findings: Findings) -> None:
        self.commands: dict[tuple[str, str], list[Written]] = {}  # by order and command
        self.has_gap = False
        self._start = start
        self._payloads: list[bytes] = []
        n = 0
        last = len(lines) - 1
        is_first = True
        for number, raw in enumerate(lines):
            line = raw.rstrip(b"\n")
            if not line and number == last:
                continue
            crc, _, payload = line.partition(b" ")
            if b"%08x" % zlib.crc32(payload) != crc:
                if number == last or _is_header(lines[number + 1].rstrip(b"\n").partition(b" ")[2]):
                    findings.saw("torn tail")
                else:
                    findings.breach("V23", 0.0, f"journal line {number + 1}: the checksum does not match")
                continue
            if is_first or _is_header(payload):
                if not _is_header(payload):
                    findings.breach("V23", 0.0, "journal: the first record is no header")
                is_first, n = False, 0
                continue
            n = self._take(number, payload, n, start, findings)
        findings.counters["V23"] += len(self._payloads)

    def _take(self, number: int, payload: bytes, n: int, start: datetime | None, findings: Findings) -> int:
        if payload.startswith(b'{"gap":'):
            gap = _decode(payload)
            self.has_gap = True
            n += gap["gap"]
            if gap["n"] != n:
                findings.breach(
                    "V23", 0.0, f"journal line {number + 1}: a gap up to {gap['n']}, expected {n}"
                )
            return int(gap["n"])
        self._payloads.append(payload)
        found = payload[5 : payload.find(b",")]
        if not payload.startswith(b'{"n":') or not found.isdigit():
            findings.breach("V23", 0.0, f"journal line {number + 1}: not a decision")
            return n
        if int(found) != n + 1:
            findings.breach("V23", 0.0, f"journal line {number + 1}: decision {int(found)}, expected {n + 1}")
        if not payload.endswith(_SENT_NOTHING):
            entry = _decode(payload)
            t = 0.0 if start is None else (instant(entry["input"]["at"]) - start).total_seconds()
            for each in entry["orders"]:
                order = each.get("order") or {"ref": each["ref"]}
                written = Written(t, order, each["order_id"])
                self.commands.setdefault((order["ref"], each["command"]), []).append(written)
        return int(found)

    def is_read_after(self, exec_id: str, t: float) -> bool:
        """Return whether an execution, or a correction of one, was read after ``t``, by the first input that tells it."""
        name = b'"exec_id":"%s"' % exec_id.encode()
        for payload in self._payloads:
            if 0 < payload.find(name) < payload.rfind(b',"orders":[') and self._start is not None:
                at = instant(_decode(payload)["input"]["at"])
                return (at - self._start).total_seconds() > t + 1e-6
        return False

    def heard_of(self, ref: str) -> bool:
        """Return whether an input of the journal, not a command, tells what became of an order: it speaks of it, or lacks it."""
        name = b'"ref":"%s"' % ref.encode()
        if any(0 < payload.find(name) < payload.rfind(b',"orders":[') for payload in self._payloads):
            return True
        return self._lacked(name)

    def heard_the_end_of(self, ref: str) -> bool:
        """Return whether an input of the journal shows that an order ended."""
        name = b'"ref":"%s"' % ref.encode()
        ends = ("filled", "cancelled", "refused")
        for payload in self._payloads:
            if 0 < payload.find(name) < payload.rfind(b',"orders":['):
                heard = _decode(payload)["input"]
                shown = [heard["report"]] if "report" in heard else heard.get("orders", ())
                if any(report["ref"] == ref and report["state"] in ends for report in shown):
                    return True
                if heard["input"] == "SnapshotAnswered" and not any(report["ref"] == ref for report in shown):
                    return True
        return self._lacked(name)

    def _lacked(self, name: bytes) -> bool:
        """Return whether a picture that was booked after an order was decided does not speak of it."""
        is_decided = False
        for payload in self._payloads:
            if is_decided and b'"SnapshotAnswered"' in payload and name not in payload:
                return True
            is_decided = is_decided or name in payload[payload.rfind(b',"orders":[') :]
        return False

    def executions(self) -> list[dict[str, Any]]:
        """Return every execution that an input of the journal tells, repetitions included."""
        found: list[dict[str, Any]] = []
        for payload in self._payloads:
            if b'"ExecutionReported"' in payload:
                found.append(_decode(payload)["input"]["execution"])
            elif b'"SnapshotAnswered"' in payload:
                found += _decode(payload)["input"]["executions"]
        return found


def _is_header(payload: bytes) -> bool:
    return payload.startswith(b'{"v":') and b'"session":' in payload
