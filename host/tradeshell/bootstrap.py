"""Composition root: settings, plugins, engine and shell put together. The only place that knows all parts.

Laws: what is opened here is closed here, in reverse, whatever happens; a program can be built many times in one process.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TextIO

from msgspec import Struct

from tradeshell.config import Settings, open_state_dir
from tradeshell.core.desk import WatchPhase
from tradeshell.differences import Reconciler
from tradeshell.engine.clock import Pace
from tradeshell.engine.doctor import Facts
from tradeshell.engine.facade import EngineTrading
from tradeshell.engine.nobroker import MISSING, NO_BROKER
from tradeshell.engine.runtime import Engine, Plan
from tradeshell.engine.state import Saved, SavedWatcher
from tradeshell.engine.store import NEWER, Loaded, StateFolder, load
from tradeshell.errors import ConfigError, PluginError, TradeshellError
from tradeshell.plugins import PluginHost
from tradeshell.ports import BrokerOffer, ProgramContext, SinkContext, SinkOpener
from tradeshell.shell.app import TradeShell
from tradeshell.shell.commands import BUILTIN_COMMANDS, RESERVED_WORDS
from tradeshell.shell.pump import EventPump
from tradeshell.version import VERSION

DEFAULT_RECONCILER = "reconcile"  # has settings also where its plugin is not installed
DEFAULT_SINK = "jsonl"  # on unless switched off; a host without the plugin goes on without it and says so


class Run(Struct, frozen=True, kw_only=True):
    """One run of the shell. ``commands`` ``None``: read lines from ``stdin`` (a terminal or a pipe); else run these and end.

    ``pace``: the broker lives in another time.
    """

    commands: tuple[str, ...] | None = None
    batch: bool = False
    pace: Pace | None = None
    session: str | None = None  # an id of the caller's own, so that ids in what is printed can be repeated
    hints: tuple[str, ...] = ()  # lines for a person who begins
    stdin: TextIO | None = None
    stdout: TextIO | None = None


class Program(Struct, kw_only=True):
    """A running program: its parts, for tests and for ``__main__``."""

    settings: Settings
    plugins: PluginHost
    engine: Engine
    trading: EngineTrading
    shell: TradeShell
    pump: EventPump


def load_plugins(settings: Settings) -> PluginHost:
    """Load the plugins that the settings allow."""
    plugins = PluginHost(only=settings.load_plugins, safe_mode=settings.safe_mode)
    plugins.add_builtin(BUILTIN_COMMANDS, RESERVED_WORDS)
    plugins.load()
    return plugins


def run_program(
    settings: Settings, plugins: PluginHost, words: tuple[str, ...], environ: Mapping[str, str]
) -> int | None:
    """Run the program of a plugin that the first word names and return its exit code; ``None`` when there is none.

    A command of the shell comes first: a program cannot take its name away.
    """
    offer = plugins.programs.get(words[0])
    if offer is None or words[0] in plugins.commands:
        return None
    return offer.run(
        ProgramContext(
            words=words[1:],
            environ=environ,
            state_dir=open_state_dir(settings, words[0]),
            brokers=settings.brokers,
        )
    )


@contextmanager
def program(
    settings: Settings, run: Run, environ: Mapping[str, str], plugins: PluginHost | None = None
) -> Iterator[Program]:
    """Open a whole program and close it again; raises ``TradeshellError`` with one line when a part cannot be opened.

    ``plugins`` are those of ``load_plugins``, when somebody has loaded them already.
    """
    if plugins is None:
        plugins = load_plugins(settings)
    offer = _broker(settings, plugins)
    is_replay = bool(settings.venue.replay)
    base = open_state_dir(settings, "replay" if is_replay else "paper" if offer.own_clock else "live")
    pump = EventPump()
    with ExitStack() as opened:
        # A simulated venue lives and dies with the program, so a second program may have a folder of its own.
        folder = StateFolder(base, may_move=offer.own_clock)
        opened.callback(folder.close)
        state_dir = folder.path
        found = load(state_dir / "state.toml")
        saved = found.saved
        opened.callback(pump.close)
        engine = Engine(
            Plan(
                session=run.session or _session_id(settings),
                version=VERSION,
                broker_name=settings.broker if offer is not NO_BROKER else "none",
                broker=offer,
                broker_settings=dict(settings.brokers.get(settings.broker, {})),
                options=settings.venue,
                strategies=dict(plugins.strategies),
                sinks=_sinks(settings, plugins, state_dir, environ),
                state_dir=state_dir,
                checks=plugins.checks,
                reconcilers=_reconcilers(settings, plugins),
                policy=settings.policy,
                bar_health=settings.bar_health,
                logs=settings.logs,
                # A recording is another day in another world: what was stopped there stays there.
                stopped=_stopped(found) if not is_replay else "",
                # What an embedded venue's session left is asked about, not resumed in a script; a recording is another world.
                saved=None if is_replay or (offer.own_clock and run.batch) else saved,
                doubt=found.why_doubted,
                can_ask=not run.batch,
                audit_fsync=settings.audit_fsync,
                paper_only=settings.paper_only,
                live_account=settings.live_account,
                pace=run.pace,
                hold_between_commands=offer.own_clock and (run.batch or settings.venue.speed == float("inf")),
            ),
            pump.post,
        )
        opened.callback(engine.stop)
        engine.start()
        facts = Facts(
            config_file=settings.config_file,
            chosen=tuple((key, source) for key, source in settings.sources.items() if source != "default"),
            problems=plugins.problems,
            state_dir=state_dir,
        )
        trading = EngineTrading(
            engine, settings.defaults, lambda: plugins.reports, facts, plugins.take_profits
        )
        notes = (
            *plugins.problems,
            *_missing(offer, plugins),
            *folder.notes,
            *found.notes,
            *(() if is_replay else _left_over(saved, is_lost=offer.own_clock and run.batch)),
            *engine.notes,
        )
        shell = TradeShell(
            commands=plugins.commands,
            owners={name: plugins.owner("command", name) or "tradeshell" for name in plugins.commands},
            trading=trading,
            pump=pump,
            batch=run.batch,
            as_json=settings.json,
            keep_going=settings.keep_going,
            commands_to_run=run.commands,
            state_dir=state_dir,
            notes=notes,
            hints=run.hints,
            stdin=run.stdin,
            stdout=run.stdout,
        )
        engine.idle = shell.while_waiting
        yield Program(
            settings=settings, plugins=plugins, engine=engine, trading=trading, shell=shell, pump=pump
        )


def _broker(settings: Settings, plugins: PluginHost) -> BrokerOffer:
    offer = plugins.brokers.get(settings.broker)
    if offer is not None:
        return offer
    if not plugins.brokers and settings.sources.get("broker", "default") == "default":
        return NO_BROKER
    known = ", ".join(plugins.brokers) or "none"
    why = next((r.refused for r in plugins.reports if r.name == settings.broker and r.refused), "")
    raise ConfigError(
        f"broker {settings.broker}: no such broker{f' ({why})' if why else ''}; there are: {known}"
    )


def _missing(offer: BrokerOffer, plugins: PluginHost) -> tuple[str, ...]:
    """Return a line when the program runs without a broker (``engine.notes`` says the rest)."""
    if offer is not NO_BROKER:
        return ()
    missing = [report.name for report in plugins.reports if report.refused]
    return (f"{MISSING}" if not missing else f"not installed: {', '.join(missing)}",)


def _stopped(found: Loaded) -> str:
    """Return why entries are off from the start."""
    if found.why_doubted == NEWER:
        return NEWER
    return "" if found.saved is None else found.saved.stopped


def _left_over(saved: Saved | None, *, is_lost: bool) -> tuple[str, ...]:
    """Return what the session before left waiting and nobody takes up: ``is_lost``, or a file that does not say all of it."""
    if saved is None:
        return ()
    lines = [
        f"{w.symbol} {w.id} was {w.phase.value} when the last session ended and is not resumed; type it again{_typed(w)}"
        for w in saved.watchers
        if w.phase in (WatchPhase.ARMED, WatchPhase.PAUSED) and (is_lost or w.spec is None)
    ]
    return tuple(lines)


def _typed(watcher: SavedWatcher) -> str:
    if watcher.spec is None:
        return ""
    plan = watcher.spec.plan
    size = str(plan.qty) if plan.risk_usd is None else f"risk={plan.risk_usd}"
    words = [watcher.strategy, watcher.symbol, str(plan.level), size]
    words += [f"tp={'-'.join(map(str, plan.tps))}"] if plan.tps else []
    words += [] if plan.sl is None else [f"sl={plan.sl}"]
    words += [] if plan.flat_by is None else [f"flat_by={plan.flat_by:%H:%M}"]
    words += [
        f"{key}={value}"
        for key, value in watcher.spec.params.items()
        if value and (key, value) != ("rth", "true")
    ]
    return f": {' '.join(words)}"


def _sinks(
    settings: Settings, plugins: PluginHost, state_dir: Path, environ: Mapping[str, str]
) -> dict[str, tuple[SinkOpener, SinkContext]]:
    chosen: dict[str, tuple[SinkOpener, SinkContext]] = {}
    for name, table in settings.sinks.items():
        opener = plugins.sinks.get(name)
        if opener is None and name != DEFAULT_SINK:
            known = ", ".join(plugins.sinks) or "none"
            raise ConfigError(f"[sinks.{name}] in the config: no plugin offers this sink; there are: {known}")
        if opener is not None:
            chosen[name] = (
                opener,
                SinkContext(
                    state_dir=state_dir,
                    settings=table,
                    environ=environ,
                    replaying=bool(settings.venue.replay),
                ),
            )
    return chosen


def _reconcilers(settings: Settings, plugins: PluginHost) -> dict[str, Reconciler]:
    """Make the reconcilers, each with its table of the config."""
    for name in settings.reconcilers:
        if name not in plugins.reconcilers and name != DEFAULT_RECONCILER:
            known = ", ".join(plugins.reconcilers) or "none"
            raise ConfigError(
                f"[reconcilers.{name}] in the config: no plugin offers this reconciler; there are: {known}"
            )
    made: dict[str, Reconciler] = {}
    for name, maker in plugins.reconcilers.items():
        try:
            made[name] = maker(settings.reconcilers.get(name, {}))
        except TradeshellError:
            raise
        except Exception as error:  # a defect of the plugin: one line says whose
            raise PluginError(f"reconciler {name} cannot be made: {type(error).__name__}: {error}") from error
    return made


def _session_id(settings: Settings) -> str:
    """Return this session's id: random, but for a replay a function of what is replayed, so that it can be repeated exactly."""
    if settings.venue.replay:
        told = f"{[path.name for path in settings.venue.replay]} {settings.venue.start} {settings.venue.seed}"
        return hashlib.blake2s(told.encode(), digest_size=5).hexdigest()
    return secrets.token_hex(5)
