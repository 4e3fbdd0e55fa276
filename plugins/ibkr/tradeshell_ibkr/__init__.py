"""Interactive Brokers: TWS or IB Gateway, driven with ib_async used as a codec.

Importing this package is cheap: ib_async is loaded when the broker is opened.
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


def open_broker(context: BrokerContext) -> AbstractContextManager[Broker]:
    """Make the broker; nothing is dialled before it is told to connect."""
    from tradeshell_ibkr.broker import open_ibkr  # noqa: PLC0415  # start-up pays for what is used

    return open_ibkr(context)


@hookimpl
def register_brokers(register: Register[BrokerOffer]) -> None:
    """Offer the broker ``ibkr``."""
    register(
        "ibkr",
        BrokerOffer(
            open=open_broker,
            own_clock=False,
            words="Interactive Brokers through TWS or IB Gateway (IB_HOST, IB_PORT, IB_CLIENT_ID)",
        ),
    )


def run_probe(context: ProgramContext) -> int:
    """Ask a paper account what nobody says."""
    from tradeshell_ibkr.probe.program import run  # noqa: PLC0415  # the shell does not pay for it

    return run(context)


@hookimpl
def register_programs(register: Register[ProgramOffer]) -> None:
    """Offer the program ``probe``."""
    register(
        "probe", ProgramOffer(run=run_probe, words="what the broker really does, asked on a paper account")
    )
