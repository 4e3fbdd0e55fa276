"""The command ``reconcile``: what differs between the broker and us, and what can be done about it."""

from __future__ import annotations

from typing import Any

from tradeshell import (
    Answer,
    CancelOutside,
    Column,
    Command,
    Difference,
    Grammar,
    Key,
    Table,
    TakeUp,
    Trading,
    Verb,
    View,
    Weight,
    Words,
    parse_count,
)
from tradeshell_reconcile.results import Row

COLUMNS = (
    Column("row", right=True),
    Column("finding"),
    Column("symbol"),
    Column("at the broker"),
    Column("expected"),
    Column("done / what you can do"),
)
_ROW = Key(
    name="row",
    help="a row of the last `reconcile`",
    parse=parse_count,
    metavar="ROW",
    example="1",
)


def run(trading: Trading, words: Words) -> Answer:
    """Compare with the broker now, or do what a row offers."""
    if words.verb == "fix":
        return _fix(trading, words.get("row"))
    found = trading.reconcile()
    data = [_as_data(number, each) for number, each in enumerate(found, 1)]
    view = trading.view()
    if not found:
        return Answer(lines=(f"nothing differs · {_counts(view)}",), data=data)
    rows = tuple(_as_row(number, each) for number, each in enumerate(found, 1))
    bad = sum(each.weight in (Weight.BAD, Weight.ALARM) for each in found)
    said = "nothing needs you" if not bad else f"{bad} of {len(found)} need a look"
    return Answer(lines=(Table(columns=COLUMNS, rows=rows), f"{said} · {_counts(view)}"), data=data)


def _fix(trading: Trading, row: int) -> Answer:
    done = trading.settle_difference(row)
    said = f"row {row}: {done.symbol} {done.finding}: "
    said += f"{done.fix.id} is looked after again" if isinstance(done.fix, TakeUp) else "cancel asked"
    return Answer(lines=(said,), data={"row": row, **_as_data(row, done)})


def _counts(view: View) -> str:
    desk = view.desk
    ours = sum(order.state.is_live for order in desk.orders())
    others = sum(not each.is_gone for each in desk.outside.values())
    return f"{ours} orders of ours, {others} of others, {sum(p.qty != 0 for p in desk.positions.values())} positions"


def _as_row(number: int, each: Difference) -> tuple[str, ...]:
    done = each.done.replace("fix ROW", f"fix {number}")
    return str(number), each.finding, each.symbol, each.broker, each.expected, done


def _as_data(number: int, each: Difference) -> dict[str, Any]:
    fix = (
        "cancel"
        if isinstance(each.fix, CancelOutside)
        else "take_up"
        if isinstance(each.fix, TakeUp)
        else None
    )
    return {
        "row": number,
        "finding": each.finding,
        "symbol": each.symbol,
        "broker": each.broker,
        "expected": each.expected,
        "done": each.done,
        "weight": each.weight,
        "fix": fix,
    }


RECONCILE = Command(
    name="reconcile",
    help="Compare orders, executions and positions with the broker",
    grammar=Grammar(
        verbs=(
            Verb(
                word="fix",
                data=Row,
                help="do what a row offers: cancel an orphan exit, take a session up",
                grammar=Grammar(
                    keys=(_ROW,), positionals=("row",), required=("row",), example="reconcile fix 1"
                ),
            ),
        ),
        example="reconcile",
    ),
    run=run,
    group="Connection and upkeep",
    data=list[Row],
    examples=("reconcile", "reconcile fix 1"),
    notes="It compares by itself whenever a connection comes up, before any entry may leave. Rows keep their numbers until the "
    "next comparison.",
)
