"""What is booked and what is really there must agree, but for the injected errors and the counts."""

import polars as pl
import pytest

KEY = ["sku", "location", "date"]
KINDS = {
    "unit_of_measure",
    "duplicate",
    "sign_flip",
    "wrong_sku",
    "wrong_location",
    "short_receipt",
    "shrinkage",
    "phantom_stock",
    "returns_fraud",
}


@pytest.fixture(scope="module")
def booked(demo_company) -> pl.DataFrame:
    pack = pl.col("unit_of_measure").str.extract(r"^pack of (\d+)$").cast(pl.Int64).fill_null(1)
    return demo_company.tables["movements"].with_columns(
        units=(pl.col("quantity") * pack).cast(pl.Int64), date=pl.col("occurred_at_utc").dt.date()
    )


def test_movements_are_unique_and_in_order_of_time(booked):
    assert booked["movement"].is_sorted()
    assert booked["occurred_at_utc"].is_sorted()


def test_movements_corrected_by_the_truth_give_the_stock_of_every_day(demo_company, booked):
    errors = demo_company.truth["injected_errors"].filter(pl.col("movement").is_not_null())
    corrected = (
        booked.filter(~pl.col("reference").str.starts_with("COUNT"))
        .join(errors.select("movement", "true_quantity", "true_sku", "true_location"), on="movement", how="left")
        .select(
            sku=pl.coalesce("true_sku", "sku"),
            location=pl.coalesce("true_location", "location"),
            date="date",
            units=pl.coalesce("true_quantity", "units"),
        )
    )
    hidden = demo_company.truth["hidden_losses"].select(*KEY, units=-pl.col("lost_units"))
    change = pl.concat([corrected, hidden]).group_by(KEY).agg(pl.col("units").sum())
    balance = (
        demo_company.truth["on_hand"]
        .join(change, on=KEY, how="left")
        .sort(KEY)
        .with_columns(balance=pl.col("units").fill_null(0).cum_sum().over("sku", "location"))
    )
    assert (balance["balance"] == balance["on_hand"]).all()
    assert (balance["on_hand"] >= 0).all()


def test_movements_after_a_count_the_books_hold_the_stock_but_for_a_slip(demo_company, booked):
    totals = booked.with_columns(balance=pl.col("units").cum_sum().over("sku", "location"))
    counts = totals.filter(pl.col("reference").str.starts_with("COUNT")).join(demo_company.truth["on_hand"], on=KEY)
    slip = (counts["balance"] - counts["on_hand"]).abs()
    assert counts.height > 0
    assert slip.max() <= 1
    assert (slip > 0).mean() < 0.05


def test_movements_sales_add_up_to_the_sales_table_but_for_errors(demo_company, booked):
    errors = demo_company.truth["injected_errors"].filter(pl.col("movement").is_not_null())
    sold = (
        booked.filter(pl.col("kind") == "sale")
        .join(errors, on="movement", how="left")
        .group_by(sku=pl.coalesce("true_sku", "sku"), location=pl.coalesce("true_location", "location"), date="date")
        .agg(sold=-pl.coalesce("true_quantity", "units").sum())
    )
    joined = demo_company.tables["sales"].join(sold, on=KEY, how="left")
    assert (joined["sold"].fill_null(0) == joined["units_sold"]).all()


def test_movements_references_follow_the_layout(booked):
    patterns = {
        "sale": r"^INV-\d{9,}$",
        "return": r"^RET-\d{6,}/INV-\d{9,}$",
        "receipt": r"^PO-\d{6,}$",
        "adjustment": r"^(COUNT-\d{4}-W\d{2}|ADJ-\d{6,}|OPENING)$",
        "transfer": r"^TR-\d{7,}$",
    }
    for kind, pattern in patterns.items():
        rows = booked.filter(pl.col("kind") == kind)
        assert rows.height > 0
        assert rows["reference"].str.contains(pattern).all()
    assert booked.filter(pl.col("kind") != "receipt")["quantity_expected"].null_count() == (
        booked.filter(pl.col("kind") != "receipt").height
    )
    assert booked.filter(pl.col("kind") == "receipt")["quantity_expected"].null_count() == 0


def test_movements_transfer_is_two_rows_that_cancel(demo_company, booked):
    wrong = demo_company.truth["injected_errors"]["movement"].drop_nulls().implode()
    clean = booked.filter((pl.col("kind") == "transfer") & ~pl.col("movement").is_in(wrong))
    pairs = clean.group_by("reference").agg(pl.len(), pl.col("units").sum()).filter(pl.col("len") == 2)
    assert pairs.height > 0.99 * clean["reference"].n_unique()
    assert (pairs["units"] == 0).all()


def test_movements_honest_returns_name_a_sale_of_the_article_and_false_ones_do_not(demo_company, booked):
    errors = demo_company.truth["injected_errors"]
    wrong = errors.filter(pl.col("movement").is_not_null())
    truth = booked.join(wrong.select("movement", "true_sku", error="kind"), on="movement", how="left").with_columns(
        sku=pl.coalesce("true_sku", "sku")
    )
    sold = truth.filter(pl.col("kind") == "sale").select("sku", invoice="reference").unique()
    returns = truth.filter(pl.col("kind") == "return").with_columns(invoice=pl.col("reference").str.split("/").list[1])
    behind = returns.join(sold, on=["sku", "invoice"], how="semi")
    false = returns.filter(pl.col("error") == "returns_fraud")
    assert false.height > 0
    assert not behind["movement"].is_in(false["movement"].implode()).any()
    assert behind.height == returns.height - false.height


def test_movements_users_book_at_their_own_location_but_for_wrong_locations(demo_company, booked):
    wrong = demo_company.truth["injected_errors"].filter(pl.col("kind") == "wrong_location")["movement"].implode()
    right = booked.filter(~pl.col("movement").is_in(wrong))
    assert (right["user"].str.replace(r"-u\d$", "") == right["location"].str.to_lowercase()).all()


def test_injected_errors_hold_every_kind_at_low_rates(demo_company, booked):
    errors = demo_company.truth["injected_errors"]
    assert set(errors["kind"]) == KINDS
    point = errors.filter(pl.col("movement").is_not_null() & (pl.col("kind") != "returns_fraud"))
    assert point.height < 0.01 * booked.height
    slow = errors.filter(pl.col("movement").is_null())
    assert (slow["true_quantity"] < 0).all()
    assert slow["true_quantity"].sum() == -demo_company.truth["hidden_losses"]["lost_units"].sum()


def test_injected_errors_short_receipts_came_short_of_the_order(demo_company, booked):
    short = demo_company.truth["injected_errors"].filter(pl.col("kind") == "short_receipt").join(booked, on="movement")
    assert (short["true_quantity"] < short["quantity_expected"]).all()
    assert (short["true_quantity"] < short["booked_units"]).any()
