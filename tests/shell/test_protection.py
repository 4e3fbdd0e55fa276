"""What the screen says about the protection of a ladder: positions, toolbar, and what is asked twice."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from tests.core.support import d
from tests.shell.ladders import ARMED, hold_ladder
from tests.shell.support import FakeTrading, make_runner

from tradeshell.core.orders import OrderState
from tradeshell.shell import picture, protection
from tradeshell.testing.outcome import Runner


@pytest.fixture
def typed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Runner, FakeTrading]:
    """Return a shell to type into, wide enough that no cell is folded, and the desk behind it."""
    monkeypatch.setenv("COLUMNS", "160")
    return make_runner(tmp_path)


def row(runner: Runner) -> str:
    """Return the one row of `positions` with its blanks made one."""
    told = runner.run("positions").assert_ok()
    (line,) = told.lines[1:]
    return " ".join(line.split())


def toolbar(trading: FakeTrading, width: int = 120) -> dict[str, str]:
    """Return the toolbar's words with their styles."""
    return {piece.text: piece.style for piece in picture.toolbar(trading.view(), width)}


SOLD_1: dict[str, dict[str, Any]] = {
    "tp1": {"filled": 60, "state": OrderState.FILLED},
    "sl1": {"state": OrderState.CANCELLED},
}


# --- positions --------------------------------------------------------------------------------------------------------


def test_a_position_shows_every_target_and_one_stop_while_the_stops_agree(
    typed: tuple[Runner, FakeTrading],
) -> None:
    runner, trading = typed
    hold_ladder(trading)
    assert row(runner) == "AAPL 100 190.15 194.80 +465.00 br-1 195.00 198.00 205.00 187.00 100 %"
    assert toolbar(trading)["protected 100 %"] == ""


def test_stops_that_differ_stand_with_their_legs(typed: tuple[Runner, FakeTrading]) -> None:
    runner, trading = typed
    exits = (*ARMED[:2], ("sl2", 30, "190"), ARMED[3], ("sl3", 10, "192"), ARMED[5])
    hold_ladder(trading, exits, SOLD_1)
    assert row(runner).endswith("br-1 198.00 205.00 sl2@190.00 sl3@192.00 100 %")


def test_targets_that_were_not_sent_stand_in_brackets_and_a_cover_says_that_it_is_one(
    typed: tuple[Runner, FakeTrading],
) -> None:
    runner, trading = typed
    hold_ladder(trading, (("cover", 100, "187"),))
    assert row(runner).endswith("(195.00 198.00 205.00) cover@187.00 100 %")
    assert "risk 315.00 (1.0 R)" in toolbar(trading)


def test_a_ladder_is_readable_at_eighty_columns(
    typed: tuple[Runner, FakeTrading], monkeypatch: pytest.MonkeyPatch
) -> None:
    runner, trading = typed
    monkeypatch.setenv("COLUMNS", "80")
    exits = (*ARMED[:2], ("sl2", 30, "190"), ARMED[3], ("sl3", 10, "192"), ARMED[5])
    hold_ladder(trading, exits, {"sl1": {"state": OrderState.CANCELLED}})
    told = runner.run("positions").assert_ok()
    assert max(map(len, told.lines)) <= 80
    for words in ("sl2@190.00", "sl3@192.00", "205.00", "PARTIAL"):
        told.assert_says(words)


def test_a_stop_that_is_only_planned_is_not_shown(typed: tuple[Runner, FakeTrading]) -> None:
    runner, trading = typed
    hold_ladder(trading, ())
    assert row(runner).endswith("(195.00 198.00 205.00) – 0 % ARMING")
    assert toolbar(trading)["AAPL 0 % ARMING"] == ""


@pytest.mark.parametrize(
    "gone, words",
    [
        (("sl3",), "90 % PARTIAL"),
        (("sl1", "sl2"), "10 % PARTIAL"),
        (("sl1", "sl2", "sl3"), "0 % UNPROTECTED"),
    ],
)
def test_shares_without_a_stop_are_said_in_a_word_and_are_an_alarm(
    typed: tuple[Runner, FakeTrading], gone: tuple[str, ...], words: str
) -> None:
    runner, trading = typed
    hold_ladder(trading, changed={leg: {"state": OrderState.CANCELLED} for leg in gone})
    assert row(runner).endswith(words)
    assert toolbar(trading)[f"AAPL {words}"] == "alarm"
    share = words.partition(" ")[0]
    assert toolbar(trading)[f"protected {share} %"] == "alarm"


def test_a_frozen_symbol_says_so_although_its_stops_live(typed: tuple[Runner, FakeTrading]) -> None:
    runner, trading = typed
    hold_ladder(trading, frozen="an order of ours that nobody sent")
    assert row(runner).endswith("100 % FROZEN")
    assert toolbar(trading)["AAPL 100 % FROZEN"] == "alarm"


def test_scripts_read_state_and_legs(tmp_path: Path) -> None:
    import msgspec

    runner, trading = make_runner(tmp_path, as_json=True)
    hold_ladder(trading, changed={"sl3": {"state": OrderState.CANCELLED}})
    (found,) = msgspec.json.decode(runner.run("positions").text)["data"]
    assert (found["state"], found["protected"]) == ("PARTIAL", 90)
    assert found["targets"] == ["195", "198", "205"]
    assert found["stops"] == ["187"]
    assert [(leg["leg"], leg["qty"]) for leg in found["legs"]] == [
        ("tp1", 60), ("tp2", 30), ("tp3", 10), ("sl1", 60), ("sl2", 30),
    ]  # fmt: skip
    assert "words" not in found


def test_the_states_that_alarm_come_first() -> None:
    assert min(["PROTECTED", "ARMING", "UNPROTECTED", "NONE"], key=protection.rank) == "UNPROTECTED"
    assert protection.rank("SOMETHING NEW") == 0


# --- orders -----------------------------------------------------------------------------------------------------------


def test_orders_are_labelled_with_their_legs(typed: tuple[Runner, FakeTrading]) -> None:
    runner, trading = typed
    hold_ladder(trading)
    legs = [line.split()[2] for line in runner.run("orders").assert_ok().lines[1:]]
    assert legs == ["sl1", "tp1", "sl2", "tp2", "sl3", "tp3"]


def test_one_stop_of_a_ladder_is_moved_by_its_leg(typed: tuple[Runner, FakeTrading]) -> None:
    runner, trading = typed
    hold_ladder(trading)
    runner.run("orders replace AAPL.sl2 stop=191").assert_ok()
    assert trading.asked == [("replace", "ts:br-1:sl2:1", None, d("191"), None)]


def test_a_star_moves_every_stop(typed: tuple[Runner, FakeTrading]) -> None:
    runner, trading = typed
    hold_ladder(trading)
    runner.run("orders replace AAPL.sl* stop=be").assert_ok()
    assert trading.asked == [("replace", f"ts:br-1:sl{n}:1", None, d("190.15"), None) for n in (1, 2, 3)]


def test_the_stops_of_a_ladder_are_offered_as_one_word(typed: tuple[Runner, FakeTrading]) -> None:
    from tradeshell.shell import choices

    _, trading = typed
    hold_ladder(trading)
    for source in (choices.orders, choices.changeable):
        assert dict(source(trading.view(), ()))["AAPL.sl*"] == "its 3 stops"
    hold_ladder(trading, ARMED[:2])
    assert "AAPL.sl*" not in dict(choices.changeable(trading.view(), ()))


@pytest.mark.parametrize(
    "words, said",
    [
        ("AAPL.sl* qty=5", ["several orders take a stop= only"]),
        ("AAPL.sl* stop=188 limit=187", ["several orders take a stop= only"]),
        ("AAPL.* stop=188", ["(AAPL.tp1) is a LMT order, it has no stop price"]),
        ("AAPL.sl* stop=194.80", ["not below the bid 194.80"]),
        ("AAPL.x* stop=188", ["no working order is meant"]),
        ("AAPL stop=188", ["6 orders are meant, name one"]),
    ],
)
def test_a_change_of_several_that_makes_no_sense_changes_none(
    typed: tuple[Runner, FakeTrading], words: str, said: list[str]
) -> None:
    runner, trading = typed
    hold_ladder(trading)
    runner.run(f"orders replace {words}").assert_refused(*said)
    assert trading.asked == []


def test_a_change_that_fails_after_others_says_which_were_made(
    typed: tuple[Runner, FakeTrading], monkeypatch: pytest.MonkeyPatch
) -> None:
    from tradeshell.errors import BrokerError

    runner, trading = typed
    hold_ladder(trading)

    def refuse_the_second(ref: str, *change: Any) -> None:
        if ":sl2:" in ref:
            raise BrokerError("price does not conform")

    monkeypatch.setattr(trading, "replace_order", refuse_the_second)
    runner.run("orders replace AAPL.sl* stop=188").assert_refused(
        "AAPL.sl2: price does not conform", "changed before it: AAPL.sl1"
    )


# --- what is asked twice ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "words, said",
    [
        ("AAPL.sl2", ["AAPL.sl2 protects 30 shares", "no new one", "AAPL.tp2 of the same group may be cancelled along"]),
        ("AAPL.sl*", ["AAPL.sl1 AAPL.sl2 AAPL.sl3 protect 100 shares", "AAPL.tp1 AAPL.tp2 AAPL.tp3"]),
        ("AAPL.tp2", ["AAPL.tp2 is in one group with the stop AAPL.sl2", "30 shares would have no stop"]),
        ("AAPL.sl1 AAPL.tp3", ["AAPL.sl1 protects 60 shares", "AAPL.tp3 is in one group with the stop AAPL.sl3"]),
        ("AAPL", ["protect 100 shares"]),
        ("ALL", ["protect 100 shares"]),
    ],
)  # fmt: skip
def test_a_script_that_cancels_protection_is_refused_with_what_would_follow(
    typed: tuple[Runner, FakeTrading], words: str, said: list[str]
) -> None:
    runner, trading = typed
    hold_ladder(trading)
    told = runner.run(f"orders cancel {words}").assert_refused(*said, "nothing was done", "`force`")
    assert len(told.lines) == 1
    assert trading.asked == []


@pytest.mark.parametrize("line", ["AAPL.sl2 force", "force AAPL.sl2", "AAPL.sl2 force=true"])
def test_force_says_yes_in_advance(typed: tuple[Runner, FakeTrading], line: str) -> None:
    runner, trading = typed
    hold_ladder(trading)
    runner.run(f"orders cancel {line}").assert_ok()
    assert trading.asked == [("cancel", "ts:br-1:sl2:1")]


def test_cancelling_an_entry_or_a_lone_target_needs_no_second_question(
    typed: tuple[Runner, FakeTrading],
) -> None:
    runner, trading = typed
    hold_ladder(trading, (ARMED[1],))
    runner.run("orders cancel AAPL.tp1").assert_ok()
    assert trading.asked == [("cancel", "ts:br-1:tp1:1")]


def test_stops_of_a_bracket_that_bought_nothing_protect_nothing(typed: tuple[Runner, FakeTrading]) -> None:
    runner, trading = typed
    runner.run("buy AAPL 100 tp=195 sl=187 limit=189").assert_ok()
    trading.asked.clear()
    runner.run("orders cancel AAPL").assert_ok()
    assert [what for what, *_ in trading.asked] == ["cancel"] * len(trading.asked)


@pytest.mark.parametrize("answer, cancelled", [("y", True), ("yes", True), ("n", False), ("", False)])
def test_a_person_is_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, answer: str, cancelled: bool
) -> None:
    runner, trading = make_runner(tmp_path)
    hold_ladder(trading)
    questions = []

    def read_input(question: str) -> str:
        questions.append(question)
        return answer

    monkeypatch.setattr(type(runner.shell), "has_terminal", True)
    monkeypatch.setattr(runner.shell, "read_input", read_input)
    told = runner.run("orders cancel AAPL.sl2")
    assert questions == ["Cancel? [y/N] "]
    told.assert_says("AAPL.sl2 protects 30 shares")
    assert trading.asked == ([("cancel", "ts:br-1:sl2:1")] if cancelled else [])
    assert ("nothing was done" in told.text) is not cancelled
    assert told.ok is cancelled


def test_a_line_of_a_script_is_not_asked_about_even_at_a_terminal(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    runner, trading = make_runner(tmp_path)
    hold_ladder(trading)
    script = tmp_path / "close.txt"
    script.write_text("orders cancel AAPL.sl2\n", encoding="utf-8")
    monkeypatch.setattr(type(runner.shell), "has_terminal", True)
    runner.run(f"run_script {script}").assert_refused("`force` at the end of the line")
    assert trading.asked == []
