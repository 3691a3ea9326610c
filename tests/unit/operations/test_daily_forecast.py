from datetime import date, timedelta
from unittest.mock import Mock

import numpy as np
import polars as pl
import pytest

from restock.adapters.registry import Action, Change, set_current, write_version
from restock.adapters.storage import checksums_of, read_table, sha256_of, write_json, write_table
from restock.errors import NotFoundError
from restock.forecasting.cold_start import fit_cold_start
from restock.forecasting.dependence import SHARED, DemandDependence
from restock.forecasting.families.ensemble import EnsembleForecaster, SegmentWeights
from restock.forecasting.families.statistical import fit_statistical
from restock.forecasting.panel import build_demand_panel
from restock.forecasting.segments import fit_segment_rule
from restock.operations import daily_forecast, explain_forecast
from restock.operations.daily_forecast import (
    FORECAST_FILE,
    choose_version,
    list_partitions,
    partition_folder,
    read_description,
    write_daily_forecast,
)
from restock.operations.monitor import read_outcomes
from restock.operations.path_recipe import PathRecipe
from restock.operations.served_model import ServedModel
from restock.settings import Settings
from restock.tables import CALENDAR, LOCATIONS, PRODUCTS, QUANTILE_FORECAST, SALES, SUPPLY_TERMS
from restock.timeline import Frequency

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


LISTED_DAYS = 60


def validate_tables(data_dir):
    """Write a history in which B is listed at both stores and sold at one, and NEW is listed and sold nowhere."""
    rng = np.random.default_rng(7)
    days = [LAST_DAY - timedelta(days=back) for back in range(LISTED_DAYS)]
    pairs = [("A", "S1"), ("A", "S2"), ("B", "S1")]
    rows = [
        {"sku": sku, "location": location, "date": day, "units_sold": float(rng.poisson(5))}
        for sku, location in pairs
        for day in days
    ]
    skus = ["A", "B", "NEW", "UNLISTED"]
    products = pl.DataFrame({"sku": skus, "name": skus, "category_path": ["X > Y"] * 4, "unit_price": [2.0] * 4})
    locations = pl.DataFrame({"location": ["S1", "S2", "DEPOT"], "kind": ["store", "store", "warehouse"]})
    terms = pl.DataFrame(
        [
            {"sku": sku, "location": location, "supplier": "W", "unit_cost": 1.0, "quoted_lead_time_days": 1}
            for sku in ("A", "B", "NEW")
            for location in ("S1", "S2", "DEPOT")
        ]
    )
    frames = {SALES: pl.DataFrame(rows), PRODUCTS: products, LOCATIONS: locations, SUPPLY_TERMS: terms}
    for table, frame in (frames | {CALENDAR: CALENDAR.empty()}).items():
        write_table(table.conform(frame), table, data_dir / "validated" / f"{table.name}.parquet")


def dependence_of(rule):
    """Return demands that hang together a little, most of all those of one sku."""
    by_lag = tuple(0.2 * 0.9**lag for lag in range(10))
    shared = dict.fromkeys(SHARED, (0.0,) * 10) | {"sku": tuple(0.5 * value for value in by_lag)}
    return DemandDependence(rule=rule, by_segment={"all": by_lag[1:]}, shared=shared)


def serve_with_cold_start(monkeypatch, data_dir, params, *, has_paths=True):
    """Let a small ensemble with a cold start be what is served."""
    panel = build_demand_panel(
        pl.read_parquet(data_dir / "validated" / "sales.parquet"),
        pl.read_parquet(data_dir / "validated" / "products.parquet"),
        locations=pl.read_parquet(data_dir / "validated" / "locations.parquet"),
        calendar=CALENDAR.empty(),
        frequency=Frequency.DAILY,
        horizon=10,
    )
    forecaster = EnsembleForecaster(
        horizon=10,
        quantiles=params.forecasting.quantiles,
        rule=fit_segment_rule(panel, params=params.evaluation),
        weights=SegmentWeights(members=("statistical",), overall=(1.0,), by_segment={}),
        members={"statistical": fit_statistical(panel, params=params)},
        cold_start=fit_cold_start(panel, params=params),
    )
    served = ServedModel(
        model_type=TYPE,
        version="model_version_1",
        family="ensemble",
        training_cutoff=LAST_DAY,
        training_data_hash="0" * 64,
        frequency=Frequency.DAILY,
        forecaster=forecaster,
        paths=PathRecipe(dependence=dependence_of(forecaster.rule), seed=5, n_paths=60) if has_paths else None,
    )
    monkeypatch.setattr(daily_forecast, "choose_version", lambda *_args, **_kwargs: 1)
    monkeypatch.setattr(daily_forecast, "load_served_model", lambda *_args: served)
    return served


@pytest.mark.parametrize(("back", "n_unsold"), [(0, 3), (5, 0)], ids=["latest day", "an earlier day"])
def test_write_daily_forecast_has_what_is_listed_and_was_never_sold(
    tmp_path, monkeypatch, small_params, back, n_unsold
):
    data_dir = tmp_path / "data"
    validate_tables(data_dir)
    serve_with_cold_start(monkeypatch, data_dir, small_params())
    written = write_daily_forecast(Settings(workspace=tmp_path), as_of=LAST_DAY - timedelta(days=back))
    table = pl.read_parquet(written.path)
    keys = table.select("sku", "location").unique(maintain_order=True).rows()
    assert keys == sorted(keys)
    unsold = {("B", "S2"), ("NEW", "S1"), ("NEW", "S2")} if n_unsold else set()
    assert set(keys) == {("A", "S1"), ("A", "S2"), ("B", "S1")} | unsold
    described = read_description(partition_folder(data_dir, LAST_DAY - timedelta(days=back)))
    assert described["unsold_series"] == n_unsold
    for key in unsold:
        mean = table.filter(pl.col("sku") == key[0], pl.col("location") == key[1])["mean_demand_units"].mean()
        assert 2.5 < mean < 10


def read_partition(data_dir):
    folder = partition_folder(data_dir, LAST_DAY)
    names = ("quantile_forecast", "total_forecast", "demand_dependence", "demand_comovement")
    return {name: pl.read_parquet(folder / f"{name}.parquet") for name in names}


def test_write_daily_forecast_totals_add_up_and_say_how_paths_are_drawn(tmp_path, monkeypatch, small_params):
    data_dir = tmp_path / "data"
    validate_tables(data_dir)
    serve_with_cold_start(monkeypatch, data_dir, small_params())
    write_daily_forecast(Settings(workspace=tmp_path), as_of=LAST_DAY)
    tables = read_partition(data_dir)
    quantile = tables["quantile_forecast"]["quantile"][0]
    per_day = tables["quantile_forecast"].filter(pl.col("quantile") == quantile)
    totals = tables["total_forecast"].filter(pl.col("quantile") == quantile)
    daily = totals.filter(pl.col("level") == "all", pl.col("periods") == 1).sort("date")
    by_day = per_day.group_by("date").agg(pl.col("mean_demand_units").sum()).sort("date")
    np.testing.assert_allclose(daily["mean_demand_units"], by_day["mean_demand_units"], rtol=1e-6)
    for level in ("all", "region", "category", "location"):
        whole = totals.filter(pl.col("level") == level, pl.col("periods") == 10)
        assert whole["mean_demand_units"].sum() == pytest.approx(per_day["mean_demand_units"].sum(), rel=1e-6)
    described = read_description(partition_folder(data_dir, LAST_DAY))
    assert described["paths"] == {"seed": 5, "n_paths": 60}
    assert set(described["beside"]) == {f"{name}.parquet" for name in tables} - {"quantile_forecast.parquet"}
    assert tables["demand_dependence"].filter(pl.col("lag") == 1)["rank_correlation"].to_list() == pytest.approx([0.18])
    assert set(tables["demand_comovement"]["shared"]) == set(SHARED)


def test_write_daily_forecast_blocks_change_no_total(tmp_path, monkeypatch, small_params):
    found = []
    for block, name in ((1_000, "whole"), (2, "parts")):
        data_dir = tmp_path / name / "data"
        validate_tables(data_dir)
        serve_with_cold_start(monkeypatch, data_dir, small_params())
        monkeypatch.setattr(daily_forecast, "_BLOCK_SERIES", block)
        write_daily_forecast(Settings(workspace=tmp_path / name), as_of=LAST_DAY)
        found.append(read_partition(data_dir)["total_forecast"]["demand_units"].to_numpy())
    np.testing.assert_allclose(found[0], found[1], rtol=1e-4)


def test_write_daily_forecast_of_a_version_from_before_there_were_paths_has_no_totals(
    tmp_path, monkeypatch, small_params, caplog
):
    data_dir = tmp_path / "data"
    validate_tables(data_dir)
    serve_with_cold_start(monkeypatch, data_dir, small_params(), has_paths=False)
    write_daily_forecast(Settings(workspace=tmp_path), as_of=LAST_DAY)
    assert "promoted before there were sample paths" in caplog.text
    folder = partition_folder(data_dir, LAST_DAY)
    assert sorted(path.name for path in folder.iterdir()) == ["forecast.json", "quantile_forecast.parquet"]
    assert read_description(folder)["paths"] is None


def test_write_daily_forecast_that_stops_half_way_leaves_no_partition_of_two_makings(
    tmp_path, monkeypatch, small_params
):
    data_dir = tmp_path / "data"
    validate_tables(data_dir)
    serve_with_cold_start(monkeypatch, data_dir, small_params())
    settings = Settings(workspace=tmp_path)
    write_daily_forecast(settings, as_of=LAST_DAY)
    monkeypatch.setattr(daily_forecast, "write_json", Mock(side_effect=OSError("no space left")))
    with pytest.raises(OSError, match="no space left"):
        write_daily_forecast(settings, as_of=LAST_DAY)
    assert list_partitions(data_dir) == {}


def test_write_daily_forecast_that_fails_to_forecast_leaves_the_day_as_it_was(tmp_path, monkeypatch, small_params):
    data_dir = tmp_path / "data"
    validate_tables(data_dir)
    serve_with_cold_start(monkeypatch, data_dir, small_params())
    settings = Settings(workspace=tmp_path)
    write_daily_forecast(settings, as_of=LAST_DAY)
    before = checksums_of(data_dir / "forecasts")
    monkeypatch.setattr(daily_forecast, "write_frame", Mock(side_effect=OSError("no space left")))
    with pytest.raises(OSError, match="no space left"):
        write_daily_forecast(settings, as_of=LAST_DAY)
    assert checksums_of(data_dir / "forecasts") == before


def test_write_daily_forecast_names_the_supply_terms_it_read(tmp_path, monkeypatch, small_params):
    data_dir = tmp_path / "data"
    validate_tables(data_dir)
    serve_with_cold_start(monkeypatch, data_dir, small_params())
    write_daily_forecast(Settings(workspace=tmp_path), as_of=LAST_DAY)
    hashes = read_description(partition_folder(data_dir, LAST_DAY))["data_hashes"]
    assert hashes["supply_terms"] == sha256_of(data_dir / "validated" / "supply_terms.parquet")


def test_explain_as_of_a_listed_series_of_a_kept_day_is_there_after_newer_sales_came(
    tmp_path, monkeypatch, small_params
):
    data_dir = tmp_path / "data"
    validate_tables(data_dir)
    served = serve_with_cold_start(monkeypatch, data_dir, small_params())
    monkeypatch.setattr(explain_forecast, "load_served_model", lambda *_args: served)
    settings = Settings(workspace=tmp_path)
    write_daily_forecast(settings, as_of=LAST_DAY)
    before = explain_forecast.explain_as_of(settings, sku="NEW", location="S1", as_of=LAST_DAY)
    path = data_dir / "validated" / "sales.parquet"
    sales = read_table(path, SALES)
    newer = sales.filter(pl.col("date") == LAST_DAY).with_columns(pl.col("date") + timedelta(days=1))
    write_table(pl.concat([sales, newer]), SALES, path)
    after = explain_forecast.explain_as_of(settings, sku="NEW", location="S1", as_of=LAST_DAY)
    np.testing.assert_array_equal(after.mean_units, before.mean_units)
