import subprocess
import sys
from dataclasses import replace
from datetime import date
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from restock.errors import DataError, HorizonError, InsufficientHistoryError
from restock.forecasting.censoring import CensoringRule
from restock.forecasting.families.neural import NeuralForecaster, fit_neural
from restock.forecasting.families.neural_windows import (
    WindowLayout,
    Windows,
    build_vocabularies,
    build_windows,
    encode_series,
    unseen_codes,
)
from restock.forecasting.panel import DemandPanel
from restock.params import Params, merge_values, parse_params, read_param_values
from restock.timeline import Frequency

ROOT = Path(__file__).resolve().parents[4]
HORIZON, LOOKBACK = 7, 28
SMALL = {
    "features": {"max_stockout_share": 0.0, "recover_from_share": 1.0, "silence_probability": 1.0},
    "forecasting": {"horizon": HORIZON, "quantiles": [0.1, 0.25, 0.5, 0.75, 0.9], "training_periods": 200},
    "families": {
        "neural": {
            "lookback_periods": LOOKBACK,
            "hidden_units": 16,
            "n_blocks": 1,
            "epochs": 8,
            "batch_size": 64,
            "learning_rate": 0.01,
            "training_windows": 1500,
        }
    },
}


def small_params(**neural: object) -> Params:
    values = merge_values(read_param_values(ROOT / "params.yaml"), SMALL)
    return parse_params(merge_values(values, {"families": {"neural": neural}}))


def weekly_panel(*, n_series: int = 12, n_periods: int = 150, seed: int = 5) -> DemandPanel:
    """A weekly pattern with promotions that double demand, Poisson noise and a few stockouts."""
    rng = np.random.default_rng(seed)
    grid = n_periods + HORIZON
    day = np.arange(grid)
    promoted = (rng.random((n_series, grid)) < 0.1).astype(np.float32)
    pattern = np.array([1, 1, 1.2, 1.5, 3, 4, 0.2])
    level = rng.uniform(2, 20, (n_series, 1))
    sales = rng.poisson(level * pattern[day % 7] * (1 + promoted)).astype(np.float32)
    stockout = np.where(rng.random((n_series, grid)) < 0.05, 0.5, 0).astype(np.float32)
    sales[:, n_periods:] = np.nan
    stockout[:, n_periods:] = np.nan
    return DemandPanel(
        series=pl.DataFrame(
            {
                "sku": [f"S{i:02d}" for i in range(n_series)],
                "location": [f"L{i % 3}" for i in range(n_series)],
                "category": [f"C{i % 2}" for i in range(n_series)],
                "subcategory": [f"C{i % 4}" for i in range(n_series)],
                "region": [""] * n_series,
                "list_price": [2.0] * n_series,
            },
            schema_overrides={"list_price": pl.Float32},
        ),
        start=date(2024, 1, 1),
        frequency=Frequency.DAILY,
        observed_periods=n_periods,
        sales_units=sales,
        stockout_share=stockout,
        unit_price=np.full((n_series, grid), 2, dtype=np.float32) * (1 - 0.2 * promoted),
        is_promoted=promoted,
        is_holiday=np.zeros((n_series, grid), dtype=np.float32),
    )


def layout_of(**changes: object) -> WindowLayout:
    layout = WindowLayout(
        horizon=HORIZON,
        lookback_periods=LOOKBACK,
        frequency=Frequency.DAILY,
        known_ahead=("is_promoted", "unit_price"),
        censoring=CensoringRule(max_stockout_share=0.0),
    )
    return replace(layout, **changes)


def windows_at(panel: DemandPanel, cutoff: int, layout: WindowLayout | None = None) -> Windows:
    return build_windows(
        panel,
        np.arange(panel.n_series),
        cutoffs=np.full(panel.n_series, cutoff),
        layout=layout or layout_of(),
        codes=encode_series(panel.series, build_vocabularies(panel.series)),
    )


def assert_same_windows(left: Windows, right: Windows) -> None:
    for name in ("history", "future", "numbers", "codes", "scale_units"):
        np.testing.assert_array_equal(getattr(left, name), getattr(right, name), err_msg=name)


@pytest.fixture(scope="module")
def panel() -> DemandPanel:
    return weekly_panel()


@pytest.fixture(scope="module")
def training_panel(panel: DemandPanel) -> DemandPanel:
    return panel.observed_until(panel.date_of(panel.observed_periods - 2 * HORIZON - 1))


@pytest.fixture(scope="module")
def fitted(training_panel: DemandPanel) -> NeuralForecaster:
    return fit_neural(training_panel, params=small_params(), seed=7)


def test_neural_imported_leaves_tensorflow_out() -> None:
    code = "import sys, restock.forecasting.families.neural; print('tensorflow' in sys.modules, 'keras' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "False"]


def test_fit_neural_same_seed_gives_same_forecast_and_another_seed_another(training_panel: DemandPanel) -> None:
    params = small_params(epochs=1)
    first, again, other = (
        fit_neural(training_panel, params=params, seed=seed).forecast(training_panel, horizon=HORIZON)
        for seed in (3, 3, 4)
    )
    np.testing.assert_array_equal(first.quantile_units, again.quantile_units)
    np.testing.assert_array_equal(first.mean_units, again.mean_units)
    assert not np.allclose(first.quantile_units, other.quantile_units)


def test_fit_neural_reports_progress_to_the_end(training_panel: DemandPanel) -> None:
    seen: list[tuple[int, int]] = []
    fit_neural(
        training_panel,
        params=small_params(epochs=2, training_windows=128),
        seed=1,
        on_progress=lambda done, total: seen.append((done, total)),
    )
    assert seen == [(1, 4), (2, 4), (3, 4), (4, 4)]


def test_fit_neural_panel_shorter_than_the_horizon_is_refused(panel: DemandPanel) -> None:
    with pytest.raises(InsufficientHistoryError, match=r"needs a series with > 7 observed periods, the panel has 7"):
        fit_neural(panel.observed_until(panel.date_of(6)), params=small_params(), seed=1)


def test_forecast_of_a_weekly_pattern_beats_the_last_week(fitted: NeuralForecaster, panel: DemandPanel) -> None:
    cutoff = panel.observed_periods - HORIZON - 1
    forecast = fitted.forecast(panel.observed_until(panel.date_of(cutoff)), horizon=HORIZON)
    demand = panel.sales_units[:, cutoff + 1 : cutoff + 1 + HORIZON]
    last_week = panel.sales_units[:, cutoff + 1 - 7 : cutoff + 1]
    median = forecast.quantile_units[:, :, fitted.quantiles.index(0.5)]
    naive_error = np.abs(demand - last_week).mean()
    assert np.abs(demand - median).mean() < 0.85 * naive_error
    assert np.abs(demand - forecast.mean_units).mean() < 0.85 * naive_error


def test_forecast_quantiles_are_sorted_not_negative_and_dated(fitted: NeuralForecaster, panel: DemandPanel) -> None:
    forecast = fitted.forecast(panel, horizon=5)
    assert forecast.quantile_units.shape == (panel.n_series, 5, 5)
    assert (np.diff(forecast.quantile_units, axis=-1) >= 0).all()
    assert (forecast.quantile_units >= 0).all()
    assert (forecast.mean_units >= 0).all()
    assert np.isfinite(forecast.quantile_units).all()
    assert forecast.cutoff == panel.last_observed
    assert forecast.dates == tuple(panel.date_of(panel.observed_periods + step) for step in range(5))


def test_forecast_shorter_horizon_is_the_beginning_of_the_longer_one(
    fitted: NeuralForecaster, panel: DemandPanel
) -> None:
    short, whole = (fitted.forecast(panel, horizon=horizon) for horizon in (3, HORIZON))
    np.testing.assert_array_equal(short.quantile_units, whole.quantile_units[:, :3])


def test_forecast_of_one_series_equals_it_among_others(fitted: NeuralForecaster, panel: DemandPanel) -> None:
    among = fitted.forecast(panel, horizon=HORIZON)
    alone = fitted.forecast(panel.select(np.array([4])), horizon=HORIZON)
    # Sums in float32 may be ordered differently by batch shape.
    np.testing.assert_allclose(alone.quantile_units[0], among.quantile_units[4], rtol=1e-5, atol=1e-5)


def test_forecast_ignores_what_happened_after_the_cutoff(fitted: NeuralForecaster, panel: DemandPanel) -> None:
    day = panel.date_of(panel.observed_periods - HORIZON - 1)
    changed_sales = panel.sales_units.copy()
    changed_sales[:, panel.observed_periods - HORIZON :] = 999
    changed = replace(panel, sales_units=changed_sales)
    before, after = (p.observed_until(day) for p in (panel, changed))
    np.testing.assert_array_equal(
        fitted.forecast(before, horizon=HORIZON).quantile_units, fitted.forecast(after, horizon=HORIZON).quantile_units
    )


def test_forecast_reads_planned_promotions(fitted: NeuralForecaster, panel: DemandPanel) -> None:
    promoted = panel.is_promoted.copy()
    promoted[:, panel.observed_periods :] = 1
    plain = replace(panel, is_promoted=panel.is_promoted * (np.arange(panel.n_periods) < panel.observed_periods))
    with_plan = fitted.forecast(replace(panel, is_promoted=promoted), horizon=HORIZON).mean_units.sum()
    assert with_plan > 1.1 * fitted.forecast(plain, horizon=HORIZON).mean_units.sum()


@pytest.mark.parametrize("case", ["one_period", "all_zero", "no_price", "all_censored", "never_sold", "unseen"])
def test_forecast_of_an_odd_series_is_finite(fitted: NeuralForecaster, panel: DemandPanel, case: str) -> None:
    odd = panel.select(np.array([0]))
    if case == "one_period":
        odd = odd.observed_until(odd.start)
    elif case == "all_zero":
        odd = replace(odd, sales_units=odd.sales_units * 0)
    elif case == "no_price":
        odd = replace(odd, unit_price=np.full_like(odd.unit_price, np.nan))
    elif case == "all_censored":
        odd = replace(odd, stockout_share=np.ones_like(odd.stockout_share))
    elif case == "never_sold":
        odd = replace(odd, sales_units=np.full_like(odd.sales_units, np.nan))
    else:
        odd = replace(odd, series=odd.series.with_columns(category=pl.lit("new"), location=pl.lit("L99")))
    forecast = fitted.forecast(odd, horizon=HORIZON)
    assert np.isfinite(forecast.quantile_units).all()
    assert np.isfinite(forecast.mean_units).all()
    assert (forecast.quantile_units >= 0).all()
    if case == "all_zero":
        assert forecast.mean_units.max() < 2


def test_forecast_horizon_too_long_is_refused(fitted: NeuralForecaster, panel: DemandPanel) -> None:
    with pytest.raises(HorizonError, match="horizon must be 1 to 7 periods, got 8"):
        fitted.forecast(panel, horizon=8)


def test_forecast_horizon_zero_is_a_callers_bug(fitted: NeuralForecaster, panel: DemandPanel) -> None:
    with pytest.raises(HorizonError, match="horizon must be 1 to 7 periods, got 0"):
        fitted.forecast(panel, horizon=0)


def test_forecast_of_another_frequency_is_refused(fitted: NeuralForecaster, panel: DemandPanel) -> None:
    with pytest.raises(DataError, match="the panel is weekly, expected daily"):
        fitted.forecast(replace(panel, frequency=Frequency.WEEKLY), horizon=HORIZON)


@settings(max_examples=25, deadline=None)
@given(
    cutoff=st.integers(min_value=0, max_value=149),
    seed=st.integers(min_value=0, max_value=1000),
    known_ahead=st.sampled_from([(), ("is_promoted",), ("is_promoted", "unit_price")]),
)
def test_build_windows_reads_nothing_of_the_future_but_what_is_known_ahead(
    cutoff: int, seed: int, known_ahead: tuple[str, ...]
) -> None:
    panel = weekly_panel(n_series=2)
    rng = np.random.default_rng(seed)

    def scrambled(values: np.ndarray) -> np.ndarray:
        changed = values.copy()
        changed[:, cutoff + 1 :] = rng.random(changed[:, cutoff + 1 :].shape)
        return changed

    hidden = {"is_promoted", "unit_price"} - set(known_ahead)
    other = replace(
        panel,
        sales_units=scrambled(panel.sales_units),
        stockout_share=scrambled(panel.stockout_share),
        **{name: scrambled(getattr(panel, name)) for name in hidden},
    )
    layout = layout_of(known_ahead=known_ahead)
    assert_same_windows(windows_at(panel, cutoff, layout), windows_at(other, cutoff, layout))


def test_build_windows_censored_sales_do_not_show() -> None:
    panel = weekly_panel(n_series=3)
    more = np.where(panel.stockout_share > 0, panel.sales_units + 50, panel.sales_units).astype(np.float32)
    assert_same_windows(windows_at(panel, 100), windows_at(replace(panel, sales_units=more), 100))


def test_build_windows_scale_is_the_mean_of_uncensored_sales_plus_a_floor() -> None:
    panel = weekly_panel(n_series=2)
    windows = windows_at(panel, 60)
    for row in range(2):
        values = [
            float(panel.sales_units[row, at])
            for at in range(60 - LOOKBACK + 1, 61)
            if not panel.stockout_share[row, at] > 0
        ]
        # float32 sums against float64.
        assert windows.scale_units[row] == pytest.approx(sum(values) / len(values) + 0.1, rel=1e-6)


@pytest.mark.parametrize("horizon", [3, 7, 10])
def test_build_windows_aligned_seasons_are_the_same_weekday_before_the_cutoff(horizon: int) -> None:
    panel = weekly_panel(n_series=1)
    panel = replace(panel, stockout_share=np.zeros_like(panel.stockout_share))
    cutoff, layout = 90, layout_of(horizon=horizon)
    windows = windows_at(panel, cutoff, layout)
    aligned = windows.future[0, :, -3 * layout.n_past_seasons :].reshape(horizon, layout.n_past_seasons, 3)
    for step in range(1, horizon + 1):
        day = cutoff + step
        while day > cutoff:
            day -= 7
        for season in range(layout.n_past_seasons):
            sales = panel.sales_units[0, day - 7 * season]
            expected = np.log1p(sales / windows.scale_units[0])
            assert aligned[step - 1, season, 0] == pytest.approx(expected, rel=1e-5)


def test_build_windows_short_history_is_padded_and_masked() -> None:
    windows = windows_at(weekly_panel(n_series=1), 4)
    assert windows.history.shape == (1, LOOKBACK, 5)
    assert (windows.history[0, : LOOKBACK - 5, :2] == 0).all()


def test_build_windows_of_weekly_periods_has_no_weekday() -> None:
    panel = replace(weekly_panel(n_series=1), frequency=Frequency.WEEKLY)
    layout = layout_of(frequency=Frequency.WEEKLY, lookback_periods=104)
    windows = windows_at(panel, 120, layout)
    assert windows.future.shape == (1, HORIZON, layout.future_width)
    assert layout.n_past_seasons == 2
    assert layout.calendar_width == 4


def test_encode_series_unknown_values_get_the_unseen_code() -> None:
    panel = weekly_panel(n_series=4)
    known = build_vocabularies(panel.series)
    strange = panel.series.with_columns(pl.lit("?").alias(name) for name in known)
    assert (encode_series(strange, known) == unseen_codes(known)).all()
    assert len(np.unique(encode_series(panel.series, known)[:, 2])) == 3
