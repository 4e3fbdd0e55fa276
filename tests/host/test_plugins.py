"""Plugins are found, checked, refused one by one and collected by name."""

from __future__ import annotations

import contextlib
import functools
import inspect
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

import pluggy
import pytest

from tradeshell import (
    Answer,
    BrokerOffer,
    Command,
    Differences,
    Flag,
    Grammar,
    Key,
    ProgramOffer,
    Reconciler,
    Record,
    Register,
    Sink,
    SinkContext,
    TakeProfitOffer,
    Verb,
    Words,
    hookimpl,
)
from tradeshell import hookspecs as specs
from tradeshell.core.checks import PreTradeCheck
from tradeshell.errors import PluginError
from tradeshell.plugins import (
    BUNDLED,
    NOT_CHOSEN,
    NOT_INSTALLED,
    NOT_SAFE,
    Candidate,
    PluginHost,
    find_candidates,
)

HOOKS = [
    name
    for name, function in vars(specs).items()
    if name.startswith("register_") and inspect.isfunction(function)
]


# --- what plugins look like -------------------------------------------------------------------------------------------


def run(trading: object, words: Words) -> Answer:
    return Answer()


def command(name: str, **changes: Any) -> Command:
    fields: dict[str, Any] = {"name": name, "help": "does it", "grammar": Grammar(), "run": run}
    return Command(**fields | changes)


@contextlib.contextmanager
def open_sink(context: SinkContext) -> Iterator[Sink]:
    def sink(record: Record) -> None:
        del record

    yield sink


@contextlib.contextmanager
def open_broker(context: object) -> Iterator[Any]:
    yield None


def says_yes(context: object) -> None:
    """A check that refuses nothing."""


METHOD = TakeProfitOffer(find=lambda wanted, bars: (), words="far away")
PROGRAM = ProgramOffer(run=lambda context: 0, words="a program")
BROKER = BrokerOffer(open=open_broker, own_clock=False, words="a broker")


class Patient:
    """A strategy that never wants anything."""

    def needs(self, watch: Any) -> Any: ...

    def start(self, watch: Any, at: Any) -> Any: ...

    def on_bar(self, watch: Any, state: Any, bar: Any, at: Any) -> Any: ...

    def on_news(self, watch: Any, state: Any, news: Any, at: Any) -> Any: ...


def module(**members: object) -> ModuleType:
    made = ModuleType("a_plugin")
    vars(made).update(members)
    return made


def offering(hook: str, *offers: tuple[object, object]) -> ModuleType:
    """Return a plugin whose ``hook`` offers ``(name, thing)`` pairs."""

    def implementation(register: Register[object]) -> None:
        for name, thing in offers:
            register(name, thing)  # type: ignore[arg-type]  # wrong offers are what is tested

    return module(**{hook: hookimpl(implementation)})


def commands(*names: str) -> ModuleType:
    return offering("register_commands", *((name, command(name)) for name in names))


def candidate(
    name: str, thing: object = None, *, raises: BaseException | None = None, dist: str = ""
) -> Candidate:
    def load() -> object:
        if raises is not None:
            raise raises
        return thing

    return Candidate(name=name, load=load, version="1.2", distribution=dist or f"dist-{name}")


def bundled(name: str, thing: object) -> Candidate:
    return candidate(name, thing, dist=BUNDLED[name])


def loaded(*candidates: Candidate, **options: Any) -> PluginHost:
    host = PluginHost(candidates=candidates, **options)
    host.load()
    return host


def refusal(host: PluginHost, name: str) -> str:
    """Return why ``name`` was refused, checked to be one line that is shown in both places."""
    (report,) = (report for report in host.reports if report.name == name)
    assert report.offers == ()
    assert f"plugin {name!r}: {report.refused}" in host.problems
    assert "\n" not in report.refused
    return report.refused


def assert_no_trace(host: PluginHost) -> None:
    for shelf in (host.commands, host.brokers, host.strategies, host.sinks):
        assert dict(shelf) == {}
    assert host.checks == ()
    assert host._manager.get_plugins() == set()
    assert sorted(vars(host._manager.hook)) == sorted(HOOKS)


# --- good plugins -----------------------------------------------------------------------------------------------------


def test_a_plugin_offers_one_thing_of_every_kind() -> None:
    @hookimpl
    def register_commands(register: Register[Command]) -> None:
        register("size", command("size"))

    @hookimpl
    def register_brokers(register: Register[BrokerOffer]) -> None:
        register("mine", BROKER)

    @hookimpl
    def register_strategies(register: Register[Any]) -> None:
        register("patient", PATIENT)

    @hookimpl
    def register_take_profits(register: Register[TakeProfitOffer]) -> None:
        register("far", METHOD)

    @hookimpl
    def register_pre_trade_checks(register: Register[Any]) -> None:
        register("calm", says_yes)

    @hookimpl
    def register_event_sinks(register: Register[Any]) -> None:
        register("webhook", open_sink)

    @hookimpl
    def register_reconcilers(register: Register[Any]) -> None:
        register("twin", make_reconciler)

    @hookimpl
    def register_programs(register: Register[ProgramOffer]) -> None:
        register("serve", PROGRAM)

    host = loaded(
        candidate("all_of_it", module(**{name: thing for name, thing in locals().items() if name in HOOKS}))
    )
    assert list(host.commands) == ["size"]
    assert dict(host.brokers) == {"mine": BROKER}
    assert dict(host.strategies) == {"patient": PATIENT}
    assert dict(host.sinks) == {"webhook": open_sink}
    assert dict(host.reconcilers) == {"twin": make_reconciler}
    assert host.checks == (PreTradeCheck(name="calm", owner="all_of_it", check=says_yes),)
    report = host.reports[0]
    assert (report.name, report.version, report.refused) == ("all_of_it", "1.2", "")
    assert report.offers == (
        "command size",
        "broker mine",
        "strategy patient",
        "take_profit far",
        "check calm",
        "sink webhook",
        "reconciler twin",
        "program serve",
    )
    assert dict(host.programs) == {"serve": PROGRAM}
    assert dict(host.take_profits) == {"far": METHOD}
    assert host.owner("command", "size") == "all_of_it"
    assert host.owner("command", "sizes") is None
    assert [host.owner(kind, "mine") for kind in ("command", "broker", "sink")] == [None, "all_of_it", None]
    assert host.problems == ()


PATIENT = Patient()


def make_reconciler(settings: Mapping[str, object]) -> Reconciler:
    return lambda _: Differences()


async def slow_run(context: object) -> int:
    return 0


def test_this_file_tries_every_hook_of_the_host() -> None:
    assert set(HOOKS) == set(PluginHost(candidates=())._shelves)
    assert set(HOOKS) == {
        "register_commands",
        "register_brokers",
        "register_strategies",
        "register_take_profits",
        "register_pre_trade_checks",
        "register_event_sinks",
        "register_reconcilers",
        "register_programs",
    }


def never(wanted: object, bars: object) -> Any:
    yield from ()


@pytest.mark.parametrize(
    "thing, words",
    [
        (7, "take_profit 'mine' is a value of type int · offer a tradeshell.TakeProfitOffer"),
        (TakeProfitOffer(find=lambda: (), words=""), "take_profit 'mine': find cannot be called with (wanted, bars)"),  # type: ignore[arg-type,misc]  # what is tested
        (TakeProfitOffer(find=slow_run, words=""), "take_profit 'mine': find is 'async def', nobody would await it"),  # type: ignore[arg-type]  # what is tested
        (TakeProfitOffer(find=never, words=""), "take_profit 'mine': find contains 'yield', its body would never run"),
    ],
)  # fmt: skip
def test_a_method_that_could_not_be_asked_is_refused_when_it_is_offered(thing: object, words: str) -> None:
    host = loaded(candidate("targets", offering("register_take_profits", ("mine", thing))))
    assert host.take_profits == {}
    assert words in host.reports[0].refused


@pytest.mark.parametrize(
    "thing, words",
    [
        (7, "program 'mine' is a value of type int · offer a tradeshell.ProgramOffer"),
        (ProgramOffer(run=slow_run, words=""), "program 'mine': run is 'async def', nobody would await it"),  # type: ignore[arg-type]  # what is tested
        (ProgramOffer(run=lambda: 0, words=""), "program 'mine': run cannot be called with (context)"),  # type: ignore[arg-type,misc]  # what is tested
    ],
)
def test_a_program_that_could_not_run_is_refused_when_it_is_offered(thing: object, words: str) -> None:
    host = loaded(candidate("server", offering("register_programs", ("mine", thing))))
    assert refusal(host, "server").startswith(words)


class Slow:
    async def __call__(self, context: object) -> None: ...


async def slow(context: object) -> None: ...


def generating(context: object) -> Iterator[None]:
    yield


@pytest.mark.parametrize(
    "thing, words",
    [
        (slow, "check 'mine' is 'async def', nobody would await it"),
        (Slow(), "check 'mine' is 'async def', nobody would await it"),
        (generating, "check 'mine' contains 'yield', its body would never run"),
        (Slow, "check 'mine' is the class Slow · offer an instance: Slow()"),
        (7, "check 'mine' is a value of type int · it must be callable with (context)"),
        (lambda: None, "check 'mine' cannot be called with (context)"),
    ],
)
def test_a_check_that_could_not_work_is_refused_when_it_is_offered(thing: object, words: str) -> None:
    host = loaded(candidate("rules", offering("register_pre_trade_checks", ("mine", thing))))
    assert words in refusal(host, "rules")
    assert_no_trace(host)


def test_two_plugins_do_not_share_the_name_of_a_check_and_each_is_asked_in_the_order_of_loading() -> None:
    first, second = ("b", says_yes), ("a", says_yes)
    host = loaded(
        candidate("x", offering("register_pre_trade_checks", first)),
        candidate("y", offering("register_pre_trade_checks", second)),
        candidate("z", offering("register_pre_trade_checks", first)),
    )
    assert [(check.name, check.owner) for check in host.checks] == [("b", "x"), ("a", "y")]
    assert "check 'b' is already provided by 'x'" in refusal(host, "z")


def test_an_instance_may_be_the_plugin() -> None:
    class Plugin:
        @hookimpl
        def register_commands(self, register: Register[Command]) -> None:
            register("size", command("size"))

    assert list(loaded(candidate("instance", Plugin())).commands) == ["size"]


def test_an_implementation_may_go_by_another_function_name() -> None:
    @hookimpl(specname="register_commands")
    def ours(register: Register[Command]) -> None:
        register("size", command("size"))

    assert list(loaded(candidate("renamed", module(ours=ours))).commands) == ["size"]


def test_a_hook_that_this_host_does_not_have_may_be_marked_optional() -> None:
    @hookimpl(optionalhook=True)
    def register_weather(register: Register[object]) -> None:
        raise AssertionError("never called")

    plugin = commands("size")
    vars(plugin)["register_weather"] = register_weather
    host = loaded(candidate("newer", plugin))
    assert list(host.commands) == ["size"]
    assert host.problems == ()


def test_registries_cannot_be_changed_from_outside() -> None:
    host = loaded(candidate("one", commands("size")))
    with pytest.raises(TypeError):
        host.commands["other"] = command("other")  # type: ignore[index]  # that is the point


def test_two_hosts_share_nothing() -> None:
    plugin = candidate("one", commands("size"))
    first, second = loaded(plugin), loaded(plugin)
    assert list(first.commands) == list(second.commands) == ["size"]
    assert_no_trace(loaded())


def test_an_empty_list_of_candidates_means_no_plugin_whatever_is_installed() -> None:
    assert find_candidates() != ()
    host = loaded()
    assert_no_trace(host)
    assert {report.name: report.refused for report in host.reports} == dict.fromkeys(BUNDLED, NOT_INSTALLED)
    assert host.problems == ()


# --- broken plugins ---------------------------------------------------------------------------------------------------

BROKEN = [ValueError("no\nsuch thing"), SystemExit(3), ImportError("vendor_sdk"), RecursionError()]


@pytest.mark.parametrize("error", BROKEN, ids=lambda error: type(error).__name__)
@pytest.mark.parametrize("name", ["a_first", "z_last"])
def test_a_plugin_that_fails_to_import_costs_only_itself(name: str, error: BaseException) -> None:
    host = loaded(candidate("middle", commands("size")), candidate(name, raises=error))
    assert list(host.commands) == ["size"]
    said = refusal(host, name)
    assert type(error).__name__ in said
    assert f"uninstall dist-{name}" in said


@pytest.mark.parametrize("error", BROKEN, ids=lambda error: type(error).__name__)
@pytest.mark.parametrize("name", ["a_first", "z_last"])
def test_a_plugin_whose_hook_fails_costs_only_itself(name: str, error: BaseException) -> None:
    @hookimpl
    def register_commands(register: Register[Command]) -> None:
        register("half", command("half"))
        raise error

    host = loaded(
        candidate("middle", commands("size")), candidate(name, module(register_commands=register_commands))
    )
    assert list(host.commands) == ["size"]
    assert host._manager.get_plugins() == {host._manager.get_plugin("middle")}
    said = refusal(host, name)
    assert said.startswith(f"register_commands failed: {type(error).__name__}")
    assert "test_plugins.py:" in said


def test_a_later_hook_that_fails_takes_back_what_the_earlier_offered() -> None:
    @hookimpl
    def register_event_sinks(register: Register[Any]) -> None:
        raise ValueError("too late to matter")

    plugin = commands("size")
    vars(plugin)["register_event_sinks"] = register_event_sinks
    host = loaded(candidate("half", plugin))
    assert "register_event_sinks failed" in refusal(host, "half")
    assert_no_trace(host)


def test_a_plugin_may_refuse_itself_in_its_own_words() -> None:
    @hookimpl
    def register_commands(register: Register[Command]) -> None:
        raise PluginError("no licence key in [brokers.mine] · see its README")

    host = loaded(candidate("paid", module(register_commands=register_commands)))
    assert refusal(host, "paid") == "no licence key in [brokers.mine] · see its README"
    assert_no_trace(host)


def test_ctrl_c_is_no_fault_of_a_plugin() -> None:
    with pytest.raises(KeyboardInterrupt):
        loaded(candidate("slow", raises=KeyboardInterrupt()))


def misspelt() -> object:
    @hookimpl
    def register_comands(register: Register[Command]) -> None: ...

    return module(register_comands=register_comands)


def unmarked() -> object:
    def register_commands(register: Register[Command]) -> None: ...

    return module(register_commands=register_commands)


def marked_for_another_host() -> object:
    @pluggy.HookimplMarker("llm")
    def register_commands(register: Register[Command]) -> None: ...

    return module(register_commands=register_commands)


def one_of_two_unmarked() -> object:
    plugin = commands("size")

    def register_brokers(register: Register[BrokerOffer]) -> None: ...

    vars(plugin)["register_brokers"] = register_brokers
    return plugin


def asynchronous() -> object:
    @hookimpl
    async def register_commands(register: Register[Command]) -> None: ...

    return module(register_commands=register_commands)


def generator() -> object:
    @hookimpl
    def register_commands(register: Register[Command]) -> Iterator[None]:
        yield

    return module(register_commands=register_commands)


def asynchronous_generator() -> object:
    @hookimpl
    async def register_commands(register: Register[Command]) -> AsyncIterator[None]:
        yield

    return module(register_commands=register_commands)


def wrapper() -> object:
    @hookimpl(wrapper=True)
    def register_commands(register: Register[Command]) -> Iterator[None]:
        yield

    return module(register_commands=register_commands)


def pushing_in() -> object:
    @hookimpl(tryfirst=True)
    def register_commands(register: Register[Command]) -> None: ...

    return module(register_commands=register_commands)


def wrong_argument() -> object:
    @hookimpl
    def register_commands(registry: Register[Command]) -> None: ...

    return module(register_commands=register_commands)


def one_argument_too_many() -> object:
    @hookimpl
    def register_commands(register: Register[Command], config: object) -> None: ...

    return module(register_commands=register_commands)


def no_argument() -> object:
    @hookimpl
    def register_commands() -> None: ...

    return module(register_commands=register_commands)


def keyword_only() -> object:
    @hookimpl
    def register_commands(*, register: Register[Command]) -> None: ...

    return module(register_commands=register_commands)


def returning_its_offers() -> object:
    @hookimpl
    def register_commands(register: Register[Command]) -> list[Command]:
        return [command("size")]

    return module(register_commands=register_commands)


def hidden_coroutine() -> object:
    async def body() -> None: ...

    @hookimpl
    def register_commands(register: Register[Command]) -> Any:
        return body()  # nothing shows before it is called; the unawaited coroutine must be closed

    return module(register_commands=register_commands)


def raising_property() -> object:
    class Plugin:
        @property
        def register_commands(self) -> object:
            raise ValueError("not now")

    return Plugin()


def a_class() -> object:
    class Plugin:
        @hookimpl
        def register_commands(self, register: Register[Command]) -> None: ...

    return Plugin


def a_function() -> object:
    return commands("size").register_commands


SHAPES: dict[Callable[[], object], str] = {
    misspelt: "there is no hook register_comands (did you mean register_commands?)",
    unmarked: "register_commands is not marked as a hook",
    marked_for_another_host: "register_commands is not marked as a hook",
    one_of_two_unmarked: "register_brokers is not marked as a hook",
    asynchronous: "register_commands is 'async def', its body would never run",
    generator: "register_commands contains 'yield', its body would never run",
    asynchronous_generator: "register_commands is 'async def', its body would never run",
    wrapper: "drop wrapper=True",
    pushing_in: "drop tryfirst=True",
    wrong_argument: "register_commands takes registry · its signature is register_commands(register)",
    one_argument_too_many: "register_commands takes config · its signature is register_commands(register)",
    no_argument: "register_commands does not take register · its signature is register_commands(register)",
    keyword_only: "register_commands does not take register · its signature is register_commands(register)",
    returning_its_offers: "register_commands returned a value of type list, which nobody reads",
    hidden_coroutine: "register_commands returned a value of type coroutine, which nobody reads",
    raising_property: "cannot be checked: ValueError: not now",
    a_class: "its entry point names a class",
    a_function: "its entry point names a function",
    module: "it implements no hook",
    lambda: None: "it implements no hook",
}


@pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: shape.__name__)
def test_a_plugin_of_the_wrong_shape_is_refused_and_leaves_no_trace(shape: Callable[[], object]) -> None:
    host = loaded(candidate("odd", shape()))
    assert SHAPES[shape] in refusal(host, "odd")
    assert_no_trace(host)


# --- wrong offers -----------------------------------------------------------------------------------------------------


class Deaf(Patient):
    def on_bar(self, watch: Any) -> Any: ...  # type: ignore[override]  # the wrong signature is the point


class Sleepy(Patient):
    async def on_bar(self, watch: Any, state: Any, bar: Any, at: Any) -> Any: ...


async def run_async(trading: object, words: Words) -> Answer:
    return Answer()


def unmanaged(context: SinkContext) -> Iterator[Sink]:
    yield lambda record: None


KEY = Key(name="qty", help="shares")

OFFERS: dict[str, tuple[str, object, object, str]] = {
    "a function for a command": (
        "register_commands",
        "size",
        run,
        "is the function run · offer a tradeshell.Command",
    ),
    "the class Command": ("register_commands", "size", Command, "is the class Command"),
    "two names": ("register_commands", "size", command("sizes"), "calls itself 'sizes' · give it one name"),
    "an async command": ("register_commands", "size", command("size", run=run_async), "run is 'async def'"),
    "an async partial": (
        "register_commands",
        "size",
        command("size", run=functools.partial(run_async)),
        "run is 'async def'",
    ),
    "run with one argument": (
        "register_commands",
        "size",
        command("size", run=lambda words: Answer()),
        "run cannot be called with (trading, words)",
    ),
    "run that is text": (
        "register_commands",
        "size",
        command("size", run="run"),
        "run is a value of type str",
    ),
    "no grammar": (
        "register_commands",
        "size",
        command("size", grammar={}),
        "grammar is a value of type dict",
    ),
    "a positional without key": (
        "register_commands",
        "size",
        command("size", grammar=Grammar(positionals=("qty",))),
        "its grammar uses 'qty', which is no key of it",
    ),
    "a flag without key": (
        "register_commands",
        "size",
        command("size", grammar=Grammar(flags=(Flag(word="big", key="qty", value="9", help=""),))),
        "its grammar uses 'qty', which is no key of it",
    ),
    "a rest without key, below a verb": (
        "register_commands",
        "size",
        command("size", grammar=Grammar(verbs=(Verb(word="all", help="", grammar=Grammar(rest="qty")),))),
        "command 'size all': its grammar uses 'qty', which is no key of it",
    ),
    "a key twice": (
        "register_commands",
        "size",
        command("size", grammar=Grammar(keys=(KEY, KEY))),
        "its grammar has the key 'qty' twice",
    ),
    "a function for a broker": (
        "register_brokers",
        "mine",
        open_broker,
        "is the function open_broker · offer a tradeshell.BrokerOffer",
    ),
    "a broker that opens by itself": (
        "register_brokers",
        "mine",
        BrokerOffer(open=lambda: None, own_clock=False, words=""),  # type: ignore[arg-type,misc]
        "open cannot be called with (context)",
    ),
    "a class for a strategy": ("register_strategies", "patient", Patient, "offer an instance: Patient()"),
    "half a strategy": ("register_strategies", "patient", object(), "has no needs(watch)"),
    "a strategy with a wrong method": (
        "register_strategies",
        "deaf",
        Deaf(),
        "on_bar cannot be called with (watch, state, bar, at)",
    ),
    "an async strategy": ("register_strategies", "sleepy", Sleepy(), "on_bar is 'async def'"),
    "a sink without contextmanager": (
        "register_event_sinks",
        "webhook",
        unmanaged,
        "is a generator, not an opener · write @contextmanager above it",
    ),
    "a sink that takes nothing": (
        "register_event_sinks",
        "webhook",
        lambda: None,
        "cannot be called with (context)",
    ),
    "a reconciler whose maker takes nothing": (
        "register_reconcilers",
        "mine",
        lambda: None,
        "reconciler 'mine' cannot be called with (settings)",
    ),
    "a reconciler that yields": (
        "register_reconcilers",
        "mine",
        unmanaged,
        "contains 'yield', its body would never run",
    ),
    "a path for a sink": ("register_event_sinks", "webhook", Path("x"), "it must be callable with (context)"),
    "a name with a blank": (
        "register_commands",
        "my size",
        command("my size"),
        "a name is lower-case letters",
    ),
    "a name in capitals": ("register_brokers", "IBKR", BROKER, "a name is lower-case letters"),
    "no name": ("register_brokers", None, BROKER, "a name is lower-case letters"),
}


@pytest.mark.parametrize("what", OFFERS)
def test_a_wrong_offer_refuses_the_plugin(what: str) -> None:
    hook, name, thing, words = OFFERS[what]
    host = loaded(candidate("odd", offering(hook, (name, thing))))
    assert words in refusal(host, "odd")
    assert_no_trace(host)


def test_a_callable_without_a_readable_signature_is_accepted() -> None:
    assert list(loaded(candidate("builtin", offering("register_event_sinks", ("odd", dict)))).sinks) == [
        "odd"
    ]


def test_a_plugin_cannot_swallow_its_own_refusal() -> None:
    @hookimpl
    def register_commands(register: Register[Command]) -> None:
        for name in ("size", "SIZE", "other"):
            with contextlib.suppress(PluginError):
                register(name, command(name))

    host = loaded(candidate("sly", module(register_commands=register_commands)))
    assert "'SIZE'" in refusal(host, "sly")
    assert_no_trace(host)


def test_what_is_offered_after_the_hook_returned_is_refused() -> None:
    kept: list[Register[Command]] = []

    @hookimpl
    def register_commands(register: Register[Command]) -> None:
        kept.append(register)

    host = loaded(candidate("late", module(register_commands=register_commands)))
    with pytest.raises(PluginError, match="plugin 'late': command size comes too late"):
        kept[0]("size", command("size"))
    assert dict(host.commands) == {}


# --- names ------------------------------------------------------------------------------------------------------------


def test_a_clash_refuses_the_later_plugin_whole_and_names_both() -> None:
    host = loaded(candidate("rival", commands("other", "buy")), candidate("ibkr", commands("buy")))
    assert (
        refusal(host, "rival") == "command 'buy' is already provided by 'ibkr' · keep one of the two plugins"
    )
    assert list(host.commands) == ["buy"]
    assert host.owner("command", "buy") == "ibkr"


def test_bundled_plugins_come_first_then_the_order_is_that_of_the_names() -> None:
    host = loaded(
        candidate("zebra", commands("one")),
        candidate("alpha", commands("two", "plan")),
        bundled("paper", offering("register_brokers", ("paper", BROKER))),
        bundled("breakout", commands("plan")),
    )
    assert [report.name for report in host.reports] == [
        "breakout",
        "paper",
        "alpha",
        "zebra",
        "ibkr",
        "jsonl_log",
        "notify",
        "reconcile",
        "tp_auto",
    ]
    assert "already provided by 'breakout'" in refusal(host, "alpha")


def test_one_name_may_be_used_for_things_of_different_kinds() -> None:
    plugin = offering("register_brokers", ("paper", BROKER))
    vars(plugin)["register_event_sinks"] = offering(
        "register_event_sinks", ("paper", open_sink)
    ).register_event_sinks
    assert loaded(candidate("paper", plugin)).reports[0].offers == ("broker paper", "sink paper")


def test_a_name_offered_twice_by_one_plugin_refuses_it() -> None:
    host = loaded(candidate("twice", commands("size", "size")))
    assert "command 'size' is offered twice" in refusal(host, "twice")


def test_two_plugins_of_one_name_are_not_both_loaded() -> None:
    host = loaded(
        candidate("foo", commands("one"), dist="a-foo"), candidate("foo", commands("two"), dist="b-foo")
    )
    assert list(host.commands) == ["one"]
    assert [report.refused for report in host.reports[:2]] == [
        "",
        "a plugin of this name is already loaded from a-foo 1.2 · uninstall one of the two",
    ]


def test_one_module_under_two_names_is_loaded_once() -> None:
    plugin = commands("size")
    host = loaded(candidate("one", plugin), candidate("two", plugin))
    assert list(host.commands) == ["size"]
    assert "cannot be checked: ValueError" in refusal(host, "two")


def test_the_commands_of_the_shell_come_first_and_keep_their_names() -> None:
    host = PluginHost(candidates=[candidate("rival", commands("buy")), candidate("other", commands("help"))])
    host.add_builtin([command("buy"), command("sell")], reserved=["help", "quit"])
    host.add_builtin([command("demo")])
    host.load()
    assert list(host.commands) == ["buy", "sell", "demo"]
    assert "command 'buy' is already provided by 'tradeshell'" in refusal(host, "rival")
    assert "command 'help' is already provided by 'tradeshell'" in refusal(host, "other")
    assert [report.name for report in host.reports if not report.refused] == []


def test_a_slip_in_the_shells_own_commands_is_raised() -> None:
    host = PluginHost(candidates=())
    with pytest.raises(PluginError, match="command 'buy' is offered twice"):
        host.add_builtin([command("buy"), command("buy")])


# --- choosing what is loaded ------------------------------------------------------------------------------------------


def three() -> tuple[Candidate, ...]:
    return (
        bundled("paper", offering("register_brokers", ("paper", BROKER))),
        candidate("risk", commands("size")),
        candidate("fills", offering("register_event_sinks", ("fills", open_sink))),
    )


def test_only_the_chosen_plugins_are_loaded() -> None:
    host = loaded(*three(), only=("risk",))
    assert (list(host.commands), list(host.brokers), list(host.sinks)) == (["size"], [], [])
    assert {r.name: r.refused for r in host.reports} == {"paper": NOT_CHOSEN, "fills": NOT_CHOSEN, "risk": ""}
    assert host.problems == ()


def test_choosing_none_loads_none() -> None:
    assert_no_trace(loaded(*three(), only=()))


def test_a_chosen_plugin_that_is_not_there_is_reported_with_a_suggestion() -> None:
    host = loaded(*three(), only=("risk", "fill", "breakout"))
    assert host.problems == (
        "plugin 'breakout': not installed: pip install 'tradeshell[all]'",
        "plugin 'fill': no such plugin is installed (did you mean fills?) · installed: fills, paper, risk",
    )
    assert {"fill", "breakout"} <= {report.name for report in host.reports if report.refused}


def test_safe_mode_loads_bundled_plugins_only() -> None:
    host = loaded(*three(), safe_mode=True)
    assert (list(host.commands), list(host.brokers), list(host.sinks)) == ([], ["paper"], [])
    assert [r.refused for r in host.reports if r.name in ("risk", "fills")] == [NOT_SAFE, NOT_SAFE]


def test_in_safe_mode_a_bundled_name_from_elsewhere_is_not_imported() -> None:
    host = loaded(candidate("paper", raises=AssertionError("imported"), dist="evil-paper"), safe_mode=True)
    assert host.reports[0].refused == NOT_SAFE


@pytest.mark.parametrize(
    "distribution", ["tradeshell-jsonl-log", "tradeshell_jsonl_log", "Tradeshell.Jsonl-Log"]
)
def test_a_bundled_plugin_is_known_however_its_distribution_is_spelt(distribution: str) -> None:
    assert candidate("jsonl_log", dist=distribution).is_bundled
    assert not candidate("other", dist=distribution).is_bundled


# --- what is installed ------------------------------------------------------------------------------------------------


def install(place: Path, name: str, entry_points: bytes, metadata: str | None = None) -> None:
    info = place / f"{name.replace('-', '_')}-3.4.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(
        metadata or f"Metadata-Version: 2.1\nName: {name}\nVersion: 3.4\n", encoding="utf-8"
    )
    (info / "entry_points.txt").write_bytes(entry_points)


def test_an_installed_plugin_is_found_by_its_entry_point(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install(tmp_path, "tradeshell-risk-test", b"[tradeshell]\nrisk_test = risk_test_module\n")
    (tmp_path / "risk_test_module.py").write_text(
        "from tradeshell import Answer, Command, Grammar, hookimpl\n"
        "@hookimpl\n"
        "def register_commands(register):\n"
        "    register('size', Command(name='size', help='h', grammar=Grammar(), run=lambda t, w: Answer()))\n",
        encoding="utf-8",
    )
    monkeypatch.syspath_prepend(tmp_path)
    (found,) = (each for each in find_candidates() if each.name == "risk_test")
    assert (found.version, found.distribution, found.is_bundled) == ("3.4", "tradeshell-risk-test", False)
    assert "risk_test_module" not in sys.modules
    host = PluginHost(only=("risk_test",))
    host.load()
    assert list(host.commands) == ["size"]


def test_damaged_metadata_hides_only_its_own_distribution(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install(tmp_path, "aa-garbage", b"[tradeshell]\nx = \xff\xfe\n")
    install(tmp_path, "ab-nameless", b"[tradeshell]\ny = y\n", metadata="Metadata-Version: 2.1\n")
    install(tmp_path, "ac-no-ini", b"][tradeshell]\nnonsense\n= = =\n")
    install(tmp_path, "ad-good", b"[tradeshell]\nad_good = nowhere_to_be_found\n")
    monkeypatch.syspath_prepend(tmp_path)
    assert "ad_good" in [found.name for found in find_candidates()]
    host = PluginHost(only=("ad_good",))
    host.load()
    assert refusal(host, "ad_good") == (
        "cannot be imported: ModuleNotFoundError: No module named 'nowhere_to_be_found' · repair or uninstall ad-good"
    )


def test_a_module_that_fails_says_in_which_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install(tmp_path, "tradeshell-bad", b"[tradeshell]\nbad = bad_plugin\n")
    (tmp_path / "bad_plugin.py").write_text("import helper_of_bad_plugin\n", encoding="utf-8")
    (tmp_path / "helper_of_bad_plugin.py").write_text(
        "\n\nimport vendor_sdk_that_is_missing\n", encoding="utf-8"
    )
    monkeypatch.syspath_prepend(tmp_path)
    host = PluginHost(only=("bad",))
    host.load()
    assert "No module named 'vendor_sdk_that_is_missing' (helper_of_bad_plugin.py:3) · repair" in refusal(
        host, "bad"
    )


def test_the_first_of_two_installations_on_the_path_counts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for place in ("old", "new"):
        (tmp_path / place).mkdir()
        install(tmp_path / place, "tradeshell-foo", f"[tradeshell]\nfoo = foo_{place}\n".encode())
        monkeypatch.syspath_prepend(tmp_path / place)
    host = PluginHost(only=("foo",))
    host.load()
    assert "foo_new" in refusal(host, "foo")


def test_the_plugins_of_this_repository_load() -> None:
    host = PluginHost(only=tuple(BUNDLED))
    host.load()
    assert {
        report.name: report.refused for report in host.reports if report.name in BUNDLED
    } == dict.fromkeys(BUNDLED, "")


def test_the_module_is_cheap_and_finding_plugins_imports_none() -> None:
    program = (
        "import sys, tradeshell.plugins as plugins\n"
        "plugins.find_candidates()\n"
        "plugins.PluginHost(candidates=()).load()\n"
        "print(sorted({name.partition('.')[0] for name in sys.modules} & set(sys.argv[1:])))\n"
    )
    heavy = ["asyncio", "cmd2", "ib_async", "prompt_toolkit", "pydantic", "rich", "tomllib"]
    bundled_modules = [f"tradeshell_{name}" for name in BUNDLED]
    done = subprocess.run(
        [sys.executable, "-c", program, *heavy, *bundled_modules], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"
