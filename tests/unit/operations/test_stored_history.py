from datetime import date, timedelta

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from restock.adapters.storage import write_table
from restock.errors import DataError
from restock.operations.stored_history import UnknownSeriesError, find_history, load_history, near_matches
from restock.tables import CALENDAR, LOCATIONS, PRODUCTS, SALES
from restock.timeline import Frequency

FIRST = date(2024, 1, 1)


def write_tables(folder, *, n_days=10):
    pairs = [("A-1", "S1"), ("A-1", "S2"), ("B-2", "S1")]
    rows = [
        {"sku": sku, "location": location, "date": FIRST + timedelta(days=day), "units_sold": float(position + day)}
        for position, (sku, location) in enumerate(pairs)
        for day in range(n_days)
    ]
    products = pl.DataFrame(
        {
            "sku": ["A-1", "B-2", "C-NEW"],
            "name": ["a", "b", "c"],
            "category_path": ["X > Y", "X > Z", "X > Y"],
            "unit_price": [1.0, 2.0, 3.0],
        }
    )
    write_table(SALES.conform(pl.DataFrame(rows)), SALES, folder / "sales.parquet")
    write_table(PRODUCTS.conform(products), PRODUCTS, folder / "products.parquet")
    locations = pl.DataFrame({"location": ["S1", "S2", "DEPOT"], "kind": ["store", "store", "warehouse"]})
    write_table(LOCATIONS.conform(locations), LOCATIONS, folder / "locations.parquet")
    write_table(CALENDAR.empty(), CALENDAR, folder / "calendar.parquet")


def find(folder):
    return find_history(folder, frequency=Frequency.DAILY, horizon=7)


@pytest.fixture
def history(tmp_path):
    write_tables(tmp_path)
    return load_history(tmp_path, find(tmp_path))


def test_find_history_missing_table_is_none(tmp_path):
    write_tables(tmp_path)
    (tmp_path / "calendar.parquet").unlink()
    assert find(tmp_path) is None


def test_find_history_changed_table_is_another_identity(tmp_path):
    write_tables(tmp_path)
    before = find(tmp_path)
    assert find(tmp_path) == before
    write_tables(tmp_path, n_days=11)
    assert find(tmp_path) != before


def test_load_history_tables_replaced_meanwhile_is_refused(tmp_path):
    write_tables(tmp_path)
    before = find(tmp_path)
    write_tables(tmp_path, n_days=11)
    with pytest.raises(DataError, match="changed while they were read"):
        load_history(tmp_path, before)


def test_load_history_same_tables_give_the_same_hash(tmp_path, history):
    write_tables(tmp_path)
    assert load_history(tmp_path, find(tmp_path)).data_hash == history.data_hash
    write_tables(tmp_path, n_days=11)
    assert load_history(tmp_path, find(tmp_path)).data_hash != history.data_hash


def test_select_returns_series_in_the_order_asked_for(history):
    panel = history.select([("B-2", "S1"), ("A-1", "S2")])
    assert panel.series.select("sku", "location").rows() == [("B-2", "S1"), ("A-1", "S2")]
    assert panel.sales_units[:, 0].tolist() == [2.0, 1.0]


def test_select_of_what_the_catalogue_has_and_nobody_bought_is_a_series_of_unknown_sales(history):
    panel = history.select([("C-NEW", "S2"), ("A-1", "S1"), ("B-2", "S2"), ("C-NEW", "S2")])
    assert panel.series.select("sku", "location", "subcategory").rows() == [
        ("C-NEW", "S2", "Y"),
        ("A-1", "S1", "Y"),
        ("B-2", "S2", "Z"),
        ("C-NEW", "S2", "Y"),
    ]
    assert np.isnan(panel.sales_units[[0, 2, 3]]).all()
    assert panel.sales_units[1, 0] == 0
    assert panel.unit_price[0].tolist() == [3.0] * panel.n_periods


@pytest.mark.parametrize(
    ("sku", "location", "detail", "near"),
    [
        ("A-2", "S1", "sku 'A-2' is unknown", ("A-1", "B-2")),
        ("a-1", "S1", "sku 'a-1' is unknown", ("A-1",)),
        ("A-1", "S9", "location 'S9' is unknown", ()),
        ("B-2", "DEPOT", "location 'DEPOT' is unknown", ()),
    ],
)
def test_select_unknown_series_names_what_is_near(history, sku, location, detail, near):
    with pytest.raises(UnknownSeriesError, match="forecast_history") as caught:
        history.select([("A-1", "S1"), (sku, location)])
    (unknown,) = caught.value.unknown
    assert unknown.position == 1
    assert unknown.detail == detail
    assert set(near) <= set(unknown.near_matches)


@given(st.text(max_size=200), st.lists(st.text(max_size=30), unique=True, max_size=50))
def test_near_matches_any_text_returns_known_names_only(name, known):
    assert set(near_matches(name, sorted(known))) <= set(known)
