"""Find plugins, check them, refuse the broken ones, collect what the others offer.

Laws: a broken plugin costs only itself and says so in one line; a plugin is taken whole or not at all and leaves no trace when
it is refused; offers go by name, two owners of one name are an error of the later one; nothing but that depends on the order,
which is fixed: bundled plugins first, then by name. There is no global state: a host is built as often as wanted.
"""

from __future__ import annotations

import difflib
import functools
import inspect
import re
import traceback
from collections.abc import Awaitable, Callable, Collection, Iterable, Iterator, Mapping, Sequence
from importlib.metadata import Distribution, distributions
from pathlib import Path
from types import MappingProxyType
from typing import Any, Generic, TypeVar, cast

import pluggy
from msgspec import Struct

from tradeshell import hookspecs
from tradeshell.core.checks import Check, PreTradeCheck
from tradeshell.core.strategy import Strategy
from tradeshell.differences import ReconcilerMaker
from tradeshell.errors import PluginError
from tradeshell.grammar import Command, Grammar, shown
from tradeshell.hookspecs import PROJECT, hookimpl
from tradeshell.ports import (
    BrokerOffer,
    PluginReport,
    ProgramOffer,
    Register,
    SinkOpener,
    TakeProfitOffer,
)

T = TypeVar("T")

GROUP = "tradeshell"  # the entry-point group
BUILTIN = "tradeshell"  # the owner of what the shell itself provides
# What is released together with the host: entry point -> distribution. An installation without one of them says so.
BUNDLED: Mapping[str, str] = MappingProxyType(
    {
        "breakout": "tradeshell-breakout",
        "ibkr": "tradeshell-ibkr",
        "jsonl_log": "tradeshell-jsonl-log",
        "notify": "tradeshell-notify",
        "paper": "tradeshell-paper",
        "reconcile": "tradeshell-reconcile",
        "tp_auto": "tradeshell-tp-auto",
    }
)
NOT_INSTALLED = "not installed: pip install 'tradeshell[all]'"
NOT_CHOSEN = "not loaded: TRADESHELL_LOAD_PLUGINS does not name it"
NOT_SAFE = "not loaded: safe mode takes bundled plugins only"

_NAME = re.compile(r"[a-z][a-z0-9_]*")


class Candidate(Struct, frozen=True, kw_only=True):
    """Something that says it is a plugin. ``load`` imports it and may raise anything; ``distribution`` is who installed it."""

    name: str
    load: Callable[[], object]
    version: str = ""
    distribution: str = ""

    @property
    def is_bundled(self) -> bool:
        """Whether it is one of the plugins that are released with the host."""
        return BUNDLED.get(self.name) == _normalized(self.distribution)


def find_candidates() -> tuple[Candidate, ...]:
    """Return what is installed under the entry-point group ``tradeshell``; imports none of it.

    Distributions are read one by one: one with damaged metadata hides only itself. As with ``import``, the first
    distribution of a name on ``sys.path`` is the one that counts.
    """
    found: list[Candidate] = []
    seen: set[str] = set()
    for distribution in distributions():
        try:
            # Most distributions have nothing for us: reading the small file spares parsing their metadata.
            if f"[{GROUP}]" not in (distribution.read_text("entry_points.txt") or ""):
                continue
            name = _normalized(distribution.metadata["Name"])
            if name not in seen:
                found += _candidates_of(distribution, name)
            seen.add(name)
        except Exception:  # noqa: BLE001, S112  # no name to report it under, and it cannot be loaded either way
            continue
    return tuple(found)


def _candidates_of(distribution: Distribution, name: str) -> Iterator[Candidate]:
    for point in distribution.entry_points:
        if point.group == GROUP:
            yield Candidate(name=point.name, load=point.load, version=distribution.version, distribution=name)


class PluginHost:
    """The plugins of one program: ``add_builtin`` what the shell provides, ``load`` once, then read the registries.

    ``candidates`` replaces what is installed (an empty sequence: nothing); ``only`` names the plugins to load (``None``: all,
    empty: none); ``safe_mode`` leaves out what is not bundled. Nothing here raises because of a plugin.
    """

    def __init__(
        self,
        *,
        candidates: Sequence[Candidate] | None = None,
        only: Collection[str] | None = None,
        safe_mode: bool = False,
    ) -> None:
        self._candidates = candidates
        self._only = only
        self._safe_mode = safe_mode
        self._manager = pluggy.PluginManager(PROJECT)
        self._manager.add_hookspecs(hookspecs)
        self._commands = _Shelf("command", _command)
        self._brokers = _Shelf("broker", _broker)
        self._strategies = _Shelf("strategy", _strategy)
        self._take_profits = _Shelf("take_profit", _take_profit)
        self._checks = _Shelf("check", _pre_trade_check)
        self._sinks = _Shelf("sink", _sink)
        self._reconcilers = _Shelf("reconciler", _reconciler)
        self._programs = _Shelf("program", _program)
        self._shelves: dict[str, _Shelf[Any]] = {
            "register_commands": self._commands,
            "register_brokers": self._brokers,
            "register_strategies": self._strategies,
            "register_take_profits": self._take_profits,
            "register_pre_trade_checks": self._checks,
            "register_event_sinks": self._sinks,
            "register_reconcilers": self._reconcilers,
            "register_programs": self._programs,
        }
        self._loaded: dict[str, Candidate] = {}
        self._reports: list[PluginReport] = []
        self._problems: list[str] = []

    @property
    def commands(self) -> Mapping[str, Command]:
        """Commands by name, those of the shell first."""
        return MappingProxyType(self._commands.things)

    @property
    def brokers(self) -> Mapping[str, BrokerOffer]:
        """Brokers and venues by name."""
        return MappingProxyType(self._brokers.things)

    @property
    def strategies(self) -> Mapping[str, Strategy]:
        """Strategies by name."""
        return MappingProxyType(self._strategies.things)

    @property
    def take_profits(self) -> Mapping[str, TakeProfitOffer]:
        """Methods that compute targets, by name."""
        return MappingProxyType(self._take_profits.things)

    @property
    def checks(self) -> tuple[PreTradeCheck, ...]:
        """Pre-trade checks in the order in which they are asked: that of loading."""
        return tuple(
            PreTradeCheck(name=name, owner=self._checks.owners[name], check=check)
            for name, check in self._checks.things.items()
        )

    @property
    def sinks(self) -> Mapping[str, SinkOpener]:
        """Event sinks by name, not opened."""
        return MappingProxyType(self._sinks.things)

    @property
    def reconcilers(self) -> Mapping[str, ReconcilerMaker]:
        """Reconcilers by name, not made."""
        return MappingProxyType(self._reconcilers.things)

    @property
    def programs(self) -> Mapping[str, ProgramOffer]:
        """Programs by name."""
        return MappingProxyType(self._programs.things)

    @property
    def reports(self) -> tuple[PluginReport, ...]:
        """One line per plugin in the order of loading: what it offers, or why it is not there."""
        return tuple(self._reports)

    @property
    def problems(self) -> tuple[str, ...]:
        """One line for each plugin that was refused and each chosen name that is not there: to be shown at start-up.

        What was left out on purpose (safe mode, ``only``) or never installed is in ``reports`` alone.
        """
        return tuple(self._problems)

    def owner(self, kind: str, name: str) -> str | None:
        """Return the plugin that provides ``name``.

        ``kind`` is ``command``, ``broker``, ``strategy``, ``take_profit``, ``check``, ``sink``, ``reconciler`` or ``program``.
        """
        shelf = next(shelf for shelf in self._shelves.values() if shelf.kind == kind)
        return shelf.owners.get(name)

    def add_builtin(self, commands: Iterable[Command], reserved: Iterable[str] = ()) -> None:
        """Take the shell's own commands, on the path that plugins take. Call it before ``load``: who comes first keeps a name.

        ``reserved`` are words that the shell answers without a ``Command`` of ours (``help``, ``quit``): no plugin may have
        them. Raises ``PluginError`` when two of the commands share a name.
        """
        for name in reserved:
            self._commands.owners.setdefault(name, BUILTIN)
        self._take(f"{BUILTIN} {len(self._manager.get_plugins())}", _Builtin(tuple(commands)), BUILTIN)

    def load(self) -> tuple[PluginReport, ...]:
        """Load, check and collect every plugin that may be loaded, and return ``reports``. Call it once."""
        found = find_candidates() if self._candidates is None else self._candidates
        for candidate in sorted(found, key=lambda c: (not c.is_bundled, c.name, c.distribution)):
            self._load(candidate)
        present = {candidate.name for candidate in found}
        for name in BUNDLED:
            if name not in present and (self._only is None or name in self._only):
                self._reports.append(PluginReport(name=name, version="", offers=(), refused=NOT_INSTALLED))
        for name in sorted(set(self._only or ()) - present):
            self._miss(name, present)
        return self.reports

    def _load(self, candidate: Candidate) -> None:
        name, refused = candidate.name, ""
        offers: tuple[str, ...] = ()
        if self._only is not None and name not in self._only:
            refused = NOT_CHOSEN
        elif self._safe_mode and not candidate.is_bundled:
            refused = NOT_SAFE
        else:
            try:
                offers = self._load_guarded(candidate)
            except PluginError as error:
                refused = str(error)
                self._problems.append(f"plugin {shown(name)!r}: {refused}")
        self._reports.append(
            PluginReport(name=name, version=candidate.version, offers=offers, refused=refused)
        )

    def _load_guarded(self, candidate: Candidate) -> tuple[str, ...]:
        name = candidate.name
        if (first := self._loaded.get(name)) is not None:
            who = f"{first.distribution} {first.version}".strip() or "another distribution"
            raise PluginError(
                f"a plugin of this name is already loaded from {who} · uninstall one of the two"
            )
        try:
            plugin = candidate.load()
        except (Exception, SystemExit) as error:
            where = candidate.distribution or "it"
            raise PluginError(f"cannot be imported: {_what(error)} · repair or uninstall {where}") from error
        offers = self._take(name, plugin, name)
        self._loaded[name] = candidate
        return offers

    def _take(self, name: str, plugin: object, owner: str) -> tuple[str, ...]:
        """Check ``plugin``, call its hooks, keep all of its offers or none; raises ``PluginError``."""
        stage = _Stage(owner)
        try:
            self._check(plugin)
            self._manager.register(plugin, name)
            for hook, impl in self._implementations(plugin):
                stage.call(hook, impl, self._shelves[hook])
        except (Exception, SystemExit) as error:
            if self._manager.has_plugin(name):
                self._manager.unregister(name=name)
            if isinstance(error, PluginError):
                raise
            raise PluginError(f"cannot be checked: {_what(error)}") from error
        else:
            return stage.keep()
        finally:
            stage.close()

    def _implementations(self, plugin: object) -> Iterator[tuple[str, pluggy.HookImpl]]:
        for hook in self._shelves:
            for impl in getattr(self._manager.hook, hook).get_hookimpls():
                if impl.plugin is plugin:
                    yield hook, impl

    def _check(self, plugin: object) -> None:
        """Raise ``PluginError`` for what pluggy would forgive: no marker, misspelt hooks, shapes whose body never runs."""
        if inspect.isclass(plugin) or inspect.isroutine(plugin):
            what = "class" if inspect.isclass(plugin) else "function"
            raise PluginError(
                f"its entry point names a {what} · name the module (or an instance) that has the hooks"
            )
        marked = 0
        for attribute in dir(plugin):
            options = self._manager.parse_hookimpl_opts(plugin, attribute)
            if options is not None:
                hook = options.get("specname") or attribute
                self._check_hook(hook, getattr(plugin, attribute), cast("Mapping[str, Any]", options))
                marked += 1
            elif attribute in self._shelves and callable(getattr(plugin, attribute)):
                raise PluginError(
                    f"{attribute} is not marked as a hook · write @hookimpl of tradeshell above it"
                )
        if marked == 0:
            raise PluginError(
                f"it implements no hook · write @hookimpl of tradeshell above one of {', '.join(self._shelves)}"
            )

    def _check_hook(self, hook: str, function: Callable[..., object], options: Mapping[str, Any]) -> None:
        if hook not in self._shelves:
            if options.get("optionalhook"):
                return  # the author knows that this host may not have it
            raise PluginError(f"there is no hook {shown(hook)}{_near(hook, self._shelves)}")
        for option in ("wrapper", "hookwrapper", "tryfirst", "trylast"):
            if options.get(option):
                raise PluginError(
                    f"{hook}: hooks are called one by one in no promised order · drop {option}=True"
                )
        plain = inspect.unwrap(function)
        if inspect.iscoroutinefunction(plain) or inspect.isasyncgenfunction(plain):
            raise PluginError(f"{hook} is 'async def', its body would never run · write a plain 'def'")
        if inspect.isgeneratorfunction(plain):
            raise PluginError(
                f"{hook} contains 'yield', its body would never run · call register(name, thing) instead"
            )
        # An implementation takes those of the specification's arguments that it names: hooks can grow.
        required = [
            argument.name
            for argument in inspect.signature(function).parameters.values()
            if argument.default is argument.empty
            and argument.kind in (argument.POSITIONAL_ONLY, argument.POSITIONAL_OR_KEYWORD)
        ]
        known = inspect.signature(getattr(hookspecs, hook)).parameters
        strange = [argument for argument in required if argument not in known]
        if strange or "register" not in required:
            said = f"takes {shown(', '.join(strange))}" if strange else "does not take register"
            raise PluginError(f"{hook} {said} · its signature is {hook}({', '.join(known)})")

    def _miss(self, name: str, present: Collection[str]) -> None:
        if name in BUNDLED:
            self._problems.append(f"plugin {name!r}: {NOT_INSTALLED}")
            return
        installed = ", ".join(sorted(present)) or "none"
        refused = f"no such plugin is installed{_near(name, present)} · installed: {installed}"
        self._problems.append(f"plugin {shown(name)!r}: {refused}")
        self._reports.append(PluginReport(name=name, version="", offers=(), refused=refused))


class _Builtin:
    """The shell's own commands in the shape of a plugin."""

    def __init__(self, commands: tuple[Command, ...]) -> None:
        self._offered = commands

    @hookimpl
    def register_commands(self, register: Register[Command]) -> None:
        for command in self._offered:
            register(command.name, command)


class _Shelf(Generic[T]):
    """What is offered of one kind, by name. A name may have an owner and no thing: it is reserved."""

    def __init__(self, kind: str, check: Callable[[str, object], T]) -> None:
        self.kind = kind
        self.check = check
        self.things: dict[str, T] = {}
        self.owners: dict[str, str] = {}


class _Stage:
    """What one plugin has offered so far. Nobody sees any of it before all of it was accepted."""

    def __init__(self, owner: str) -> None:
        self._owner = owner
        self._offers: list[tuple[_Shelf[Any], str, object]] = []
        self._failure: PluginError | None = None
        self._open = True

    def call(self, hook: str, impl: pluggy.HookImpl, shelf: _Shelf[Any]) -> None:
        """Call one hook of the plugin; raises ``PluginError`` for whatever it did wrong."""
        try:
            answer = impl.function(*({"register": self._registrar(shelf)}[name] for name in impl.argnames))
        except PluginError as error:
            raise self._failure or error from None
        except (Exception, SystemExit) as error:
            raise PluginError(f"{hook} failed: {_what(error)} · tell its author, or uninstall it") from error
        if self._failure is not None:  # the plugin caught the refusal; it is refused all the same
            raise self._failure
        if answer is not None:
            if isinstance(answer, Awaitable) and hasattr(answer, "close"):
                answer.close()  # or Python warns about a coroutine that nobody awaited
            raise PluginError(
                f"{hook} returned {_kind_of(answer)}, which nobody reads · offer by register(name, thing) and return nothing"
            )

    def keep(self) -> tuple[str, ...]:
        """Put everything on the shelves and return it as ``kind name`` words."""
        for shelf, name, thing in self._offers:
            shelf.things[name] = thing
            shelf.owners[name] = self._owner
        return tuple(f"{shelf.kind} {name}" for shelf, name, _ in self._offers)

    def close(self) -> None:
        """Refuse whatever a plugin offers after its hooks have returned."""
        self._open = False

    def _registrar(self, shelf: _Shelf[Any]) -> Callable[[str, object], None]:
        def register(name: str, thing: object, /) -> None:
            try:
                self._offer(shelf, name, thing)
            except PluginError as error:
                self._failure = self._failure or error
                raise

        return register

    def _offer(self, shelf: _Shelf[Any], name: object, thing: object) -> None:
        if not self._open:
            late = f"{shelf.kind} {shown(str(name))}"
            raise PluginError(f"plugin {self._owner!r}: {late} comes too late · offer it inside the hook")
        if not isinstance(name, str) or _NAME.fullmatch(name) is None:
            raise PluginError(
                f"{shelf.kind} {shown(str(name))!r}: a name is lower-case letters, digits and _ · example: my_{shelf.kind}"
            )
        if any(shelf is other and name == taken for other, taken, _ in self._offers):
            raise PluginError(f"{shelf.kind} {name!r} is offered twice")
        if (owner := shelf.owners.get(name)) is not None:
            raise PluginError(
                f"{shelf.kind} {name!r} is already provided by {owner!r} · keep one of the two plugins"
            )
        self._offers.append((shelf, name, shelf.check(name, thing)))


# --- what may be offered ----------------------------------------------------------------------------------------------


def _command(name: str, thing: object) -> Command:
    if not isinstance(thing, Command):
        raise PluginError(f"command {name!r} is {_kind_of(thing)} · offer a tradeshell.Command")
    if thing.name != name:
        raise PluginError(f"command {name!r} calls itself {shown(thing.name)!r} · give it one name")
    _check_callable(f"command {name!r}: run", thing.run, ("trading", "words"))
    _check_grammar(name, thing.grammar)
    return thing


def _check_grammar(command: str, grammar: object) -> None:
    # A table that contradicts itself would fail at the first line typed, as a defect and not as a refusal.
    if not isinstance(grammar, Grammar):
        raise PluginError(
            f"command {command!r}: grammar is {_kind_of(grammar)} · make it a tradeshell.Grammar"
        )
    keys = [key.name for key in grammar.keys]
    used = (*grammar.positionals, *grammar.required, *(flag.key for flag in grammar.flags))
    used = used if grammar.rest is None else (*used, grammar.rest)
    for name in used:
        if name not in keys:
            raise PluginError(f"command {command!r}: its grammar uses {shown(name)!r}, which is no key of it")
    for name in keys:
        if keys.count(name) > 1:
            raise PluginError(f"command {command!r}: its grammar has the key {shown(name)!r} twice")
    for verb in grammar.verbs:
        _check_grammar(f"{command} {verb.word}", verb.grammar)


def _broker(name: str, thing: object) -> BrokerOffer:
    if not isinstance(thing, BrokerOffer):
        raise PluginError(f"broker {name!r} is {_kind_of(thing)} · offer a tradeshell.BrokerOffer")
    _check_opener(f"broker {name!r}: open", thing.open)
    return thing


def _strategy(name: str, thing: object) -> Strategy:
    if inspect.isclass(thing):
        raise PluginError(
            f"strategy {name!r} is the class {thing.__name__} · offer an instance: {thing.__name__}()"
        )
    for method, arguments in (
        ("needs", ("watch",)),
        ("start", ("watch", "at")),
        ("on_bar", ("watch", "state", "bar", "at")),
        ("on_news", ("watch", "state", "news", "at")),
    ):
        function = getattr(thing, method, None)
        if function is None:
            raise PluginError(
                f"strategy {name!r} has no {method}({', '.join(arguments)}) · see tradeshell.Strategy"
            )
        _check_callable(f"strategy {name!r}: {method}", function, arguments)
    return cast("Strategy", thing)


def _take_profit(name: str, thing: object) -> TakeProfitOffer:
    if not isinstance(thing, TakeProfitOffer):
        raise PluginError(f"take_profit {name!r} is {_kind_of(thing)} · offer a tradeshell.TakeProfitOffer")
    _check_callable(f"take_profit {name!r}: find", thing.find, ("wanted", "bars"))
    if inspect.isgeneratorfunction(thing.find):
        raise PluginError(
            f"take_profit {name!r}: find contains 'yield', its body would never run · return the targets"
        )
    return thing


def _pre_trade_check(name: str, thing: object) -> Check:
    if inspect.isclass(thing):
        raise PluginError(
            f"check {name!r} is the class {thing.__name__} · offer an instance: {thing.__name__}()"
        )
    _check_callable(f"check {name!r}", thing, ("context",))
    if inspect.isgeneratorfunction(thing):
        raise PluginError(
            f"check {name!r} contains 'yield', its body would never run · return a Refusal or None"
        )
    return cast("Check", thing)


def _sink(name: str, thing: object) -> SinkOpener:
    _check_opener(f"sink {name!r}", thing)
    return cast("SinkOpener", thing)


def _reconciler(name: str, thing: object) -> ReconcilerMaker:
    if inspect.isgeneratorfunction(thing):
        raise PluginError(
            f"reconciler {name!r} contains 'yield', its body would never run · return a function of a Comparison"
        )
    _check_callable(f"reconciler {name!r}", thing, ("settings",))
    return cast("ReconcilerMaker", thing)


def _program(name: str, thing: object) -> ProgramOffer:
    if not isinstance(thing, ProgramOffer):
        raise PluginError(f"program {name!r} is {_kind_of(thing)} · offer a tradeshell.ProgramOffer")
    _check_callable(f"program {name!r}: run", thing.run, ("context",))
    return thing


def _check_opener(what: str, thing: object) -> None:
    if inspect.isgeneratorfunction(thing):
        raise PluginError(f"{what} is a generator, not an opener · write @contextmanager above it")
    _check_callable(what, thing, ("context",))


def _check_callable(what: str, thing: object, arguments: tuple[str, ...]) -> None:
    if not callable(thing):
        raise PluginError(f"{what} is {_kind_of(thing)} · it must be callable with ({', '.join(arguments)})")
    plain = inspect.unwrap(thing.func if isinstance(thing, functools.partial) else thing)
    called = getattr(type(plain), "__call__", None)  # noqa: B004  # of an instance its class's method is what runs
    if any(inspect.iscoroutinefunction(f) or inspect.isasyncgenfunction(f) for f in (plain, called)):
        raise PluginError(f"{what} is 'async def', nobody would await it · write a plain 'def'")
    try:
        inspect.signature(thing).bind(*arguments)
    except TypeError:
        raise PluginError(f"{what} cannot be called with ({', '.join(arguments)})") from None
    except ValueError:  # some builtins have no signature
        return


# --- words ------------------------------------------------------------------------------------------------------------


def _normalized(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def _kind_of(thing: object) -> str:
    if inspect.isclass(thing):
        return f"the class {thing.__name__}"
    if inspect.isroutine(thing):
        return f"the function {thing.__name__}"
    return f"a value of type {type(thing).__name__}"


def _near(name: str, known: Iterable[str]) -> str:
    near = difflib.get_close_matches(name[:40], list(known), 1)
    return f" (did you mean {near[0]}?)" if near else ""


def _what(error: BaseException) -> str:
    """Say in one line what was raised and where, for the author of the plugin."""
    frames = [
        frame
        for frame in traceback.extract_tb(error.__traceback__)
        if not frame.filename.startswith("<frozen ") and "importlib" not in Path(frame.filename).parts
        if frame.filename != __file__
    ]
    place = f" ({Path(frames[-1].filename).name}:{frames[-1].lineno})" if frames else ""
    return shown(" ".join(f"{type(error).__name__}: {error}".split()), 160) + place
