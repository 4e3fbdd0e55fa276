"""``fills_csv``: every fill as a row of a CSV file."""

import csv
from collections.abc import Iterator
from contextlib import contextmanager

from tradeshell import OrderFilled, Record, Register, Sink, SinkContext, SinkOpener, hookimpl

COLUMNS = ("at", "symbol", "leg", "side", "qty", "price", "pnl", "order_ref")


@contextmanager
def fills_csv(context: SinkContext) -> Iterator[Sink]:
    """Append to ``path`` of ``[sinks.fills_csv]``, by default ``fills.csv`` in the state directory."""
    path = context.state_dir / str(context.settings.get("path", "fills.csv"))
    # Line-buffered: a row has left the process before the next event is decided.
    with path.open("a", encoding="utf-8", newline="", buffering=1) as file:
        rows = csv.writer(file)
        if file.tell() == 0:
            rows.writerow(COLUMNS)

        def sink(record: Record) -> None:
            if isinstance(record.event, OrderFilled):  # an entry's, and those of targets and stops
                rows.writerow(getattr(record.event, name) for name in COLUMNS)

        yield sink


@hookimpl
def register_event_sinks(register: Register[SinkOpener]) -> None:
    register("fills_csv", fills_csv)
