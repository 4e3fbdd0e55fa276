"""Tab offers what fits here, with its meaning; a value that is free to choose gets a hint."""

from __future__ import annotations

from pathlib import Path

import pytest
from cmd2.pt_utils import Cmd2Completer
from prompt_toolkit.completion import CompleteEvent
from prompt_toolkit.document import Document
from tests.shell.support import make_shell

from tradeshell.grammar import Answer, Command, Grammar, Key
from tradeshell.shell.app import TradeShell


@pytest.fixture
def shell(tmp_path: Path) -> TradeShell:
    """A shell that holds 100 AAPL with a target and a stop."""
    made, trading = make_shell(tmp_path)
    trading.hold_position()
    return made


def offers(shell: TradeShell, line: str) -> dict[str, str]:
    """Return what Tab offers at the end of ``line``, with meanings."""
    begin = len(line) - len(line.rsplit(" ", maxsplit=1)[-1]) if not line.endswith(" ") else len(line)
    found = shell.complete(line[begin:], line, begin, len(line))
    return {item.text: item.display_meta_plain for item in found}


def hint(shell: TradeShell, line: str) -> str:
    """Return the hint that Tab shows at the end of ``line``."""
    begin = len(line) - len(line.rsplit(" ", maxsplit=1)[-1]) if not line.endswith(" ") else len(line)
    found = shell.complete(line[begin:], line, begin, len(line))
    assert not found
    return found.error.strip()


def test_the_first_word_is_a_command_with_its_help(shell: TradeShell) -> None:
    found = offers(shell, "or")
    assert list(found) == ["orders"]
    assert found["orders"] == "List working orders; cancel or replace them"
    assert {"buy", "help", "quit", "run_script", "pos"} <= set(offers(shell, ""))
    assert not {"shell", "edit", "py", "ipy", "run_pyscript", "_eof"} & set(offers(shell, ""))


def test_symbols_are_offered_with_what_is_known_of_them(shell: TradeShell) -> None:
    found = offers(shell, "buy ")
    assert (found["AAPL"], found["MSFT"]) == ("100 held", "")
    assert offers(shell, "buy aa") == {"AAPL": "100 held"}


def test_only_held_symbols_can_be_sold_and_the_whole_position_is_offered(shell: TradeShell) -> None:
    assert "MSFT" not in offers(shell, "sell ")
    found = offers(shell, "sell AAPL ")
    assert found["100"] == "all that is held, 0 free of working sells"


def test_keys_that_were_used_are_not_offered_again(shell: TradeShell) -> None:
    before = offers(shell, "buy AAPL 100 ")
    assert {"limit=", "tp=", "sl=", "again"} <= set(before)
    after = offers(shell, "buy AAPL 100 sl=187 again ")
    assert not {"sl=", "again"} & set(after)
    assert "tp=" in after


def test_values_of_a_key_are_offered_with_meanings(shell: TradeShell) -> None:
    assert offers(shell, "buy AAPL 100 tif=") == {
        "tif=DAY": "until today's close",
        "tif=GTC": "until cancelled",
        "tif=IOC": "at once, the rest is cancelled",
        "tif=FOK": "at once and whole, or not at all",
    }
    assert list(offers(shell, "buy AAPL 100 entry=m")) == ["entry=market"]


def test_a_lone_key_gets_no_blank_behind_it(shell: TradeShell) -> None:
    found = shell.complete("lim", "buy AAPL 100 lim", 13, 16)
    assert found.to_strings() == ("limit=",)
    assert not found.allow_finalization


def test_a_free_value_gets_a_hint(shell: TradeShell) -> None:
    assert hint(shell, "buy AAPL 100 limit=") == "limit=PRICE  rest at this price instead of the touch"
    assert hint(shell, "buy AAPL 1") == "qty  whole shares"


def test_order_numbers_come_with_a_table_of_what_they_are(shell: TradeShell) -> None:
    found = offers(shell, "orders cancel ")
    assert found["2"] == "AAPL tp1 SELL 100 195.00 limit · held"
    assert found["3"] == "AAPL sl1 SELL 100 stop 187.00 limit 187.00 · held"
    assert found["AAPL.sl1"] == "number 3"
    assert found["AAPL"] == "its 2 orders"
    assert found["ALL"] == "all 2 working orders"
    assert "1" not in found, "the entry is filled"
    assert "2" not in offers(shell, "orders cancel 2 ")
    assert set(offers(shell, "orders replace ")) >= {"2", "3", "AAPL.tp1", "AAPL.sl1", "limit="}


def test_verbs_are_offered_first(shell: TradeShell) -> None:
    assert list(offers(shell, "orders "))[:2] == ["cancel", "replace"]
    assert list(offers(shell, "orders c")) == ["cancel"]


def test_help_completes_commands(shell: TradeShell) -> None:
    assert list(offers(shell, "help ord")) == ["orders"]


def test_a_script_is_completed_from_the_disk(shell: TradeShell, tmp_path: Path) -> None:
    (tmp_path / "morning.txt").write_text("status\n", encoding="utf-8")
    assert list(offers(shell, f"run_script {tmp_path}/mor")) == [f"{tmp_path}/morning.txt"]


def test_an_alias_is_completed_as_what_it_stands_for(shell: TradeShell) -> None:
    assert list(offers(shell, "pos A")) == ["AAPL"]


def test_the_menu_shows_one_offer_a_line_so_that_meanings_are_seen(shell: TradeShell) -> None:
    shell.complete("", "buy AAPL 100 ", 13, 13)
    assert shell.main_session.complete_style.value == "COLUMN"


def test_what_prompt_toolkit_gets_is_the_full_word(shell: TradeShell) -> None:
    found = list(Cmd2Completer(shell).get_completions(Document("buy AAPL 100 entry=m"), CompleteEvent()))
    assert [(item.text, item.start_position, item.display_meta_text) for item in found] == [
        ("entry=market ", -7, "at any price")
    ]


def test_a_plugins_source_that_raises_is_a_line_and_no_more(tmp_path: Path) -> None:
    def broken(view: object, before: tuple[str, ...]) -> tuple[tuple[str, str], ...]:
        raise KeyError("x\x1b[2J")

    grammar = Grammar(keys=(Key(name="what", help="", values=broken),), positionals=("what",))
    command = Command(name="rude", help="rude", grammar=grammar, run=lambda trading, words: Answer())
    shell, _ = make_shell(tmp_path, extra=[("p", command)])
    told = hint(shell, "rude ")
    assert "rude: no completion (KeyError" in told
    assert "[2J" in told
    assert "\x1b[2J" not in told


def test_offers_cannot_steer_the_terminal(tmp_path: Path) -> None:
    grammar = Grammar(
        keys=(Key(name="what", help="", values=(("a", "bad\x1b[2J\nmeaning"),)),), positionals=("what",)
    )
    command = Command(name="rude", help="rude", grammar=grammar, run=lambda trading, words: Answer())
    shell, _ = make_shell(tmp_path, extra=[("p", command)])
    assert offers(shell, "rude ") == {"a": "bad?[2J meaning"}


def test_completion_asks_for_the_published_picture_only(tmp_path: Path) -> None:
    shell, trading = make_shell(tmp_path)
    asked = trading.asked.copy()
    trading.fail = AssertionError("completion waited for the engine")
    for line in ("buy ", "buy AAPL ", "buy AAPL 1 tif=", "orders cancel ", "wait ", "sell ", "quote "):
        shell.complete("", line, len(line), len(line))
    assert trading.asked == asked


def test_an_odd_line_is_completed_without_a_traceback(shell: TradeShell) -> None:
    for line in (
        "buy 'AA",
        'buy "A A',
        "buy a>b ",
        "buy | ",
        "'",
        "buy =",
        "buy ==",
        "orders cancel cancel ",
        "? ",
        "@",
    ):
        begin = len(line) - len(line.split(" ")[-1])
        found = shell.complete(line[begin:], line, begin, len(line))
        assert "Traceback" not in found.error
        assert "Error" not in found.error, (line, found.error)
