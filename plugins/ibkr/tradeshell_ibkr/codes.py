"""What the gateway's codes mean here: the one table from which orders, link and data read the effect of message 4.

An error is a word, not a state. What it does to an order depends on what is on its way for that order: the same 321 refuses a
new order and leaves an old one working. So a code has an *effect*, and ``about_order`` says what the effect is for an order in
its situation. Statuses, executions and pictures are what ends orders; a code ends one only where the protocol leaves no doubt.

A code that is not in the table is told and changes nothing: an order that was refused with it shows so by its status, or by its
absence from two pictures; one that was only commented upon works on. To take a comment for a refusal would send a second order,
to take a refusal for a comment costs the seconds until the pictures agree.
"""

from __future__ import annotations

from enum import StrEnum

from msgspec import Struct

from tradeshell import RefusedWhat


class Effect(StrEnum):
    """What a code does. The first six are about orders."""

    REFUSED = "refused"  # a new order is refused; of an old one the change that is on its way
    REJECTED = "rejected"  # the same, and an order that was taken may be thrown out with it later
    CHANGE_REFUSED = "change refused"  # the order works as before
    CANCEL_REFUSED = "cancel refused"  # the order is over or unknown: a picture tells which
    CANCELLED = "cancelled"
    COMMENT = "comment"  # the order lives on
    LINK_LOST = "link lost"  # the gateway has lost Interactive Brokers; its socket stays
    LINK_BACK = "link back"
    LINK_BACK_EMPTY = "link back, data lost"
    LINK_ENDS = "link ends"
    FARM_DOWN = "farm down"
    FARM_UP = "farm up"
    DATA_REFUSED = "data refused"  # the request ends without what it asked for
    DATA_DEAD = "data dead"  # a subscription has ended and says nothing any more
    DATA_DELAYED = "data delayed"
    DATA_BLOCKED = "data blocked"  # until another session of the same login ends
    PACING = "pacing"
    INFO = "info"


class Code(Struct, frozen=True):
    """One code: what it says, what it does, and why it is taken so."""

    code: int
    meaning: str
    effect: Effect
    reason: str


_E = Effect
_NEW = "sent back before it was taken; of a change, the old version works"
_OLD = "the gateway checks a change before it touches the order"
_LIVES = "the order was taken and lives"
_OVER = "no such living order at the gateway: what became of it, executions and pictures say"
_SUBSCRIBE = "nothing comes before the request is repeated, or another one is made"

_TABLE = (
    # connection and farms
    (100, "more messages a second than allowed", _E.PACING, "the third time ends the connection"),
    (326, "the client id is in use", _E.LINK_ENDS, "the socket closes; orders belong to their client id, so it is not changed"),
    (327, "only client id 0 may bind manual orders", _E.INFO, "nothing was asked for that needs it"),
    (502, "no connection to TWS", _E.INFO, "made by other clients, never on the wire"),
    (504, "not connected", _E.INFO, "made by other clients, never on the wire"),
    (507, "bad message length", _E.INFO, "made by other clients, never on the wire"),
    (1100, "the gateway lost Interactive Brokers", _E.LINK_LOST, "what is sent now is lost, queued or not answered"),
    (1101, "Interactive Brokers is back, subscriptions are lost", _E.LINK_BACK_EMPTY, "everything has to be asked for again"),
    (1102, "Interactive Brokers is back, subscriptions live", _E.LINK_BACK, "fills of the time between may be late"),
    (1300, "the gateway moves to another port", _E.LINK_ENDS, "the socket closes"),
    (2100, "account updates go elsewhere", _E.INFO, "they are not used"),
    (2101, "account updates cannot be had", _E.INFO, "they are not used"),
    (2103, "a market data farm is down", _E.FARM_DOWN, "quotes and bars stop"),
    (2104, "a market data farm is up", _E.FARM_UP, "bars may stay silent all the same: time watches them"),
    (2105, "a history farm is down", _E.FARM_DOWN, "past bars cannot be had"),
    (2106, "a history farm is up", _E.FARM_UP, "past bars can be had"),
    (2107, "a history farm sleeps until it is needed", _E.INFO, "normal"),
    (2108, "a market data farm sleeps until it is needed", _E.INFO, "normal"),
    (2110, "the gateway lost Interactive Brokers and will reconnect", _E.LINK_LOST, "as 1100"),
    (2119, "a market data farm is connecting", _E.INFO, "2104 or 2103 follows"),
    (2157, "the contract farm is down", _E.FARM_DOWN, "contracts cannot be looked up"),
    (2158, "the contract farm is up", _E.FARM_UP, "contracts can be looked up"),
    # orders
    (103, "duplicate order number", _E.REFUSED, "an older order of that number is untouched"),
    (104, "a filled order cannot be changed", _E.CHANGE_REFUSED, "it is filled: its executions are here or on their way"),
    (105, "the change does not fit the order", _E.CHANGE_REFUSED, _OLD),
    (106, "the order cannot be transmitted", _E.REFUSED, _NEW),
    (107, "the order is incomplete", _E.REFUSED, _NEW),
    (109, "the price is outside the precautionary limits", _E.REFUSED, _NEW),
    (110, "the price is not on the contract's grid", _E.REFUSED, _NEW),
    (111, "time in force and order type do not go together", _E.REFUSED, _NEW),
    (113, "time in force and order type do not go together", _E.REFUSED, _NEW),
    (116, "the exchange is closed for orders", _E.REFUSED, _NEW),
    (133, "the new order failed", _E.COMMENT, "whether it was taken is not said: pictures tell"),
    (134, "the change failed", _E.CHANGE_REFUSED, _OLD),
    (135, "no order of that number", _E.REFUSED, "of a new child: its parent is unknown; of a change: the order is"),
    (136, "the order cannot be cancelled", _E.CANCEL_REFUSED, _OVER),
    (160, "a price below zero", _E.REFUSED, _NEW),
    (161, "the order cannot be cancelled as it stands", _E.CANCEL_REFUSED, _OVER),
    (163, "the price is outside the precautionary limits", _E.REFUSED, _NEW),
    (164, "no market price to check the limits against", _E.REFUSED, _NEW),
    (201, "rejected", _E.REJECTED, "by IBKR or the exchange, also after it was taken: margin, permission, halt"),
    (202, "cancelled", _E.CANCELLED, "by us, its group, its day, the exchange"),
    (203, "the account may not trade this", _E.REJECTED, "a rule of the account"),
    (320, "the message could not be read", _E.REFUSED, _NEW),
    (321, "the message was not accepted (also: the API is read-only)", _E.REFUSED, _NEW),
    (322, "the message could not be processed", _E.REFUSED, _NEW),
    (329, "the order type cannot be changed to that", _E.CHANGE_REFUSED, _OLD),
    (356, "no group of this kind for this order", _E.REFUSED, _NEW),
    (382, "the size is outside the precautionary limits", _E.REFUSED, _NEW),
    (383, "the size is outside the precautionary limits", _E.REFUSED, _NEW),
    (387, "this order type is not taken there", _E.REFUSED, _NEW),
    (389, "the price cannot be computed", _E.REFUSED, _NEW),
    (399, "a message about the order, such as: not before the opening", _E.COMMENT, _LIVES),
    (404, "held while shares are located", _E.COMMENT, _LIVES),
    (413, "a preview must be transmitted", _E.REFUSED, _NEW),
    (434, "the size is zero", _E.REFUSED, _NEW),
    (435, "an account must be named", _E.REFUSED, _NEW),
    (436, "an allocation must be named", _E.REFUSED, _NEW),
    (451, "the size is above the precautionary limit", _E.REFUSED, _NEW),
    (460, "no permission to trade this", _E.REJECTED, "a rule of the account"),
    (463, "not a valid price", _E.REFUSED, _NEW),
    (481, "the size was reduced", _E.COMMENT, _LIVES),
    (492, "shown delayed, or with another attribute", _E.COMMENT, _LIVES),
    (2102, "still being processed, so not changed", _E.CHANGE_REFUSED, _OLD),
    (2109, "outside-hours has no meaning for it and is ignored", _E.COMMENT, _LIVES),
    (2137, "it would cross the market", _E.COMMENT, _LIVES),
    (10006, "the parent order is missing", _E.REFUSED, _NEW),
    (10147, "the order to be cancelled is not found", _E.CANCEL_REFUSED, _OVER),
    (10148, "the order cannot be cancelled in its state", _E.CANCEL_REFUSED, _OVER),
    (10242, "no fractions of shares", _E.REFUSED, _NEW),
    (10243, "no fractions of shares through the API", _E.REFUSED, _NEW),
    (10244, "no amounts of money instead of sizes", _E.REFUSED, _NEW),
    (10289, "an amount of money must be given", _E.REFUSED, _NEW),
    (10311, "this order goes to one exchange without SMART", _E.COMMENT, _LIVES),
    (10314, "a date or time is written wrongly", _E.REFUSED, _NEW),
    (10318, "no fractions of shares for this order", _E.REFUSED, _NEW),
    (10324, "overfill protection goes without saying there", _E.CHANGE_REFUSED, _OLD),
    (10325, "overfill protection is not to be had there", _E.CHANGE_REFUSED, _OLD),
    (10326, "its group cannot be changed", _E.CHANGE_REFUSED, _OLD),
    (10327, "the kind of its group cannot be changed", _E.CHANGE_REFUSED, _OLD),
    (10341, "its parent cannot be changed", _E.CHANGE_REFUSED, _OLD),
    (10349, "its time in force was set by a preset", _E.COMMENT, _LIVES),
    # market data, bars, contracts
    (101, "no market data line is left", _E.DATA_REFUSED, _SUBSCRIBE),
    (102, "duplicate number of a request", _E.DATA_REFUSED, _SUBSCRIBE),
    (162, "a history request failed: pacing, no data, no permission", _E.DATA_REFUSED, "the words say which"),
    (165, "no items were found", _E.DATA_REFUSED, "the request has no answer"),
    (166, "the contract has expired", _E.DATA_REFUSED, "it has no such history"),
    (200, "no such contract, or more than one", _E.REFUSED, "of a request: it ends; of an order: " + _NEW),
    (300, "no such subscription", _E.INFO, "it had ended before it was cancelled"),
    (309, "no line for market depth is left", _E.DATA_REFUSED, _SUBSCRIBE),
    (310, "no such market depth", _E.INFO, "it had ended before it was cancelled"),
    (316, "market depth was halted", _E.DATA_DEAD, _SUBSCRIBE),
    (317, "market depth was reset", _E.INFO, "it goes on from nothing"),
    (354, "market data is not subscribed", _E.DATA_REFUSED, _SUBSCRIBE),
    (366, "no such history request", _E.INFO, "it had ended before it was cancelled"),
    (386, "duplicate number of a history request", _E.DATA_REFUSED, _SUBSCRIBE),
    (420, "5-second bars are refused: pacing or permission", _E.DATA_REFUSED, _SUBSCRIBE),
    (430, "no fundamental data", _E.DATA_REFUSED, "it is not used"),
    (10089, "market data needs a subscription for the API", _E.DATA_REFUSED, _SUBSCRIBE),
    (10090, "part of the market data is not subscribed", _E.DATA_REFUSED, _SUBSCRIBE),
    (10091, "part of the market data needs a subscription for the API", _E.DATA_REFUSED, _SUBSCRIBE),
    (10092, "no market depth for this", _E.DATA_REFUSED, "it is not used"),
    (10167, "delayed data instead of live data", _E.DATA_DELAYED, "delayed data triggers nothing"),
    (10168, "not subscribed, and delayed data is off", _E.DATA_REFUSED, _SUBSCRIBE),
    (10182, "live updates of bars failed", _E.DATA_DEAD, _SUBSCRIBE),
    (10186, "not subscribed, and delayed data is off", _E.DATA_REFUSED, _SUBSCRIBE),
    (10187, "past ticks cannot be had", _E.DATA_REFUSED, "the request ends"),
    (10189, "tick-by-tick data is refused", _E.DATA_REFUSED, _SUBSCRIBE),
    (10190, "no line for tick-by-tick data is left", _E.DATA_REFUSED, _SUBSCRIBE),
    (10197, "another live session of this login has the data", _E.DATA_BLOCKED, "it ends when that session ends"),
    (10225, "a trade was broken, the subscription has ended", _E.DATA_DEAD, _SUBSCRIBE),
)  # fmt: skip

CODES = {code: Code(code, meaning, effect, reason) for code, meaning, effect, reason in _TABLE}


def look_up(code: int) -> Code:
    """Return what a code means; one that is not in the table is a comment."""
    known = CODES.get(code)
    if known is not None:
        return known
    return Code(
        code, "not in the table", Effect.COMMENT, "told, and nothing else: a status or a picture decides"
    )


def about_order(code: int, *, is_new: bool, is_changing: bool, is_cancelling: bool) -> RefusedWhat:
    """Return what a code refuses of an order. ``is_new``: nothing was heard of it since it was sent.

    202 is ``NOTHING`` here: it refuses nothing, see ``orders``.
    """
    effect = look_up(code).effect
    if effect is Effect.CANCEL_REFUSED:
        return RefusedWhat.CANCEL if is_cancelling else RefusedWhat.NOTHING
    if effect is Effect.CHANGE_REFUSED:
        return RefusedWhat.CHANGE if is_changing else RefusedWhat.NOTHING
    if effect not in (Effect.REFUSED, Effect.REJECTED):
        return RefusedWhat.NOTHING
    if is_new:
        return RefusedWhat.ORDER
    if is_changing:
        return RefusedWhat.CHANGE
    if code == _NOT_FOUND and is_cancelling:
        return RefusedWhat.CANCEL
    return RefusedWhat.ORDER if effect is Effect.REJECTED else RefusedWhat.NOTHING


_NOT_FOUND = 135
