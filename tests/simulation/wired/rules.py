"""The rules of the wire, judged from the bytes that passed: paper only, message rate, nothing swallowed.

Laws: independent of the adapter: what is judged is what crossed the network, against the venue's record and the files on disk.
"""

from __future__ import annotations

import json
from bisect import bisect_right
from collections.abc import Iterator
from typing import Any

from tests.simulation.schedule import Schedule

SECOND = 1_000_000  # microseconds
MOST = 45  # messages in any second
PLACE = 3
PAPER = ("DU", "DF")
ORDER_STATUS, ERROR, OPEN_ORDER, EXECUTION = 3, 4, 5, 11
LATEST = 1.0  # seconds until what was delivered is on record
Breach = tuple[str, float, str]


class Ledger:
    """What crossed the network, by time."""

    def __init__(self) -> None:
        self._asked: list[tuple[int, int, list[str]]] = []
        self._told: list[tuple[int, str, str]] = []  # when, what (exec, status), its key
        self._cuts: list[int] = []

    def asked(self, micros: int, kind: int, fields: list[str]) -> None:
        """Take a message of the program."""
        self._asked.append((micros, kind, fields))

    def delivered(self, micros: int, kind: int, fields: list[str]) -> None:
        """Take a message of the gateway."""
        if kind == EXECUTION and fields[1] == "-1":
            self._told.append((micros, "exec", _exec_id(fields)))
        elif kind == ORDER_STATUS and fields[2] in ("Filled", "Cancelled", "Inactive"):
            self._told.append((micros, "status", fields[1]))

    def cut(self, micros: int) -> None:
        """Take that messages do not pass any more."""
        self._cuts.append(micros)

    def judge(
        self, b: list[dict[str, Any]], audit: list[bytes], schedule: Schedule, lives: list[dict[str, Any]]
    ) -> Iterator[Breach]:
        """Yield what was broken."""
        yield from self._rate()
        yield from self._paper_only(audit, schedule)
        yield from self._nothing_swallowed(b, lives)

    def _rate(self) -> Iterator[Breach]:
        times = [at for at, _, _ in self._asked]
        for row, at in enumerate(times):
            count = row + 1 - bisect_right(times, at - SECOND)
            if count > MOST:
                yield ("V22", at / SECOND, f"{count} messages within one second, at most {MOST} are allowed")
                return

    def _paper_only(self, audit: list[bytes], schedule: Schedule) -> Iterator[Breach]:
        verified = _verified(audit)
        for at, kind, fields in self._asked:
            if kind != PLACE:
                continue
            if schedule.is_paper and not any(field.startswith(PAPER) for field in fields):
                yield ("V09", at / SECOND, f"order {fields[1]} names no account of paper")
            if not verified or verified[0] > at / SECOND + 1e-6:
                yield ("V09", at / SECOND, f"order {fields[1]} left before an account was verified on disk")

    def _nothing_swallowed(self, b: list[dict[str, Any]], lives: list[dict[str, Any]]) -> Iterator[Breach]:
        heard: dict[tuple[str, str], list[float]] = {}
        for record in b:
            if record["event"] != "to_host":
                continue
            if record["kind"] == "exec":
                heard.setdefault(("exec", record["exec_id"]), []).append(record["t"])
            elif record["kind"] == "status":
                heard.setdefault(("status", str(record["id"])), []).append(record["t"])
        ends = [life["to"] for life in lives if life["to"] is not None]
        told: set[tuple[str, str]] = set()
        for micros, what, key in self._told:
            at = micros / SECOND
            if (what, key) in told and what == "exec":
                continue  # told a second time: one record is enough
            told.add((what, key))
            times = heard.get((what, key), [])
            if times and times[0] <= at + LATEST:
                continue  # told earlier, by a picture: this is the same word again
            if any(at - 1e-6 <= end <= at + LATEST for end in ends):
                continue  # the program was killed before it could
            if any(at <= cut / SECOND <= at + LATEST for cut in self._cuts):
                continue
            yield ("V24", at, f"{what} {key} was delivered, and the host was not told within {LATEST} s")
            return


def _exec_id(fields: list[str]) -> str:
    """Return the execution id of an execDetails message: the field behind the eleven of the contract."""
    return fields[14]


def _verified(audit: list[bytes]) -> list[float]:
    """Return when the account of a connection was put on disk, in seconds of the schedule."""
    found = []
    for line in audit:
        if b'"ConnectionChanged"' in line or b'"BrokerConnected"' in line:
            try:
                record = json.loads(line)
            except ValueError:
                continue
            if record.get("link") in ("up", "connected", "reconciling") or record.get("account"):
                found.append(float(record["mono"]))
    return found
