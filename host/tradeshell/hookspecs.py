"""The hooks, nothing else. Each is called once at start-up with ``register(name, thing)``; pluggy is never on a hot path."""

from __future__ import annotations

import pluggy

from tradeshell.core.checks import Check
from tradeshell.core.strategy import Strategy
from tradeshell.differences import ReconcilerMaker
from tradeshell.grammar import Command
from tradeshell.ports import BrokerOffer, ProgramOffer, Register, SinkOpener, TakeProfitOffer

PROJECT = "tradeshell"
hookspec = pluggy.HookspecMarker(PROJECT)
hookimpl = pluggy.HookimplMarker(PROJECT)


@hookspec
def register_commands(register: Register[Command]) -> None:
    """Offer commands of the shell, with completion and help.

    Called: once, at start-up, before the first prompt.
    Calls back: ``Command.run`` on the main thread for each line typed; completion sources on a completion thread.
    On error: the plugin is refused whole and ``plugins`` says why; an error of ``run`` fails that line only.
    """


@hookspec
def register_brokers(register: Register[BrokerOffer]) -> None:
    """Offer brokers and venues, chosen by name with ``--broker`` or in the config.

    Called: once, at start-up, before the first prompt.
    Calls back: ``BrokerOffer.open`` on the engine's loop when that broker was chosen; closed when the program ends.
    On error: the plugin is refused whole; a broker that cannot be opened is one line and a non-zero exit code.
    """


@hookspec
def register_strategies(register: Register[Strategy]) -> None:
    """Offer strategies that commands can start watchers of.

    Called: once, at start-up, before the first prompt.
    Calls back: the pure methods of ``Strategy`` inside ``step``, on the engine's loop, in the order of arrival.
    On error: a strategy that raises ends its watcher with ``BreakoutStopped`` or its own last word; trades are unaffected.
    """


@hookspec
def register_take_profits(register: Register[TakeProfitOffer]) -> None:
    """Offer methods that compute targets from past bars, such as ``auto``.

    Called: once, at start-up, before the first prompt.
    Calls back: ``TakeProfitOffer.find`` on the main thread for a command that names it (``tp=auto``), before anything is started.
    On error: the plugin is refused whole; a method that raises, or whose targets break a rule, fails that line only.
    """


@hookspec
def register_pre_trade_checks(register: Register[Check]) -> None:
    """Offer checks that an order must pass before it leaves.

    Called: once, at start-up, before the first prompt.
    Calls back: the check inside the step that decides, with a ``CheckContext``, after all checks of the host have said yes.
    On error: the plugin is refused whole; a check that raises refuses the order, and the line names check and plugin.
    """


@hookspec
def register_event_sinks(register: Register[SinkOpener]) -> None:
    """Offer receivers of every event, such as the audit log.

    Called: once, at start-up, before the first prompt.
    Calls back: the sink on the engine's loop for every record, in order; it must not wait.
    On error: the sink is muted after its first failure and the shell says so; trading goes on. While a sink with an attribute
    ``trouble`` says that it cannot keep records, no entry leaves.
    """


@hookspec
def register_reconcilers(register: Register[ReconcilerMaker]) -> None:
    """Offer reconcilers, which compare what is at the broker with what we know of it.

    Called: once, at start-up, before the first prompt.
    Calls back: the maker once with the table ``[reconcilers.NAME]``; what it returns on the engine's loop, with a ``Comparison``,
    on the first picture of each connection, before entries may leave, and for `reconcile`.
    On error: the plugin is refused whole; a reconciler that raises costs its findings, is told, and keeps no entry waiting.
    """


@hookspec
def register_programs(register: Register[ProgramOffer]) -> None:
    """Offer programs, such as a server, that the command line runs instead of the shell.

    Called: once, at start-up, before the first prompt.
    Calls back: ``ProgramOffer.run`` on the main thread when the first word of the command line is its name.
    On error: the plugin is refused whole; an error of ``run`` that says so in one line ends the program with exit code 1.
    """
