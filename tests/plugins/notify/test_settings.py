"""The table [sinks.notify]: what it takes, how it refuses, and that no address is ever shown."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tradeshell import ConfigError, SinkContext, Weight
from tradeshell_notify.sender import names
from tradeshell_notify.settings import Settings, read_settings, unknown_events

SECRET = "tgram://123456:pa55word/chat"


def read(environ: dict[str, str] | None = None, /, **table: Any) -> Settings:
    return read_settings(SinkContext(state_dir=Path(), settings=table, environ=environ or {}))


def test_one_address_is_enough() -> None:
    settings = read(urls=SECRET)
    assert settings.urls == (SECRET,)
    assert settings.per_minute == 6
    assert settings.wanted.weights == {Weight.GOOD, Weight.BAD, Weight.ALARM}


def test_every_setting_is_taken() -> None:
    settings = read(
        urls=(SECRET, "ntfy://x"), weights=("alarm",), events=("TradeClosed",), never=("OrderSent",),
        symbols=("aapl", "BRK.B"), per_minute=2,
    )  # fmt: skip
    wanted = settings.wanted
    assert (len(settings.urls), settings.per_minute) == (2, 2)
    assert wanted.weights == {Weight.ALARM}
    assert (set(wanted.events), set(wanted.never)) == ({"TradeClosed"}, {"OrderSent"})
    assert wanted.symbols == {"AAPL", "BRK.B"}


def test_the_variable_wins_over_the_table() -> None:
    settings = read({"TRADESHELL_NOTIFY_URLS": " ntfy://one  ntfy://two\n"}, urls=SECRET)
    assert settings.urls == ("ntfy://one", "ntfy://two")
    assert read({"TRADESHELL_NOTIFY_URLS": ""}, urls=SECRET).urls == (SECRET,)


@pytest.mark.parametrize(
    "table, said",
    [
        ({}, "no urls, nor is TRADESHELL_NOTIFY_URLS set"),
        ({"urls": ()}, "no urls"),
        ({"urls": (SECRET, "pa55word")}, "number 2 is no address"),
        ({"urls": 7}, "urls: is a list of words"),
        ({"urls": (SECRET, 7)}, "urls: is a list of words"),
        ({"urls": SECRET, "weight": "alarm"}, "has no setting 'weight' (did you mean weights?)"),
        ({"urls": SECRET, "weights": ("loud",)}, "'loud' is none of note, good, bad, alarm"),
        ({"urls": SECRET, "symbols": ("A!!",)}, "symbols: "),
        ({"urls": SECRET, "per_minute": 0}, "from 1 to 60"),
        ({"urls": SECRET, "per_minute": True}, "from 1 to 60"),
        ({"urls": SECRET, "per_minute": 1.5}, "from 1 to 60"),
    ],
)
def test_a_table_that_is_wrong_is_refused_in_one_line_without_an_address(
    table: dict[str, Any], said: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        read(**table)
    assert said in str(caught.value)
    assert "pa55word" not in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_name_that_no_event_has_is_told() -> None:
    settings = read(urls=SECRET, events=("OrderFiled",), never=("OrderSent",))
    (said,) = unknown_events(settings.wanted)
    assert said == "[sinks.notify]: there is no event 'OrderFiled' (did you mean OrderFilled?)"


def test_settings_do_not_show_addresses() -> None:
    assert "pa55word" not in repr(read(urls=SECRET))


def test_an_address_is_called_by_its_place_and_scheme() -> None:
    assert names((SECRET, "NTFYS://x", "://pa55word", "pa55 word://x")) == (
        "1 tgram",
        "2 ntfys",
        "3 ?",
        "4 ?",
    )
