"""The rules of the wire, judged from the bytes that passed: paper only, message rate, nothing swallowed, no noise.

Laws: independent of the adapter: what is judged is what crossed the network, against the venue's record and the files on disk. A
killed program owes nothing; what a cut leaves open is asked for again, and is judged then.
"""

from __future__ import annotations

import json
from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Iterator
from typing import Any, NamedTuple

from tests.simulation.checker.facts import is_account
from tests.simulation.schedule import Schedule

SECOND = 1_000_000  # microseconds
MOST = 45  # messages in any second
PROMPT = 0.1  # seconds that a message about an exit may wait behind others
PLACE, CANCEL = 3, 4
ORDER_STATUS, ERROR, EXECUTION, FEE, POSITION = 3, 4, 11, 59, 61
# Where things stand in the fields of a placeOrder, in every version that is spoken here.
ACTION, ACCOUNT, REF = 16, 23, 26
PAPER = ("DU", "DF")
CLIENT = "7"
ENDED = ("Filled", "Cancelled", "ApiCancelled", "Inactive")
UNKNOWN = 90_000  # codes from here on are nobody's
CANCELLED = 202
LATEST = 1.0  # seconds until what was delivered is on record
BUSY = 1.0  # seconds more for what waits for the engine, besides its longest pause
EARLY = 1e-6
LOOKED_FOR = (b'"ConnectionChanged"', b'"OrderIntent"', b'"BrokerMessage', b'"exec_id"')
Breach = tuple[str, float, str]


class Asked(NamedTuple):
    """A message of the program. ``on_disk``: for an order, how many bytes of the log were on disk when it left."""

    at: float
    connection: int
    kind: int
    fields: list[str]
    on_disk: int


class Told(NamedTuple):
    """A message of the gateway that is about us. ``key``: an order's number, an execution's id, a symbol or a code."""

    at: float
    what: str
    key: str
    words: str


class Noise(NamedTuple):
    """Something that was logged or printed, or that nobody took care of."""

    at: float
    words: str


class Ledger:
    """What crossed the network, by time."""

    def __init__(self) -> None:
        self._asked: list[Asked] = []
        self._told: list[Told] = []
        self._cuts: list[float] = []
        self._opened: list[float] = []
        self.noise: list[Noise] = []

    def opened(self, micros: int) -> None:
        """Take that a connection begins."""
        self._opened.append(micros / SECOND)

    def asked(self, micros: int, kind: int, fields: list[str], on_disk: int) -> None:
        """Take a message of the program."""
        self._asked.append(Asked(micros / SECOND, len(self._opened), kind, fields, on_disk))

    def delivered(self, micros: int, kind: int, fields: list[str]) -> None:
        """Take a message of the gateway."""
        told = _about_us(kind, fields)
        if told is not None:
            self._told.append(Told(micros / SECOND, *told))

    def cut(self, micros: int) -> None:
        """Take that messages do not pass any more."""
        self._cuts.append(micros / SECOND)

    def judge(
        self, b: list[dict[str, Any]], audit: list[bytes], schedule: Schedule, lives: list[dict[str, Any]]
    ) -> Iterator[Breach]:
        """Yield what was broken, of each rule the first."""
        busy = BUSY + 4 * schedule.step_cost[2] / SECOND  # one may follow the other
        log = Log(audit, busy)
        yield from self._rate()
        yield from self._prompt(log)
        yield from self._attempts()
        yield from self._paper_only(log, schedule)
        yield from self._nothing_swallowed(
            Heard(b, busy), log, [life["to"] for life in lives if life["to"] is not None]
        )
        yield from (("V24", at, f"noise: {words}") for at, words in self.noise[:1])

    # --- V22 ----------------------------------------------------------------------------------------------------------

    def _rate(self) -> Iterator[Breach]:
        times = [each.at for each in self._asked]
        for row, at in enumerate(times):
            count = row + 1 - bisect_right(times, at - 1.0)
            if count > MOST:
                yield ("V22", at, f"{count} messages within one second, at most {MOST} are allowed")
                return

    def _prompt(self, log: Log) -> Iterator[Breach]:
        """What is about an exit leaves when it was decided: nothing holds it up for long."""
        for each in self._asked:
            if each.kind != PLACE or each.fields[ACTION] != "SELL":
                continue
            decided = log.decided(each.fields[REF].partition("|")[0], each.at)
            if decided is not None and each.at - decided > PROMPT:
                waited = each.at - decided
                yield ("V22", each.at, f"{each.fields[REF]} waited for {waited:.3f} s behind other messages")
                return

    def _attempts(self) -> Iterator[Breach]:
        """A leg whose exits go again and again gets no more than one new one in a second; the first replacement is free."""
        last: dict[str, list[tuple[float, str]]] = defaultdict(list)
        for each in self._asked:
            if each.kind != PLACE or each.fields[ACTION] != "SELL":
                continue
            ref = each.fields[REF].partition("|")[0]
            sent = last[ref.rpartition(":")[0]]
            if any(ref == before for _, before in sent):
                continue
            sent.append((each.at, ref))
            if len(sent) > 2 and each.at - sent[-2][0] < 1.0 - EARLY:
                yield ("V22", each.at, f"{ref} follows {sent[-2][1]} after {each.at - sent[-2][0]:.3f} s")
                return

    # --- V09 ----------------------------------------------------------------------------------------------------------

    def _paper_only(self, log: Log, schedule: Schedule) -> Iterator[Breach]:
        for each in self._asked:
            if each.kind != PLACE:
                continue
            number, account = each.fields[1], each.fields[ACCOUNT]
            if schedule.is_paper and not account.startswith(PAPER):
                yield ("V09", each.at, f"order {number} names no account of paper")
                return
            began = self._opened[each.connection - 1]
            verified = log.verified_since(began, each.on_disk)
            if not any(is_account(alias, account) for alias in verified):
                yield ("V09", each.at, f"order {number} left before its account was verified on disk")
                return

    # --- V24 ----------------------------------------------------------------------------------------------------------

    def _nothing_swallowed(self, heard: Heard, log: Log, ends: list[float]) -> Iterator[Breach]:
        known: set[tuple[str, str]] = set()
        for told in self._told:
            if told.what == "exec" and (told.what, told.key) in known:
                continue  # told a second time: one record is enough
            known.add((told.what, told.key))
            if not log.is_verified(told.at, self._opened):
                continue  # nobody knows yet whose it is; the first picture shows it
            if heard.has(told) or self._is_excused(told.at, ends):
                continue
            if told.what == "unknown" and log.has_words(told.at, told.words):
                continue
            yield (
                "V24",
                told.at,
                f"{told.what} {told.key} was delivered, and nobody was told within {LATEST} s",
            )
            return
        for exec_id, at in heard.ours.items():
            if not log.has_execution(exec_id, at) and not self._is_excused(at, ends):
                yield ("V24", at, f"execution {exec_id} was told to the host and is not in the log")
                return

    def _is_excused(self, at: float, ends: list[float]) -> bool:
        """Whether the program was killed or cut off before it could; the last words may be read after the cut."""
        return any(at - EARLY <= end <= at + LATEST + BUSY for end in ends) or any(
            at - LATEST <= cut <= at + LATEST + BUSY for cut in self._cuts
        )


def _about_us(kind: int, fields: list[str]) -> tuple[str, str, str] | None:
    if kind == ORDER_STATUS and fields[9] == CLIENT and int(fields[1]) > 0:
        return ("end" if fields[2] in ENDED else "status", fields[1], fields[2])
    if kind == EXECUTION:
        return ("exec", fields[14], "")  # the field behind the eleven of the contract
    if kind == FEE:
        return ("fee", fields[2], "")
    if kind == POSITION:
        return ("position", fields[4], str(int(float(fields[14]))))
    if kind == ERROR:
        number, code = int(fields[2]), int(fields[3])
        if code >= UNKNOWN:
            return ("unknown", fields[3], fields[4])
        if 0 < number < 2**31 - SECOND:  # requests have higher ones
            return ("error", fields[2], fields[3])
    return None


class Heard:
    """What the host was told, by the venue's record."""

    def __init__(self, b: list[dict[str, Any]], busy: float) -> None:
        self._busy = busy
        self._times: dict[tuple[str, str], list[float]] = defaultdict(list)
        self._words: list[tuple[float, str]] = []
        self.ours: dict[str, float] = {}  # executions of our orders, and when they were told first
        ids: dict[str, str] = {}
        for record in b:
            if record["event"] != "to_host":
                if "id" in record and record.get("ref", ""):
                    ids[record["ref"]] = str(record["id"])
                continue
            t, kind = record["t"], record["kind"]
            if kind == "status":
                ids[record["ref"]] = str(record["id"])
                self._times["status", str(record["id"])].append(t)
                if record["state"] in ("filled", "cancelled", "refused"):
                    self._times["end", str(record["id"])].append(t)
            elif kind == "exec":
                self._times["exec", record["exec_id"]].append(t)
                if record["ref"].startswith("ts:"):
                    self.ours.setdefault(record["exec_id"], t)
            elif kind == "commission":
                self._times["fee", record["exec_id"]].append(t)
            elif kind == "position":
                self._times["position", f"{record['sym']} {record['qty']}"].append(t)
            elif kind == "refusal":
                self._words.append((t, record["text"]))
                self._times["error", f"{record['code']} {record['ref']}"].append(t)
        self._refs: dict[str, set[str]] = defaultdict(set)
        for ref, number in ids.items():
            self._refs[number].add(ref)

    def has(self, told: Told) -> bool:
        """Return whether the host was told."""
        at = told.at
        if told.what in ("status", "end"):
            return self._is_in("status", told.key, at) or self._said(at, f"order {told.key} is ")
        if told.what == "exec":
            return self._is_before("exec", told.key, at)
        if told.what == "fee":
            return self._is_before("fee", told.key, at) or not self._is_before("exec", told.key, at)
        if told.what == "position":
            return self._is_in("position", f"{told.key} {told.words}", at)
        if told.what == "error":
            return self._is_refused(told)
        return False

    def _is_refused(self, told: Told) -> bool:
        if int(told.words) == CANCELLED and self._is_before("end", told.key, told.at + self._busy):
            return True  # a status says it, or a second without one
        named = (f"{told.words} {ref}" for ref in self._refs[told.key])
        return any(self._is_in("error", name, told.at) for name in named) or any(
            self._said(told.at, words) for words in (f"order {told.key}: ", f"OrderId {told.key} ")
        )

    def _is_in(self, what: str, key: str, at: float) -> bool:
        times = self._times.get((what, key), [])
        row = bisect_left(times, at - EARLY)
        return row < len(times) and times[row] <= at + LATEST + EARLY

    def _is_before(self, what: str, key: str, at: float) -> bool:
        times = self._times.get((what, key))
        return times is not None and times[0] <= at + LATEST + EARLY

    def _said(self, at: float, words: str) -> bool:
        return any(at - EARLY <= t <= at + LATEST and text.startswith(words) for t, text in self._words)


class Log:
    """What the program left on disk, as far as these rules ask."""

    def __init__(self, audit: list[bytes], busy: float) -> None:
        self._busy = busy
        self._verified: list[tuple[float, str, int]] = []  # when, which, and where its line ends
        self._intents: dict[str, list[float]] = defaultdict(list)
        self._words: list[tuple[float, str]] = []
        self._executions: dict[str, list[tuple[str, float]]] = defaultdict(list)
        end = 0
        for line in audit:
            end += len(line)
            if any(word in line for word in LOOKED_FOR):
                self._take(line, end)

    def _take(self, line: bytes, end: int) -> None:
        try:
            record = json.loads(line)
        except ValueError:
            return  # the torn last one
        event, mono = record["event"], float(record["mono"])
        if event == "ConnectionChanged" and record["link"] == "up":
            self._verified.append((mono, record.get("account", ""), end))
        elif event == "OrderIntent":
            self._intents[record["order_ref"]].append(mono)
        elif event == "BrokerMessageUnclassified":
            self._words.append((mono, record["text"]))
        elif "exec_id" in record and event != "CommissionCharged":
            stem, _, revision = record["exec_id"].rpartition(".")
            self._executions[stem].append((revision, mono))

    def verified_since(self, begin: float, on_disk: int) -> list[str]:
        """Return the accounts that were verified since then, by the first so many bytes of the log."""
        return [account for at, account, end in self._verified if begin <= at and end <= on_disk and account]

    def is_verified(self, at: float, opened: list[float]) -> bool:
        """Return whether the connection of an instant has an account that was verified by then."""
        began = opened[bisect_right(opened, at) - 1]
        return any(began <= t <= at + EARLY for t, _, _ in self._verified)

    def decided(self, ref: str, at: float) -> float | None:
        """Return when a command about an order was decided last."""
        times = self._intents.get(ref, [])
        row = bisect_right(times, at + EARLY)
        return times[row - 1] if row else None

    def has_words(self, at: float, words: str) -> bool:
        """Return whether words of the gateway are there that nobody could classify."""
        return any(at - EARLY <= t <= at + LATEST + self._busy and words in text for t, text in self._words)

    def has_execution(self, exec_id: str, at: float) -> bool:
        """Return whether an execution is there in time, as it is or as it was corrected."""
        stem, _, revision = exec_id.rpartition(".")
        return any(
            t <= at + LATEST + self._busy for last, t in self._executions.get(stem, ()) if last >= revision
        )
