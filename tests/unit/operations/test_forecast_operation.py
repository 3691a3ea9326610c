from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import ClassVar

import numpy as np
import polars as pl
import pytest

from restock.errors import DataError, HorizonError
from restock.forecasting.forecast import DemandForecast
from restock.forecasting.panel import build_demand_panel
from restock.operations.forecast import (
    PostedSeries,
    QuantileError,
    RejectedRowsError,
    SeriesRequest,
    forecast_posted,
    forecast_stored,
)
from restock.operations.planned_periods import PlanError, PlannedPeriod
from restock.operations.served_model import ServedModel
from restock.operations.stored_history import StoredHistory
from restock.tables import CALENDAR, LOCATIONS, PRODUCTS, SALES
from restock.timeline import Frequency

FIRST = date(2024, 1, 1)
NOW = datetime(2024, 6, 1, tzinfo=UTC)


@dataclass(frozen=True)
class PriceReader:
    """Forecasts the planned price, plus 100 where promoted: so that a test sees what reached the model."""

    family: ClassVar[str] = "price_reader"
    horizon: int = 7
    quantiles: tuple[float, ...] = (0.1, 0.5, 0.9)

    def forecast(self, panel, *, horizon):
        ahead = slice(panel.observed_periods, panel.observed_periods + horizon)
        mean = np.nan_to_num(panel.unit_price[:, ahead]) + 100 * panel.is_promoted[:, ahead]
        return DemandForecast(
            series=panel.series.select("sku", "location"),
            cutoff=panel.last_observed,
            dates=tuple(panel.date_of(panel.observed_periods + step) for step in range(horizon)),
            quantiles=self.quantiles,
            quantile_units=(mean[..., None] * np.array([0.5, 1.0, 2.0])).astype(np.float32),
            mean_units=mean.astype(np.float32),
        )


MODEL = ServedModel(
    model_type="demand_forecasting",
    version="model_version_1",
    family="price_reader",
    training_cutoff=FIRST,
    training_data_hash="0" * 64,
    frequency=Frequency.DAILY,
    forecaster=PriceReader(),
)


def sales_of(n_days, *, sku="A", location="S", price=2.0):
    days = [FIRST + timedelta(days=day) for day in range(n_days)]
    frame = pl.DataFrame({"date": days}).with_columns(
        sku=pl.lit(sku), location=pl.lit(location), units_sold=pl.lit(1.0), unit_price=pl.lit(price, dtype=pl.Float64)
    )
    return SALES.conform(frame)


@pytest.fixture(scope="module")
def history():
    panel = build_demand_panel(
        pl.concat([sales_of(10), sales_of(10, sku="B", price=5.0)]),
        PRODUCTS.empty(),
        locations=LOCATIONS.empty(),
        calendar=CALENDAR.empty(),
        frequency=Frequency.DAILY,
        horizon=7,
    )
    return StoredHistory(
        panel=panel,
        rows={("A", "S"): 0, ("B", "S"): 1},
        skus=("A", "B", "NEW"),
        locations=("S",),
        calendar=CALENDAR.empty(),
        location_table=LOCATIONS.empty(),
        products=PRODUCTS.empty(),
        data_hash="1" * 64,
    )


def stored(history, *, planned=(), horizon=3, quantiles=(0.1, 0.5, 0.9), skus=("A",)):
    series = [SeriesRequest(sku=sku, location="S", planned=planned) for sku in skus]
    return forecast_stored(MODEL, history, series=series, horizon=horizon, quantiles=quantiles)


def plan(day, *, unit_price=None, is_promoted=None):
    return PlannedPeriod(date=FIRST + timedelta(days=day), unit_price=unit_price, is_promoted=is_promoted)


def post(sales, *, horizon=3, planned=()):
    posted = PostedSeries(sku="A", location="S", category_path="", sales=sales, planned=planned)
    return forecast_posted(MODEL, posted, history=None, horizon=horizon, quantiles=(0.5,), data_hash="2" * 64, now=NOW)


def test_forecast_stored_of_a_product_never_sold_says_that_a_family_without_cold_start_needs_a_history(history):
    answer = stored(history, skus=("NEW", "A"))
    assert answer.assumptions[0][0].startswith("never sold here, and family ")
    assert answer.assumptions[1] == ("no promotion planned", "price stays at 2.00")
    assert answer.forecast.series["sku"].to_list() == ["NEW", "A"]


def test_forecast_stored_without_plan_names_its_assumptions(history):
    answer = stored(history)
    assert answer.assumptions == (("no promotion planned", "price stays at 2.00"),)
    assert answer.forecast.mean_units.tolist() == [[2.0, 2.0, 2.0]]
    assert answer.forecast.cutoff == FIRST + timedelta(days=9)


def test_forecast_stored_plan_reaches_the_model_and_only_its_period(history):
    answer = stored(history, planned=(plan(11, unit_price=1.5, is_promoted=True),))
    assert answer.forecast.mean_units.tolist() == [[2.0, 101.5, 2.0]]
    assert answer.assumptions == (("no promotion planned on 2 of 3 periods", "price stays at 2.00 on 2 of 3 periods"),)


def test_forecast_stored_whole_plan_leaves_no_assumption(history):
    planned = tuple(plan(10 + step, unit_price=1.0, is_promoted=False) for step in range(3))
    assert stored(history, planned=planned).assumptions == ((),)


def test_forecast_stored_plan_does_not_change_the_stored_panel(history):
    before = history.panel.unit_price.copy()
    stored(history, planned=(plan(11, unit_price=1.5, is_promoted=True),))
    np.testing.assert_array_equal(history.panel.unit_price, before)
    assert history.panel.is_promoted.sum() == 0


def test_forecast_stored_many_series_keep_their_order(history):
    answer = stored(history, skus=("B", "A", "B"))
    assert answer.forecast.mean_units[:, 0].tolist() == [5.0, 2.0, 5.0]


@pytest.mark.parametrize("day", [9, 13])
def test_forecast_stored_plan_outside_the_horizon_is_refused(history, day):
    with pytest.raises(PlanError, match="from 2024-01-11 to 2024-01-13"):
        stored(history, planned=(plan(day, unit_price=1.0),))


def test_forecast_stored_date_planned_twice_is_refused(history):
    with pytest.raises(PlanError, match="more than once"):
        stored(history, planned=(plan(10, unit_price=1.0), plan(10, is_promoted=True)))


def test_forecast_stored_other_quantiles_are_interpolated_and_named(history):
    answer = stored(history, quantiles=(0.3, 0.5))
    assert answer.interpolated_quantiles == (0.3,)
    # Half-way between 1.0 at 0.1 and 2.0 at 0.5; exact in float32.
    assert answer.forecast.quantile_units[0, 0].tolist() == pytest.approx([1.5, 2.0])


@pytest.mark.parametrize("level", [0.05, 0.95])
def test_forecast_stored_quantile_outside_the_models_is_refused(history, level):
    with pytest.raises(QuantileError, match=f"within 0.1 and 0.9.*got {level}"):
        stored(history, quantiles=(level,))


def test_forecast_stored_horizon_beyond_the_models_is_refused(history):
    with pytest.raises(HorizonError, match="1 to 7 daily periods for model_version_1, got 8"):
        stored(history, horizon=8)


def test_forecast_stored_no_horizon_gives_the_longest(history):
    assert stored(history, horizon=None).forecast.horizon == 7


def test_forecast_posted_unknown_product_is_forecast_after_its_last_day():
    answer = post(sales_of(5))
    assert answer.forecast.cutoff == FIRST + timedelta(days=4)
    assert answer.forecast.mean_units.tolist() == [[2.0, 2.0, 2.0]]
    assert answer.data_hash == "2" * 64


def test_forecast_posted_row_order_does_not_matter():
    forward, backward = post(sales_of(5)), post(sales_of(5).reverse())
    assert forward.forecast.mean_units.tolist() == backward.forecast.mean_units.tolist()


def test_forecast_posted_sale_in_the_future_is_rejected_with_its_row():
    sales = sales_of(3).with_columns(date=pl.Series([FIRST, date(2024, 6, 3), FIRST + timedelta(days=1)]))
    with pytest.raises(RejectedRowsError, match="row 1: date must be not after") as caught:
        post(sales)
    assert [(fault.row, fault.column) for fault in caught.value.faults] == [(1, "date")]


def test_forecast_posted_today_somewhere_on_earth_is_accepted():
    late = datetime(2024, 1, 5, 12, tzinfo=UTC)
    posted = PostedSeries(sku="A", location="S", category_path="", sales=sales_of(6))
    answer = forecast_posted(MODEL, posted, history=None, horizon=1, quantiles=(0.5,), data_hash="", now=late)
    assert answer.forecast.cutoff == date(2024, 1, 6)


def test_forecast_posted_repeated_date_is_refused():
    with pytest.raises(DataError, match="2024-01-01 comes more than once"):
        post(pl.concat([sales_of(2), sales_of(1)]))


def test_forecast_posted_endless_span_is_refused():
    sales = sales_of(2).with_columns(date=pl.Series([date(1970, 1, 1), FIRST]))
    with pytest.raises(DataError, match="expected at most 3660"):
        post(sales)


def test_forecast_posted_without_prices_says_so():
    sales = sales_of(3).with_columns(unit_price=pl.lit(None, dtype=pl.Float64))
    assert post(sales).assumptions == (("no promotion planned", "no price is known"),)
