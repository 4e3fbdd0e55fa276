"""The whole program as a new user meets it: what is said first, on every size of terminal, and what is kept for the next time."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.terminal.screen import program

pytestmark = [pytest.mark.terminal, pytest.mark.timeout(120)]

SIZES = [(24, 80), (30, 100), (40, 160)]


@pytest.mark.parametrize("rows, columns", SIZES)
def test_the_first_start_writes_a_config_and_says_what_to_type(
    tmp_path: Path, rows: int, columns: int
) -> None:
    with program(tmp_path, rows=rows, columns=columns) as opened:
        opened.prompts("paper>")
        told = " ".join(" ".join(opened.everything).split())
        assert told.startswith("tradeshell 0.1 · paper venue · generated market, seed 1 · account DU…0001 · ")
        assert "settings: ~/config/tradeshell/config.toml was written" in told
        assert "type `help`, or try: breakout DEMO 101 100 tp-3 sl=99" in told
        opened.type("breakout DEMO 101 100 tp-3 sl=99\r")
        opened.sees("armed     br-")
        opened.type("breakout cancel DEMO\rquit\r")
        assert opened.code() == 0
    written = tmp_path / "config" / "tradeshell" / "config.toml"
    written.write_text(written.read_text() + "\n# mine\n")
    with program(tmp_path, rows=rows, columns=columns) as opened:
        opened.prompts("paper>")
        assert not [line for line in opened.everything if line.startswith("settings:")]
        opened.type("quit\r")
        assert opened.code() == 0
    assert written.read_text().endswith("# mine\n")


def test_a_script_writes_no_config(tmp_path: Path) -> None:
    with program(tmp_path, "-c", "quote DEMO") as opened:
        assert opened.code() == 0
    assert not (tmp_path / "config").exists()


def test_the_symbols_of_the_market_are_offered_before_anything_was_traded(tmp_path: Path) -> None:
    with program(tmp_path, "--market", "ZVZZT=12") as opened:
        opened.prompts("paper>")
        opened.type("quote zv\t")
        opened.prompts("paper> quote ZVZZT")


def test_what_is_waited_for_is_named_and_leaves_no_trace(tmp_path: Path) -> None:
    with program(tmp_path) as opened:
        opened.prompts("paper>")
        opened.type("breakout DEMO 150 10 sl=140\r")
        opened.sees("armed     br-")
        opened.type("wait timeout=3\r")
        opened.sees("… waiting for the end of watchers and trades · 1 s · Ctrl-C stops waiting")
        opened.sees("not over after 3 s: br-")
        opened.prompts("paper>")
        assert not [line for line in opened.everything if "waiting for" in line]
