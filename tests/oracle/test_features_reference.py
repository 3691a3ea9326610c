"""The vectorised features against the obvious slow way, one series and one period at a time."""

from __future__ import annotations

import math

import numpy as np
import pytest

from restock.forecasting.censoring import mask_censored
from restock.forecasting.features import build_origin_features, season_names
from restock.forecasting.group_levels import ATTRIBUTES, build_group_history, season_position
from restock.forecasting.training_rows import RowPlaces, assemble_rows, row_feature_names

# What is recovered has a reference of its own: test_usual_demand_reference.py.
MASK_ALONE = {"recover_from_share": 1.0, "silence_probability": 1.0}


def mean(values):
    known = [value for value in values if not math.isnan(value)]
    return sum(known) / len(known) if known else math.nan


def reference_features(panel, row, t, params):
    """Every origin feature of one series at one period, from lists."""
    raw = [float(v) for v in panel.sales_units[row, : t + 1]]
    missing = [float(v) for v in panel.stockout_share[row, : t + 1]]
    sales = [math.nan if m > params.max_stockout_share else v for v, m in zip(raw, missing, strict=True)]
    price = [float(v) for v in panel.unit_price[row, : t + 1]]
    promoted = [float(v) for v in panel.is_promoted[row, : t + 1]]

    def scale_at(u):
        level = mean(sales[max(0, u - 55) : u + 1])
        return max(0.05, 0 if math.isnan(level) else level)

    scale = scale_at(t)
    listed = [v for v in raw if not math.isnan(v)]
    sold = [u for u, v in enumerate(raw) if v > 0]
    out = {
        "scale_units": scale,
        "price_level": mean(price[-56:]),
        "log_scale": math.log(scale),
        "log_age": math.log1p(len(listed)),
        "log_periods_since_sale": math.log1p(t - sold[-1] if sold else len(listed)),
        "known_share": sum(not math.isnan(v) for v in sales[-56:]) / 56,
        "promoted_share": mean(promoted[-28:]),
        "price_ratio": price[-1] / mean(price[-56:]),
        "promoted_level": mean([sales[u] / scale_at(u) for u in range(t + 1) if promoted[u] > 0]),
    }
    for lag in params.lags:
        out[f"lag_{lag}"] = sales[t - lag] / scale if t >= lag else math.nan
    for window in params.rolling_windows:
        part = sales[-window:]
        out[f"mean_{window}"] = mean(part) / scale
        variance = mean([v * v for v in part]) - mean(part) ** 2
        out[f"deviation_{window}"] = variance if math.isnan(variance) else math.sqrt(max(0, variance)) / scale
        out[f"zero_share_{window}"] = mean([v if math.isnan(v) else float(v == 0) for v in part])
    for window in (7, 28):
        out[f"stockout_share_{window}"] = mean([0.0 if math.isnan(v) else v for v in missing[-window:]])
    for name, seasons in zip(season_names(), (1, 4, 8), strict=True):
        out[name] = mean([sales[t - 7 * back] for back in range(seasons) if t - 7 * back >= 0])
    return out


@pytest.mark.parametrize("t", [0, 3, 27, 60, 119])
def test_origin_features_equal_the_reference(t, make_panel, small_params):
    panel, params = make_panel(n_series=6), small_params(features=MASK_ALONE).features
    features = build_origin_features(panel, params)
    for row in range(panel.n_series):
        expected = reference_features(panel, row, t, params)
        assert set(expected) == set(features.names)
        found = dict(zip(features.names, features.values[row, t], strict=True))
        for name, value in expected.items():
            # float32 sums of squares lose digits where the deviation is small against the mean.
            assert found[name] == pytest.approx(value, rel=2e-3, abs=2e-3, nan_ok=True), name


def test_group_levels_equal_the_reference(make_panel):
    panel = make_panel(n_series=6)
    history = build_group_history(panel, mask_censored(panel, max_stockout_share=0.0))
    t = 60
    levels = history.at(t).levels["subcategory"]["S1"]
    members = [row for row in range(6) if panel.series["subcategory"][row] == "S1"]
    units, sums, counts = [], [5.0] * 7, [5.0] * 7
    for row in members:
        for u in range(t + 1):
            if math.isnan(panel.sales_units[row, u]) or panel.stockout_share[row, u] > 0:
                continue
            window = [
                float(panel.sales_units[row, v])
                for v in range(max(0, u - 55), u + 1)
                if not panel.stockout_share[row, v] > 0
            ]
            scale = max(0.05, mean(window))
            place = (panel.start.toordinal() + u) % 7
            units.append(float(panel.sales_units[row, u]))
            sums[place] += units[-1] / scale
            counts[place] += 1
    assert levels.mean_units == pytest.approx(mean(units), rel=1e-4)
    assert levels.season_index == pytest.approx([s / c for s, c in zip(sums, counts, strict=True)], rel=1e-4)


def test_assembled_rows_place_each_target_where_it_belongs(make_panel, small_params):
    panel, params = make_panel(n_series=4), small_params().features
    features = build_origin_features(panel, params)
    places = RowPlaces(series=np.array([1, 1]), origin=np.array([50, 50]), horizon=np.array([3, 9]))
    groups = np.ones((2, len(ATTRIBUTES)), dtype=np.float32)
    rows = assemble_rows(panel, features, places, group_means=groups, group_seasons=groups, params=params)
    names = row_feature_names(features)
    scale = features.column("scale_units")[1, 50]
    assert rows.shape == (2, len(names))
    # Horizon 3 looks up period 46 (53 - 7), horizon 9 period 45 (59 - 14): never one after the cutoff.
    looked_up = features.column("season_mean_4")[1, [46, 45]] / scale
    np.testing.assert_allclose(rows[:, names.index("target_season_mean_4")], looked_up, rtol=1e-6)
    np.testing.assert_array_equal(rows[:, names.index("is_promoted")], panel.is_promoted[1, [53, 59]])
    np.testing.assert_array_equal(rows[:, names.index("day_of_month")], [22, 28])
    np.testing.assert_array_equal(rows[:, names.index("periods_to_holiday")], [2, 14])
    np.testing.assert_array_equal(rows[:, names.index("periods_since_holiday")], [14, 4])


def test_season_position_of_a_date_does_not_depend_on_where_the_panel_starts(make_panel):
    panel = make_panel()
    later = panel.date_of(10)
    ours = season_position(panel.start, np.array([10, 11]), frequency=panel.frequency)
    theirs = season_position(later, np.array([0, 1]), frequency=panel.frequency)
    np.testing.assert_array_equal(ours, theirs)
