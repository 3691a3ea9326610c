"""Sample paths: the quantiles' marginals, the copula's dependence, and the same numbers wherever they are drawn."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from restock.statistics import paths as module
from restock.statistics.copulas import lag_kernels, to_rank_correlation
from restock.statistics.paths import CopulaLags, PathSeries, draw_paths, iterate_paths, series_key
from restock.statistics.quantile_functions import extrapolate_quantiles

QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)
HORIZON = 6
KERNELS = lag_kernels(HORIZON, season_periods=7)
LAGS = CopulaLags(
    own={"steady": 0.7 * KERNELS[0] + 0.3 * KERNELS[7], "loose": KERNELS[0]},
    shared={"location": 0.2 * KERNELS[4]},
)


def units_of(n_series, seed=0):
    """Return quantiles of random series; every third one has a point mass at zero."""
    rng = np.random.default_rng(seed)
    found = np.sort(rng.gamma(2, 4, (n_series, HORIZON, len(QUANTILES))), axis=-1)
    found[::3, :, :2] = 0
    return found.astype(np.float32)


def series_of(n_series, kinds=("steady", "loose")):
    return PathSeries(
        keys=[series_key(f"SKU-{n}", f"L{n % 2}") for n in range(n_series)],
        kinds=[kinds[n % len(kinds)] for n in range(n_series)],
        groups={"location": [f"L{n % 2}" for n in range(n_series)]},
    )


def pick(series, rows):
    return PathSeries(
        keys=[series.keys[row] for row in rows],
        kinds=[series.kinds[row] for row in rows],
        groups={name: [groups[row] for row in rows] for name, groups in series.groups.items()},
    )


def draw(n_series=6, *, units=None, series=None, n_paths=400, seed=7, lags=LAGS):
    units = units_of(n_series) if units is None else units
    series = series_of(len(units)) if series is None else series
    return draw_paths(units, QUANTILES, series=series, lags=lags, n_paths=n_paths, seed=seed)


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10_000), n_paths=st.integers(2, 500))
def test_draw_paths_marginals_are_the_quantile_functions(seed, n_paths):
    units = units_of(4, seed)
    found = draw(units=units, n_paths=n_paths, seed=seed)
    levels = (np.arange(n_paths) + 0.5) / n_paths
    np.testing.assert_array_equal(np.sort(found, axis=-1), extrapolate_quantiles(units, QUANTILES, levels))


def test_draw_paths_keeps_the_point_mass_at_zero():
    found = draw(n_paths=1000)
    # Zero up to the level 0.25, then a rise: no more and no less than a quarter is zero.
    assert (found[0] == 0).mean(axis=-1).tolist() == [0.25] * HORIZON
    assert (found[1] > 0).all()


@settings(max_examples=25, deadline=None)
@given(rows=st.lists(st.integers(0, 8), min_size=1, max_size=9, unique=True))
def test_draw_paths_does_not_depend_on_the_other_series(rows):
    units, series = units_of(9), series_of(9)
    whole = draw(units=units, series=series, n_paths=50)
    part = draw(units=units[rows], series=pick(series, rows), n_paths=50)
    np.testing.assert_array_equal(part, whole[rows])


@pytest.mark.parametrize("block_numbers", [1, HORIZON * 50 * 4])
def test_iterate_paths_blocks_change_nothing(monkeypatch, block_numbers):
    units, series = units_of(9), series_of(9)
    whole = draw(units=units, series=series, n_paths=50)
    monkeypatch.setattr(module, "_BLOCK_NUMBERS", block_numbers)
    monkeypatch.setattr(module, "_KEPT_NUMBERS", 1)
    blocks = list(iterate_paths(units, QUANTILES, series=series, lags=LAGS, n_paths=50, seed=7))
    assert len(blocks) > 1
    np.testing.assert_array_equal(np.concatenate([paths for _, paths in blocks]), whole)
    assert [rows.start for rows, _ in blocks] == sorted({rows.start for rows, _ in blocks})


def test_draw_paths_a_shorter_horizon_keeps_the_nearer_periods():
    units = units_of(5)
    np.testing.assert_array_equal(draw(units=units[:, :2]), draw(units=units)[:, :2])


def test_draw_paths_another_seed_or_name_gives_others():
    units = units_of(2)
    assert (draw(units=units, seed=8) != draw(units=units, seed=7)).any()
    renamed = PathSeries(keys=["A", "B"], kinds=["steady", "loose"], groups={"location": ["L0", "L1"]})
    assert (draw(units=units, series=renamed) != draw(units=units)).any()


@pytest.mark.parametrize("kind", ["steady", "loose"])
def test_draw_paths_rank_correlation_is_the_copulas(kind):
    series = PathSeries(keys=["A"], kinds=[kind], groups={"location": ["L0"]})
    found = draw(units=units_of(2)[[1]], series=series, n_paths=20_000)[0]
    both = LAGS.own[kind] + LAGS.shared["location"]
    expected = to_rank_correlation(both / both[0])
    spearman = stats.spearmanr(found.T).statistic
    for lag in range(1, HORIZON):
        assert np.diagonal(spearman, lag).mean() == pytest.approx(expected[lag], abs=0.015)


def test_draw_paths_series_that_share_a_location_move_together_and_others_do_not():
    units = units_of(8)[[1, 4, 7]]
    series = PathSeries(keys=["A", "B", "C"], kinds=["loose"] * 3, groups={"location": ["L0", "L0", "L1"]})
    found = draw(units=units, series=series, n_paths=20_000)
    same = stats.spearmanr(found[0, 0], found[1, 0]).statistic
    other = stats.spearmanr(found[0, 0], found[2, 0]).statistic
    expected = to_rank_correlation(np.array([0.2 / 1.2]))[0]
    assert same == pytest.approx(expected, abs=0.02)
    assert abs(other) < 0.02


def test_draw_paths_quantiles_of_sums_are_not_sums_of_quantiles():
    units = units_of(8)[[1]]
    for kind, spread in (("loose", 0.60), ("steady", 0.85)):
        series = PathSeries(keys=["A"], kinds=[kind], groups={"location": ["L0"]})
        sums = draw(units=units, series=series, n_paths=4000)[0].sum(axis=0)
        low, high = np.quantile(sums, [0.05, 0.95])
        added = units[0].sum(axis=0)
        assert added[0] < low < high < added[-1]
        assert (high - low) < spread * (added[-1] - added[0])


def test_draw_paths_without_enough_lags_is_refused():
    short = CopulaLags(own={"steady": np.array([1.0, 0.1]), "loose": KERNELS[0]}, shared={})
    with pytest.raises(ValueError, match=r"'steady' has 2 lags, expected at least 6"):
        draw(lags=short)
    with pytest.raises(ValueError, match="n_paths must be at least 2, got 1"):
        draw(n_paths=1)


def test_draw_paths_of_nothing_is_empty():
    assert draw(units=units_of(0)).shape == (0, HORIZON, 400)
