import json
from dataclasses import replace
from datetime import date, timedelta

import numpy as np
import polars as pl
import pytest

from restock.errors import DataError, GoldenReplayError
from restock.forecasting.families.seasonal_naive import SeasonalNaive
from restock.operations.golden import make_golden, replay_golden
from restock.tables import CALENDAR, LOCATIONS, PRODUCTS, SALES
from restock.timeline import Frequency

MODEL = SeasonalNaive(
    horizon=7,
    quantiles=(0.1, 0.5, 0.9),
    season_periods=7,
    residual_periods=56,
    max_stockout_share=0.0,
    pooled_errors=((-1.0, 0.0, 1.0),),
)


@pytest.fixture(scope="module")
def tables():
    rng = np.random.default_rng(5)
    sales = pl.DataFrame(
        [
            {"sku": f"S{number}", "location": "L", "date": date(2024, 1, 1) + timedelta(days=day),
             "units_sold": float(rng.poisson(3 + number)), "stockout_share": None if day % 9 else 0.5}
            for number in range(9) for day in range(200)
        ]
    )  # fmt: skip
    skus = [f"S{number}" for number in range(9)]
    products = pl.DataFrame(
        {"sku": skus, "name": skus, "category_path": ["Food > Dairy"] * 9, "barcodes": [["4006381333931"]] * 9}
    )
    return {
        "sales": SALES.conform(sales),
        "products": PRODUCTS.conform(products),
        "locations": LOCATIONS.conform(pl.DataFrame({"location": ["L"], "kind": ["store"], "region": ["north"]})),
        "calendar": CALENDAR.conform(pl.DataFrame({"date": [date(2024, 7, 20)], "is_holiday": [True]})),
    }


@pytest.fixture(scope="module")
def golden(tables):
    made = make_golden(MODEL, tables, frequency=Frequency.DAILY, horizon=7)
    return json.loads(json.dumps(made, allow_nan=False))


def test_make_golden_holds_a_handful_of_series_with_short_history(golden):
    assert len(golden["outputs"]["series"]) == 5
    assert {row["sku"] for row in golden["outputs"]["series"]} >= {"S0", "S8"}
    assert len(golden["inputs"]["sales"]) == 5 * 120
    assert golden["outputs"]["cutoff"] == "2024-07-18"
    assert golden["inputs"]["calendar"][0]["date"] == "2024-07-20"


def test_replay_golden_same_model_passes_after_json(golden):
    replay_golden(MODEL, golden)


def test_replay_golden_difference_within_the_tolerance_passes(golden):
    value = golden["outputs"]["mean_units"][0][0]
    changed = json.loads(json.dumps(golden))
    changed["outputs"]["mean_units"][0][0] = value * (1 + 5e-4)
    replay_golden(MODEL, changed)


def test_replay_golden_other_output_is_refused_and_located(golden):
    changed = json.loads(json.dumps(golden))
    changed["outputs"]["quantile_units"][2][3][1] += 1.0
    series = changed["outputs"]["series"][2]
    match = rf"1 of 105 quantile_units, most for sku={series['sku']}, location=L, date=2024-07-22, quantile 0\.5"
    with pytest.raises(GoldenReplayError, match=match):
        replay_golden(MODEL, changed)


def test_replay_golden_nan_is_refused(golden):
    class Broken:
        def forecast(self, panel, *, horizon):
            whole = MODEL.forecast(panel, horizon=horizon)
            return replace(whole, mean_units=np.full_like(whole.mean_units, np.nan))

    with pytest.raises(GoldenReplayError, match="35 of 35 mean_units"):
        replay_golden(Broken(), golden)


def test_replay_golden_other_model_is_refused(golden):
    other = replace(MODEL, residual_periods=21)
    with pytest.raises(GoldenReplayError, match="golden replay differs"):
        replay_golden(other, golden)


def test_replay_golden_other_quantiles_are_refused(golden):
    with pytest.raises(GoldenReplayError, match="other quantiles"):
        replay_golden(replace(MODEL, quantiles=(0.1, 0.5, 0.8)), golden)


def test_replay_golden_shorter_horizon_is_refused(golden):
    with pytest.raises(GoldenReplayError, match="can't forecast its golden inputs: horizon must be 1 to 3"):
        replay_golden(replace(MODEL, horizon=3), golden)


@pytest.mark.parametrize("broken", [{}, [], None, {"schema_version": 1, "outputs": {}}, {"schema_version": 2}])
def test_replay_golden_something_else_is_refused(broken):
    with pytest.raises(GoldenReplayError, match="not what promotion writes"):
        replay_golden(MODEL, broken)


def test_make_golden_without_sales_is_refused(tables):
    with pytest.raises(DataError, match="no rows"):
        make_golden(MODEL, tables | {"sales": SALES.empty()}, frequency=Frequency.DAILY, horizon=7)
