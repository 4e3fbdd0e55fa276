"""`probe` reads back what a gateway really does, whatever that is, leaves nothing behind, and trades nowhere it must not."""

from __future__ import annotations

import asyncio
import json
import random
import re
import signal
import socket
import subprocess
import sys
import tomllib
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import pytest
from tests.docs.pages import DOCS, ROOT, sections, tables
from tests.gateway.process import running_gateway
from tests.gateway.support import OPEN, on_virtual_time

from tradeshell import BrokerContext, OperatorError, Quote, VenueOptions
from tradeshell.engine.clock import LoopClock
from tradeshell_ibkr.broker import split_settings
from tradeshell_ibkr.probe.answers import Asked, Outcome, Row, read_answers, write_answers
from tradeshell_ibkr.probe.bench import Bench
from tradeshell_ibkr.probe.catalogue import QUESTIONS, TRIALS
from tradeshell_ibkr.probe.interview import Report, interview
from tradeshell_ibkr.probe.program import exit_code, keep, make_bench, parser
from tradeshell_ibkr.settings import LinkSettings
from tradeshell_paper.tws.actions import Actions
from tradeshell_paper.tws.gateway import Gateway
from tradeshell_paper.tws.switches import changed

SYMBOL = "AAPL"
TOUCH_EVERY = 15  # seconds: a new touch, with one share on each side
CLIENT = 107


def thin_market(start: datetime = OPEN, minutes: int = 90, size: int = 1) -> list[Quote]:
    """Return touches that let one share through at a time, so that two are filled in parts."""
    return [
        Quote(
            symbol=SYMBOL,
            at=start + timedelta(seconds=TOUCH_EVERY * n),
            bid=Decimal("190.00") + Decimal(n % 2) / 100,
            ask=Decimal("190.03") + Decimal(n % 2) / 100,
            bid_size=size,
            ask_size=size,
        )
        for n in range(minutes * 60 // TOUCH_EVERY)
    ]


def probed(
    folder: Path,
    *,
    only: tuple[str, ...] = (),
    before: Callable[[Gateway], None] = lambda _: None,
    during: Callable[[Bench, Gateway, asyncio.Task[Report]], Awaitable[None]] | None = None,
    at: float = 5.0,
    **settings: Any,
) -> tuple[Report, Gateway]:
    """Probe a gateway with these settings ``at`` seconds after its market's begin."""
    reports: list[Report] = []

    async def story(gateway: Gateway) -> None:
        await asyncio.sleep(at)
        before(gateway)
        loop = asyncio.get_running_loop()
        context = BrokerContext(
            emit=lambda _: None,
            clock=LoopClock(loop),  # type: ignore[arg-type]  # the loop of these tests is a venue's
            venue_clock=None,
            options=VenueOptions(),
            settings={},
            state_dir=folder,
        )
        bench = make_bench(context, LinkSettings(client_id=CLIENT), split_settings({})[1])
        try:
            await bench.connection.connect()
            task = asyncio.ensure_future(interview(bench, SYMBOL, only))
            if during is not None:
                await during(bench, gateway, task)
            reports.append(await task)
        finally:
            bench.data.close()
            bench.connection.close()
            await asyncio.sleep(0.1)

    market = {"script": thin_market(), "exchange": {"partial": True}}
    gateway = on_virtual_time(story, start=None, **(market | settings))
    assert gateway.house.defects == []
    return reports[0], gateway


def answers(report: Report) -> dict[str, str]:
    return {row.name: row.value for row in report.rows if row.outcome is Outcome.ANSWERED}


def left_behind(gateway: Gateway) -> list[str]:
    alive = [f"order {record.number}" for record in gateway.news.records.values() if not record.is_over]
    held = [
        f"{p.qty} {p.symbol}" for v in gateway.house.venues.values() for p in v.exchange.positions() if p.qty
    ]
    return alive + held


# --- what a gateway does is read back ---------------------------------------------------------------------------------


def drawn(seed: int) -> tuple[dict[str, Any], dict[str, Any], dict[str, str], dict[str, float]]:
    """Return rules of the exchange, switches, and the answers that they mean: words, and seconds."""
    chance = random.Random(seed)

    def coin() -> bool:
        return chance.random() < 0.5

    words: dict[str, str] = {"children_partial": "wait"}
    exchange: dict[str, Any] = {"partial": True}
    for key in ("oca_shows", "oca_join", "partial_parent", "reduced_to_filled"):
        exchange[key] = words[key] = chance.choice(sorted(set(QUESTIONS[key].answers) & VALUES[key]))
    exchange["oca_cancel_spreads"] = coin()
    words["oca_cancel_spreads"] = "spreads" if exchange["oca_cancel_spreads"] else "alone"
    exchange["oca_restores"] = coin()
    words["oca_restores"] = "restored" if exchange["oca_restores"] else "kept"

    switches: dict[str, Any] = {"refuse": []}
    lags = dict.fromkeys(("ack_delay", "open_orders_age", "position_lag", "commission_delay"), 0.0)
    for question, switch in {
        "ids_must_rise": "ids_must_rise",
        "id_reuse": "refused_ids_again",
        "pending_cancel": "pending_cancel",
        "status_repeats": "repeat_status",
        "unsolicited_completed": "unsolicited_completed",
    }.items():
        switches[switch] = coin()
        words[question] = "yes" if switches[switch] else "no"
    switches["tif_preset"] = coin()
    words["tif_preset"] = "told" if switches["tif_preset"] else "silent"
    switches["flash_presubmitted"] = coin()
    words["status_flash"] = "yes" if switches["flash_presubmitted"] else "no"
    if not switches["flash_presubmitted"]:  # a flash is the acknowledgement itself
        switches["ack_delay"] = lags["ack_delay"] = chance.choice((0.0, 0.5, 1.5, 4.0))
    switches["open_orders_age"] = lags["open_orders_age"] = chance.choice((0.0, 1.0, 3.0, 7.0))
    switches["position_delay"] = lags["position_lag"] = chance.choice((0.0, 0.5, 2.0, 5.0))
    switches["commission"] = words["commission"] = chance.choice(("after", "before", "never"))
    if switches["commission"] == "after":
        switches["commission_delay"] = lags["commission_delay"] = chance.choice((0.0, 1.0, 4.0))
    if switches["commission"] == "never":
        del lags["commission_delay"]
    switches["filled_first"] = coin()
    words["fill_order"] = "status first" if switches["filled_first"] else "execution first"
    # An acknowledgement that is late comes behind the execution as well; of a flash only the first half does.
    switches["execution_first"] = coin()
    comes_late = switches.get("ack_delay", 0.0) > 0 or (
        switches["execution_first"] and not switches["flash_presubmitted"]
    )
    words["first_word"] = "execution" if comes_late else "status"
    switches["filled_cancel"] = chance.choice((10148, 161))
    words["filled_cancel"] = str(switches["filled_cancel"])
    switches["stop_outside_rth"] = words["stop_outside_rth"] = chance.choice(("taken", "ignored", "refused"))
    if coin():
        switches["skip_status"] = ["Cancelled"]
    words["cancel_words"] = "202 only" if "skip_status" in switches else "status first"
    if coin():
        switches["withhold"] = [55]
    words["executions_end"] = "missing" if "withhold" in switches else "told"
    switches["ignore"] = [99] if coin() else []
    words["completed"] = "unanswered" if switches["ignore"] else "listed"
    for question, rule, refused, taken in (
        ("oca_change", {"action": "modify", "ref": ":oca:", "code": 10326}, "refused", "taken"),
        ("gtd", {"ref": ":gtd:", "code": 201}, "refused", "ends"),
        (
            "stop_reached",
            {"ref": ":reached:", "type": "STP", "code": 201, "accepted": True},
            "refused",
            "sells",
        ),
    ):
        is_refused = coin()
        switches["refuse"] += [rule] if is_refused else []
        words[question] = refused if is_refused else taken
    return exchange, switches, words, lags


VALUES = {
    "oca_shows": {"total", "remaining"},
    "oca_join": {"as_sent", "capped", "refused"},
    "partial_parent": {"cancel", "hold"},
    "reduced_to_filled": {"cancelled", "filled"},
}


@pytest.mark.parametrize("seed", range(20))
def test_what_a_gateway_does_is_read_back(seed: int, tmp_path: Path) -> None:
    exchange, switches, words, lags = drawn(seed)
    report, gateway = probed(tmp_path, exchange=exchange, switches=switches)
    rows = {row.name: row for row in report.rows}
    assert set(rows) == set(QUESTIONS)
    found = answers(report)
    assert {name: found.get(name, rows[name]) for name in words} == words
    for name, lag in lags.items():
        assert abs(float(found[name]) - lag) < 0.5, rows[name]
    assert set(words) | set(lags) | {"commission_delay"} == set(QUESTIONS)
    assert (report.remains, report.stopped) == ((), "")
    assert left_behind(gateway) == []


def test_two_shares_that_fill_in_one_moment_leave_the_questions_about_parts_open(tmp_path: Path) -> None:
    report, gateway = probed(tmp_path, script=thin_market(size=500))
    open_ = {row.name for row in report.rows if row.outcome is Outcome.NOT_HERE}
    assert open_ == {q.name for q in QUESTIONS.values() if q.shares == 2}
    assert all(row.seen for row in report.rows)
    assert not [row for row in report.rows if row.outcome is Outcome.FAILED]
    assert sum(b.view.shares for b in gateway.news.executions.values()) <= 12  # it does not go on trying
    assert left_behind(gateway) == []


def test_one_question_asks_with_its_own_orders_only(tmp_path: Path) -> None:
    report, gateway = probed(tmp_path, only=("oca_cancel_spreads",))
    assert [row.name for row in report.rows] == ["oca_change", "oca_cancel_spreads"]
    assert len(gateway.news.records) == 2


def test_every_order_is_for_two_shares_at_most_and_good_for_the_day(tmp_path: Path) -> None:
    _, gateway = probed(tmp_path)
    orders = [record.order for record in gateway.news.records.values()]
    assert max(order.quantity for order in orders) == 2
    assert {order.tif for order in orders} <= {"DAY", "GTD", ""}
    assert all(order.order_ref.startswith("probe:") for order in orders)


# --- who is not asked -------------------------------------------------------------------------------------------------


def refused(folder: Path, **settings: Any) -> str:
    with pytest.raises(OperatorError) as caught:
        probed(folder, **settings)
    return str(caught.value)


def by_hand(gateway: Gateway, side: str, kind: str, limit: float | None = None) -> None:
    actions = Actions(gateway, asyncio.sleep, lambda: None)  # type: ignore[arg-type]  # no port is opened here
    actions.do("manual", {"side": side, "symbol": SYMBOL, "qty": 3, "kind": kind, "limit": limit})


def test_a_symbol_with_a_position_is_refused_before_anything_is_placed(tmp_path: Path) -> None:
    words = refused(
        tmp_path, before=lambda g: by_hand(g, "BUY", "MKT"), at=20.0, script=thin_market(size=500)
    )
    assert "AAPL has 3 shares" in words


def test_a_symbol_with_somebodys_order_is_refused_before_anything_is_placed(tmp_path: Path) -> None:
    words = refused(tmp_path, before=lambda g: by_hand(g, "BUY", "LMT", 150.0))
    assert "AAPL has an order of client 0 (BUY 3)" in words


def test_without_live_data_nothing_is_placed(tmp_path: Path) -> None:
    seen: list[Gateway] = []
    words = refused(tmp_path, before=seen.append, switches={"market_data": "refused"})
    assert "no touch of AAPL" in words
    assert not seen[0].news.records


def test_a_live_account_is_not_asked(tmp_path: Path) -> None:
    async def turn_live(bench: Bench, gateway: Gateway, task: asyncio.Task[Report]) -> None:
        bench.connection.account = "U1234567"

    assert "is live" in refused(tmp_path, during=turn_live)


def test_what_needs_executions_is_not_asked_when_the_market_is_about_to_close(tmp_path: Path) -> None:
    evening = OPEN + timedelta(hours=6, minutes=25)
    market = thin_market(evening)
    assert "the market closes within ten minutes" in refused(tmp_path, only=("commission",), script=market)
    report, gateway = probed(tmp_path, only=("commission", "id_reuse"), script=market)
    assert answers(report) == {"id_reuse": "yes"}
    assert {row.seen for row in report.rows if row.outcome is Outcome.NOT_HERE} == {
        "the market closes within ten minutes"
    }
    assert not gateway.news.executions


# --- what is left behind ----------------------------------------------------------------------------------------------


async def trial_begins(bench: Bench, name: str, executions: int = 0) -> None:
    """Wait until a trial has its orders out, and so many of its executions."""
    while bench.trial != name or sum(s.kind == "execution" for s in bench.tape.said) < executions:
        await bench.pause(0.01)
    await bench.pause(0.05)


@pytest.mark.parametrize("trial, executions", [("resting", 0), ("reached", 1), ("family", 1), ("joining", 3)])
def test_an_interruption_cleans_up_first(trial: str, executions: int, tmp_path: Path) -> None:
    async def interrupt(bench: Bench, gateway: Gateway, task: asyncio.Task[Report]) -> None:
        await trial_begins(bench, trial, executions)
        assert left_behind(gateway)
        task.cancel()

    name = next(t for t in TRIALS if t.name == trial).questions[0].name
    report, gateway = probed(tmp_path, only=(name,), during=interrupt)
    assert (report.stopped, report.remains, exit_code(report)) == ("interrupted", (), 130)
    assert left_behind(gateway) == []
    assert {row.outcome for row in report.rows} == {Outcome.FAILED}


@pytest.mark.parametrize("trial, executions", [("resting", 0), ("reached", 1), ("family", 1), ("joining", 3)])
def test_after_a_lost_link_it_comes_back_and_cleans_up(trial: str, executions: int, tmp_path: Path) -> None:
    async def cut(bench: Bench, gateway: Gateway, task: asyncio.Task[Report]) -> None:
        await trial_begins(bench, trial, executions)
        assert left_behind(gateway)
        for session in tuple(gateway.sessions):
            session.abort()

    name = next(t for t in TRIALS if t.name == trial).questions[0].name
    report, gateway = probed(tmp_path, only=(name, "tif_preset"), during=cut)
    assert (report.stopped, report.remains) == ("", ())
    assert left_behind(gateway) == []
    assert answers(report)["tif_preset"] == "silent"  # it goes on


@pytest.mark.parametrize("fate", ["accepted", "lost"])
@pytest.mark.parametrize("lag", [0.0, 5.0])
def test_a_sale_whose_fate_is_unknown_is_not_sent_twice(fate: str, lag: float, tmp_path: Path) -> None:
    async def lose_the_sale(bench: Bench, gateway: Gateway, task: asyncio.Task[Report]) -> None:
        await trial_begins(bench, "fill", 1)
        gateway.house.switches = changed(gateway.house.switches, "lose_place", fate)

    report, gateway = probed(
        tmp_path, only=("commission",), during=lose_the_sale, switches={"position_delay": lag}
    )
    assert report.remains == ()
    assert left_behind(gateway) == []
    assert [b.view.side for b in gateway.news.executions.values()] == ["BOT", "SLD"]


def test_executions_that_are_not_told_are_asked_for(tmp_path: Path) -> None:
    report, gateway = probed(tmp_path, only=("commission",), switches={"execution_delay": 600.0})
    assert report.rows[0].outcome is Outcome.NOT_HERE
    assert report.remains == ()
    assert left_behind(gateway) == []
    assert [b.view.side for b in gateway.news.executions.values()] == ["BOT", "SLD"]


def test_what_cannot_be_cleaned_up_is_named(tmp_path: Path) -> None:
    async def vanish(bench: Bench, gateway: Gateway, task: asyncio.Task[Report]) -> None:
        await trial_begins(bench, "reached", 1)
        asyncio.get_running_loop().gateway = None  # type: ignore[attr-defined]  # nobody listens any more
        for session in tuple(gateway.sessions):
            session.abort()

    report, _ = probed(tmp_path, only=("stop_reached", "oca_shows"), during=vanish)
    assert report.stopped
    assert "1 AAPL shares" in report.remains
    assert exit_code(report) == 1
    assert report.rows[-1].outcome is Outcome.FAILED  # the trial after it was not begun


def test_a_cancel_that_comes_too_late_leaves_no_share(tmp_path: Path) -> None:
    report, gateway = probed(tmp_path, only=("gtd",), switches={"cancel_race": 1, "refuse": []})
    assert report.remains == ()
    assert left_behind(gateway) == []


# --- the file and the lines -------------------------------------------------------------------------------------------

ASKED = Asked(at=OPEN, account="DU…0001", server_version=178, symbol=SYMBOL)
TOTAL = Row(
    name="oca_shows", outcome=Outcome.ANSWERED, default="total", value="remaining", differs=True, seen='"2"'
)


def test_the_answers_stand_beside_the_defaults_in_the_file(tmp_path: Path) -> None:
    report, _ = probed(tmp_path, only=("oca_shows",), exchange={"partial": True, "oca_shows": "remaining"})
    found = tomllib.loads(keep(tmp_path, report).read_text(encoding="utf-8"))
    assert (found["account"], found["server_version"], found["symbol"]) == ("DU…0001", 178, SYMBOL)
    table = found["answers"]["oca_shows"]
    assert (table["value"], table["default"], table["differs"]) == ("remaining", "total", True)
    (row,) = report.rows
    assert (
        row.difference()
        == f"oca_shows: remaining, where total is counted on · {QUESTIONS['oca_shows'].rests}"
    )


def test_an_answer_stays_when_it_is_not_found_again() -> None:
    text = write_answers(ASKED, [TOTAL], {})
    gone = msgspec.structs.replace(
        TOTAL, outcome=Outcome.NOT_HERE, value="", seen="two shares filled at once"
    )
    again = tomllib.loads(write_answers(ASKED, [gone], read_answers(text, ASKED.account)))
    assert again["answers"]["oca_shows"]["value"] == "remaining"
    assert again["answers"]["oca_shows"]["seen"] == '"2"'


def test_answers_of_another_account_are_put_aside(tmp_path: Path) -> None:
    (tmp_path / "probe.toml").write_text(
        write_answers(msgspec.structs.replace(ASKED, account="DU…9999"), [TOTAL], {}), encoding="utf-8"
    )
    keep(tmp_path, Report(asked=ASKED, rows=()))
    assert "answers" not in tomllib.loads((tmp_path / "probe.toml").read_text(encoding="utf-8"))
    assert "DU…9999" in (tmp_path / "probe.toml.1").read_text(encoding="utf-8")


@pytest.mark.parametrize("text", ["", "answers = 3", "[answers", 'account = "DU…0001"\nanswers = {a = 1}'])
def test_a_file_that_makes_no_sense_counts_as_none(text: str) -> None:
    assert read_answers(text, ASKED.account) == {}


# --- the documentation ------------------------------------------------------------------------------------------------


def test_every_question_is_documented_with_its_default() -> None:
    table = tables(sections(DOCS / "ibkr.md")["Probe"])[1]
    said = [(r["question"], r["asks"], r["counted on"], r["what rests on it"], r["shares"]) for r in table]
    assert said == [
        (q.name, q.asks, q.default, q.rests, str(q.shares) if q.shares else "–") for q in QUESTIONS.values()
    ]


def test_every_word_of_the_command_line_is_documented() -> None:
    table = tables(sections(DOCS / "ibkr.md")["Probe"])[0]
    options = {o for action in parser()._actions for o in action.option_strings if o.startswith("--")}
    assert {row["word"].split()[0] for row in table} == options - {"--help"}


def test_every_question_says_what_each_answer_means_and_which_is_counted_on() -> None:
    for question in QUESTIONS.values():
        assert question.asks.endswith("?")
        assert question.how
        assert question.rests
        assert (question.limit is None) == bool(question.answers)
        assert question.limit is not None or question.default in question.answers


def test_what_rests_on_an_answer_is_in_a_module_that_there_is() -> None:
    for question in QUESTIONS.values():
        for name in re.findall(r"[a-z/_]+\.py", question.rests):
            room, _, module = name.rpartition("/")
            folders = {"core": "host/tradeshell/core", "": "plugins/ibkr/tradeshell_ibkr"}
            folder = folders.get(room, f"plugins/{room}/tradeshell_{room}")
            assert (ROOT / folder / module).is_file(), question.name


def test_what_is_not_verified_names_a_question_of_the_probe_or_says_that_there_is_none() -> None:
    (table,) = tables(sections(DOCS / "orders.md")["Not verified on a real account"])
    named = {name for row in table for name in row["probe"].split(", ")} - {"–"}
    assert named <= set(QUESTIONS)
    assert named >= {"oca_shows", "oca_join", "oca_restores", "partial_parent", "reduced_to_filled"}


# --- over a socket ----------------------------------------------------------------------------------------------------


def words_of(port: int, folder: Path, *words: str) -> list[str]:
    start = [sys.executable, "-m", "tradeshell", "--state-dir", str(folder / "state"), "probe"]
    return [*start, "--port", str(port), "--symbol", SYMBOL, *words]


def test_the_program_asks_over_a_socket_and_keeps_what_it_heard(tmp_path: Path) -> None:
    scenario = tmp_path / "scenario.toml"
    scenario.write_text("[exchange]\noca_cancel_spreads = false\n", encoding="utf-8")
    with running_gateway(tmp_path / "gateway", "--scenario", str(scenario)) as gateway:
        done = subprocess.run(
            words_of(gateway.port, tmp_path, "--only", "oca_cancel_spreads", "--json"),
            capture_output=True,
            text=True,
            timeout=50,
            check=False,
        )
    assert (done.returncode, done.stderr) == (0, "")
    said = json.loads(done.stdout)
    assert {row["name"]: row["value"] for row in said["rows"]} == {
        "oca_change": "taken",
        "oca_cancel_spreads": "alone",
    }
    assert said["remains"] == []
    found = tomllib.loads((tmp_path / "state" / "probe" / "probe.toml").read_text(encoding="utf-8"))
    assert found["answers"]["oca_cancel_spreads"]["differs"] is True


def test_ctrl_c_cancels_what_was_placed(tmp_path: Path) -> None:
    with (
        running_gateway(tmp_path / "gateway", "--control", "0") as gateway,
        socket.create_connection(("127.0.0.1", gateway.control)) as line,
    ):
        stream = line.makefile("rw", encoding="utf-8", newline="\n")

        def orders() -> list[dict[str, Any]]:
            stream.write("show\n")
            stream.flush()
            found: list[dict[str, Any]] = json.loads(stream.readline().removeprefix("ok "))["orders"]
            return found

        program = subprocess.Popen(
            words_of(gateway.port, tmp_path, "--only", "gtd"), stdout=subprocess.PIPE, text=True
        )
        while not orders():
            assert program.poll() is None, program.communicate()
        program.send_signal(signal.SIGINT)
        said, _ = program.communicate(timeout=40)
        assert program.returncode == 130
        assert "not everything was asked: interrupted" in said
        assert "REMAINS" not in said
        assert [order["over"] for order in orders()] == [True]


def test_the_list_of_questions_needs_no_gateway(tmp_path: Path) -> None:
    done = subprocess.run(
        words_of(1, tmp_path, "--list"), capture_output=True, text=True, timeout=30, check=False
    )
    assert done.returncode == 0
    assert all(f"{name}: {question.asks}" in done.stdout for name, question in QUESTIONS.items())
