"""Silences with known truth: how many are found, how often rightly, and whether probabilities mean what they say."""

from __future__ import annotations

import numpy as np

from restock.forecasting.silences import RETURN_RATE, find_silences
from restock.forecasting.usual_demand import find_usual_demand

N_SERIES, N_PERIODS = 400, 365


def shelves(*, stockout_rate, seed=5, mean=(0.2, 8.0)):
    """Negative binomial sales at levels that wander, with weekdays, stock that vanishes unflagged, and where it had."""
    rng = np.random.default_rng(seed)
    week = np.array([1.0, 0.8, 0.9, 1.0, 1.5, 1.8, 0.0])
    level = np.exp(rng.uniform(*np.log(mean), (N_SERIES, 1)))
    wander = np.zeros((N_SERIES, N_PERIODS))
    wander[:, 0] = 0.35 * rng.standard_normal(N_SERIES)
    for t in range(1, N_PERIODS):
        wander[:, t] = 0.98 * wander[:, t - 1] + 0.35 * (1 - 0.98**2) ** 0.5 * rng.standard_normal(N_SERIES)
    level = level * np.exp(wander)
    demand = rng.poisson(level * week[np.arange(N_PERIODS) % 7] * rng.gamma(8, 1 / 8, (N_SERIES, N_PERIODS)))
    is_out = np.zeros((N_SERIES, N_PERIODS), dtype=bool)
    for t in range(1, N_PERIODS):
        stays = rng.random(N_SERIES) >= RETURN_RATE
        is_out[:, t] = np.where(is_out[:, t - 1], stays, rng.random(N_SERIES) < stockout_rate)
    return np.where(is_out, 0, demand).astype(float), is_out, demand


def test_find_silences_finds_stockouts_that_cost_sales_and_few_others():
    sold, is_out, demand = shelves(stockout_rate=0.0005)
    found = probabilities_of(sold)
    lost = demand * is_out
    for name, least_units in (("so_far", 0.15), ("in_hindsight", 0.30)):
        is_found = getattr(found, name) >= 0.7
        assert is_out[is_found].mean() >= 0.9, name
        assert lost[is_found].sum() / lost.sum() >= least_units, name


def test_find_silences_gives_probabilities_that_come_true_at_least_as_often():
    sold, is_out, _ = shelves(stockout_rate=0.0005)
    found = probabilities_of(sold)
    is_silent = (sold == 0) & (np.arange(N_PERIODS) >= 56)
    for probability in (found.so_far[is_silent], found.in_hindsight[is_silent]):
        observed = []
        for low, high in ((0.0, 0.1), (0.1, 0.3), (0.3, 0.6), (0.6, 1.01)):
            rows = (probability >= low) & (probability < high)
            observed.append(is_out[is_silent][rows].mean())
            # Cautious: a rate that may have wandered explains more than these do.
            assert observed[-1] >= probability[rows].mean() - 0.05, (low, high)
        assert observed[0] < 0.05
        assert observed == sorted(observed)


def test_find_silences_where_stock_never_vanishes_finds_next_to_nothing():
    sold, _, _ = shelves(stockout_rate=0.0)
    found = probabilities_of(sold)
    assert (found.so_far >= 0.7).mean() < 0.0002
    assert (found.in_hindsight >= 0.7).mean() < 0.0002


def test_find_silences_tells_nothing_from_days_that_are_no_evidence_or_usually_without_sales():
    sold = np.tile([[4.0, 5.0, 3.0, 4.0, 6.0, 5.0, 0.0]], (1, 20))
    ones, days = np.ones(sold.shape), np.arange(sold.shape[1])
    usual = find_usual_demand(sold, exposure=ones, is_promoted=np.zeros(sold.shape, bool), season_positions=days % 7)
    found = find_silences(sold, exposure=ones, is_evidence=np.ones(sold.shape, bool), usual=usual, period_days=1)
    # Closed on Sundays: after some weeks that is no news.
    assert found.so_far[0, 70:].max() < 0.1
    closed = sold.copy()
    closed[0, 99:104] = 0
    evidence = np.ones(sold.shape, dtype=bool)
    with_evidence, without = (
        find_silences(closed, exposure=ones, is_evidence=is_evidence, usual=usual, period_days=1).so_far[0, 103]
        for is_evidence in (evidence, evidence & ((days < 99) | (days > 103)))
    )
    assert with_evidence > 10 * without


def test_find_silences_gives_up_on_a_series_that_never_comes_back():
    sold = np.full((1, 400), 3.0)
    sold[0, 100:] = 0
    found = probabilities_of(sold)
    assert found.so_far[0, 112] > 0.7
    assert found.so_far[0, 399] < 0.1


def test_find_silences_of_a_history_of_any_length_are_those_of_its_end():
    # Sales of 40 years, each day 1 to 5, with a gap of 30 days near the end, and one at the end.
    sold = np.random.default_rng(3).integers(1, 6, (1, 14_600)).astype(float)
    sold[0, -200:-170] = 0
    sold[0, -12:] = 0
    with np.errstate(over="raise", invalid="raise", divide="raise"):
        long, short = probabilities_of(sold), probabilities_of(sold[:, -4_060:])
    for view in ("so_far", "in_hindsight"):
        found, expected = getattr(long, view), getattr(short, view)
        assert np.isfinite(found).all()
        assert found.max() > 0.7
        # The long history's weekday factors are others by a little.
        np.testing.assert_allclose(found[:, -400:], expected[:, -400:], atol=0.02)


def test_find_silences_of_weeks_takes_the_rates_of_days_for_seven_of_them():
    sold, is_out, _ = shelves(stockout_rate=0.0005, mean=(0.6, 8.0))
    by_week = sold[:, :364].reshape(N_SERIES, 52, 7)
    is_out_all_week = is_out[:, :364].reshape(N_SERIES, 52, 7).all(axis=2)
    found = probabilities_of(by_week.sum(axis=2), period_days=7).in_hindsight
    is_silent = (by_week.sum(axis=2) == 0) & (np.arange(52) >= 8)
    probability, truth = np.clip(found[is_silent], 1e-6, 1 - 1e-6), is_out_all_week[is_silent]
    log_loss = -np.log(np.where(truth, probability, 1 - probability)).mean()
    # Rates of a day taken for those of a week give 2.2.
    assert log_loss < 1.1


def probabilities_of(sold, *, period_days=1):
    ones = np.ones(sold.shape)
    usual = find_usual_demand(
        sold,
        exposure=ones,
        is_promoted=np.zeros(sold.shape, bool),
        season_positions=np.arange(sold.shape[1]) % (7 if period_days == 1 else 52),
    )
    return find_silences(
        sold, exposure=ones, is_evidence=np.ones(sold.shape, bool), usual=usual, period_days=period_days
    )
