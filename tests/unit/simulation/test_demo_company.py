from datetime import date, timedelta

import numpy as np
import polars as pl
import pytest

from restock.params import SimulationParams
from restock.simulation.barcodes import gtin13_check_digit
from restock.simulation.company import simulate_demo_company
from restock.simulation.freeze import tables_digest
from restock.tables import TABLES

NAMES = ("sales", "products", "locations", "calendar", "supply_terms", "purchase_orders", "movements", "stock")
SMALL = SimulationParams(n_skus=12, n_stores=2, n_days=120, first_day=date(2024, 1, 1))


def test_simulate_demo_company_brings_the_tables_of_a_company(demo_company):
    assert set(demo_company.tables) == set(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_simulate_demo_company_table_keeps_its_contract(demo_company, name):
    frame, table = demo_company.tables[name], TABLES[name]
    assert frame.schema == table.polars_schema
    assert frame.height > 0
    assert not frame.select(table.key).is_duplicated().any()
    today = date(2024, 1, 1) + timedelta(days=239)
    broken = {rule.name for rule in table.row_rules(today=today) if not frame.select(rule.accepts.all()).item()}
    assert broken == set()


def test_simulate_demo_company_same_seed_gives_the_same_tables():
    first, second = (simulate_demo_company(SMALL, seed=4) for _ in range(2))
    assert tables_digest({**first.tables, **first.truth}) == tables_digest({**second.tables, **second.truth})


def test_simulate_demo_company_other_seed_gives_other_tables():
    first, second = (simulate_demo_company(SMALL, seed=seed) for seed in (4, 5))
    assert tables_digest(first.tables) != tables_digest(second.tables)


@pytest.mark.parametrize(("n_skus", "n_stores"), [(5, 1), (5, 7), (37, 1)])
def test_simulate_demo_company_smallest_sizes_work(n_skus, n_stores):
    params = SimulationParams(n_skus=n_skus, n_stores=n_stores, n_days=120, first_day=date(2023, 5, 17))
    company = simulate_demo_company(params, seed=0)
    assert company.tables["locations"].height == n_stores + 1
    assert company.tables["sales"]["date"].max() == date(2023, 5, 17) + timedelta(days=119)


def test_simulate_demo_company_products_carry_valid_unique_barcodes(demo_company):
    codes = demo_company.tables["products"]["barcodes"].explode().to_list()
    assert len(set(codes)) == len(codes)
    assert all(gtin13_check_digit(code[:12]) == int(code[12]) for code in codes)
    assert demo_company.tables["products"]["name"].is_unique().all()


def test_simulate_demo_company_sales_have_a_row_a_day_from_introduction_and_no_warehouse(demo_company):
    sales = demo_company.tables["sales"]
    assert not sales["location"].str.starts_with("WH").any()
    spans = sales.group_by("sku", "location").agg(
        pl.len(), days=(pl.col("date").max() - pl.col("date").min()).dt.total_days() + 1, last=pl.col("date").max()
    )
    assert (spans["len"] == spans["days"]).all()
    assert spans["last"].n_unique() == 1
    assert spans["days"].n_unique() > 1


def test_simulate_demo_company_sales_are_demand_less_lost_plus_substitutes(demo_company):
    key = ["sku", "location", "date"]
    joined = (
        demo_company.tables["sales"]
        .join(demo_company.truth["demand"], on=key, how="full", coalesce=True)
        .join(demo_company.truth["lost_sales"], on=key, how="left", suffix="_true")
        .with_columns(pl.col("lost_units", "substituted_out_units").fill_null(0))
    )
    assert joined.null_count().select("units_sold", "demand_units").sum_horizontal().item() == 0
    served = joined["demand_units"] - joined["lost_units"] + joined["substituted_in_units"]
    assert (served == joined["units_sold"]).all()
    lost = joined.filter(pl.col("lost_units") > 0)
    assert (lost["stockout_share_true"] > 0).all()
    assert joined["substituted_in_units"].sum() > 0
    assert joined["substituted_in_units"].sum() <= joined["substituted_out_units"].sum()


def test_simulate_demo_company_stock_runs_out_at_a_realistic_rate(demo_company):
    sales = demo_company.tables["sales"]
    assert 0.02 < (sales["stockout_share"] > 0).mean() < 0.11


def test_simulate_demo_company_phantom_stock_is_reported_as_in_stock(demo_company):
    gone = demo_company.truth["hidden_losses"].filter(pl.col("kind") == "phantom_stock")
    assert gone.height > 0
    first_days = gone.join(demo_company.tables["sales"], on=["sku", "location", "date"])
    assert (first_days["units_sold"] == 0).all()
    assert (first_days["stockout_share"] == 0).all()


def test_simulate_demo_company_stock_is_what_the_books_hold(demo_company):
    booked = _booked_units(demo_company.tables["movements"]).group_by("sku", "location").agg(pl.col("units").sum())
    stock = demo_company.tables["stock"].join(booked, on=["sku", "location"], how="left")
    assert (stock["on_hand"] == stock["units"].fill_null(0)).all()


def test_simulate_demo_company_purchase_orders_come_late_short_and_in_parts(demo_company):
    orders = demo_company.tables["purchase_orders"]
    closed = orders.filter(pl.col("received_on").is_not_null())
    assert 0.02 < (closed["received_on"] > closed["promised_on"]).mean() < 0.4
    assert (closed["quantity_received"] < closed["quantity_ordered"]).any()
    terms = demo_company.tables["supply_terms"].filter(pl.col("location") == "WH-01")
    checked = orders.join(terms, on=["sku", "supplier"])
    assert checked.height == orders.height
    assert (checked["quantity_ordered"] >= checked["minimum_order_quantity"]).all()
    assert (checked["quantity_ordered"] % checked["order_multiple"] == 0).all()
    receipts = demo_company.tables["movements"].filter(pl.col("kind") == "receipt")
    assert (receipts.group_by("reference", "sku").len()["len"] > 1).any()


def test_simulate_demo_company_latent_rate_beats_the_seasonal_naive_clearly(demo_company):
    grid = demo_company.tables["sales"].join(demo_company.truth["demand"], on=["sku", "location", "date"])
    grid = grid.sort("sku", "location", "date").with_columns(
        naive=pl.col("units_sold").shift(28).over("sku", "location")
    )
    tested = grid.filter(pl.col("naive").is_not_null() & (pl.col("stockout_share") == 0))
    sold = tested["units_sold"].to_numpy()
    wape = {name: np.abs(sold - tested[name].to_numpy()).sum() / sold.sum() for name in ("naive", "latent_mean_units")}
    assert wape["latent_mean_units"] < 0.7 * wape["naive"]


def _booked_units(movements: pl.DataFrame) -> pl.DataFrame:
    pack = pl.col("unit_of_measure").str.extract(r"^pack of (\d+)$").cast(pl.Int64).fill_null(1)
    return movements.with_columns(units=(pl.col("quantity") * pack).cast(pl.Int64))
