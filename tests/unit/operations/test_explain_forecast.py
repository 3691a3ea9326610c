"""Explanations of stored and of kept forecasts: the same numbers as are served and as were kept."""

from __future__ import annotations

import shutil
from datetime import timedelta

import numpy as np
import polars as pl
import pytest

from restock.adapters.storage import read_table, sha256_of, write_json, write_table
from restock.errors import DataError, HorizonError, NotFoundError
from restock.forecasting.explanation.drivers import Driver, Remainder
from restock.operations import known_tables
from restock.operations.daily_forecast import (
    DESCRIPTION_FILE,
    FORECAST_FILE,
    partition_folder,
    read_description,
    write_daily_forecast,
)
from restock.operations.explain_forecast import explain_as_of, explain_stored
from restock.operations.forecast import SeriesRequest, forecast_stored
from restock.operations.planned_periods import PlanError, PlannedPeriod
from restock.operations.served_model import load_served_model
from restock.operations.stored_history import UnknownSeriesError, find_history, load_history
from restock.settings import Settings
from restock.tables import SALES, SUPPLY_TERMS
from tests.serving.running import FIRST, HORIZON, SKUS, STORES, promote_version, serve_version, write_history

TYPE = "demand_forecasting"
LAST = FIRST + timedelta(days=119)


@pytest.fixture(scope="module")
def workspace(tmp_path_factory):
    folder = tmp_path_factory.mktemp("workspace")
    write_history(folder)
    serve_version(folder, promote_version(folder, family="xgboost"))
    return folder


@pytest.fixture(scope="module")
def served(workspace):
    """Return the served model and the stored history."""
    model = load_served_model(workspace / "models", TYPE, 1)
    folder = workspace / "data" / "validated"
    identity = find_history(folder, frequency=model.frequency, horizon=model.forecaster.horizon)
    return model, load_history(folder, identity)


@pytest.fixture
def kept(tmp_path):
    """Return settings of a workspace of its own, with the forecast of the last day kept."""
    write_history(tmp_path)
    serve_version(tmp_path, promote_version(tmp_path, family="statistical"))
    settings = Settings(workspace=tmp_path)
    write_daily_forecast(settings, as_of=LAST)
    return settings


def asked(planned=()):
    return SeriesRequest(sku=SKUS[2], location=STORES[1], planned=planned)


def test_explain_stored_sums_digit_by_digit_to_what_forecast_stored_serves(served):
    model, history = served
    planned = (PlannedPeriod(date=LAST + timedelta(days=2), unit_price=2.5, is_promoted=True),)
    explained = explain_stored(model, history, series=asked(planned), horizon=5)
    answer = forecast_stored(model, history, series=[asked(planned)], horizon=5, quantiles=(0.5,))
    np.testing.assert_array_equal(explained.mean_units, np.round(answer.forecast.mean_units[0].astype(float), 4))
    total = np.sum(list(explained.part_units.values()), axis=0)
    np.testing.assert_allclose(total, explained.mean_units, rtol=0, atol=1e-9)
    assert sum(explained.totals().values()) == pytest.approx(explained.total_units(), abs=1e-9)
    assert explained.assumptions == answer.assumptions[0]
    assert explained.data_hash == answer.data_hash
    assert explained.dates == answer.forecast.dates
    assert not explained.is_kept
    assert explained.sentence.startswith(f"{explained.total_units():.0f} units in the 5 days from ")


def test_explain_stored_level_is_the_mean_of_the_latest_56_days(served):
    model, history = served
    explained = explain_stored(model, history, series=asked(), horizon=None)
    row = history.rows[SKUS[2], STORES[1]]
    expected = history.panel.sales_units[row, 120 - 56 : 120].mean()
    np.testing.assert_allclose(explained.part_units[Driver.LEVEL], expected, atol=2e-4)
    assert len(explained.dates) == HORIZON


def test_explain_stored_refuses_what_forecast_stored_refuses(served):
    model, history = served
    with pytest.raises(UnknownSeriesError, match="SKU-9"):
        explain_stored(model, history, series=SeriesRequest(sku="SKU-9", location="STORE-1"), horizon=1)
    with pytest.raises(HorizonError, match="got 15"):
        explain_stored(model, history, series=asked(), horizon=15)
    with pytest.raises(PlanError, match="not a forecast period"):
        explain_stored(
            model, history, series=asked((PlannedPeriod(date=FIRST, unit_price=None, is_promoted=True),)), horizon=1
        )


def test_explain_as_of_without_a_kept_forecast_is_what_the_service_explains(workspace, served):
    explained = explain_as_of(Settings(workspace=workspace), sku=SKUS[2], location=STORES[1], as_of=LAST)
    of_service = explain_stored(*served, series=asked(), horizon=None)
    assert explained.to_json() == of_service.to_json()


def test_explain_as_of_a_past_day_sees_no_later_sales(workspace):
    settings = Settings(workspace=workspace)
    with pytest.raises(NotFoundError, match="no promoted version may forecast as of"):
        explain_as_of(settings, sku=SKUS[0], location=STORES[0], as_of=LAST - timedelta(days=1))


def test_explain_as_of_a_kept_day_explains_the_numbers_that_were_kept(kept):
    explained = explain_as_of(kept, sku=SKUS[0], location=STORES[0], as_of=LAST, horizon=9)
    assert explained.is_kept
    table = pl.read_parquet(partition_folder(kept.data_dir, LAST) / FORECAST_FILE)
    rows = table.filter(pl.col("sku") == SKUS[0], pl.col("location") == STORES[0]).unique("date").sort("date")
    np.testing.assert_allclose(explained.mean_units, rows["mean_demand_units"][:9], atol=1e-4)
    assert not set(Remainder) & set(explained.part_units)


def scale_kept(settings, factor, *, is_described=True):
    """Scale the kept means, as another version of the program would have; not described: as tampering would."""
    folder = partition_folder(settings.data_dir, LAST)
    path = folder / FORECAST_FILE
    pl.read_parquet(path).with_columns(pl.col("mean_demand_units") * factor).write_parquet(path)
    if is_described:
        write_json(folder / DESCRIPTION_FILE, read_description(folder) | {"sha256": sha256_of(path)})


def test_explain_as_of_names_no_reason_for_a_difference_that_has_none(kept):
    before = explain_as_of(kept, sku=SKUS[0], location=STORES[0], as_of=LAST)
    scale_kept(kept, 1.5)
    after = explain_as_of(kept, sku=SKUS[0], location=STORES[0], as_of=LAST)
    np.testing.assert_allclose(after.part_units[Remainder.UNEXPLAINED], before.mean_units / 2, atol=2e-4)
    assert after.totals()[Driver.LEVEL] == pytest.approx(before.totals()[Driver.LEVEL], abs=2e-3)
    assert "for no known reason" in after.sentence


def test_explain_as_of_a_kept_file_that_is_not_the_described_one_is_refused(kept):
    scale_kept(kept, 1.5, is_described=False)
    with pytest.raises(DataError, match=r"is not the file that forecast\.json describes.* Make it again"):
        explain_as_of(kept, sku=SKUS[0], location=STORES[0], as_of=LAST)


def test_explain_as_of_changed_supply_terms_are_a_later_change(kept):
    terms = pl.DataFrame(
        {"sku": [SKUS[0]], "location": [STORES[0]], "supplier": ["S"], "unit_cost": [1.0], "quoted_lead_time_days": [3]}
    )
    write_table(SUPPLY_TERMS.conform(terms), SUPPLY_TERMS, kept.data_dir / "validated" / "supply_terms.parquet")
    scale_kept(kept, 1.5)
    explained = explain_as_of(kept, sku=SKUS[0], location=STORES[0], as_of=LAST)
    assert Remainder.LATER_CHANGES in explained.part_units
    assert Remainder.UNEXPLAINED not in explained.part_units


def test_explain_as_of_a_kept_day_gives_the_data_hash_of_its_making(kept):
    before = explain_as_of(kept, sku=SKUS[0], location=STORES[0], as_of=LAST)
    path = kept.data_dir / "validated" / "sales.parquet"
    pl.read_parquet(path).with_columns(pl.col("units_sold") * 2).write_parquet(path)
    after = explain_as_of(kept, sku=SKUS[0], location=STORES[0], as_of=LAST)
    assert after.data_hash == before.data_hash


def test_explain_as_of_tables_that_change_while_they_are_read_are_refused(workspace, tmp_path, monkeypatch):
    shutil.copytree(workspace, tmp_path / "copy")
    settings = Settings(workspace=tmp_path / "copy")
    path = settings.data_dir / "validated" / "sales.parquet"

    def read_while_replaced(file, table):
        frame = read_table(file, table)
        if table is SALES:
            write_table(frame.with_columns(pl.col("units_sold") * 2), SALES, path)
        return frame

    monkeypatch.setattr(known_tables, "read_table", read_while_replaced)
    with pytest.raises(DataError, match="changed while they were read"):
        explain_as_of(settings, sku=SKUS[0], location=STORES[0], as_of=LAST)


def test_explain_as_of_names_what_later_changes_of_the_history_do(kept):
    path = kept.data_dir / "validated" / "sales.parquet"
    sales = pl.read_parquet(path)
    before = explain_as_of(kept, sku=SKUS[0], location=STORES[0], as_of=LAST)
    sales.with_columns(pl.col("units_sold") * 2).write_parquet(path)
    after = explain_as_of(kept, sku=SKUS[0], location=STORES[0], as_of=LAST)
    np.testing.assert_array_equal(after.mean_units, before.mean_units)
    assert after.totals()[Remainder.LATER_CHANGES] == pytest.approx(-before.total_units(), rel=0.01)


def test_explain_as_of_with_sales_that_no_longer_reach_the_kept_cutoff_is_refused(kept):
    path = kept.data_dir / "validated" / "sales.parquet"
    pl.read_parquet(path).filter(pl.col("date") < LAST).write_parquet(path)
    with pytest.raises(DataError, match="the kept forecast was made from sales up to 2024-04-29"):
        explain_as_of(kept, sku=SKUS[0], location=STORES[0], as_of=LAST)


@pytest.mark.parametrize(
    ("sku", "location", "words"), [("SKU-0O01", STORES[0], "Near: SKU-0001"), (SKUS[0], "STORE-9", "Near: STORE-")]
)
def test_explain_as_of_an_unknown_series_names_near_ones(kept, sku, location, words):
    with pytest.raises(NotFoundError, match=words):
        explain_as_of(kept, sku=sku, location=location, as_of=LAST)


def test_explain_as_of_with_a_kept_file_that_is_broken_says_how_to_mend_it(kept):
    (partition_folder(kept.data_dir, LAST) / FORECAST_FILE).write_bytes(b"nothing")
    with pytest.raises(DataError, match="Make it again: restock forecast --as-of"):
        explain_as_of(kept, sku=SKUS[0], location=STORES[0], as_of=LAST)


def test_explain_as_of_tells_the_strongest_inputs_of_the_trees_and_all_sums_to_the_forecast(workspace):
    settings = Settings(workspace=workspace)
    explained = explain_as_of(settings, sku=SKUS[0], location=STORES[0], as_of=LAST, horizon=7, n_inputs=3)
    effects = explained.input_effects
    assert effects is not None
    strengths = [abs(units) for *_, units in effects.inputs]
    assert len(strengths) == 3
    assert strengths == sorted(strengths, reverse=True)
    told = effects.average_row_units + sum(units for *_, units in effects.inputs)
    told += effects.other_inputs_units + effects.other_members_units
    assert told == pytest.approx(explained.total_units(), abs=1e-9)
    assert abs(effects.other_members_units) < 1e-3
    assert set(explained.to_json()["boosted_trees"]) == {"average_row", "inputs", "other_inputs", "other_members"}


def test_explain_as_of_inputs_of_a_version_without_trees_is_refused(kept):
    with pytest.raises(NotFoundError, match="family statistical has no boosted trees"):
        explain_as_of(kept, sku=SKUS[0], location=STORES[0], as_of=LAST, n_inputs=3)
