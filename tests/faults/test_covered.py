"""The list of scenarios and of their tests; ``python -m tests.faults.test_covered`` writes it into docs/reliability.md.

Laws: a scenario counts as tested when the name of a test, anywhere under ``tests``, carries its id; what such a test expects and
the program does not do yet (a strict xfail) is open, with its reason. An id that the list does not know is a mistake.
"""

from __future__ import annotations

import ast
import re
import sys
from pathlib import Path
from typing import NamedTuple

import pytest

TESTS = Path(__file__).parents[1]
PAGE = TESTS.parent / "docs" / "reliability.md"
BEGIN, END = "<!-- scenarios: begin -->", "<!-- scenarios: end -->"

GROUPS = {
    "E": "Entry",
    "A": "Arming: from the first fill to working exits",
    "L": "A running ladder",
    "S": "Stops that move",
    "I": "Incidents, emergency, kill switches",
    "D": "Connection lost and back",
    "R": "Crash and restart",
    "M": "Market data",
    "O": "What operators type",
    "P": "Files and records",
    "X": "Guards and security",
}

# id: what goes wrong.
SCENARIOS: dict[str, str] = {
    "E01": "the quote is stale when the bar triggers",
    "E02": "the ask is missing, zero, negative or no number",
    "E03": "the quote is crossed or absurd",
    "E04": "the data has become delayed without a word",
    "E05": "the entry is refused: error first, status first, only one of them",
    "E06": "the entry is larger than the broker's presets allow",
    "E07": "a remark (10349) about a living entry",
    "E08": "the entry waits for another session (399)",
    "E09": "nobody answers the entry",
    "E10": "a part of the entry fills, then nothing more",
    "E11": "the cancel of the entry meets its fill",
    "E12": "an execution after a confirmed cancel",
    "E13": "the status `filled` overtakes executions",
    "E14": "messages come several times",
    "E16": "a price off the grid (110)",
    "E18": "two triggers, or a trigger and a cancel, at one instant",
    "E19": "a trading halt at the trigger",
    "E20": "a sell without shares",
    "E21": "a part of a share",
    "E22": "an ambiguous or wrong contract",
    "E23": "exits outside regular hours",
    "E24": "the budget of messages is used up at the trigger",
    "A01": "the position lags behind the fills",
    "A02": "the position is smaller than the fills",
    "A04": "the position is never confirmed",
    "A05": "the link drops in the middle of arming",
    "A06": "a stop is refused while arming",
    "A07": "the market is below the stop when the ladder arms",
    "A08": "the market is above the first target when the ladder arms",
    "A09": "a target is refused, its stop accepted",
    "A10": "too few shares for every leg",
    "A11": "the broker's limit of working orders",
    "A13": "the entry fills after the ladder was armed",
    "A14": "orders of one group with different accounts (10224)",
    "A15": "orders queued in the client die with the socket",
    "A16": "the name of a group is used twice",
    "L01": "a target fills in part, then its stop is elected",
    "L03": "the sibling's cancel comes before the fill that caused it",
    "L04": "two targets fill at once",
    "L06": "all stops are elected in a fast market",
    "L08": "a stop is cancelled in another window",
    "L09": "a stop is moved in another window",
    "L10": "exits for the day expire at the close",
    "L12": "a stop-limit is elected into a gap",
    "L13": "a reprice of an elected stop meets its fill",
    "L14": "trading halts while a stop is elected",
    "L15": "an exit's trade is broken by the exchange",
    "S01": "the first target fills: stops move",
    "S02": "a change of a stop is refused, the old one works",
    "S03": "the answer to a change of a stop is lost",
    "S05": "a stop fills while its change is on the way",
    "S06": "the new stop would lie at or above the market",
    "S07": "a target disappears without having filled completely",
    "S08": "the broker refuses to revise a group",
    "S09": "a milestone is seen twice",
    "S11": "a moved stop off the grid, or looser than it is",
    "I01": "a stop is refused while shares are held (201)",
    "I02": "a stop is cancelled by nobody (202)",
    "I04": "three refusals: emergency stop, then the market",
    "I05": "the emergency stop fails on a live account",
    "I06": "a storm of refusals",
    "I07": "only a target is lost",
    "I08": "making way for a new pair meets a fill",
    "I09": "a cancel of what is gone (10147)",
    "I11": "advisory codes in the middle of a ladder",
    "I12": "a flatten fills in part, then trading halts",
    "I13": "the new stop is refused, its target accepted",
    "I14": "an error without an order",
    "I15": "a stop is cancelled while its target has filled in part",
    "I16": "kill switches",
    "D01": "a target fills while the link is down",
    "D02": "connectivity lost and restored, the socket stays (1100, 1102)",
    "D03": "connectivity restored, data lost (1101)",
    "D04": "connectivity lost in a burst of fills",
    "D06": "the picture after a reconnect is incomplete",
    "D07": "positions come empty, then right",
    "D08": "the client id is in use (326)",
    "D10": "exits without shares at the connect",
    "D11": "shares without a stop at the connect",
    "D12": "a restart finds its ladder at work",
    "D13": "the link flaps while arming",
    "D15": "an order of ours that the records do not know",
    "D16": "the gateway is up and not logged in",
    "D17": "away over a weekend",
    "D18": "two attempts to reconnect at once",
    "D19": "an exit sent as the link dropped, and it lived",
    "D20": "an exit sent as the link dropped, and it died",
    "R01": "killed between the record and the bytes",
    "R02": "killed between the bytes and the answer",
    "R03": "killed between a stop and its target",
    "R04": "killed while stops move",
    "R06": "killed in the middle of a line of the journal",
    "R07": "a restart with a watcher that is used up",
    "R09": "a second instance",
    "R10": "a restart on another day",
    "R11": "a state of another version",
    "R12": "an old state is restored",
    "R13": "a signal while arming",
    "R14": "an exception in a plugin or in the core",
    "R15": "the clock has stepped at the restart",
    "M01": "bars stop without a word",
    "M02": "bars come back by themselves",
    "M03": "the live bar request is refused",
    "M04": "pacing when subscribing again",
    "M05": "another session takes the data",
    "M07": "a bar that still forms",
    "M08": "bars repeated, revised, out of order",
    "M09": "time zones",
    "M11": "bars that cannot be true",
    "M12": "a halt is no stall",
    "M13": "thirty watchers stall at once",
    "M14": "recovery gives up",
    "M15": "an automatic target without data",
    "M16": "a start in the middle of a bar",
    "O01": "an unknown key",
    "O02": "a ladder that contradicts itself",
    "O03": "odd numbers",
    "O04": "the same watcher twice",
    "O05": "a cancel while arming",
    "O06": "a protective stop is cancelled by hand",
    "O07": "a change of what is not ours, or has filled",
    "O08": "Enter twice",
    "O10": "terminals that are abused",
    "O11": "two commands for one order",
    "O12": "hostile text",
    "P01": "the disk is full",
    "P02": "the disk fails",
    "P03": "a write is torn at every byte",
    "P04": "the log is moved or cut",
    "P05": "the folder is missing or read-only",
    "P06": "the state file is damaged",
    "P07": "the state file is edited badly",
    "P08": "permissions",
    "P09": "a huge log",
    "P10": "values that no record can hold",
    "P11": "secrets and account numbers",
    "P12": "the clock goes backwards",
    "P13": "two writers on one log",
    "P14": "a slow disk",
    "X01": "PAPER_ONLY and a live account",
    "X02": "PAPER_ONLY and a live port",
    "X03": "several accounts",
    "X04": "a plugin that is slow or hostile",
    "X06": "malformed messages",
    "X07": "a host that is not this one",
    "X08": "fat fingers and runaways",
    "X09": "a foreign order under our prefix",
    "X10": "tricks with the state's path",
}

INTRODUCTION = """\
Each line is a sequence of messages, answers and faults that a broker has produced or may produce. Its test plays it event by
event, looks at the orders at the exchange, at the events and at the line that the operator reads, and names a change of the
program that it notices. Groups E, A, L, S and I are played twice: on the embedded venue, and over the wire, where the program
with its Interactive Brokers plugin talks to the gateway in the bytes of the protocol; D, R and M need the wire. What a test
expects and the program does not do yet is *open*. {tested} of {all} scenarios have a test that passes. The list is written by
`python -m tests.faults.test_covered`; a test compares it."""

_ID = re.compile(rf"(?<![0-9A-Za-z])([{''.join(GROUPS)}]\d\d)(?![0-9A-Za-z])")


class Named(NamedTuple):
    """A test that names scenarios. ``gap``: what the program does not do yet, "" when it passes."""

    name: str
    ids: tuple[str, ...]
    gap: str


def named_tests(folder: Path = TESTS) -> list[Named]:
    """Return the tests under ``folder`` whose names carry ids."""
    found: list[Named] = []
    for path in sorted(folder.rglob("test_*.py")):
        text = path.read_text(encoding="utf-8")
        if not _ID.search(text.replace("_", " ")):
            continue
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.FunctionDef) and node.name.startswith("test_"):
                ids = tuple(_ID.findall(node.name.replace("_", " ")))
                if ids:
                    found.append(Named(node.name, ids, _gap(node)))
    return found


def _gap(test: ast.FunctionDef) -> str:
    """Return the reason of an xfail."""
    for mark in test.decorator_list:
        if isinstance(mark, ast.Call) and ast.unparse(mark.func).endswith("xfail"):
            return next((str(ast.literal_eval(k.value)) for k in mark.keywords if k.arg == "reason"), "open")
    return ""


def rows(tests: list[Named]) -> dict[str, str]:
    """Return what the page says of each scenario."""
    found: dict[str, str] = {}
    for id_ in SCENARIOS:
        mine = [test for test in tests if id_ in test.ids]
        gaps = [f"open: {test.gap}" for test in mine if test.gap]
        good = len(mine) - len(gaps)
        tested = [f"{good} test{'s' if good > 1 else ''}"] if good else []
        found[id_] = " · ".join(tested + gaps) or "missing"
    return found


def section(tests: list[Named]) -> str:
    """Return the section of the page."""
    states = rows(tests)
    tested = sum(any(id_ in test.ids and not test.gap for test in tests) for id_ in SCENARIOS)
    lines = [BEGIN, "", INTRODUCTION.format(tested=tested, all=len(SCENARIOS)), ""]
    for letter, group in GROUPS.items():
        lines += [
            f"### {letter}: {group}",
            "",
            "| scenario | what goes wrong | tests |",
            "| --- | --- | --- |",
        ]
        lines += [f"| {id_} | {SCENARIOS[id_]} | {states[id_]} |" for id_ in SCENARIOS if id_[0] == letter]
        lines.append("")
    return "\n".join([*lines, END])


def placed(page: str, list_: str) -> str:
    """Return the page with the list between its markers."""
    before, _, rest = page.partition(BEGIN)
    _, found, after = rest.partition(END)
    assert found, f"{PAGE.name} has no {BEGIN} … {END}"
    return before + list_ + after


def main() -> int:
    """Write the list into the page."""
    page = PAGE.read_text(encoding="utf-8")
    PAGE.write_text(placed(page, section(named_tests())), encoding="utf-8")
    return 0


# --- tests ------------------------------------------------------------------------------------------------------------


def test_every_scenario_has_a_test_that_passes() -> None:
    tests = named_tests()
    assert [id_ for id_ in SCENARIOS if not any(id_ in test.ids and not test.gap for test in tests)] == []


def test_no_test_names_a_scenario_that_is_not_in_the_list() -> None:
    assert [test for test in named_tests() if not set(test.ids) <= SCENARIOS.keys()] == []


def test_the_page_shows_the_list_as_it_is() -> None:
    page = PAGE.read_text(encoding="utf-8")
    assert page == placed(page, section(named_tests())), "write it: python -m tests.faults.test_covered"


def test_a_scenario_without_a_test_an_open_one_and_an_unknown_id_are_seen(tmp_path: Path) -> None:
    (tmp_path / "test_some.py").write_text(
        "import pytest\n"
        "@pytest.mark.xfail(strict=True, reason='not yet')\n"
        "def test_E01_is_open(): ...\n"
        "def test_E02_E03_and_Z99_pass(): ...\n"
        "def test_E77_is_unknown(): ...\n"
        "def test_THE01_and_E0123_are_no_ids(): ...\n",
        encoding="utf-8",
    )
    tests = named_tests(tmp_path)
    assert [test.ids for test in tests] == [("E01",), ("E02", "E03"), ("E77",)]
    states = rows(tests)
    assert (states["E01"], states["E02"], states["E04"]) == ("open: not yet", "1 test", "missing")


def test_a_page_without_markers_is_not_written() -> None:
    with pytest.raises(AssertionError, match="has no"):
        placed("a page", "list")


if __name__ == "__main__":
    sys.exit(main())
