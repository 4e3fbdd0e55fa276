"""Hooks and their pages say the same, and every code block of these pages runs."""

from __future__ import annotations

import asyncio
import inspect
import os
import re
import subprocess
import sys
import tomllib
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
from msgspec.structs import replace
from tests.support.wheels import ROOT, path_with, put_on_path

from tradeshell import (
    Bar,
    BrokerContext,
    BrokerError,
    CheckContext,
    Comparison,
    Desk,
    DeskView,
    Enter,
    Event,
    Input,
    Instrument,
    LinkChanged,
    OperatorError,
    PositionReport,
    ProgramContext,
    Quote,
    Record,
    Refusal,
    SinkContext,
    TradePlan,
    VenueOptions,
    WatchSpec,
    Weight,
    Words,
    hookspecs,
)
from tradeshell.config import load_settings
from tradeshell.grammar import complete, parse
from tradeshell.plugins import Candidate, PluginHost

HOOKS = {
    name: function
    for name, function in vars(hookspecs).items()
    if inspect.isfunction(function) and function.__module__ == hookspecs.__name__
}
HOOKS_PAGE = ROOT / "docs/hooks.md"
WRITE_PAGE = ROOT / "docs/write-a-plugin.md"
PARTS = ("Called:", "Calls back:", "On error:")
NOON = datetime(2026, 3, 2, 17, tzinfo=UTC)


def blocks(page: Path) -> list[tuple[str, str]]:
    """Return the code blocks of a page: language and text."""
    return re.findall(
        r"^```(\w*)\n(.*?)^```$", page.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL
    )


def block(page: Path, language: str, having: str = "") -> str:
    """Return the only block of ``language`` that holds ``having``."""
    (found,) = (text for kind, text in blocks(page) if kind == language and having in text)
    return found


def sections() -> dict[str, str]:
    """Return the text below each second-level heading of the page of hooks."""
    parts = re.split(r"^## (.*)$", HOOKS_PAGE.read_text(encoding="utf-8"), flags=re.MULTILINE)[1:]
    return dict(zip(parts[::2], parts[1::2], strict=True))


def loaded(source: str, name: str = "shown") -> PluginHost:
    """Run a block as a module and load it as the only plugin."""
    module = ModuleType(name)
    exec(compile(source, f"<{name}>", "exec"), vars(module))
    host = PluginHost(candidates=[Candidate(name=name, load=lambda: module)])
    host.load()
    assert host.problems == ()
    return host


# --- pages and specifications -----------------------------------------------------------------------------------------


def test_the_page_has_a_heading_for_every_hook_and_for_nothing_else() -> None:
    assert {f"{name}{_arguments(function)}" for name, function in HOOKS.items()} == set(sections())


def _arguments(function: Any) -> str:
    return f"({', '.join(inspect.signature(function).parameters)})"


@pytest.mark.parametrize("name", HOOKS)
def test_a_hook_says_what_it_gains_when_it_is_called_what_calls_back_and_what_an_error_costs(
    name: str,
) -> None:
    doc = inspect.getdoc(HOOKS[name]) or ""
    summary, _, rest = doc.partition("\n\n")
    assert re.fullmatch(r"Offer [^\n]+\.", summary)
    said = [line.partition(":")[0] + ":" for line in rest.splitlines() if re.match(r"[A-Z][a-z ]+:", line)]
    assert said == list(PARTS)
    assert all(
        len(line.partition(":")[2].strip()) > 10
        for line in rest.splitlines()
        if line.partition(":")[0] + ":" in PARTS
    )


@pytest.mark.parametrize("name", HOOKS)
def test_the_section_of_a_hook_repeats_the_parts_and_shows_one_plugin(name: str) -> None:
    text = sections()[f"{name}(register)"]
    assert re.findall(r"^- \*\*(.*?)\*\*", text, flags=re.MULTILINE) == list(PARTS)
    (example,) = re.findall(r"^```python\n(.*?)^```$", text, flags=re.MULTILINE | re.DOTALL)
    report = loaded(example).reports[0]
    kinds = {"register_commands": "command", "register_brokers": "broker", "register_event_sinks": "sink"}
    kinds |= {"register_strategies": "strategy", "register_pre_trade_checks": "check"}
    kinds |= {"register_programs": "program", "register_reconcilers": "reconciler"}
    kinds |= {"register_take_profits": "take_profit"}
    assert {offer.partition(" ")[0] for offer in report.offers} == {kinds[name]}


def test_the_summary_of_a_hook_begins_its_section() -> None:
    for name, function in HOOKS.items():
        summary = (inspect.getdoc(function) or "").partition("\n")[0].rstrip(".").partition(",")[0]
        assert sections()[f"{name}(register)"].replace("\n", " ").strip().startswith(summary)


def test_every_block_is_of_a_language_that_is_run_here() -> None:
    languages = {page: [language for language, _ in blocks(page)] for page in (HOOKS_PAGE, WRITE_PAGE)}
    assert languages == {
        HOOKS_PAGE: ["python"] * (len(HOOKS) - 2) + ["toml", "python", "python"],
        WRITE_PAGE: ["python", "toml", "console", "transcript", "python"],
    }


# --- the examples of the hooks ----------------------------------------------------------------------------------------


def quote(bid: str | None, ask: str | None) -> Quote:
    return Quote(
        symbol="AAPL",
        at=NOON,
        bid=None if bid is None else Decimal(bid),
        ask=None if ask is None else Decimal(ask),
    )


def test_the_command_of_the_page_answers_and_refuses() -> None:
    command = loaded(block(HOOKS_PAGE, "python", "register_commands")).commands["spread"]
    words = parse("spread", command.grammar, ["aapl"])
    answer = command.run(SimpleNamespace(quote=lambda symbol: quote("189.98", "190.01")), words)
    assert answer.lines == ("AAPL · 189.98 x 190.01 · 3.00 cents",)
    for touch in (None, quote(None, "190"), quote("190", None)):
        with pytest.raises(OperatorError, match=r"^spread: AAPL has no bid and ask now"):
            command.run(SimpleNamespace(quote=lambda symbol, touch=touch: touch), words)


def test_the_broker_of_the_page_connects_and_takes_no_orders(tmp_path: Path) -> None:
    offer = loaded(block(HOOKS_PAGE, "python", "register_brokers")).brokers["nowhere"]
    told: list[Input] = []
    clock: Any = SimpleNamespace(now=lambda: NOON)
    context = BrokerContext(
        emit=told.append,
        clock=clock,
        venue_clock=None,
        options=VenueOptions(),
        settings={},
        state_dir=tmp_path,
    )
    with offer.open(context) as broker:
        asyncio.run(broker.connect())
        assert told == [LinkChanged(at=NOON, up=True, account=broker.info().account, paper=True)]
        assert asyncio.run(broker.snapshot_account()).orders == ()
        assert asyncio.run(broker.history("AAPL", 60, 10, rth=True)) == ()
        assert asyncio.run(broker.snapshot("AAPL", 1.0)) is None
        broker.subscribe_quotes("AAPL").cancel()
        broker.subscribe("AAPL", 60, True, lambda bar: None).cancel()
        with pytest.raises(BrokerError):
            broker.cancel("ts:x:entry:1", 1)
        with pytest.raises(BrokerError, match="AAPL: nowhere has no contracts"):
            asyncio.run(broker.qualify("AAPL"))


def test_the_broker_of_the_page_has_everything_that_is_asked_of_a_broker() -> None:
    from tradeshell import Broker

    module = ModuleType("nowhere")
    exec(block(HOOKS_PAGE, "python", "register_brokers"), vars(module))
    asked = {name for base in Broker.__mro__ for name in vars(base) if not name.startswith("_")}
    assert asked <= set(dir(module.Nowhere))
    for name in asked:
        assert _arguments(getattr(Broker, name)) == _arguments(getattr(module.Nowhere, name))


def test_the_strategy_of_the_page_enters_at_the_second_close_in_a_row() -> None:
    strategy = loaded(block(HOOKS_PAGE, "python", "register_strategies")).strategies["twice"]
    plan = TradePlan(symbol="AAPL", qty=100, account="DU1", level=Decimal(190))
    instrument = Instrument(symbol="AAPL", con_id=1)
    watch = WatchSpec(id="tw-1", strategy="twice", plan=plan, params={}, instrument=instrument, session=None)
    state, wishes = strategy.start(watch, NOON)
    assert wishes == ()
    assert strategy.needs(watch).seconds == 60
    entered = []
    for minute, close in enumerate(("189", "190", "189.99", "190", "190.5", "191", "189", "190")):
        price = Decimal(close)
        bar = Bar("AAPL", NOON + timedelta(minutes=minute), 60, price, price, price, price)
        before = state
        state, wishes = strategy.on_bar(watch, state, bar, bar.end)
        entered += [(minute, wish) for wish in wishes]
        if minute == 0:
            assert state is before
    assert entered == [(4, Enter(bar=Bar("AAPL", NOON + timedelta(minutes=4), 60, *(Decimal("190.5"),) * 4)))]


def test_the_checks_of_the_page_refuse_a_fourth_symbol_and_late_entries() -> None:
    few, late = loaded(block(HOOKS_PAGE, "python", "register_pre_trade_checks")).checks
    desk = DeskView(
        paper=True,
        positions={"AAPL": 1, "MSFT": 2, "TSLA": 3},
        exposure=Decimal(0),
        open_risk=Decimal(0),
        realised=Decimal(0),
    )
    context = CheckContext(
        plan=TradePlan(symbol="NVDA", qty=1, account="DU1"),
        instrument=Instrument(symbol="NVDA", con_id=1),
        origin="manual",
        price=Decimal(190),
        quote=None,
        desk=desk,
        now=NOON,
    )
    assert few.check(context) == Refusal(
        "too_many_symbols", "3 symbols are held (AAPL MSFT TSLA), 3 are enough"
    )
    assert few.check(replace(context, plan=TradePlan(symbol="MSFT", qty=1, account="DU1"))) is None
    assert late.check(context) is None
    refused = late.check(replace(context, now=NOON + timedelta(hours=3, minutes=30)))
    assert refused == Refusal("too_late_in_the_day", "it is 15:30, entries end at 15:30 New York")


class Loud(Event, frozen=True, kw_only=True):
    weight = Weight.ALARM

    def story(self) -> str | None:
        return "something is wrong"


class Quiet(Event, frozen=True, kw_only=True):
    """Nothing to write about."""


def test_the_sink_of_the_page_writes_alarms_and_its_table_switches_it_on(tmp_path: Path) -> None:
    config = tmp_path / "config.toml"
    config.write_text(block(HOOKS_PAGE, "toml"), encoding="utf-8")
    settings = load_settings({"config": str(config)}, {})
    assert set(settings.sinks) == {"jsonl", "alarms"}
    opener = loaded(block(HOOKS_PAGE, "python", "register_event_sinks")).sinks["alarms"]
    context = SinkContext(state_dir=tmp_path, settings=settings.sinks["alarms"], environ={})
    with opener(context) as sink:
        for seq, event in enumerate((Loud(symbol="AAPL"), Quiet(symbol="AAPL"), Loud()), start=1):
            sink(Record(v=1, seq=seq, ts=NOON, mono=0.0, session="s", event=event))
        told = (tmp_path / "alarms.txt").read_text(encoding="utf-8")
    assert told == "17:00:00 AAPL something is wrong\n17:00:00 - something is wrong\n"


def test_the_reconciler_of_the_page_names_what_is_held_and_unknown() -> None:
    maker = loaded(block(HOOKS_PAGE, "python", "register_reconcilers")).reconcilers["strangers"]
    position = PositionReport(symbol="IBM", con_id=1, account="DU1", qty=7, average=Decimal(1))
    desk = Desk(account="DU1")
    found = maker({})(
        Comparison(at=NOON, before=desk, desk=desk, others=(), executions=(), positions=(position,))
    )
    assert [(each.symbol, each.broker) for each in found.found] == [("IBM", "7 shares")]


def test_the_program_of_the_page_counts_and_refuses_what_is_no_number(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    offer = loaded(block(HOOKS_PAGE, "python", "register_programs")).programs["market_days"]
    context = ProgramContext(words=("7",), environ={}, state_dir=tmp_path)
    assert offer.run(context) == 0
    assert capsys.readouterr().out == "5\n"
    with pytest.raises(OperatorError, match="how many days"):
        offer.run(replace(context, words=("many",)))


# --- the plugin that is written ---------------------------------------------------------------------------------------


@pytest.fixture
def rr(tmp_path: Path) -> Path:
    """Put the plugin of the page on the path, as its manifest says."""
    project = tomllib.loads(block(WRITE_PAGE, "toml"))["project"]
    (module,) = project["entry-points"]["tradeshell"].values()
    place = tmp_path / "installed"
    put_on_path(
        place, project["name"], {module: block(WRITE_PAGE, "python", "register_commands")}, project["version"]
    )
    return place


def shell(line: str, place: Path, cwd: Path) -> str:
    """Run a line of a console block as a stranger's terminal would, and return what it shows."""
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    done = subprocess.run(
        ["sh", "-c", line],
        cwd=cwd,
        env={
            "PATH": path,
            "HOME": str(cwd),
            "COLUMNS": "100",
            "PYTHONPATH": path_with(place),
            "PYTHONUTF8": "1",
        },
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=50,
        check=False,
    )
    assert "Traceback" not in done.stdout
    return done.stdout


def test_the_plugin_of_the_page_has_26_lines_and_offers_its_command() -> None:
    source = block(WRITE_PAGE, "python", "register_commands")
    assert source.count("\n") == 26
    assert "26 lines" in WRITE_PAGE.read_text(encoding="utf-8")
    command = loaded(source).commands["rr"]
    assert command.run(
        None, Words(values={"level": Decimal(190), "sl": Decimal(187), "tp": Decimal(195)})
    ).data == {"r": Decimal("1.67")}
    offers = complete(command.grammar, "", ("190", "sl=187"), None)
    assert not isinstance(offers, str)
    assert [offer.text for offer in offers] == ["tp="]
    assert complete(command.grammar, "tp=", ("190",), None) == "tp=PRICE  take profit, USD"


def test_the_explanation_names_lines_that_hold_what_it_says() -> None:
    source = block(WRITE_PAGE, "python", "register_commands").splitlines()
    said = re.findall(
        r"^- \*\*(\d+)(?:–(\d+))?\*\*", WRITE_PAGE.read_text(encoding="utf-8"), flags=re.MULTILINE
    )
    spans = {
        (int(first), int(last or first)): source[int(first) - 1 : int(last or first)] for first, last in said
    }
    begins = {
        (1, 1): '"""',
        (3, 4): "from tradeshell",
        (6, 12): "PRICES",
        (15, 15): "def rr",
        (17, 19): "    level",
    }
    begins |= {(20, 21): "    ratio", (24, 26): "@hookimpl"}
    assert set(spans) == set(begins)
    for span, lines in spans.items():
        assert lines[0].startswith(begins[span])


def test_the_manifest_of_the_page_is_that_of_the_samples() -> None:
    shown = tomllib.loads(block(WRITE_PAGE, "toml"))
    for name in ("tradeshell-risk", "tradeshell-fills-csv"):
        sample = tomllib.loads((ROOT / "examples" / name / "pyproject.toml").read_text(encoding="utf-8"))
        assert shown["build-system"] == sample["build-system"]
        for key in ("requires-python", "dependencies"):
            assert shown["project"][key] == sample["project"][key]
        assert set(shown["project"]) <= set(sample["project"])
        (module,) = sample["project"]["entry-points"]["tradeshell"].values()
        assert (ROOT / "examples" / name / f"{module}.py").is_file()


@pytest.mark.timeout(120)
def test_the_console_of_the_page_shows_what_the_shell_says(rr: Path, tmp_path: Path) -> None:
    sessions = re.findall(r"^\$ (.*)\n((?:(?!\$ ).*\n)*)", block(WRITE_PAGE, "console"), flags=re.MULTILINE)
    assert len(sessions) == 4
    for words, said in sessions:
        assert said == shell(words, rr, tmp_path)


def test_the_tests_of_the_page_pass(rr: Path, tmp_path: Path) -> None:
    tests = tmp_path / "tests"
    tests.mkdir()
    (tests / "rr.transcript").write_text(block(WRITE_PAGE, "transcript"), encoding="utf-8")
    (tests / "test_rr.py").write_text(block(WRITE_PAGE, "python", "tradeshell_runner"), encoding="utf-8")
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "pytest",
            "-q",
            "--rootdir",
            str(tests),
            "-p",
            "no:cacheprovider",
            "-p",
            "no:xdist",
            str(tests),
        ],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": path_with(rr), "HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=50,
        check=False,
    )
    assert "2 passed" in done.stdout, done.stdout + done.stderr


# --- types ------------------------------------------------------------------------------------------------------------

WRONG = """
from contextlib import AbstractContextManager
from tradeshell import Broker, BrokerContext, BrokerOffer, Record, Register, SinkOpener, hookimpl

def open_it(context: BrokerContext) -> AbstractContextManager[Broker]:
    raise NotImplementedError

def sink(record: Record) -> None: ...

@hookimpl
def register_brokers(register: Register[BrokerOffer]) -> None:
    register("bare", open_it)

@hookimpl
def register_event_sinks(register: Register[SinkOpener]) -> None:
    register("bare", sink)
"""


@pytest.mark.timeout(180)
def test_the_type_checker_accepts_what_is_shown_and_finds_a_wrong_offer(tmp_path: Path) -> None:
    shown = [
        text for page in (HOOKS_PAGE, WRITE_PAGE) for language, text in blocks(page) if language == "python"
    ]
    shown += [path.read_text(encoding="utf-8") for path in sorted(ROOT.glob("examples/*/*.py"))]
    for number, text in enumerate([*shown, WRONG]):
        (tmp_path / f"shown_{number}.py").write_text(text, encoding="utf-8")
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "mypy",
            "--config-file",
            str(ROOT / "pyproject.toml"),
            "--no-pretty",
            *tmp_path.glob("*.py"),
        ],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=170,
        check=False,
    )
    found = re.findall(r"^.*shown_(\d+)\.py:\d+: error: (.*?)  \[", done.stdout, flags=re.MULTILINE)
    assert {int(number) for number, _ in found} == {len(shown)}, done.stdout + done.stderr
    assert len(found) == 2
    assert all('Argument 2 to "__call__" of "Register" has incompatible type' in words for _, words in found)
