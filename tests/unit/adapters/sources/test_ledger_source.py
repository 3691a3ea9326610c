"""The ledger as a source, on SQLite and, where `make test-all` runs, on PostgreSQL."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import polars as pl
import pytest
from sqlalchemy import delete, insert

from restock.adapters.database.catalogue_tables import (
    BarcodeRow,
    CostRow,
    LocationRow,
    PriceRow,
    ProductRow,
    ProductUnitRow,
    SupplierRow,
    SupplyTermRow,
)
from restock.adapters.database.company_table import CompanyRow
from restock.adapters.database.engine import open_database, write_transaction
from restock.adapters.database.ledger_store import Posting, post
from restock.adapters.database.migrate import NOTHING, migrate
from restock.adapters.database.order_tables import (
    CustomerOrderLineRow,
    CustomerOrderRow,
    CustomerRow,
    PurchaseOrderLineRow,
    PurchaseOrderRow,
    PurchaseReceiptRow,
    TransferLineRow,
    TransferRow,
)
from restock.adapters.sources.ledger import spool_ledger
from restock.errors import DataError, NotReadyError
from restock.ledger.movements import Entry, dispatch, receive, reverse, sell, settle_count, write_off
from restock.tables import TABLES

DAY = date(2024, 5, 1)
NOW = datetime(2024, 5, 3, 12, tzinfo=UTC)


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.real)])
def engine(request, tmp_path):
    """Return a ledger with a company, two products and two locations."""
    url = f"sqlite:///{tmp_path / 'ledger.db'}"
    if request.param == "postgresql":
        url = request.getfixturevalue("postgresql_url")
    engine = open_database(url)
    migrate(engine, to=NOTHING)
    migrate(engine)
    location = {"region": "", "may_be_negative": False, "is_active": True, "version": 1}
    product = {"is_lot_tracked": False, "shelf_life_days": None, "is_active": True, "version": 1, "changed_at_utc": NOW}
    with write_transaction(engine) as connection:
        connection.execute(
            insert(LocationRow),
            [
                location | {"location": "S", "name": "S", "kind": "store", "capacity": 12.5},
                location | {"location": "W", "name": "W", "kind": "warehouse", "capacity": None},
            ],
        )
        connection.execute(
            insert(ProductRow),
            [
                product
                | {"sku": "A", "name": "Milk", "category_path": "", "base_unit": "piece", "quantity_decimals": 0},
                product | {"sku": "K", "name": "", "category_path": "Food", "base_unit": "kg", "quantity_decimals": 3},
            ],
        )
    yield engine
    engine.dispose()


def add(engine, table, *rows):
    with write_transaction(engine) as connection:
        connection.execute(insert(table), list(rows))


def at(hour, *, day=0):
    return datetime(2024, 5, 1, hour, tzinfo=UTC) + timedelta(days=day)


def book(engine, movement, name):
    posting = Posting(
        movement=movement, identifier=name, key=name, request={"name": name}, posted_by="ann", posted_at=NOW
    )
    with write_transaction(engine) as connection:
        post(connection, posting)


def stock_up(engine, quantity=10, *, sku="A", location="S", **options):
    entry = Entry(sku=sku, quantity=quantity, unit_cost=150, **options)
    book(engine, receive([entry], location=location, occurred_at=at(0), reference="PO-1"), f"r-{sku}-{location}")


def sale(quantity, hour, *, sku="A", day=0, **options):
    entry = Entry(sku=sku, quantity=quantity, unit_price=299, **options)
    return sell([entry], location="S", occurred_at=at(hour, day=day), reference="INV-1")


def spool(engine, folder, *, now=NOW, **options):
    files = spool_ledger(engine, folder=folder, now=now, **options)
    return {name: TABLES[name.removeprefix("ledger/")].conform(pl.read_parquet(path)) for name, path in files.items()}


def content(engine, folder, *, now=NOW, **options):
    return {name: path.read_bytes() for name, path in spool_ledger(engine, folder=folder, now=now, **options).items()}


def test_spool_ledger_without_a_company_says_so(engine, tmp_path):
    with write_transaction(engine) as connection:
        connection.execute(delete(CompanyRow))
    with pytest.raises(NotReadyError, match="its currency and time zone are missing"):
        spool(engine, tmp_path / "x")


def test_spool_ledger_of_today_alone_says_that_a_day_counts_once_it_is_over(engine, tmp_path):
    stock_up(engine)
    with pytest.raises(DataError, match="holds no movement before 2024-05-01; a day counts once it is over"):
        spool(engine, tmp_path / "x", now=at(23))


def test_spool_ledger_tells_sales_stock_and_movements(engine, tmp_path):
    stock_up(engine)
    book(engine, sale(3, 12, entered_quantity="3", entered_unit="piece"), "m1")
    tables = spool(engine, tmp_path / "x")
    assert tables["ledger/sales"].rows() == [("A", "S", DAY, 3.0, 2.99, False, 0.0, None)]
    assert tables["ledger/stock"].rows() == [("A", "S", DAY, 7.0, 0.0, 0.0, None)]
    assert tables["ledger/movements"].rows() == [
        ("r-A-S", at(0), "A", "S", "receipt", 10.0, "piece", 1.5, "ann", "PO-1", None),
        ("m1", at(12), "A", "S", "sale", -3.0, "piece", 2.99, "ann", "INV-1", None),
    ]


def test_spool_ledger_tells_the_catalogue(engine, tmp_path):
    stock_up(engine)
    add(engine, BarcodeRow, *({"gtin": g, "sku": "A", "unit": "piece"} for g in ("2000000000022", "2000000000015")))
    units = ({"sku": "A", "unit": u, "factor": f * 1_000_000} for u, f in (("pallet", 480), ("case", 12)))
    add(engine, ProductUnitRow, *units)
    add(
        engine,
        CostRow,
        *({"sku": "A", "valid_from": DAY + timedelta(days=n), "unit_cost": 150 + n} for n in (-9, 0, 9)),
    )
    add(engine, PriceRow, {"sku": "A", "valid_from": DAY, "unit_price": 299})
    tables = spool(engine, tmp_path / "x")
    codes = ["2000000000015", "2000000000022"]
    assert tables["ledger/products"].rows() == [
        ("A", "Milk", "uncategorised", codes, 1.5, 2.99, 12, None, "piece"),
        ("K", "K", "Food", None, None, None, 1, None, "kg"),
    ]
    assert tables["ledger/locations"].rows() == [("S", "store", None, 12.5), ("W", "warehouse", None, None)]


def test_spool_ledger_quantities_with_decimals_are_units(engine, tmp_path):
    stock_up(engine, 5_000, sku="K")
    book(engine, sale(1_250, 9, sku="K"), "m1")
    tables = spool(engine, tmp_path / "x")
    assert tables["ledger/sales"]["units_sold"].to_list() == [1.25]
    assert tables["ledger/stock"]["on_hand"].to_list() == [3.75]
    assert tables["ledger/movements"]["quantity"].to_list() == [5.0, -1.25]
    assert tables["ledger/movements"]["unit_of_measure"].to_list() == ["kg", "kg"]


def test_spool_ledger_as_entered_in_packs_stays_in_packs(engine, tmp_path):
    stock_up(engine, 24, entered_quantity="2", entered_unit="case")
    row = spool(engine, tmp_path / "x")["ledger/movements"].row(0, named=True)
    assert (row["quantity"], row["unit_of_measure"]) == (2.0, "case")


def test_spool_ledger_several_lines_have_identifiers_of_their_own(engine, tmp_path):
    entries = [Entry(sku=sku, quantity=5) for sku in ("A", "K")]
    book(engine, receive(entries, location="S", occurred_at=at(1)), "m1")
    assert spool(engine, tmp_path / "x")["ledger/movements"]["movement"].to_list() == ["m1-2", "m1-4"]


def test_spool_ledger_kinds_are_those_of_the_contract(engine, tmp_path):
    stock_up(engine)
    one = [Entry(sku="A", quantity=1)]
    book(engine, write_off(one, location="S", occurred_at=at(2), reason="broken"), "m2")
    book(engine, dispatch(one, location="S", occurred_at=at(3), reference="TR-1"), "m3")
    count = settle_count([Entry(sku="A", quantity=9)], booked=[8], location="S", occurred_at=at(4), reference="C-1")
    book(engine, count, "m4")
    tables = spool(engine, tmp_path / "x")
    assert tables["ledger/movements"].select("kind", "quantity", "reference").rows() == [
        ("receipt", 10.0, "PO-1"),
        ("adjustment", -1.0, "m2"),
        ("transfer", -1.0, "TR-1"),
        ("adjustment", 1.0, "C-1"),
    ]
    assert tables["ledger/stock"]["counted_at"].to_list() == [at(4)]


def test_spool_ledger_reversal_of_a_later_day_nets_out_on_the_original(engine, tmp_path):
    stock_up(engine)
    wrong = sale(3, 12)
    book(engine, wrong, "m1")
    before = content(engine, tmp_path / "before")
    book(engine, reverse(wrong, posted_as="m1", occurred_at=at(9, day=1), reason="mistake"), "m2")
    tables = spool(engine, tmp_path / "x")
    assert tables["ledger/sales"].select("date", "units_sold").rows() == [
        (DAY, 0.0),
        (DAY + timedelta(days=1), 0.0),
    ]
    assert tables["ledger/movements"].select("movement", "kind", "quantity").rows()[-1] == ("m2", "sale", 3.0)
    # Before the day of the reversal is over, it is not known.
    assert content(engine, tmp_path / "then", now=at(12, day=1)) == before


def test_spool_ledger_leaves_out_today_and_says_the_same_again(engine, tmp_path):
    stock_up(engine)
    book(engine, sale(1, 12), "m1")
    first = content(engine, tmp_path / "one")
    assert content(engine, tmp_path / "two") == first
    assert content(engine, tmp_path / "later", now=NOW + timedelta(days=90)) == first
    book(engine, sale(1, 9, day=2), "m2")
    assert content(engine, tmp_path / "today") == first
    assert content(engine, tmp_path / "tomorrow", now=NOW + timedelta(days=1)) != first


def test_spool_ledger_back_dated_sale_changes_its_day(engine, tmp_path):
    stock_up(engine)
    book(engine, sale(1, 12, day=1), "m1")
    first = content(engine, tmp_path / "one")
    book(engine, sale(2, 12), "m2")
    assert content(engine, tmp_path / "two") != first
    assert spool(engine, tmp_path / "x")["ledger/sales"]["units_sold"].to_list() == [2.0, 1.0]


def test_spool_ledger_in_small_parts_says_the_same(engine, tmp_path, monkeypatch):
    monkeypatch.setattr("restock.adapters.sources.ledger._FETCHED_ROWS", 3)
    for sku in ("A", "K", "X", "Y"):
        stock_up(engine, 9, sku=sku)
        stock_up(engine, 9, sku=sku, location="W")
        for hour in range(5):
            book(engine, sale(1, hour + 1, sku=sku), f"m-{sku}-{hour}")
    whole, parts = spool(engine, tmp_path / "one"), spool(engine, tmp_path / "two", part_rows=4)
    assert whole.keys() == parts.keys()
    for name, frame in whole.items():
        key = list(TABLES[name.removeprefix("ledger/")].key)
        assert parts[name].sort(key).equals(frame.sort(key)), name


def test_spool_ledger_tells_orders_and_what_is_under_way(engine, tmp_path):
    stock_up(engine, 4)
    add(
        engine,
        SupplierRow,
        {"supplier": "V", "name": "V", "is_active": True, "minimum_order_value": 0, "version": 1},
    )
    term = {"fixed_order_cost": 2500, "review_periods": 0, "quoted_lead_time_days": 2, "supplier": "V", "location": "S"}
    add(
        engine,
        SupplyTermRow,
        term | {"sku": "A", "unit_cost": 150, "minimum_order_quantity": 6, "order_multiple": 6},
        term | {"sku": "K", "unit_cost": 99, "minimum_order_quantity": 2_500, "order_multiple": 1},
    )
    order = {"supplier": "V", "location": "S", "promised_on": None, "note": "", "created_at_utc": NOW, "version": 1}
    order |= {"created_by": "ann", "ordered_on": DAY}
    line = {"line": 1, "sku": "A", "unit_cost": 150, "entered_quantity": "", "entered_unit": ""}
    states = {"P1": "partly_received", "P2": "draft", "P3": "cancelled", "P4": "closed"}
    add(engine, PurchaseOrderRow, *(order | {"purchase_order": name, "state": s} for name, s in states.items()))
    received = {"P1": 4, "P2": 0, "P3": 0, "P4": 5}
    add(
        engine,
        PurchaseOrderLineRow,
        *(
            line | {"purchase_order": name, "quantity_ordered": 10, "quantity_received": came}
            for name, came in received.items()
        ),
    )
    receipt = {"line": 1, "received_on": DAY, "movement_line": 2}
    book(engine, receive([Entry(sku="A", quantity=5)], location="S", occurred_at=at(8)), "m4")
    add(
        engine,
        PurchaseReceiptRow,
        receipt | {"movement": "r-A-S", "purchase_order": "P1", "quantity": 4},
        receipt | {"movement": "m4", "purchase_order": "P4", "quantity": 5},
    )
    transfer = {"source": "W", "target": "S", "state": "in_transit", "dispatched_at_utc": NOW, "note": ""}
    add(engine, TransferRow, transfer | {"transfer": "T", "created_by": "ann", "version": 1})
    moved = {"transfer": "T", "line": 1, "sku": "A", "lot": "", "quantity_dispatched": 3, "quantity_arrived": 1}
    add(engine, TransferLineRow, moved)
    add(engine, CustomerRow, {"customer": "C", "name": "C", "region": "", "is_active": True, "version": 1})
    wish = {"customer_order": "O", "customer": "C", "location": "S", "state": "open", "ordered_on": DAY}
    add(engine, CustomerOrderRow, wish | {"requested_on": DAY, "version": 1})
    wanted = {"customer_order": "O", "line": 1, "sku": "A", "quantity_ordered": 7, "quantity_delivered": 5}
    add(engine, CustomerOrderLineRow, wanted | {"unit_price": 299})
    tables = spool(engine, tmp_path / "x")
    shown = tables["ledger/purchase_orders"].select("order", "received_on", "quantity_ordered", "quantity_received")
    assert shown.rows() == [("P1", None, 10.0, 4.0), ("P4", DAY, 10.0, 5.0)]
    assert tables["ledger/stock"].select("on_hand", "on_order", "backorders").rows() == [(9.0, 8.0, 2.0)]
    assert tables["ledger/movements"]["quantity_expected"].to_list() == [10.0, 10.0]
    terms = tables["ledger/supply_terms"].select("sku", "minimum_order_quantity", "fixed_order_cost", "review_periods")
    assert terms.rows() == [("A", 6, 25.0, 1), ("K", 3, 25.0, 1)]
