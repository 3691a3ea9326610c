"""Totals add up: means exactly, quantiles by paths."""

from __future__ import annotations

from datetime import date, timedelta

import numpy as np
import polars as pl
import pytest

from restock.forecasting.forecast import DemandForecast
from restock.forecasting.totals import TOTAL_LEVELS, ForecastTotals, group_members, sum_members

HORIZON, N_PATHS, QUANTILES = 10, 50, (0.1, 0.5, 0.9)
SERIES = pl.DataFrame(
    {
        "sku": [f"S{n // 2}" for n in range(6)],
        "location": [f"L{n % 2}" for n in range(6)],
        "category": ["C0"] * 4 + [""] * 2,
        "region": [f"R{n % 2}" for n in range(6)],
    }
)


def forecast_of(rows=slice(None), quantiles=QUANTILES):
    rng = np.random.default_rng(0)
    units = np.sort(rng.gamma(2, 3, (6, HORIZON, len(quantiles))), axis=-1).astype(np.float32)[rows]
    return DemandForecast(
        series=SERIES[rows].select("sku", "location"),
        cutoff=date(2024, 5, 31),
        dates=tuple(date(2024, 6, 1) + timedelta(days=n) for n in range(HORIZON)),
        quantiles=quantiles,
        quantile_units=units,
        mean_units=units.mean(axis=-1),
    )


def paths_of(rows=slice(None)):
    return np.random.default_rng(1).gamma(2, 3, (6, HORIZON, N_PATHS)).astype(np.float32)[rows]


def totals_in(blocks):
    totals = ForecastTotals(SERIES, n_paths=N_PATHS)
    for rows in blocks:
        places = np.arange(6)[rows]
        totals.add(forecast_of(rows), places, block=slice(0, len(places)), paths=paths_of(rows))
    return totals.to_table("model_version_1")


def test_sum_members_adds_each_group():
    names, members = group_members(["b", "a", "b"])
    assert names == ("a", "b")
    values = np.arange(6.0).reshape(3, 2)
    np.testing.assert_array_equal(sum_members(members, values), [[2, 3], [4, 6]])


def test_to_table_means_add_up_to_the_series_at_every_level_and_span():
    table = totals_in([slice(0, 6)])
    means = forecast_of().mean_units.astype(np.float64)
    assert set(table["level"]) == set(TOTAL_LEVELS)
    assert sorted(set(table["periods"])) == [1, 7, HORIZON]
    medians = table.filter(pl.col("quantile") == 0.5)
    for (level, periods, day), rows in medians.group_by(["level", "periods", "date"]):
        ahead = (day - date(2024, 6, 1)).days
        expected = means[:, ahead : ahead + periods].sum()
        assert rows["mean_demand_units"].sum() == pytest.approx(expected, rel=1e-6), (level, periods, day)


def test_to_table_quantiles_are_those_of_summed_paths():
    table = totals_in([slice(0, 6)])
    row = table.filter(pl.col("level") == "location", pl.col("name") == "L1", pl.col("periods") == 7)
    sums = np.sort(paths_of()[1::2, :7].sum(axis=(0, 1), dtype=np.float64))
    # Hazen's: position n p + 1/2 among the ordered sums.
    expected = [np.interp(N_PATHS * level + 0.5, np.arange(1, N_PATHS + 1), sums) for level in QUANTILES]
    np.testing.assert_allclose(row.sort("quantile")["demand_units"].to_numpy(), expected, rtol=1e-6)


def test_to_table_does_not_depend_on_the_blocks():
    whole, parts = totals_in([slice(0, 6)]), totals_in([slice(0, 1), slice(1, 5), slice(5, 6)])
    assert whole.drop("demand_units", "mean_demand_units").equals(parts.drop("demand_units", "mean_demand_units"))
    for column in ("demand_units", "mean_demand_units"):
        np.testing.assert_allclose(whole[column].to_numpy(), parts[column].to_numpy(), rtol=1e-6)


def test_add_forecasts_of_other_levels_is_refused():
    totals = ForecastTotals(SERIES, n_paths=N_PATHS)
    totals.add(forecast_of(), np.arange(6), block=slice(0, 6), paths=paths_of())
    other = forecast_of(quantiles=(0.2, 0.5, 0.8))
    with pytest.raises(ValueError, match="can't be added"):
        totals.add(other, np.arange(6), block=slice(0, 6), paths=paths_of())


def test_to_table_of_nothing_is_empty():
    assert ForecastTotals(SERIES, n_paths=N_PATHS).to_table("model_version_1").is_empty()
