"""The session: status, link, plugins, and waiting for the end of what is going on."""

from __future__ import annotations

from tradeshell import words as w
from tradeshell.core.desk import Desk
from tradeshell.errors import BrokerError, OperatorError
from tradeshell.grammar import Answer, Column, Command, Grammar, Key, Table, Words
from tradeshell.ports import PluginReport, Trading, View
from tradeshell.shell import choices, results, targets
from tradeshell.shell.consent import NeedsAccount
from tradeshell.shell.helptext import CONNECT, LOOK, SHELL_GROUP
from tradeshell.shell.picture import (
    STALE,
    armed,
    blind_words,
    is_embedded,
    leaving,
    mode,
    open_risk,
    open_trades,
    protected_share,
)
from tradeshell.shell.render import clock
from tradeshell.words import masked

NOTHING = Grammar()


# --- status, link -----------------------------------------------------------------------------------------------------


OURS = ("screen", "ops")  # sinks that are no audit: the shell itself, and the log for people


def status(trading: Trading, words: Words) -> Answer:
    """Show mode, link, account, watchers, trades, protection and the age of data."""
    del words
    view = trading.view()
    desk = view.desk
    open_link = "up, reconciled" if desk.stopped else "up, reconciled: entries may leave"
    link = open_link if desk.link.is_open else _link_words(desk)
    risk = open_risk(desk)
    share = protected_share(view)
    sinks = [name for name in view.sinks if name not in OURS]
    trouble = next((log.why for log in view.logs if log.name == "events" and log.path is not None), "")
    rows = [
        ("mode", f"{mode(view)} · {view.broker.words}"),
        ("account", masked(desk.account or view.broker.account) or "unknown"),
        ("link", link),
        *_entries(desk),
        ("clock", f"{clock(view.now)} New York"),
        ("watchers", _count(len(armed(desk)), "armed")),
        ("trades", _count(len(open_trades(desk)), "open")),
        ("orders", _count(len(targets.working(desk)), "working")),
        (
            "risk",
            f"{risk.words} to the stops" + (f" · {risk.bare} without a stop" if risk.bare else ""),
        ),
        ("protected", "nothing is held" if share is None else f"{share} % of the shares held"),
        ("quotes", _quotes(view)),
        *_bars(view),
        ("audit", _audit_words(sinks, trouble)),
    ]
    data = {
        "mode": mode(view),
        "broker": view.broker.name,
        "account": masked(desk.account or view.broker.account),
        "link": {"up": desk.link.up, "reconciled": desk.link.reconciled, "why": desk.link.why},
        "stopped": desk.stopped,
        "frozen": {symbol: book.frozen for symbol, book in sorted(desk.books.items()) if book.frozen},
        "now": view.now,
        "armed": [watcher.spec.id for watcher in armed(desk)],
        "open": [trade.id for trade in open_trades(desk)],
        "working_orders": len(targets.working(desk)),
        "risk": risk.usd,
        "risk_r": risk.r,
        "without_stop": risk.bare,
        "protected": share,
        "blind": view.blind,
        "blocked": view.blocked,
        "audit": sinks,
        "audit_trouble": trouble,
    }
    return Answer(lines=tuple(f"  {name:<11}{text}" for name, text in rows), data=data)


def _entries(desk: Desk) -> tuple[tuple[str, str], ...]:
    """Return why entries do not leave although the link would allow them; nothing while they may."""
    rows = [("entries", f"OFF ({desk.stopped}) · `stopentry off` allows them again")] if desk.stopped else []
    frozen = [f"{symbol} ({book.frozen})" for symbol, book in sorted(desk.books.items()) if book.frozen]
    return (*rows, *([("frozen", targets.shortened(frozen))] if frozen else ()))


def _link_words(desk: Desk) -> str:
    if desk.link.up:
        return "up, reconciling: no entry leaves before orders and positions are known"
    return f"down ({desk.link.why}) · type: connect"


def _audit_words(sinks: list[str], trouble: str) -> str:
    """Return who keeps events; while they cannot be kept no entry leaves."""
    named = " ".join(sinks) or "no sink: events are on the screen only"
    return f"{named} · CANNOT BE WRITTEN: no entry leaves · {trouble}" if trouble else named


def _count(number: int, what: str) -> str:
    return f"{number} {what}" if number else f"none {what}"


def _quotes(view: View) -> str:
    if not view.quotes:
        return "none requested yet"
    old = [symbol for symbol, found in sorted(view.quotes.items()) if found.age(view.now) > STALE]
    fresh = len(view.quotes) - len(old)
    return f"{fresh} fresh" + (f" · older than {STALE:.0f} s: {targets.shortened(old)}" if old else "")


def _bars(view: View) -> tuple[tuple[str, str], ...]:
    """Return which streams of bars are stalled; nothing while all is well."""
    rows = []
    if view.blocked:
        rows.append(("data", "taken by another session of this login; streams are not asked for meanwhile"))
    if blind := blind_words(view):
        rows.append(("bars", f"{targets.shortened(blind)} · nothing is entered on old data"))
    return tuple(rows)


def connect(trading: Trading, words: Words) -> Answer:
    """Connect to the broker and read orders, executions and positions."""
    del words
    if trading.view().desk.link.up:
        return Answer(lines=("connected already",), data={"link": "up"})
    try:
        trading.connect()
    except BrokerError as error:
        if account := trading.view().unconfirmed:
            raise NeedsAccount(account, str(error)) from None
        raise
    return Answer(data={"link": "up"})


def disconnect(trading: Trading, words: Words) -> Answer:
    """Leave the broker; orders stay there."""
    del words
    view = trading.view()
    if not view.desk.link.up:
        return Answer(lines=("not connected",), data={"link": "down"})
    lines = () if is_embedded(view) else leaving(view)
    trading.disconnect()
    return Answer(lines=lines, data={"link": "down"})


# --- plugins ----------------------------------------------------------------------------------------------------------

_PLUGIN_COLUMNS = (Column("plugin"), Column("version"), Column("offers"))


def plugins(trading: Trading, words: Words) -> Answer:
    """List what is loaded, and what is not and why."""
    del words
    reports = trading.plugins()
    rows = tuple((r.name, r.version, ", ".join(r.offers) or "–") for r in reports if not r.refused)
    lines: list[str | Table] = [Table(columns=_PLUGIN_COLUMNS, rows=rows)] if rows else []
    width = max((len(report.name) for report in reports), default=0)
    lines += [f"  {r.name:<{width}}   {r.refused}" for r in reports if r.refused]
    return Answer(lines=tuple(lines) or ("no plugins",), data=reports)


# --- wait -------------------------------------------------------------------------------------------------------------

WAIT = Grammar(
    keys=(
        Key(name="symbol", help="only these symbols, or ALL", parse=w.symbol, values=choices.busy, metavar="SYM", example="AAPL"),
        Key(
            name="timeout",
            help="give up after this time: 30, 30s, 5m, 2h",
            parse=w.seconds,
            metavar="TIME",
            default="none",
            example="5m",
        ),
    ),
    rest="symbol",
    example="wait AAPL timeout=5m",
)  # fmt: skip


def wait(trading: Trading, words: Words) -> Answer:
    """Block until watchers and trades are over."""
    symbols = () if targets.ALL in words.rest else tuple(dict.fromkeys(words.rest))
    desk = trading.view().desk
    unknown = [
        s
        for s in symbols
        if s not in desk.books and not any(x.spec.plan.symbol == s for x in desk.watchers.values())
    ]
    if unknown:
        raise OperatorError(
            f"wait: {unknown[0]}: nothing was ever watched or traded there; `wait` alone waits for everything"
        )
    timeout: float | None = words.get("timeout")
    done = trading.wait(symbols, timeout)
    busy = () if done else trading.view().desk.busy(symbols)
    lines = () if done else (f"not over after {timeout:g} s: {targets.shortened(busy)}",)
    return Answer(lines=lines, data={"over": done, "busy": busy}, ok=done)


COMMANDS = (
    Command(
        name="status",
        help="Show mode, link, account, watchers, risk, protection, data",
        grammar=NOTHING,
        run=status,
        group=LOOK,
        data=results.Status,
        examples=("status",),
    ),
    Command(
        name="connect",
        help="Connect to the broker and reconcile",
        grammar=NOTHING,
        run=connect,
        group=CONNECT,
        data=results.Linked,
        examples=("connect",),
    ),
    Command(
        name="disconnect",
        help="Leave the broker; orders stay there",
        grammar=NOTHING,
        run=disconnect,
        group=CONNECT,
        data=results.Linked,
        examples=("disconnect",),
    ),
    Command(
        name="plugins",
        help="List plugins: what each offers, what was refused and why",
        grammar=NOTHING,
        run=plugins,
        group=CONNECT,
        data=list[PluginReport],
        examples=("plugins",),
    ),
    Command(
        name="wait",
        help="Wait until watchers and their trades are over",
        grammar=WAIT,
        run=wait,
        group=SHELL_GROUP,
        data=results.Waited,
        examples=("wait", "wait AAPL timeout=5m"),
        notes="Ctrl-C stops waiting; watchers and trades go on. In a script, a timeout counts as a failure.",
    ),
)  # fmt: skip
