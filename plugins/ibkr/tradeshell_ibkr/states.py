"""Where the link stands, in words, and how it goes on from there: one row for each way in which it can be.

Laws: what time or a restart of the gateway may heal is tried again by itself, later each time; what only a person can heal is
not. The words of a row are what the operator reads, one line, with the place and what to do.
"""

from __future__ import annotations

from enum import StrEnum

from msgspec import Struct


class LinkState(StrEnum):
    """How the link is."""

    OFF = "off"
    CONNECTING = "connecting"
    UP = "up"
    WITHOUT_IB = "without Interactive Brokers"
    REFUSED = "refused"
    RESTARTING = "restarting"
    UNREACHABLE = "unreachable"
    SILENT = "silent"
    SHUT_OUT = "shut out"
    IN_USE = "client id in use"
    DROPPED = "dropped"
    LIFELESS = "lifeless"
    UNANSWERED = "unanswered"
    STRANGE = "strange"
    GUARDED = "guarded"


class Behaviour(Struct, frozen=True):
    """``words`` with ``{place}``, ``{client_id}``, ``{detail}``; tried again after ``first`` s, doubling up to ``cap``."""

    words: str
    first: float | None = None
    cap: float = 60.0


STATES = {
    LinkState.OFF: Behaviour("not connected"),
    LinkState.CONNECTING: Behaviour("connecting to {place}"),
    LinkState.UP: Behaviour("connected to {place}"),
    LinkState.WITHOUT_IB: Behaviour(
        "the gateway at {place} has lost Interactive Brokers: nothing is sent until it is back"
    ),
    LinkState.REFUSED: Behaviour(
        "{place} refuses the connection: start TWS or IB Gateway there and enable its API "
        "(ports: TWS paper 7497, Gateway paper 4002)",
        1.0,
        30.0,
    ),
    LinkState.RESTARTING: Behaviour(
        "{place} refuses the connection since the last one ended: TWS and IB Gateway restart once a day, "
        "and wait for a login after Saturday night",
        1.0,
        30.0,
    ),
    LinkState.UNREACHABLE: Behaviour("{place} cannot be reached: {detail}", 2.0),
    LinkState.SILENT: Behaviour(
        "{place} takes the connection and says nothing: it may be waiting for its login, or for a click on its screen",
        5.0,
    ),
    LinkState.SHUT_OUT: Behaviour(
        "{place} closed the connection before it was ready: {detail}; see its API settings (trusted addresses)",
        5.0,
    ),
    LinkState.IN_USE: Behaviour(
        "{place}: client id {client_id} is in use: end the other program that has it; "
        "our orders belong to this id, so no other one is taken",
        5.0,
    ),
    LinkState.DROPPED: Behaviour("the connection to {place} was lost: {detail}", 1.0),
    LinkState.LIFELESS: Behaviour("{place} gives no sign of life: {detail}", 1.0),
    LinkState.UNANSWERED: Behaviour("{place} does not answer for orders and positions: {detail}", 5.0),
    LinkState.STRANGE: Behaviour("{place}: {detail}", 30.0),
    LinkState.GUARDED: Behaviour("{detail}"),
}

STEADY_AFTER = 60.0  # seconds: a link that lasted so long starts its pauses from the beginning


def words_of(state: LinkState, place: str, client_id: int, detail: str = "") -> str:
    """Return what the operator reads."""
    told = STATES[state].words.format(place=place, client_id=client_id, detail=detail)
    return told if STATES[state].first is None else f"{told} · trying again by itself"


def pause(state: LinkState, attempt: int, client_id: int) -> float | None:
    """Return the seconds before attempt number ``attempt`` (from 0) is made again; ``None``: only a person can help.

    Up to a fifth more, from the client id, keeps programs that lost the same gateway apart; never more than ``cap``.
    """
    behaviour = STATES[state]
    if behaviour.first is None:
        return None
    exact = behaviour.first * 2.0 ** min(attempt, 16)
    return float(min(behaviour.cap, exact * (1.0 + ((client_id * 37 + attempt * 11) % 21) / 100.0)))
