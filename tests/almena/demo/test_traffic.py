from __future__ import annotations

import pytest

from almena.demo.cast import Cast, rng
from almena.demo.settings import SOURCES
from almena.demo.simulation import WARM_UP
from almena.demo.traffic import FILLERS, REGULARS, Activity

ACTIVITIES = [activity for activity, _ in (*FILLERS, *REGULARS)]


@pytest.mark.parametrize("activity", ACTIVITIES, ids=lambda activity: activity.__name__)
def test_an_activity_begins_at_once_ends_soon_and_repeats_itself(activity: Activity) -> None:
    cast = Cast(5)
    for number in range(50):
        drafts = activity(rng(activity.__name__, number), cast)
        assert drafts == activity(rng(activity.__name__, number), cast)
        assert min(draft.after for draft in drafts) == 0
        assert all(draft.after >= 0 for draft in drafts)
        assert {draft.source for draft in drafts} <= set(SOURCES)
    usual = sorted(max(draft.after for draft in activity(rng(number), cast)) for number in range(100))
    assert usual[90] * 1_000_000 <= 1.5 * WARM_UP


def test_shares_are_shares() -> None:
    assert sum(share for _, share in FILLERS) == pytest.approx(1.0)


def test_what_officials_do_never_has_one_hand_in_both_steps_of_a_refund() -> None:
    (refund,) = [activity for activity, _ in REGULARS if activity.__name__ == "refund"]
    for number in range(200):
        for draft in refund(rng(number), Cast(5)):
            assert isinstance(draft.body, dict)
            hands = draft.body.get("almena.payment.captured_by"), draft.body.get("almena.payment.approved_by")
            assert hands == (None, None) or hands[0] != hands[1]
