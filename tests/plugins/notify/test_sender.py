"""Messages through real apprise to real services on this computer: taken, refused, failed, hanging."""

from __future__ import annotations

import time

import pytest
from tests.plugins.notify.services import hanging, nobody, service

from tradeshell_notify.child import without
from tradeshell_notify.sender import Message, Sender

MESSAGE = Message(title="tradeshell", body="12:00:00 AAPL closed", kind="failure")
SECRETS = ("5ecret", "pa55word", "127.0.0.1")


def deliver(*urls: str, within: float = 20.0) -> list[tuple[str, bool, str]]:
    sender = Sender(urls, within)
    try:
        return [(each.address, each.ok, each.why) for each in sender.send(MESSAGE)]
    finally:
        sender.clean_up()


def test_a_service_gets_title_body_and_kind() -> None:
    with service() as there:
        assert deliver(there.url) == [("1 json", True, "")]
    (got,) = there.got
    assert (got["title"], got["message"], got["type"]) == ("tradeshell", "12:00:00 AAPL closed", "failure")


def test_each_address_gets_its_own_answer_and_no_answer_shows_an_address() -> None:
    with service() as good, service(500) as broken:
        found = deliver(good.url, broken.url, nobody(), "nonsense://5ecret", "json://")
    assert [name for name, _, _ in found] == ["1 json", "2 json", "3 json", "4 nonsense", "5 json"]
    assert [ok for _, ok, _ in found] == [True, False, False, False, False]
    assert [why for _, _, why in found[3:]] == ["apprise does not understand this address"] * 2
    assert "error=500" in found[1][2]
    assert "onnection" in found[2][2]
    assert [why for _, _, why in found for secret in SECRETS if secret in why] == []


def test_one_that_hangs_costs_the_others_nothing_and_is_given_up() -> None:
    with service() as good, hanging() as stuck:
        sender = Sender((stuck.url, good.url), within=2.0)
        try:
            began = time.monotonic()
            stuck_found, good_found = sender.send(MESSAGE)
            assert time.monotonic() - began < 20
            assert (stuck_found.ok, stuck_found.why) == (False, "no answer within 2 s")
            assert good_found.ok
            assert [each.ok for each in sender.send(MESSAGE)] == [False, True]  # a new process took over
        finally:
            sender.clean_up()
    assert len(good.got) == 2


def test_a_process_that_was_ended_from_outside_is_told_and_started_again() -> None:
    with service() as there:
        sender = Sender((there.url,))
        try:
            assert sender.start() == ""
            child = sender._child
            assert child is not None
            child.kill()
            child.wait()
            (found,) = sender.send(MESSAGE)
            assert (found.ok, found.why) == (False, "the delivering process ended (-9)")
            assert [each.ok for each in sender.send(MESSAGE)] == [True]
        finally:
            sender.clean_up()


def test_a_python_that_cannot_be_started_is_an_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.executable", "/nowhere/python")
    assert deliver("json://x") == [("1 json", False, "no process to deliver: No such file or directory")]


def test_a_sender_that_was_closed_starts_nothing() -> None:
    sender = Sender(("json://x",))
    sender.close()
    assert sender.start() == "the program ends"


@pytest.mark.parametrize(
    "words, told",
    [
        ("the bot123:ABCdef was refused", "the ****:**** was refused"),
        ("no p%40ss%20word here\nnor p@ss word", "no **** here nor p@ss ****"),
        ("Internal Server Error, error=500.", "Internal Server Error, error=500."),
    ],
)
def test_words_lose_every_piece_of_the_address(words: str, told: str) -> None:
    assert without(words, "tgram://bot123:ABCdef@host.example/p%40ss%20word/?key=v4lue") == told
