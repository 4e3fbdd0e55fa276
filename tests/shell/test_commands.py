"""What the host's own commands do, say and refuse."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from tests.core.support import quote
from tests.shell.support import LIVE, FakeTrading, Line, d, make_runner

from tradeshell.core.market import DataKind
from tradeshell.core.orders import OrderState, OrderType, Side, Tif
from tradeshell.core.plan import EntryKind, ExitMode, TradePlan
from tradeshell.errors import BrokerError, TradeshellError
from tradeshell.grammar import Answer, Command, Flag, Grammar, Key
from tradeshell.ports import PluginReport, View
from tradeshell.testing.outcome import Runner


@pytest.fixture
def typed(tmp_path: Path) -> tuple[Runner, FakeTrading]:
    """A shell to type into, and the fake behind it."""
    return make_runner(tmp_path)


def sent(trading: FakeTrading) -> TradePlan:
    """Return the one plan that was sent."""
    plans = [asked[1] for asked in trading.asked if asked[0] == "trade"]
    assert len(plans) == 1
    plan = plans[0]
    assert isinstance(plan, TradePlan)
    return plan


# --- buy and sell -----------------------------------------------------------------------------------------------------


def test_buy_sends_a_limit_at_the_ask_that_rests(typed: tuple[Runner, FakeTrading]) -> None:
    runner, trading = typed
    outcome = runner.run("buy aapl 100").assert_ok()
    plan = sent(trading)
    assert (plan.symbol, plan.qty, plan.side, plan.entry) == ("AAPL", 100, Side.BUY, EntryKind.TOUCH)
    assert (plan.tif, plan.entry_timeout, plan.mode) == (Tif.DAY, None, ExitMode.NONE)
    assert outcome.text == "09:30:00 AAPL  entry     BUY 100 @ 190.15 limit\n"


def test_buy_passes_every_option_on(typed: tuple[Runner, FakeTrading]) -> None:
    runner, trading = typed
    runner.run(
        "buy AAPL 100 limit=190.123 tp=195 sl=187 sl_type=stop tif=gtc client_tag='my swing' again"
    ).assert_ok()
    plan = sent(trading)
    assert (plan.entry, plan.limit, plan.tps, plan.sl) == (
        EntryKind.PRICED,
        d("190.12"),
        (d("195"),),
        d("187"),
    )
    assert (plan.sl_type, plan.tif, plan.client_tag, plan.mode) == (
        OrderType.STOP,
        Tif.GTC,
        "my swing",
        ExitMode.ATTACHED,
    )
    assert trading.asked[-1][2] is True


def test_sell_sends_a_sell(typed: tuple[Runner, FakeTrading]) -> None:
    runner, trading = typed
    runner.run("buy AAPL 100").assert_ok()
    trading.desktop.execute("ts:m-1:entry:1", 100, "190.15", "e1.01")
    trading.asked.clear()
    runner.run("sell AAPL 50 entry=market").assert_ok()
    assert (sent(trading).side, sent(trading).entry) == (Side.SELL, EntryKind.MARKET)


@pytest.mark.parametrize(
    "line, words",
    [
        ("buy", ["symbol is missing", "buy AAPL 100"]),
        ("buy AAPL", ["qty is missing"]),
        ("buy AAPL 1e9", ["qty=1e9", "exponents"]),
        ("buy AAPL \uff11\uff10\uff10", ["qty=\uff11\uff10\uff10", "0 to 9"]),
        ("buy AAPL 100 limit=190,5", ["limit=190,5", "190.5"]),
        ("buy AAPL 100 limt=190", ["limt", "did you mean limit?"]),
        ("buy AAPL 100 limit=", ["limit= needs a value"]),
        ("buy AAPL 100 limit=190 limit=191", ["limit is given twice"]),
        ("buy AAPL 100 100", ["100", "not expected here"]),
        ("buy AAPL 100 tp=195-198", ["one target", "breakout"]),
        ("buy AAPL 100 limit=190 tp=180", ["tp=180.00", "must lie above the limit 190.00"]),
        ("buy AAPL 100 limit=190 sl=191", ["sl=191.00", "below the limit 190.00"]),
        ("buy AAPL 100 sl=195 tp=190", ["sl=195.00", "below the target"]),
        ("buy AAPL 100 limit=190 entry=market", ["contradict"]),
        ("buy AAPL 100 entry=market outside_rth=true", ["outside regular hours"]),
        ("buy AAPL 100 sl_type=stop", ["there is no sl="]),
        ("buy AAPL 100 sl=187 sl_type=stop outside_rth=true", ["sl_type=stop", "stop_limit"]),
        ("buy AAPL 100 entry=touch", ["entry=touch", "limit market"]),
        ("buy AAPL 100 tif=GTD", ["tif=GTD", "DAY GTC IOC FOK"]),
        ("buy NONE 1", ["NONE: no such contract"]),
        ("sell AAPL 100 tp=195", ["unknown key tp"]),
        ("wait nothing=1", ["unknown key nothing"]),
        ("wait TSLA", ["TSLA", "nothing was ever watched"]),
        ("wait timeout=nan", ["timeout=nan"]),
        ("status now", ["now", "not expected here"]),
        ("orders cancel", ["order is missing"]),
        ("orders cancel 1", ["1: no working order", "no order is working"]),
        ("orders replace 1", ["nothing to change"]),
        ("orders show=some", ["show=some", "working all"]),
        ("quote", ["symbol is missing"]),
        ("help nothing", ["nothing is no command"]),
        ("help qoute", ["did you mean quote?"]),
        ("run_script", ["file is missing"]),
    ],
)
def test_wrong_words_are_one_line_that_names_the_word_and_nothing_is_sent(
    typed: tuple[Runner, FakeTrading], line: str, words: list[str]
) -> None:
    runner, trading = typed
    outcome = runner.run(line).assert_refused(*words)
    assert len(outcome.lines) == 1
    assert trading.asked == []


def test_a_refusal_of_the_engine_is_its_own_line(typed: tuple[Runner, FakeTrading]) -> None:
    runner, trading = typed
    trading.fail = BrokerError("the gateway is out of reach\x1b[2J; type: connect")
    outcome = runner.run("buy AAPL 1").assert_refused("the gateway is out of reach?[2J; type: connect")
    assert len(outcome.lines) == 1


# --- orders -----------------------------------------------------------------------------------------------------------


def test_orders_lists_what_works_and_on_request_everything(typed: tuple[Runner, FakeTrading]) -> None:
    runner, trading = typed
    runner.run("orders").assert_ok().assert_says("no order is working")
    trading.hold_position()
    listed = runner.run("orders").assert_ok()
    assert [line.split()[:4] for line in listed.lines] == [
        ["id", "symbol", "leg", "side"],
        ["2", "AAPL", "tp1", "SELL"],
        ["3", "AAPL", "sl1", "SELL"],
    ]
    everything = runner.run("orders AAPL show=all").assert_ok()
    assert everything.lines[1].split()[:2] == ["1", "AAPL"]
    runner.run("orders MSFT").assert_ok().assert_says("no order is working in MSFT")


@pytest.mark.parametrize(
    "words, refs",
    [
        ("2", ["tp1"]),
        ("AAPL", ["tp1", "sl1"]),
        ("aapl", ["tp1", "sl1"]),
        ("ALL", ["tp1", "sl1"]),
        ("all", ["tp1", "sl1"]),
        ("AAPL.sl1", ["sl1"]),
        ("AAPL.SL*", ["sl1"]),
        ("aapl.*", ["tp1", "sl1"]),
        ("br-1", ["tp1", "sl1"]),
        ("br-1.tp1", ["tp1"]),
        ("3 2", ["sl1", "tp1"]),
        ("3 AAPL.sl1", ["sl1"]),
    ],
)
def test_orders_are_cancelled_by_number_symbol_leg_trade_or_all(
    typed: tuple[Runner, FakeTrading], words: str, refs: list[str]
) -> None:
    runner, trading = typed
    trading.hold_position()
    runner.run(f"orders cancel {words} force").assert_ok()
    assert trading.asked == [("cancel", f"ts:br-1:{leg}:1") for leg in refs]


@pytest.mark.parametrize("words", ["1", "99", "MSFT", "AAPL.sl2", "br-2", "AAPL.", ".", "AAPL.[", "1" * 30])
def test_a_word_that_means_no_working_order_is_refused_with_what_there_is(
    typed: tuple[Runner, FakeTrading], words: str
) -> None:
    runner, trading = typed
    trading.hold_position()
    outcome = runner.run(f"orders cancel {words}").assert_refused("no working order")
    assert "filled" in outcome.text if words == "1" else "2 (AAPL.tp1) 3 (AAPL.sl1)" in outcome.text
    assert trading.asked == []


def test_nothing_is_cancelled_when_one_word_is_wrong(typed: tuple[Runner, FakeTrading]) -> None:
    runner, trading = typed
    trading.hold_position()
    runner.run("orders cancel 2 99").assert_refused("99")
    assert trading.asked == []


def test_an_order_is_replaced(typed: tuple[Runner, FakeTrading]) -> None:
    runner, trading = typed
    trading.hold_position()
    runner.run("orders replace 2 limit=196.5").assert_ok()
    runner.run("orders replace AAPL.sl1 stop=188 qty=90").assert_ok()
    assert trading.asked == [
        ("replace", "ts:br-1:tp1:1", d("196.5"), None, None),
        ("replace", "ts:br-1:sl1:1", None, d("188"), 90),
    ]


def test_break_even_is_the_average_entry_rounded_up(typed: tuple[Runner, FakeTrading]) -> None:
    runner, trading = typed
    trading.desktop.trigger()
    trading.desktop.execute("ts:br-1:entry:1", 60, "190.15", "e1.01")
    trading.desktop.execute("ts:br-1:entry:1", 40, "190.16", "e2.01")
    trading.quotes["AAPL"] = quote(trading.desktop.at, "191.10", "191.15")
    runner.run("orders replace AAPL.sl1 stop=be").assert_ok()
    assert trading.asked[-1] == ("replace", "ts:br-1:sl1:1", None, d("190.16"), None)


@pytest.mark.parametrize(
    "words, why",
    [
        ("2 stop=188", "no stop price"),
        ("AAPL limit=190", "2 orders are meant, name one: 2 (AAPL.tp1) 3 (AAPL.sl1)"),
        ("2 limit=abc", "limit=abc"),
        ("2 qty=0", "qty=0"),
    ],
)
def test_a_change_that_makes_no_sense_is_refused(
    typed: tuple[Runner, FakeTrading], words: str, why: str
) -> None:
    runner, trading = typed
    trading.hold_position()
    runner.run(f"orders replace {words}").assert_refused(why)
    assert trading.asked == []


def test_a_stop_is_not_moved_to_where_it_would_sell_at_once(typed: tuple[Runner, FakeTrading]) -> None:
    runner, trading = typed
    trading.hold_position()
    runner.run("orders replace 3 stop=191.10").assert_refused(
        "stop=191.10 is not below the bid 191.10", "at once"
    )
    assert trading.asked == []
    runner.run("orders replace 3 stop=191.09").assert_ok()
    trading.desktop.wait(60)  # a touch this old forbids nothing
    trading.desktop.report("ts:br-1:sl1:1", OrderState.HELD, stop=d("191.09"), limit=d("191.09"))
    runner.run("orders replace 3 stop=192").assert_ok()


def test_cancelling_all_of_nothing_is_no_failure(typed: tuple[Runner, FakeTrading]) -> None:
    runner, trading = typed
    runner.run("orders cancel ALL").assert_ok().assert_says("no order is working")
    assert trading.asked == []


def test_an_order_that_is_being_changed_is_left_alone(typed: tuple[Runner, FakeTrading]) -> None:
    runner, trading = typed
    trading.hold_position()
    runner.run("orders replace 2 limit=196").assert_ok()
    runner.run("orders replace 2 limit=197").assert_refused("a change of 2 (AAPL.tp1) is under way")
    runner.run("orders cancel 3 force").assert_ok()
    runner.run("orders replace 3 stop=188").assert_refused("a cancel of 3 (AAPL.sl1) is under way")
    runner.run("orders").assert_says("held, changing", "held, cancelling")


# --- looking ----------------------------------------------------------------------------------------------------------


def test_positions_say_what_protects_them(typed: tuple[Runner, FakeTrading]) -> None:
    runner, trading = typed
    runner.run("positions").assert_ok().assert_says("no position")
    trading.hold_position()
    outcome = runner.run("pos").assert_ok()
    assert outcome.lines[0].split() == [
        "symbol",
        "qty",
        "avg",
        "last",
        "P&L",
        "origin",
        "targets",
        "stop",
        "protected",
    ]
    assert outcome.lines[1].split() == [
        "AAPL",
        "100",
        "190.15",
        "191.10",
        "+95.00",
        "br-1",
        "195.00",
        "187.00",
        "100",
        "%",
    ]
    runner.run("positions MSFT").assert_ok().assert_says("no position in MSFT")


def test_shares_that_no_trade_bought_are_called_external(typed: tuple[Runner, FakeTrading]) -> None:
    from tradeshell.core import inputs as i

    runner, trading = typed
    trading.hold_position()
    trading.desktop.wait(7)
    report = i.PositionReport(
        symbol="AAPL", con_id=265598, account=trading.desktop.desk.account, qty=150, average=d("189.5")
    )
    trading.desktop.do(i.PositionReported, position=report)
    row = runner.run("positions").assert_ok().lines[1].split()
    assert row[:3] == ["AAPL", "150", "189.50"]
    assert row[5:7] == ["br-1", "external"]
    assert row[-2:] == ["66", "%"]


def test_executions_are_listed_with_their_legs(typed: tuple[Runner, FakeTrading]) -> None:
    runner, trading = typed
    runner.run("executions").assert_ok().assert_says("no execution")
    trading.hold_position()
    row = runner.run("executions AAPL").assert_ok().lines[1].split()
    assert row == ["09:31:00", "AAPL", "entry", "BUY", "100", "190.15", "br-1", "e1.01"]


def test_a_quote_says_how_old_and_how_good_it_is(typed: tuple[Runner, FakeTrading]) -> None:
    from msgspec.structs import replace

    runner, trading = typed
    trading.desktop.wait(1.5)
    row = runner.run("quote AAPL").assert_ok().lines[1].split()
    assert (row[1], row[3], row[5], row[6:8]) == ("190.10", "190.15", "0.05", ["1.5", "s"])
    trading.quotes["AAPL"] = replace(trading.quotes["AAPL"], kind=DataKind.DELAYED, bid=None)
    row = runner.run("quote AAPL").assert_ok().lines[1].split()
    assert (row[1], row[2], row[5]) == ("–", "–", "–")
    assert row[-4:] == ["delayed:", "not", "for", "entries"]
    runner.run("quote AAPL MSFT").assert_refused("no quote for MSFT")


def test_status_is_the_whole_picture(typed: tuple[Runner, FakeTrading]) -> None:
    runner, trading = typed
    trading.hold_position()
    told = runner.run("status").assert_ok()
    told.assert_says(
        "paper · paper venue", "DU…0001", "reconciled", "09:31:00 New York", "1 open", "2 working", "315.00 (1.0 R) to the stops",
        "100 % of the shares held", "1 fresh",
    )  # fmt: skip
    assert "1230001" not in told.text


def test_plugins_that_were_refused_say_why(typed: tuple[Runner, FakeTrading]) -> None:
    runner, trading = typed
    trading.reports = (
        PluginReport(name="breakout", version="0.1", offers=("command breakout", "command plan")),
        PluginReport(
            name="bad", version="1", offers=(), refused="register_foo is no hook; pip install something"
        ),
    )
    told = runner.run("plugins").assert_ok()
    told.assert_says(
        "command breakout, command plan", "bad", "register_foo is no hook; pip install something"
    )


def test_connect_and_disconnect_ask_only_when_there_is_something_to_do(
    typed: tuple[Runner, FakeTrading],
) -> None:
    from tradeshell.core import inputs as i

    runner, trading = typed
    runner.run("connect").assert_ok().assert_says("connected already")
    runner.run("disconnect").assert_ok()
    assert trading.asked == [("disconnect",)]
    trading.desktop.do(i.LinkChanged, up=False, account="x", paper=True, why="gateway closed")
    runner.run("disconnect").assert_ok().assert_says("not connected")
    runner.run("status").assert_says("down (gateway closed)", "type: connect")
    runner.run("connect").assert_ok()
    assert trading.asked == [("disconnect",), ("connect",)]


def test_leaving_a_real_broker_says_what_stays_there(tmp_path: Path) -> None:
    runner, trading = make_runner(tmp_path, broker=LIVE)
    trading.hold_position()
    for line in ("disconnect", "quit"):
        runner.run(line).assert_ok().assert_says(
            "AAPL br-1 has 100 shares open. At the broker and working without this program: tp1 sl1.",
            "Stop-limits need this program",
        )


def test_wait_waits_and_says_what_is_not_over(typed: tuple[Runner, FakeTrading]) -> None:
    runner, trading = typed
    trading.hold_position()
    runner.run("wait AAPL timeout=0.1").assert_refused("not over after 0.1 s: br-1")
    trading.over.set()
    runner.run("wait ALL").assert_ok()
    runner.run("wait").assert_ok()
    assert trading.asked == [("wait", ("AAPL",), 0.1), ("wait", (), None), ("wait", (), None)]


# --- help, unknown words, defects -------------------------------------------------------------------------------------


def test_help_lists_commands_by_group(typed: tuple[Runner, FakeTrading]) -> None:
    runner, _ = typed
    told = runner.run("help").assert_ok()
    groups = [line for line in told.lines if line and not line.startswith((" ", "`"))]
    assert groups == ["Enter", "Protect and get out", "Look", "Connection and upkeep", "Scripts and shell"]
    assert runner.run("?").text == told.text


@pytest.mark.parametrize("line", ["help buy", "?buy", "buy ?", "buy --help", "buy -h"])
def test_help_of_a_command_shows_usage_options_defaults_and_examples(
    typed: tuple[Runner, FakeTrading], line: str
) -> None:
    runner, trading = typed
    told = runner.run(line).assert_ok()
    assert told.lines[0].startswith("buy SYM SHARES")
    told.assert_says("tif=", "DAY GTC IOC FOK", "buy AAPL 100 tp=195 sl=187")
    assert trading.asked == []


def test_every_help_fits_eighty_columns(
    typed: tuple[Runner, FakeTrading], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    runner, _ = typed
    for line in ("help", *(f"help {name}" for name in runner.shell.commands)):
        told = runner.run(line).assert_ok()
        assert [long for long in told.lines if len(long) > 80] == [], line


def test_every_example_in_the_help_is_understood(typed: tuple[Runner, FakeTrading]) -> None:
    from tradeshell.grammar import parse

    runner, _ = typed
    examples = [(c, e) for c in runner.shell.commands.values() for e in c.examples]
    assert len(examples) > 20
    for command, example in examples:
        if example.startswith(("?", "@")) or example.endswith("?"):
            continue
        name, *words = example.split()
        assert name in (command.name, "pos")
        parse(command.name, command.grammar, words)


def test_an_unknown_command_is_one_line_with_a_suggestion(typed: tuple[Runner, FakeTrading]) -> None:
    runner, _ = typed
    assert runner.run("byu AAPL 1").assert_refused().text == (
        "byu: unknown command (did you mean buy?) · `help` lists all\n"
    )
    runner.run("x\x1b[2Jy").assert_refused("x?[2Jy: unknown command")


@pytest.mark.parametrize(
    "line", ["shell ls", "!ls", "edit x", "py", "ipy", "run_pyscript x.py", "_relative_run_script x"]
)
def test_a_shell_that_moves_money_starts_no_programs(typed: tuple[Runner, FakeTrading], line: str) -> None:
    runner, _ = typed
    runner.run(line).assert_refused("unknown command")


def test_the_history_is_not_edited_in_a_program(typed: tuple[Runner, FakeTrading]) -> None:
    runner, _ = typed
    runner.run("status")
    runner.run("history -e 1").assert_refused("no editor here")
    runner.run("history 99").assert_refused("there is no such line")
    runner.run("history /[/").assert_refused("history:")


@pytest.mark.parametrize(
    "line", ["buy AAPL level>190", "orders > /tmp/x", "orders | less", "buy AAPL 1; sell AAPL 1"]
)
def test_operators_of_other_shells_are_refused_and_never_eaten(
    typed: tuple[Runner, FakeTrading], line: str
) -> None:
    runner, trading = typed
    outcome = runner.run(line).assert_refused()
    assert len(outcome.lines) == 1
    assert trading.asked == []


def test_an_operator_that_hides_in_an_alias_or_a_macro_is_refused_too(
    typed: tuple[Runner, FakeTrading],
) -> None:
    runner, trading = typed
    runner.run("alias create b buy AAPL 1 '>' x").assert_ok()
    runner.shell.aliases["c"] = "buy AAPL 1 > x"
    runner.run("c").assert_refused(">")
    runner.run("b").assert_refused(">")
    assert trading.asked == []


@pytest.mark.parametrize("line", ["set a \x1b[2J b", "history \x00 1", "alias create x \u202e"])
def test_what_cannot_be_printed_is_not_given_to_commands_that_would(
    typed: tuple[Runner, FakeTrading], line: str
) -> None:
    runner, _ = typed
    assert len(runner.run(line).assert_refused("cannot be printed").lines) == 1


def test_aliases_and_macros_work(typed: tuple[Runner, FakeTrading]) -> None:
    runner, trading = typed
    runner.run("alias create b1 buy AAPL 1").assert_ok()
    runner.run("macro create bn buy {1} {2} again").assert_ok()
    runner.run("b1").assert_ok()
    runner.run("bn AAPL 7").assert_ok()
    assert [asked[1].qty for asked in trading.asked] == [1, 7]
    runner.run("bn").assert_refused("expects at least 2 arguments")


def _command(run: Any, name: str = "mine") -> tuple[str, Command]:
    grammar = Grammar(keys=(Key(name="x", help="x"),), flags=(Flag(word="f", key="x", value="1", help="f"),))
    return "theirs", Command(name=name, help="do mine", grammar=grammar, run=run, group="Theirs")


def test_a_defect_of_a_plugin_is_one_line_and_its_traceback_is_in_a_file(tmp_path: Path) -> None:
    def run(trading: object, words: object) -> Answer:
        raise ZeroDivisionError("account DU1234567")

    runner, _ = make_runner(tmp_path, extra=[_command(run)])
    outcome = runner.run("mine").assert_refused(
        "mine (plugin theirs): internal error (ZeroDivisionError)", "please report"
    )
    assert len(outcome.lines) == 1
    (report,) = (tmp_path / "crashes").iterdir()
    text = report.read_text(encoding="utf-8")
    assert "Traceback" in text
    assert "while: mine" in text
    assert "DU…4567" in text
    assert "1234567" not in text
    assert report.stat().st_mode & 0o777 == 0o600


def test_a_defect_on_a_full_disk_is_still_one_line(tmp_path: Path) -> None:
    def run(trading: object, words: object) -> Answer:
        raise KeyError("x")

    (tmp_path / "file").write_text("", encoding="utf-8")
    runner, _ = make_runner(tmp_path / "file", extra=[_command(run)])
    runner.run("mine").assert_refused("internal error (KeyError)", "no report could be written")


def test_a_command_cannot_end_the_shell_or_answer_nonsense(tmp_path: Path) -> None:
    def leave(trading: object, words: object) -> Answer:
        raise SystemExit(0)

    runner, _ = make_runner(
        tmp_path, extra=[_command(leave), _command(lambda trading, words: None, "nothing")]
    )
    assert not runner.run("mine").assert_refused("internal error (SystemExit)").stopped
    runner.run("nothing").assert_refused("internal error (TypeError)")


def test_help_names_the_plugin_that_a_command_comes_from(tmp_path: Path) -> None:
    runner, _ = make_runner(tmp_path, extra=[_command(lambda trading, words: Answer())])
    assert runner.run("help mine").assert_ok().lines[-1] == "from plugin theirs"
    told = runner.run("help").assert_ok()
    assert told.lines.index("Theirs") < told.lines.index("Scripts and shell")


def test_an_event_that_cannot_be_told_costs_only_its_line(typed: tuple[Runner, FakeTrading]) -> None:
    class Rude(Line, frozen=True, kw_only=True):
        def story(self) -> str | None:
            raise RuntimeError

    runner, trading = typed
    trading.post(Rude(words=""))
    trading.post(Line(words="after"))
    runner.run("orders").assert_ok().assert_says("an event of type Rude cannot be shown", "after")


def test_events_stand_before_the_answer_of_the_command_that_caused_them(tmp_path: Path) -> None:
    def run(trading: Any, words: object) -> Answer:
        trading.post(Line(words="caused"))
        return Answer(lines=("answered",))

    runner, trading = make_runner(tmp_path, extra=[_command(run)])
    trading.post(Line(words="before"))
    assert [line.split()[-1] for line in runner.run("mine").assert_ok().lines] == [
        "before",
        "caused",
        "answered",
    ]


# --- scripts ----------------------------------------------------------------------------------------------------------


def test_a_script_runs_line_by_line_and_ends_at_the_first_that_fails(
    typed: tuple[Runner, FakeTrading], tmp_path: Path
) -> None:
    runner, trading = typed
    script = tmp_path / "a b.txt"
    script.write_text("# a comment\n\nbuy AAPL 1\n  buy AAPL 0\nbuy AAPL 2\n", encoding="utf-8")
    outcome = runner.run(f"run_script '{script}'").assert_refused(
        "qty=0", "a b.txt stopped at line 4: buy AAPL 0"
    )
    assert not outcome.stopped
    assert [asked[1].qty for asked in trading.asked] == [1]


def test_a_script_in_a_script_fails_both(typed: tuple[Runner, FakeTrading], tmp_path: Path) -> None:
    runner, trading = typed
    (tmp_path / "inner.txt").write_text("nope\n", encoding="utf-8")
    (tmp_path / "outer.txt").write_text(f"run_script {tmp_path}/inner.txt\nbuy AAPL 1\n", encoding="utf-8")
    runner.run(f"@{tmp_path}/outer.txt").assert_refused(
        "inner.txt stopped at line 1", "outer.txt stopped at line 1"
    )
    assert trading.asked == []


def test_a_script_that_runs_itself_comes_to_an_end(typed: tuple[Runner, FakeTrading], tmp_path: Path) -> None:
    runner, _ = typed
    script = tmp_path / "loop.txt"
    script.write_text(f"run_script {script}\n", encoding="utf-8")
    runner.run(f"run_script {script}").assert_refused("does loop.txt run itself?")


def test_a_script_with_quit_ends_the_shell(typed: tuple[Runner, FakeTrading], tmp_path: Path) -> None:
    runner, trading = typed
    script = tmp_path / "bye.txt"
    script.write_text("quit\nbuy AAPL 1\n", encoding="utf-8")
    assert runner.run(f"run_script {script}").assert_ok().stopped
    assert trading.asked == []


def test_a_file_that_is_no_script_is_refused_in_one_line(
    typed: tuple[Runner, FakeTrading], tmp_path: Path
) -> None:
    runner, _ = typed
    (tmp_path / "bin").write_bytes(b"ok\n\xff\xfe\x00")
    for name, why in (("bin", "not UTF-8"), ("missing", "No such file"), ("", "Is a directory")):
        outcome = runner.run(f"run_script {tmp_path}/{name}").assert_refused(why)
        assert len(outcome.lines) == 1


def test_a_script_shows_its_lines_when_asked_to(typed: tuple[Runner, FakeTrading], tmp_path: Path) -> None:
    runner, _ = typed
    script = tmp_path / "a.txt"
    script.write_text("orders\n", encoding="utf-8")
    runner.run("set echo true").assert_ok()
    assert runner.run(f"run_script {script}").lines == (f"{runner.shell.prompt}orders", "no order is working")


# --- leaving ----------------------------------------------------------------------------------------------------------


def test_quit_with_nothing_open_just_ends(typed: tuple[Runner, FakeTrading]) -> None:
    runner, _ = typed
    outcome = runner.run("quit").assert_ok()
    assert (outcome.stopped, outcome.text) == (True, "")
    assert runner.run("exit").stopped


def test_an_engine_that_is_gone_keeps_nobody_here(typed: tuple[Runner, FakeTrading]) -> None:
    runner, trading = typed

    def gone() -> View:
        raise TradeshellError("the engine is not running any more")

    trading.view = trading.glance = gone  # type: ignore[method-assign]
    runner.run("orders").assert_refused("the engine is not running any more")
    assert runner.shell.prompt == "paper> "
    assert runner.shell.get_bottom_toolbar() == [("", "no picture of the desk (TradeshellError)")]
    assert runner.run("quit").assert_says("the engine is not running any more").stopped


def test_help_of_an_alias_is_help_of_what_it_stands_for(typed: tuple[Runner, FakeTrading]) -> None:
    runner, _ = typed
    assert runner.run("help pos").assert_ok().text == runner.run("help positions").text
