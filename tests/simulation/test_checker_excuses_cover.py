"""What the checker excuses about shares without a stop: each excuse with the day beside it on which it does not hold."""

from __future__ import annotations

from typing import Any

from tests.simulation.checker.builder import BRACKET, PLAN, Story
from tests.simulation.test_checker_sales import bust

ONE = {**PLAN, "qty": 60}


def holding(qty: int = 60) -> Story:
    """Return a story with shares and one stop over all of them."""
    story = Story({**PLAN, "qty": qty}).hold(qty)
    story.place("sl1", qty, stp="187", lmt="187")
    return story.wait(0.5)


def tick(story: Story, seconds: float, every: float = 2.0) -> Story:
    """Let time pass in a market that moves, so that rules look."""
    end = story.t + seconds
    while story.t < end - 1e-9:
        story.wait(min(every, end - story.t)).quote("189.99", "190.01")
    return story


SL1 = "ts:br-1:sl1:1"


# --- V16: a stop that we took away ------------------------------------------------------------------------------------


def test_a_stop_may_go_when_its_shares_are_to_be_sold() -> None:
    def cancelled(words: str = "", *, before: float = 1.0, symbol: str = "AAPL") -> set[str]:
        story = holding()
        if words == "typed":
            story.put("op", what="flatten", sym=symbol)
        elif words:
            told = {"symbol": symbol, "watch": "br-1", "leg": "sl1", "held": 60, "reason": ""}
            story.say("IncidentStepTaken", rung=words, **told)
        story.wait(before)
        story.cancel(SL1)
        return story.rules()

    assert "V16" not in cancelled("typed")
    assert "V16" not in cancelled("flatten")
    assert "V16" not in cancelled("emergency")
    assert "V16" in cancelled("")
    assert "V16" in cancelled("replacement")
    assert "V16" in cancelled("typed", before=31)
    assert "V16" in cancelled("typed", symbol="MSFT")
    assert "V16" in cancelled("flatten", symbol="MSFT")
    assert "V16" in cancelled("flatten", before=61)


def test_a_stop_that_somebody_once_moved_is_no_stop_to_be_taken_away() -> None:
    story = holding()
    story.state(SL1, "held", stp="186", lmt="186", left=60)
    story.wait(1)
    story.change(SL1, qty=40)
    assert "V16" in story.rules()


def test_a_stop_may_go_when_all_of_its_leg_was_sold_late() -> None:
    def gone(sold: int) -> set[str]:
        story = Story(ONE).hold(60)
        story.pair(1, 30)
        story.pair(2, 30)
        story.end("ts:br-1:sl2:1", "cancelled")
        story.place("sl2", 30, stp="187", lmt="187", generation=2)
        story.fill("ts:br-1:tp2:1", sold, px="198")
        story.end(SL1, "cancelled")
        story.wait(0.3)
        story.cancel("ts:br-1:sl2:2")
        return story.rules()

    assert "V16" not in gone(30)
    assert "V16" in gone(29)


def test_a_stop_may_go_when_its_trade_was_to_be_flat_by_now() -> None:
    def gone(flat_at: float) -> set[str]:
        story = Story({**ONE, "flat_at": flat_at}).hold(60)
        story.place("sl1", 60, stp="187", lmt="187")
        story.wait(0.5).cancel(SL1)
        return {v.rule for v in story.report().violations if v.rule == "V16"}

    now = holding().t
    assert gone(flat_at=now) == set()
    assert gone(flat_at=now + 60) == {"V16"}


def test_an_alarm_is_enough_when_the_venue_does_not_let_a_bracket_s_entry_end() -> None:
    def stuck(*, refused: bool) -> set[str]:
        story = Story({**BRACKET, "qty": 60})
        entry = story.entry(60)
        story.place("sl1", 60, parent=entry, **STOP)
        story.fill(entry, 10)
        story.end(SL1, "cancelled")
        if refused:
            story.put("cancel_asked", id=1, client=0, ref=entry)
            story.put("refuse", id=1, client=0, ref=entry, action="cancel", code=161, text="not now")
        return alarmed(story, 90).rules()

    assert "V03" not in stuck(refused=True)
    assert "V03" in stuck(refused=False)


def test_a_stop_may_go_whose_entry_was_refused_and_bought_all_the_same() -> None:
    def gone(*, refused: bool) -> set[str]:
        story = Story(ONE)
        entry = story.entry(60)
        story.place("sl1", 60, stp="187", lmt="187", parent=entry)
        if refused:
            story.put("refuse", id=1, client=0, ref=entry, action="kill", code=201, text="margin")
        story.fill(entry, 60)
        story.wait(0.5)
        story.cancel(SL1)
        return story.rules()

    assert "V16" not in gone(refused=True)
    assert "V16" in gone(refused=False)


def test_an_elected_stop_that_sells_is_no_stop_to_be_taken_away() -> None:
    story = holding()
    story.state(SL1, "working", elected=True, left=60)
    story.wait(1)
    story.cancel(SL1)
    assert "V16" in story.rules()


def test_what_a_cover_gives_up_a_stop_takes_over_at_once() -> None:
    def handed(after: float, *, has_faults: bool = False, sold: bool = False) -> set[str]:
        story = Story(ONE).hold(60)
        cover = story.place("cover", 60, stp="187")
        story.wait(0.5)
        story.cancel(cover)
        if sold:
            story.fill(story.place("tp1", 60, lmt="195"), 60, px="195")
        tick(story, after, 0.5)
        story.place("sl1", 60, **STOP)
        return {rule for rule in story.rules(has_faults=has_faults) if rule == "V16"}

    assert handed(1.0) == set()
    assert handed(3.0) == {"V16"}
    assert handed(3.0, has_faults=True) == set()
    assert handed(3.0, sold=True) == set()


def test_a_stop_may_go_that_the_venue_does_not_let_become_as_small_as_its_leg() -> None:
    def cancelled(*, wanted: int, refusals: int = 3) -> set[str]:
        story = Story({**PLAN, "qty": 90}).hold(90)
        story.pair(1, 60)
        story.pair(2, 30)
        story.state("ts:br-1:sl2:1", "cancelled")
        order = story.orders[SL1]
        for _ in range(refusals):
            told = {"symbol": "AAPL", "leg": "sl1", "order_ref": SL1, "side": "SELL", "type": "STP LMT"}
            story.say("OrderIntent", action="replace", qty=wanted, limit="187", stop="187", reason="", **told)
            story.put("refuse", id=order["id"], client=0, ref=SL1, action="modify", code=201, text="no")
            story.wait(1)
        story.cancel(SL1)
        return story.rules()

    assert "V16" not in cancelled(wanted=50)
    assert "V16" in cancelled(wanted=50, refusals=2)
    assert "V16" in cancelled(wanted=60)


def test_a_stop_may_be_asked_for_by_a_cancel_when_nobody_has_told_of_it() -> None:
    def asked(
        *, down: float = 1.5, of: float | None = -1.0, answered: bool = False, dies: bool = True
    ) -> set[str]:
        story = Story(ONE).hold(60)
        left = story.t
        story.place("sl1", 60, answered=answered, **STOP)
        if dies:
            story.kill(down)  # and a second until it is back
        else:
            story.wait(down + 1.0)
        if of is not None:
            seen = left + of
            story.put("snapshot", orders_as_of=seen, executions_as_of=seen, positions_as_of=seen)
        story.cancel(SL1)
        return story.rules()

    assert "V16" not in asked()
    assert "V16" in asked(down=0.5)  # its bytes may be on the way
    assert "V16" in asked(of=1.0)  # the picture shows it
    assert "V16" in asked(of=None)  # there is none yet
    assert "V16" in asked(answered=True)
    assert "V16" in asked(dies=False)  # on the connection on which it left its answer may come


def test_exits_shrink_at_once_after_a_foreign_sale_and_not_much_later() -> None:
    def shrunk(after: float) -> set[str]:
        story = Story().arm()
        story.foreign("SELL", 20)
        story.put("to_host", kind="position", sym="AAPL", qty=80)
        story.state("ts:br-1:sl2:1", "cancelled")
        story.wait(after)
        story.change("ts:br-1:sl1:1", qty=39)
        return story.rules()

    assert "V16" not in shrunk(1.0)
    assert "V16" in shrunk(6.0)


def test_a_stop_may_go_while_a_sale_is_not_told() -> None:
    def shrunk(*, told: bool) -> set[str]:
        story = Story({**PLAN, "qty": 90}).hold(90)
        story.pair(1, 60)
        story.pair(2, 30)
        story.fill("ts:br-1:tp2:1", 30, px="198", told=told)
        story.state("ts:br-1:sl2:1", "cancelled")
        story.state("ts:br-1:sl1:1", "held", left=60)
        story.change("ts:br-1:sl1:1", qty=50)
        return story.rules()

    assert "V16" not in shrunk(told=False)
    assert "V16" in shrunk(told=True)


# --- V03: a share without a stop --------------------------------------------------------------------------------------


def test_a_stop_that_is_elected_and_does_not_sell_gives_twenty_seconds() -> None:
    def waits(seconds: float, *, elected: bool) -> set[str]:
        story = holding()
        story.quote("186.50", "186.60")
        if elected:
            story.state(SL1, "working", elected=True, left=60)
        else:
            story.state(SL1, "cancelled")
            story.tell(SL1, "cancelled")
        for _ in range(int(seconds)):
            story.wait(1).quote("186.50", "186.60")
        return story.rules()

    assert "V03" not in waits(18, elected=True)
    assert "V03" in waits(26, elected=True)
    assert "V03" in waits(18, elected=False)


def test_pictures_that_are_never_answered_give_five_seconds_each_and_no_more_than_ten() -> None:
    def waits(seconds: float, *, silent: int) -> set[str]:
        story = Story(ONE).hold(60)
        for _ in range(silent):
            story.put("snapshot", orders_as_of=None, executions_as_of=None, positions_as_of=None)
        return tick(story, seconds).rules()

    assert "V03" not in waits(18, silent=1)
    assert "V03" not in waits(24, silent=1)
    assert "V03" in waits(27, silent=1)
    assert "V03" in waits(18, silent=0)


def test_a_stop_that_filled_while_nobody_listened_ended_silently_when_its_execution_was_taken_back() -> None:
    def waits(seconds: float, *, told: bool) -> set[str]:
        story = holding(60)
        exec_id = story.fill(SL1, 60, told=False)
        bust(story, exec_id, SL1, told=True)
        story.end(SL1, "filled", told=told)
        return tick(story, seconds).rules()

    assert "V03" not in waits(14, told=False)
    assert "V03" in waits(14, told=True)
    assert "V03" in waits(26, told=False)


def test_a_process_that_starts_anew_has_ten_seconds_more() -> None:
    def waits(seconds: float, *, dies: bool) -> set[str]:
        story = Story(ONE).hold(60)
        ref = story.place("sl1", 60, stp="187", lmt="187")
        story.put(
            "refuse", id=story.orders[ref]["id"], client=0, ref=ref, action="place", code=201, text="no"
        )
        story.end(ref, "refused")
        story.wait(1)
        if dies:
            story.kill()
        return tick(story, seconds).rules()

    assert "V03" not in waits(24, dies=True)
    assert "V03" in waits(24, dies=False)
    assert "V03" in waits(36, dies=True)


def alarmed(story: Story, seconds: float, every: float = 15.0) -> Story:
    """Let an alarm repeat."""
    end = story.t + seconds
    while story.t < end:
        story.wait(every)
        story.say("ProtectionAlarm", symbol="AAPL", watch="br-1", state="UNPROTECTED", held=60, protected=0)
        story.quote("189.99", "190.01")
    return story


def refuse(story: Story, leg: str, generation: int, *, kind: dict[str, Any]) -> None:
    """Let the venue refuse an exit."""
    ref = story.place(leg, 60, generation=generation, **kind)
    story.put("refuse", id=story.orders[ref]["id"], client=0, ref=ref, action="place", code=201, text="no")
    story.end(ref, "refused")


STOP: dict[str, Any] = {"stp": "187", "lmt": "187"}


def test_an_alarm_is_enough_when_the_symbol_is_frozen() -> None:
    def frozen(symbol: str) -> set[str]:
        story = Story(ONE).hold(60)
        story.say("SymbolFrozen", symbol=symbol, watch="br-1", reason="sold twice")
        return alarmed(story, 90).rules()

    assert "V03" not in frozen("AAPL")
    assert "V03" in frozen("MSFT")


def test_an_alarm_is_enough_when_the_venue_refuses_again_and_again() -> None:
    def refused(times: int) -> set[str]:
        story = Story(ONE).hold(60)
        for generation in range(1, times + 1):
            story.wait(1)
            refuse(story, "sl1", generation, kind=STOP)
        return alarmed(story, 90).rules()

    assert "V03" not in refused(3)
    assert "V03" in refused(2)


def test_an_alarm_is_enough_when_somebody_cancelled_the_stop_twice() -> None:
    def cut(times: int) -> set[str]:
        story = Story(ONE).hold(60)
        for generation in range(1, times + 1):
            ref = story.place("sl1", 60, generation=generation, **STOP)
            story.wait(1)
            story.state(ref, "cancelled")
            story.tell(ref, "cancelled")
        return alarmed(story, 90).rules()

    assert "V03" not in cut(2)
    assert "V03" in cut(1)


def test_a_stop_that_ends_because_its_target_sold_was_cut_by_nobody() -> None:
    def ended(*, sold: int) -> set[str]:
        story = Story({**PLAN, "qty": 90}).hold(90)
        for generation in (1, 2):
            story.pair(1, 30, generation=generation)
            if sold:
                story.fill(f"ts:br-1:tp1:{generation}", sold, px="195")
            ref = f"ts:br-1:sl1:{generation}"
            story.state(ref, "cancelled")
            story.tell(ref, "cancelled")
            story.state(f"ts:br-1:tp1:{generation}", "cancelled")
            story.tell(f"ts:br-1:tp1:{generation}", "cancelled")
        return alarmed(story, 90).rules()

    assert "V03" not in ended(sold=0)
    assert "V03" not in ended(sold=5)  # a target that sold a part only makes its stop smaller
    assert "V03" in ended(sold=30)


def test_on_a_live_account_shares_of_a_broken_trade_are_the_operators() -> None:
    def broken(*, busted: bool, live: bool = True) -> set[str]:
        story = Story(ONE).hold(60)
        story.pair(1, 60)
        exec_id = story.fill("ts:br-1:tp1:1", 60, px="195").removesuffix(".01") + ".02"
        story.end(SL1, "cancelled")
        if busted:
            back = {"id": 3, "ref": "ts:br-1:tp1:1", "exec_id": exec_id, "sym": "AAPL", "side": "SELL"}
            story.put("corrected", exec_id=exec_id, qty=0, px="195")
            story.put("to_host", kind="exec", px="195", qty=0, **back)
        else:
            story.fill(story.entry(60, generation=2), 60)
        return alarmed(story, 90).rules(is_paper=not live, flatten_live=True)

    assert "V03" not in broken(busted=True)
    assert "V03" in broken(busted=False)
    assert "V03" in broken(busted=True, live=False)


def test_the_alarm_must_repeat_although_the_link_was_down_once() -> None:
    def away(*, every: float, down: float) -> set[str]:
        story = Story(ONE).hold(60)
        story.drop(down).reconcile()
        alarmed(story, 120, every)
        return story.rules(is_paper=False)

    assert "V03" not in away(every=15, down=40)
    assert "V03" in away(every=60, down=5)


# --- V04: shares without a stop, over the day -------------------------------------------------------------------------


def test_what_an_alarm_answers_is_no_excuse_for_the_rest_of_the_day() -> None:
    def day(*, naked: int) -> set[str]:
        story = Story(ONE).hold(60)
        alarmed(story, 60)
        story.place("sl1", 60, **STOP)
        for generation in range(2, 2 + naked):  # never ten seconds at once, and always again
            story.wait(1).put("op", what="flatten", sym="AAPL")
            story.cancel(f"ts:br-1:sl1:{generation - 1}")
            tick(story, 9)
            story.place("sl1", 60, generation=generation, **STOP)
        return story.wait(1).rules(is_paper=False)

    assert day(naked=0) == set()
    assert "V04" in day(naked=5)


def test_a_stop_that_ended_in_silence_and_whose_successor_is_lost_takes_longer() -> None:
    def lost(*, again: bool) -> set[str]:
        story = holding()
        story.state(SL1, "cancelled")
        tick(story, 8)
        story.reconcile()
        story.wait(1).reconcile()
        if again:
            story.place("sl1", 60, generation=2, accepted=False, **STOP)
        return tick(story, 16).rules()

    assert "V03" not in lost(again=True)
    assert "V03" in lost(again=False)


def test_what_a_venue_cut_off_a_stop_whose_target_the_operator_made_smaller_is_his_on_a_live_account() -> (
    None
):
    def open_(*, is_paper: bool, typed: bool, resized: bool = True) -> set[str]:
        story = Story(ONE).hold(60)
        story.pair(1, 60)
        if typed:
            story.put("op", what="replace", ref="ts:br-1:tp1:1")
        story.change("ts:br-1:tp1:1", **({"qty": 30} if resized else {"lmt": "196"}))
        story.fill("ts:br-1:tp1:1", 2, px="195")
        story.orders[SL1]["qty"] = 56
        story.state(SL1, "held", left=56)
        story.tell(SL1, "held")
        for _ in range(3):
            tick(story, 5)
            story.say("ProtectionAlarm", symbol="AAPL", watch="br-1", state="PARTIAL", held=58, protected=56)
        return story.rules(is_paper=is_paper, flatten_live=True)

    assert "V03" not in open_(is_paper=False, typed=True)
    assert "V03" in open_(is_paper=True, typed=True)
    assert "V03" in open_(is_paper=False, typed=False)
    assert "V03" in open_(is_paper=False, typed=True, resized=False)
