"""Every card fails on a broker with a small defect: a card that cannot fail says nothing."""

from __future__ import annotations

import pytest
from tests.contract import faulty as f
from tests.contract import faulty_more as g
from tests.contract.paper_venue import PaperUnderTest
from tests.contract.scripted_venue import ScriptedUnderTest

from tradeshell.testing.broker_contract import CARDS, BrokerUnderTest, Card, ContractBroken, play

# The defect that each card has to catch, around the paper venue or, where that cannot play the card, the scripted broker.
BITES: dict[str, type[f.Fault]] = {
    "B01": f.SaysUpTwice,
    "B02": f.KnowsNoAccount,
    "B03": f.TalksAfterTheEnd,
    "B04": f.ConnectsToNothing,
    "B05": f.DropsWithoutWhy,
    "B06": f.StaysAway,
    "B07": f.KeepsForLater,
    "B08": f.CallsAfterTheClose,
    "B09": f.CallsFromAThread,
    "B10": f.LogsNormalEvents,
    "B11": f.NumbersNothing,
    "B12": f.QualifiesAnything,
    "B13": f.QualifiesAnything,
    "B14": f.HoursOfTheUtcDay,
    "B15": f.KnowsNoHalfDays,
    "B16": f.NeverCloses,
    "B17": f.BeginsAtOne,
    "B18": f.ReconnectsAtOne,
    "B19": f.ReconnectsAtOne,
    "B20": f.Waits,
    "B21": f.ForgetsLimits,
    "B22": f.TellsCents,
    "B23": f.StopsAtOnce,
    "B24": f.ForgetsLimitsOfStops,
    "B25": f.CountsLastFill,
    "B26": f.OneIdForAnOrder,
    "B27": f.TellsLocalTime,
    "B28": f.CutsRefs,
    "B29": f.ForgetsPositions,
    "B30": f.ForgetsFees,
    "B31": f.CorrectionsAreNews,
    "B32": f.LosesTheWords,
    "B33": f.TakesAdviceForRefusal,
    "B34": g.BelievesItself,
    "B35": g.SendsTheRestAsTotal,
    "B36": g.BelievesItself,
    "B37": g.RefusedIsRefused,
    "B38": g.ErrorsEndOrders,
    "B39": g.CancelledIsUnfilled,
    "B40": g.RefusedIsRefused,
    "B41": g.ErrorsEndOrders,
    "B42": g.ErrorsEndOrders,
    "B43": g.DeadOrdersAreDead,
    "B44": g.TransmitsAtOnce,
    "B45": g.ForgetsParents,
    "B46": g.ChildrenStayHeld,
    "B47": g.ChildrenStayAlive,
    "B48": g.HidesReductions,
    "B49": g.ForgetsGroups,
    "B50": g.WorksAllNight,
    "B51": g.ForgetsWhatIsHeld,
    "B52": g.RemembersThePicture,
    "B53": g.HalfIsEnough,
    "B54": g.KnowsWhatItHeard,
    "B55": g.StampsTheEnd,
    "B56": g.BarsOfTwoPrices,
    "B57": g.BarsTwice,
    "B58": g.NewestFirst,
    "B59": g.WaitsForEver,
    "B60": g.RemembersTheTouch,
    "B61": g.NeverUnsubscribes,
    "B62": g.ZeroIsNoPrice,
    "B63": g.RemembersTheTouch,
    "B64": g.HasNoPatience,
    "B65": f.GoodForEver,
    "B66": f.SortsByHaste,
    "B67": g.KnowsWhatItHeard,
    "B68": g.AllHours,
}


def under_test(card: Card) -> BrokerUnderTest:
    """Return a broker that can play a card."""
    return PaperUnderTest() if card.needs <= PaperUnderTest.can else ScriptedUnderTest()


def test_every_card_has_a_defect_that_it_catches_and_a_number_of_its_own() -> None:
    assert list(BITES) == [card.id for card in CARDS]


@pytest.mark.parametrize("card", CARDS, ids=str)
def test_a_card_is_one_sentence_about_a_broker(card: Card) -> None:
    assert card.sentence.endswith(".")
    assert len(card.sentence) > 30


@pytest.mark.parametrize("card", CARDS, ids=str)
def test_a_card_holds_without_its_defect(card: Card) -> None:
    play(card, f.with_fault(under_test(card), f.Fault))


@pytest.mark.parametrize("card", CARDS, ids=str)
def test_a_card_catches_its_defect(card: Card) -> None:
    with pytest.raises(ContractBroken, match=f"^{card.id}: "):
        play(card, f.with_fault(under_test(card), BITES[card.id]))
