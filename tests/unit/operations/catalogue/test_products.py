"""Products, on SQLite and on PostgreSQL where `make test-all` runs it."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime
from decimal import Decimal

import pytest
from sqlalchemy import func, select

from restock.adapters.database.engine import read_transaction, write_transaction
from restock.adapters.database.ledger_store import Posting, post
from restock.adapters.database.ledger_tables import AuditRow, OutboxRow
from restock.errors import NotFoundError, VersionConflictError
from restock.ledger.movements import Entry, receive
from restock.ledger.quantities import QuantityError
from restock.operations.catalogue.fields import CatalogueError, read_draft
from restock.operations.catalogue.places import LocationDraft, put_location
from restock.operations.catalogue.prices import read_prices
from restock.operations.catalogue.products import (
    BarcodeConflictError,
    ProductDraft,
    ProductFilter,
    ProductSort,
    list_products,
    put_product,
    put_products,
    read_product,
    read_units,
)
from restock.operations.catalogue.suppliers import SupplierDraft, put_supplier
from restock.operations.catalogue.supply_terms import SupplyTermDraft, put_supply_term

NOW = datetime(2024, 5, 1, 12, tzinfo=UTC)
EAN, CASE = "4006381333931", "14006381333938"


def draft(sku="PEN", **fields):
    return ProductDraft(**{"sku": sku, "name": "A pen", **fields})


def full():
    return draft(
        category_path="Office > Pens",
        barcodes=[(EAN, ""), (CASE, "case")],
        units=[("case", Decimal(12))],
        unit_cost=Decimal("0.80"),
        unit_price=Decimal("1.99"),
        shelf_life_days=700,
    )


def count(engine, row):
    with read_transaction(engine) as connection:
        return connection.execute(select(func.count()).select_from(row)).scalar_one()


def test_put_product_new_is_read_back_with_all_its_parts(writing, reading):
    record = writing(put_product, full())
    assert record == reading(read_product, "PEN")
    assert record.version == 1
    assert record.changed_at == NOW
    assert record.barcodes == ((EAN.zfill(14), "piece"), (CASE, "case"))
    assert record.units == (("case", Decimal(12)),)
    assert reading(read_units, ["PEN"])["PEN"].to_scaled(Decimal(2), "case") == 24
    prices = reading(read_prices, ["PEN"], on=date(2024, 5, 1))["PEN"]
    assert (prices.unit_cost, prices.unit_price) == (Decimal("0.80"), Decimal("1.99"))


def test_put_product_with_the_same_content_writes_nothing(engine, writing):
    writing(put_product, full())
    before = count(engine, AuditRow), count(engine, OutboxRow)
    later = datetime(2024, 6, 1, tzinfo=UTC)
    record = writing(put_product, full(), now=later)
    assert record.version == 1
    assert record.changed_at == NOW
    assert (count(engine, AuditRow), count(engine, OutboxRow)) == before


def test_put_product_changed_raises_the_version_and_tells_of_it(engine, writing):
    writing(put_product, full())
    assert writing(put_product, full().model_copy(update={"name": "A better pen"})).version == 2
    with read_transaction(engine) as connection:
        entry = connection.execute(select(AuditRow.__table__).order_by(AuditRow.position.desc())).mappings().first()
        event = connection.execute(select(OutboxRow.__table__).order_by(OutboxRow.position.desc())).mappings().first()
    assert (entry["action"], entry["subject"], entry["actor"]) == ("change_product", "PEN", "test")
    assert entry["details"]["fields"] == {"name": {"from": "A pen", "to": "A better pen"}}
    assert event["topic"] == "catalogue.products"
    assert event["payload"] == {"sku": "PEN", "change": "changed", "version": 2, "fields": ["name"]}


def test_put_product_seen_at_another_version_is_refused(writing, reading):
    writing(put_product, full(), expected_version=0)
    with pytest.raises(VersionConflictError, match="is at version 1, expected version 0"):
        writing(put_product, draft(name="Other"), expected_version=0)
    with pytest.raises(VersionConflictError, match="does not exist, expected version 3"):
        writing(put_product, draft(sku="NEW"), expected_version=3)
    assert reading(read_product, "PEN").name == "A pen"
    assert writing(put_product, draft(name="Other"), expected_version=1).version == 2


def test_put_product_with_a_barcode_of_another_product_is_refused(writing):
    writing(put_product, draft(barcodes=[(EAN, "")]))
    with pytest.raises(BarcodeConflictError, match="barcode 4006381333931 belongs to sku 'PEN'"):
        writing(put_product, draft(sku="INK", barcodes=[("0" + EAN, "")]))


def test_put_products_may_hand_a_barcode_on_within_a_batch(writing, reading):
    writing(put_product, draft(barcodes=[(EAN, "")]))
    outcomes = writing(put_products, [draft(), draft(sku="INK", barcodes=[(EAN, "")])])
    assert [outcome.state for outcome in outcomes] == ["changed", "created"]
    assert reading(read_product, "PEN").barcodes == ()
    assert reading(read_product, "INK").barcodes == ((EAN.zfill(14), "piece"),)


def test_put_products_with_a_refused_one_writes_the_others(writing, reading):
    drafts = [draft(barcodes=[(EAN, "")]), draft(sku="INK", barcodes=[(EAN, "")]), draft(sku="CAP"), draft(sku="CAP")]
    outcomes = writing(put_products, drafts)
    assert [outcome.state for outcome in outcomes] == ["created", "refused", "created", "refused"]
    assert "comes twice in one batch" in str(outcomes[3].error)
    with pytest.raises(NotFoundError, match="'INK' is not in the catalogue"):
        reading(read_product, "INK")


def test_put_product_with_another_base_unit_is_refused_once_booked(engine, writing):
    writing(put_product, draft())
    assert writing(put_product, draft(base_unit="kg", quantity_decimals=3)).base_unit == "kg"
    writing(put_location, LocationDraft(location="S", name="Shop"))
    movement = receive([Entry(sku="PEN", quantity=5000)], location="S", occurred_at=NOW)
    posting = Posting(movement=movement, identifier="m", key="k", request={}, posted_by="test", posted_at=NOW)
    with write_transaction(engine) as connection:
        post(connection, posting)
    with pytest.raises(CatalogueError, match="quantity_decimals of sku 'PEN' is 3 and can't become 2"):
        writing(put_product, draft(base_unit="kg", quantity_decimals=2))
    with pytest.raises(CatalogueError, match="base_unit of sku 'PEN' is 'kg' and can't become 'piece'"):
        writing(put_product, draft(quantity_decimals=3))
    assert writing(put_product, draft(base_unit="kg", quantity_decimals=3, name="Bulk")).name == "Bulk"


def test_put_product_with_too_fine_a_price_is_refused(writing):
    with pytest.raises(QuantityError, match="more than 2 decimal places"):
        writing(put_product, draft(unit_price=Decimal("0.123")))


def test_read_prices_keeps_the_history(writing, reading):
    for month, price in ((1, "2.00"), (3, "2.50"), (4, "2.50"), (6, "3.00")):
        writing(put_product, draft(unit_price=Decimal(price), valid_from=date(2024, month, 1)))
    prices = reading(read_prices, ["PEN"], on=date(2024, 5, 1))["PEN"]
    assert prices.unit_price == Decimal("2.50")
    assert prices.unit_cost is None
    history = [(point.valid_from.month, point.amount) for point in prices.prices]
    assert history == [(1, Decimal("2.00")), (3, Decimal("2.50")), (6, Decimal("3.00"))]
    # A price of a day that has one is corrected in place.
    writing(put_product, draft(unit_price=Decimal("2.60"), valid_from=date(2024, 3, 1)))
    assert reading(read_prices, ["PEN"], on=date(2024, 5, 1))["PEN"].unit_price == Decimal("2.60")


def test_list_products_pages_through_all_of_them_in_any_order(writing, reading):
    drafts = [draft(f"P{number}", name=f"name {number % 3}") for number in range(7)]
    writing(put_products, drafts)
    expected = sorted(drafts, key=lambda each: (each.name, each.sku), reverse=True)
    after, seen = None, []
    while True:
        items, after = reading(list_products, sort=ProductSort.NAME, is_descending=True, after=after, limit=2)
        seen += [each.sku for each in items]
        if after is None:
            break
    assert seen == [each.sku for each in expected]


def test_list_products_with_a_filter_returns_only_those(writing, reading):
    writing(
        put_products,
        [
            draft("A", category_path="Food > Milk", barcodes=[(EAN, "")]),
            draft("B", category_path="Food", is_active=False),
            draft("C", category_path="Foodstuff", is_lot_tracked=True),
        ],
    )

    def skus(**fields):
        return [each.sku for each in reading(list_products, chosen=ProductFilter(**fields))[0]]

    assert skus(category="Food") == ["A", "B"]
    assert skus(is_active=False) == ["B"]
    assert skus(is_lot_tracked=True) == ["C"]
    assert skus(gtin=EAN.zfill(14)) == ["A"]
    assert skus(changed_since=datetime(2024, 5, 2, tzinfo=UTC)) == []


@pytest.mark.parametrize(
    ("fields", "match"),
    [
        ({"barcodes": [("4006381333932", "")]}, "check digit would be 1"),
        ({"barcodes": [(EAN, "box")]}, "is of unit 'box', expected one of piece"),
        ({"barcodes": [(EAN, ""), ("0" + EAN, "")]}, "comes twice"),
        ({"units": [("piece", Decimal(2))]}, "not as the base unit"),
        ({"units": [("box", Decimal("0.0000001"))]}, "6 decimal places"),
        ({"quantity_decimals": 7}, "quantity_decimals"),
        ({"colour": "red"}, "colour"),
        ({"sku": " "}, "sku"),
        ({"name": "a\0b"}, "control characters"),
        ({"unit_price": Decimal(-1)}, "unit_price"),
    ],
)
def test_read_draft_of_what_no_product_can_be_names_the_fault(fields, match):
    with pytest.raises(CatalogueError, match=match):
        read_draft(ProductDraft, {"sku": "PEN", "name": "A pen", **fields})


def test_put_products_many_are_all_there(writing, reading):
    drafts = [draft(f"P{number:05}", units=[("case", Decimal(6))], unit_price=Decimal(2)) for number in range(4_500)]
    assert {outcome.state for outcome in writing(put_products, drafts)} == {"created"}
    assert {outcome.state for outcome in writing(put_products, drafts)} == {"unchanged"}
    assert reading(read_units, ["P00000", "P04499"])["P04499"].factors == {"case": Decimal(6)}


def test_put_product_with_another_base_unit_is_refused_once_a_supply_term_counts_in_it(writing):
    writing(put_product, draft())
    writing(put_location, LocationDraft(location="S", name="Shop"))
    writing(put_supplier, SupplierDraft(supplier="ACME", name="Acme"))
    term = SupplyTermDraft(sku="PEN", location="S", supplier="ACME", unit_cost=Decimal(1), quoted_lead_time_days=1)
    writing(put_supply_term, term)
    with pytest.raises(CatalogueError, match="can't become 3"):
        writing(put_product, draft(quantity_decimals=3))


def test_put_product_with_another_base_unit_waits_for_who_is_booking_it(engine, writing):
    writing(put_product, draft())
    writing(put_location, LocationDraft(location="S", name="Shop"))

    def change_unit():
        with pytest.raises(CatalogueError, match="can't become 3"):
            writing(put_product, draft(quantity_decimals=3))

    with ThreadPoolExecutor() as pool:
        with write_transaction(engine) as connection:
            units = read_units(connection, ["PEN"])["PEN"]
            changing = pool.submit(change_unit)
            # It can't be done before this transaction ends, however long that takes.
            with pytest.raises(TimeoutError, match=r"^$"):
                changing.result(timeout=0.3)
            movement = receive(
                [Entry(sku="PEN", quantity=units.to_scaled(Decimal(5), "piece"))], location="S", occurred_at=NOW
            )
            post(
                connection,
                Posting(movement=movement, identifier="m", key="k", request={}, posted_by="test", posted_at=NOW),
            )
        changing.result(timeout=30)
