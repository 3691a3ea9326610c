from datetime import date

import polars as pl
import pytest

from restock.adapters.registry import Action, Change, set_current, write_version
from restock.adapters.storage import write_json
from restock.errors import NotFoundError
from restock.operations.daily_forecast import FORECAST_FILE, choose_version, partition_folder
from restock.operations.monitor import read_outcomes
from restock.tables import QUANTILE_FORECAST

TYPE = "demand_forecasting"
LAST_DAY = date(2024, 5, 31)


def promote(models, *, cutoff, frequency="daily"):
    """Write and serve a version that holds nothing but its metadata."""
    version = write_version(
        models,
        TYPE,
        build=lambda folder: write_json(folder / "model.json", {}),
        metadata={"cutoff": cutoff, "frequency": frequency},
    )
    change = Change(
        served=version,
        previous=None,
        changed_at_utc="2024-06-01T00:00:00Z",
        changed_by="test",
        reason="test",
        action=Action.PROMOTE,
    )
    set_current(models, TYPE, change)
    return version


def test_choose_version_takes_the_served_one(tmp_path):
    promote(tmp_path, cutoff="2024-05-01")
    second = promote(tmp_path, cutoff="2024-04-01")
    assert choose_version(tmp_path, as_of=LAST_DAY) == second


def test_choose_version_for_a_past_day_takes_one_that_knew_no_later_data(tmp_path):
    first = promote(tmp_path, cutoff="2024-04-01")
    promote(tmp_path, cutoff="2024-05-01")
    assert choose_version(tmp_path, as_of=date(2024, 4, 15)) == first


def test_choose_version_before_every_training_is_refused(tmp_path):
    promote(tmp_path, cutoff="2024-04-01")
    with pytest.raises(NotFoundError, match="no promoted version may forecast as of 2024-03-31"):
        choose_version(tmp_path, as_of=date(2024, 3, 31))


@pytest.mark.parametrize(("as_of", "may"), [(date(2024, 4, 6), False), (date(2024, 4, 7), True)])
def test_choose_version_a_week_counts_once_it_is_over(tmp_path, as_of, may):
    # The cutoff is the Monday that its last week begins with.
    promote(tmp_path, cutoff="2024-04-01", frequency="weekly")
    if may:
        assert choose_version(tmp_path, as_of=as_of) == 1
    else:
        with pytest.raises(NotFoundError, match="may forecast as of"):
            choose_version(tmp_path, as_of=as_of)


def keep_forecast(data_dir, day, *, version):
    """Write a partition that forecasts the next day as 10 units, 5 to 15."""
    row = {"sku": "A", "location": "L", "cutoff": day, "date": date(2024, 5, 30), "model_version": version}
    rows = [
        row | {"quantile": q, "demand_units": units, "mean_demand_units": 10.0}
        for q, units in ((0.1, 5.0), (0.9, 15.0))
    ]
    folder = partition_folder(data_dir, day)
    folder.mkdir(parents=True)
    QUANTILE_FORECAST.conform(pl.DataFrame(rows)).write_parquet(folder / FORECAST_FILE)
    write_json(folder / "forecast.json", {"model_version": version})


def test_read_outcomes_a_version_answers_for_its_own_forecasts_only(tmp_path):
    keep_forecast(tmp_path, date(2024, 5, 28), version="model_version_1")
    keep_forecast(tmp_path, date(2024, 5, 29), version="model_version_2")
    demand = pl.DataFrame({"sku": ["A"], "location": ["L"], "date": [date(2024, 5, 30)], "demand_units": [12.0]})
    found = read_outcomes(tmp_path, demand, model_version="model_version_2", first=date(2024, 5, 1), as_of=LAST_DAY)
    assert found["cutoff"].to_list() == [date(2024, 5, 29)]
    assert found.select("low_units", "high_units", "mean_units", "demand_units").row(0) == (5.0, 15.0, 10.0, 12.0)


def test_read_outcomes_forecasts_of_the_day_itself_are_not_judged(tmp_path):
    keep_forecast(tmp_path, LAST_DAY, version="model_version_1")
    demand = pl.DataFrame({"sku": ["A"], "location": ["L"], "date": [date(2024, 5, 30)], "demand_units": [12.0]})
    found = read_outcomes(tmp_path, demand, model_version="model_version_1", first=date(2024, 5, 1), as_of=LAST_DAY)
    assert found.is_empty()
