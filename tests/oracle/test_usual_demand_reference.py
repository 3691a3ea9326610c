"""The usual demand and the silences' probabilities against the obvious slow way, one series and period at a time."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from restock.forecasting.latent_demand import RATE_SIZE
from restock.forecasting.silences import END_RATE, RETURN_RATE, STOCKOUT_RATE, find_silences
from restock.forecasting.usual_demand import UsualDemand, find_usual_demand


def reference_usual(sold, exposure, promoted, t):
    """Usual demand of period t of one series, from lists of what was before."""

    def level_before(u):
        first = max(0, u - 56)
        return sum(sold[first:u]) / max(1, sum(exposure[first:u]))

    def season_factor(u):
        prior = 14 * level_before(u)
        same = [v for v in range(u) if v % 7 == u % 7]
        base = prior + sum(exposure[v] * level_before(v) for v in same)
        return (prior + sum(sold[v] for v in same)) / base if base > 0 else 1.0

    def factor(u):
        if not promoted[u]:
            return season_factor(u)
        prior = 7 * level_before(u)
        same = [v for v in range(u) if promoted[v]]
        base = prior + sum(exposure[v] * season_factor(v) * level_before(v) for v in same)
        lift = (prior + sum(sold[v] for v in same)) / base if base > 0 else 1.0
        return season_factor(u) * lift

    first = max(0, t - 56)
    periods = sum(exposure[v] * factor(v) for v in range(first, t))
    return factor(t) * sum(sold[first:t]) / periods if periods >= 3 else 0.0


@pytest.mark.parametrize("t", [0, 2, 5, 40, 90])
def test_usual_demand_equals_the_reference(t):
    rng = np.random.default_rng(7)
    exposure = np.where(rng.random((4, 91)) < 0.2, rng.random((4, 91)), 1.0)
    sold = rng.poisson(3.0 * exposure).astype(float)
    promoted = rng.random((4, 91)) < 0.2
    found = find_usual_demand(sold, exposure=exposure, is_promoted=promoted, season_positions=np.arange(91) % 7)
    for row in range(4):
        expected = reference_usual(list(sold[row]), list(exposure[row]), list(promoted[row]), t)
        assert found.units[row, t] == pytest.approx(expected, rel=1e-9)


def constant_usual(n_periods, *, level, lots):
    """A level that is known from `lots` lots, the same at every period."""
    shape = (1, n_periods)
    periods = lots / level
    return UsualDemand(
        factor=np.ones(shape),
        sold_units=np.full(shape, float(lots)),
        full_periods=np.full(shape, periods),
        lot_units=np.ones(shape),
    )


def reference_silence(length, *, level, shape, is_over):
    """P(out) in every period of a run, by going through when stock ran out, with the rate integrated numerically."""
    # A gamma law of mean `level` and size `shape`, on a fine grid of its quantiles.
    from scipy.stats import gamma

    middle = (np.arange(200_000) + 0.5) / 200_000
    rate = gamma.ppf(middle, shape, scale=level / shape)
    # A day's own rate varies too; to first order in the run's length as the product of its chances of zero.
    daily = RATE_SIZE * np.log1p(level / RATE_SIZE) / level * rate
    stay = 1 - STOCKOUT_RATE - END_RATE
    in_stock = [float(np.mean(np.exp(-daily * k))) * stay**k for k in range(length + 1)]
    out_since = [in_stock[j - 1] * STOCKOUT_RATE for j in range(1, length + 1)]
    found = []
    for k in range(1, length + 1):
        last = length if is_over is not None else k
        out_at_k = sum(out_since[j - 1] * (1 - RETURN_RATE) ** (last - j) for j in range(1, k + 1))
        out = sum(out_since[j - 1] * (1 - RETURN_RATE) ** (last - j) for j in range(1, last + 1))
        ended = END_RATE * sum(in_stock[:last])
        if is_over:
            found.append(out_at_k * RETURN_RATE / (out * RETURN_RATE + in_stock[last] * stay))
        else:
            found.append(out_at_k / (out + in_stock[last] + ended))
    return found


@pytest.mark.parametrize("is_over", [False, True])
def test_silence_probabilities_equal_the_reference(is_over):
    length, level, lots = 9, 1.5, 6
    sold = np.array([[2.0, 1.0, *[0.0] * length, *([3.0] if is_over else [])]])
    usual = constant_usual(sold.shape[1], level=level, lots=lots)
    found = find_silences(
        sold, exposure=np.ones(sold.shape), is_evidence=np.ones(sold.shape, bool), usual=usual, period_days=1
    )
    # The sale that begins the run lends its period, not its units.
    held = lots / (lots / level + 1)
    run = slice(2, 2 + length)
    so_far = reference_silence(length, level=held, shape=lots, is_over=None)
    hindsight = reference_silence(length, level=held, shape=lots, is_over=is_over)
    np.testing.assert_allclose(found.so_far[0, run], so_far, rtol=2e-3)
    np.testing.assert_allclose(found.in_hindsight[0, run], hindsight, rtol=2e-3)
    assert all(later > earlier for earlier, later in pairwise(so_far[:4]))
    assert (found.so_far[0, :2] == 0).all()
