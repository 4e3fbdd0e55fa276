"""The paper venue: a simulated exchange to practise, replay and test on.

Importing this package is cheap: the exchange, the feeds and the calendar are loaded when the venue is opened.
"""

from __future__ import annotations

from contextlib import AbstractContextManager

from tradeshell import (
    Broker,
    BrokerContext,
    BrokerOffer,
    ProgramContext,
    ProgramOffer,
    Register,
    hookimpl,
)


def open_venue(context: BrokerContext) -> AbstractContextManager[Broker]:
    """Open the venue; recorded files are read and checked completely before its clock starts."""
    from tradeshell_paper.broker import open_paper  # noqa: PLC0415  # start-up pays for what is used

    return open_paper(context)


@hookimpl
def register_brokers(register: Register[BrokerOffer]) -> None:
    """Offer the broker ``paper``."""
    register(
        "paper",
        BrokerOffer(
            open=open_venue,
            own_clock=True,
            words="the embedded paper venue: a generated market, or recorded files with --replay",
        ),
    )


def run_gateway(context: ProgramContext) -> int:
    """Run the paper gateway until a signal ends it."""
    from tradeshell_paper.tws.program import run  # noqa: PLC0415  # the shell does not pay for it

    return run(context)


@hookimpl
def register_programs(register: Register[ProgramOffer]) -> None:
    """Offer the program ``gateway``."""
    register(
        "gateway", ProgramOffer(run=run_gateway, words="the simulated exchange behind the TWS API, on a port")
    )
