from __future__ import annotations

from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from restock.analytics.suppliers import OrderedLine, censored_quantile, score_supplier

DAY = date(2024, 1, 1)
TODAY = date(2024, 2, 1)


def line(*receipts, promised=5, quantity=10.0, ended=False, cost=1.0, ordered=0):
    return OrderedLine(
        sku="A",
        ordered_on=DAY + timedelta(days=ordered),
        promised_on=None if promised is None else DAY + timedelta(days=promised),
        quantity_ordered=quantity,
        receipts=tuple((DAY + timedelta(days=day), amount) for day, amount in receipts),
        is_ended=ended,
        unit_cost=cost,
    )


def test_score_supplier_tells_kept_promises_from_broken_and_open_ones():
    card = score_supplier(
        [
            line((4, 10.0)),
            line((4, 6.0), (8, 4.0)),
            line((4, 6.0), ended=True),
            line(),
            line(promised=60),
            line((30, 10.0), promised=None),
        ],
        today=TODAY,
    )
    # In time and whole: the first. Late: the second. Short: the third. Overdue: the fourth. The others can't be judged.
    assert (card.n_lines, card.n_judged, card.on_time_in_full_share) == (6, 4, 0.25)
    assert card.n_open == 1
    assert card.mean_lateness_days == pytest.approx((-1 + 3) / 2)
    # Of those that have ended (the first three and the last), one came short.
    assert card.short_share == 0.25


def test_score_supplier_price_drift_compares_last_with_first():
    card = score_supplier([line(cost=2.0), line(cost=2.5, ordered=3), line(cost=2.2, ordered=9)], today=TODAY)
    assert card.price_drift_share == pytest.approx(0.1)


def test_censored_quantile_is_the_published_kaplan_meier_example():
    # Freireich et al. (1963), 6-mercaptopurine: weeks of remission, as every textbook of survival analysis has them.
    ended = [6, 6, 6, 7, 10, 13, 16, 22, 23]
    censored = [6, 9, 10, 11, 17, 19, 20, 25, 32, 32, 34, 35]
    durations = [(time, True) for time in ended] + [(time, False) for time in censored]
    assert censored_quantile(durations, 0.5) == 23.0
    assert censored_quantile(durations, 0.1) == 6.0
    assert censored_quantile(durations, 0.9) is None


@given(st.lists(st.integers(0, 60), min_size=1, max_size=40), st.sampled_from([0.1, 0.5, 0.9]))
def test_censored_quantile_without_censoring_is_the_empirical_one(durations, level):
    found = censored_quantile([(time, True) for time in durations], level)
    below = sum(time <= found for time in durations)
    before = sum(time < found for time in durations)
    assert below / len(durations) >= level - 1e-9
    assert before / len(durations) < level + 1e-9
