"""What the checker grants schedules over the wire: whole seconds, and words that come late; and nothing beside it."""

from __future__ import annotations

from tests.simulation.checker.builder import PLAN, Story
from tests.simulation.checker.model import Stock


def test_what_happened_within_a_second_cannot_be_told_apart_where_times_are_told_in_seconds() -> None:
    def covered(*, grain: float, pause: float) -> set[str]:
        story = Story()
        story.t = 10.2
        story.foreign("SELL", 20, told=True)  # short, by themselves, or after our purchase
        story.wait(pause)
        story.hold()
        story.pair(1, 80)
        story.wait(2)
        story.foreign("BUY", 20, told=True)
        story.wait(30).quote("189.99", "190.01")
        return story.rules(grain=grain)

    assert "V03" not in covered(grain=1.0, pause=0.3)
    assert "V03" in covered(grain=0.0, pause=0.3)
    assert "V03" in covered(grain=1.0, pause=1.3)


def test_our_sale_of_a_second_in_which_others_sold_may_have_come_first() -> None:
    def held(*, sold_at: float) -> int:
        stock = Stock("AAPL", 0)
        stock.own = 60
        stock.others(-60, 20.0)
        stock.own -= 40
        stock.sold_first(sold_at)
        assert stock.position == -40
        return stock.inventory

    assert held(sold_at=20.0) == 0  # they took 20 of ours, and are short of 40
    assert held(sold_at=21.0) == -40


def test_a_stop_that_was_called_alive_after_its_end_is_replaced_when_pictures_have_taken_that_back() -> None:
    def open_for(seconds: float, *, alive: bool) -> set[str]:
        story = Story({**PLAN, "qty": 60}).hold(60)
        stop = story.place("sl1", 60, stp="187", lmt="187")
        story.wait(1)
        story.state(stop, "refused")
        story.tell(stop, "refused")
        story.wait(0.5)
        if alive:
            story.tell(stop, "held")
        story.wait(seconds)
        story.place("sl1", 60, stp="187", lmt="187", generation=2)
        return story.rules()

    assert "V03" not in open_for(12, alive=True)
    assert "V03" in open_for(12, alive=False)
    assert "V03" in open_for(22, alive=True)
