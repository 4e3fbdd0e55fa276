"""The command ``notify``: what is told and where, how it does, and a test."""

from __future__ import annotations

from tradeshell import Answer, Command, Grammar, OperatorError, Trading, Verb, Words
from tradeshell_notify.courier import Courier
from tradeshell_notify.results import Notifying, Tested
from tradeshell_notify.sender import Delivery
from tradeshell_notify.settings import URLS_VARIABLE

OFF = (
    "notify: it is off · a table [sinks.notify] with urls in the config (or with "
    f"{URLS_VARIABLE} set) switches it on at the next start"
)


def run(trading: Trading, words: Words) -> Answer:
    """Say how notifications do, or send a test."""
    courier = trading.sink("notify")
    if not isinstance(courier, Courier):
        raise OperatorError(OFF)
    if words.verb == "test":
        return _test(courier.test())
    state, settings = courier.state(), courier.settings
    wanted = settings.wanted
    said = "silent in a replay" if courier.is_silent else "on"
    lines = [
        (
            f"notify {said} · sent {state.sent}, failed {state.failed}, waiting {state.waiting}, missed {state.missed}"
            f" · at most {settings.per_minute} a minute"
        ),
        (
            f"  weights {_listed(wanted.weights)} · events {_listed(wanted.events)} · never {_listed(wanted.never)}"
            f" · symbols {_listed(wanted.symbols, 'all')}"
        ),
        *_rows(state.addresses, "as far as is known"),
    ]
    return Answer(
        lines=tuple(lines),
        data={
            "silent": courier.is_silent,
            "sent": state.sent,
            "failed": state.failed,
            "waiting": state.waiting,
            "missed": state.missed,
            "per_minute": settings.per_minute,
            "weights": sorted(wanted.weights),
            "events": sorted(wanted.events),
            "never": sorted(wanted.never),
            "symbols": sorted(wanted.symbols),
            "addresses": state.addresses,
        },
    )


def _test(found: tuple[Delivery, ...]) -> Answer:
    return Answer(
        lines=tuple(_rows(found, "sent")),
        data={"addresses": found},
        ok=all(each.ok for each in found),
    )


def _rows(found: tuple[Delivery, ...], good: str) -> list[str]:
    return [f"  {each.address}: {f'ok, {good}' if each.ok else each.why}" for each in found]


def _listed(words: frozenset[str], empty: str = "none") -> str:
    return " ".join(sorted(words)) or empty


NOTIFY = Command(
    name="notify",
    help="Say how notifications to phone, desktop and chat do",
    grammar=Grammar(
        verbs=(
            Verb(
                word="test",
                help="send a test to every address",
                grammar=Grammar(example="notify test"),
                data=Tested,
            ),
        ),
        example="notify",
    ),
    run=run,
    data=Notifying,
    group="Connection and upkeep",
    examples=("notify", "notify test"),
    notes="Off unless the config has a table [sinks.notify]. Of an address only its place in the list and its scheme are shown: "
    "it holds passwords.",
)
