from __future__ import annotations

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from restock.operations.erp.merging import find_conflicts, merge

NOON = datetime(2024, 5, 1, 12, tzinfo=UTC)
LAST = {"name": "Cola", "unit": "piece"}


def combine(theirs, ours, *, last=LAST, minutes=0):
    return merge(
        {**LAST, **theirs},
        {**LAST, **ours},
        last_theirs=last,
        last_ours=last,
        their_time=NOON,
        our_time=NOON + timedelta(minutes=minutes),
    )


def test_merge_only_they_changed_is_taken_over():
    merged = combine({"name": "Theirs"}, {})
    assert (merged.changes, merged.lost) == ({"name": "Theirs"}, {})


def test_merge_only_we_changed_is_still_to_go_out():
    merged = combine({}, {"name": "Ours"})
    assert (merged.changes, merged.lost, merged.agreed["name"]) == ({}, {}, "Cola")


def test_merge_both_changed_to_the_same_is_no_conflict():
    assert combine({"name": "New"}, {"name": "New"}).lost == {}


def test_merge_both_changed_and_ours_is_later_keeps_ours_and_sends_it():
    merged = combine({"name": "Theirs"}, {"name": "Ours"}, minutes=1)
    assert (merged.changes, merged.lost, merged.is_ours_kept) == ({}, {"name": "Theirs"}, True)
    assert merged.agreed["name"] == "Cola"


def test_merge_both_changed_and_theirs_is_later_or_as_late_takes_theirs():
    merged = combine({"name": "Theirs"}, {"name": "Ours"})
    assert (merged.changes, merged.lost, merged.is_ours_kept) == ({"name": "Theirs"}, {"name": "Ours"}, False)


def test_merge_first_meeting_compares_every_field():
    assert find_conflicts({"name": "A", "unit": "kg"}, {"name": "B", "unit": "kg"}, last_theirs={}, last_ours={}) == {
        "name"
    }


CONTENT = st.fixed_dictionaries({"a": st.integers(0, 2), "b": st.integers(0, 2)})


@given(theirs=CONTENT, ours=CONTENT, last=CONTENT, minutes=st.integers(-1, 1))
def test_merge_loses_nothing_that_only_one_side_changed(theirs, ours, last, minutes):
    merged = merge(
        theirs, ours, last_theirs=last, last_ours=last, their_time=NOON, our_time=NOON + timedelta(minutes=minutes)
    )
    after = {**ours, **merged.changes}
    agreed = {**after, **merged.agreed}
    for name in last:
        if ours[name] == last[name]:
            assert after[name] == theirs[name]
        if theirs[name] == last[name]:
            assert after[name] == ours[name]
        # What is not theirs goes out.
        if after[name] != theirs[name]:
            assert agreed[name] != after[name]
        # What was given up is kept.
        assert name not in merged.lost or merged.lost[name] in (theirs[name], ours[name])
