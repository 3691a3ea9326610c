"""Locations, suppliers, supply terms and lots, on SQLite and on PostgreSQL where `make test-all` runs it."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime
from decimal import Decimal

import pytest
from sqlalchemy import func, select

from restock.adapters.database.engine import read_transaction, write_transaction
from restock.adapters.database.ledger_tables import AuditRow
from restock.errors import NotFoundError, VersionConflictError
from restock.ledger.quantities import QuantityError
from restock.operations.catalogue.fields import CatalogueError, read_draft
from restock.operations.catalogue.lots import LotDraft, LotRecord, list_lots, put_lot
from restock.operations.catalogue.places import (
    LocationDraft,
    LocationFilter,
    LocationKind,
    list_locations,
    put_location,
    put_locations,
    read_location,
)
from restock.operations.catalogue.products import ProductDraft, put_product
from restock.operations.catalogue.suppliers import SupplierDraft, list_suppliers, put_supplier, read_supplier
from restock.operations.catalogue.supply_terms import (
    SupplyTermDraft,
    SupplyTermFilter,
    list_supply_terms,
    put_supply_term,
    put_supply_terms,
)
from restock.operations.stock.lots import note_expiry


def n_entries(engine):
    with read_transaction(engine) as connection:
        return connection.execute(select(func.count()).select_from(AuditRow)).scalar_one()


@pytest.fixture
def with_parties(writing):
    writing(put_product, ProductDraft(sku="OIL", name="Oil", base_unit="l", quantity_decimals=3, is_lot_tracked=True))
    writing(put_location, LocationDraft(location="S", name="Shop"))
    writing(put_supplier, SupplierDraft(supplier="ACME", name="Acme"))


def term(**fields):
    return SupplyTermDraft(
        **{
            "sku": "OIL",
            "location": "S",
            "supplier": "ACME",
            "unit_cost": Decimal("3.50"),
            "quoted_lead_time_days": 5,
            "order_multiple": Decimal("0.5"),
            **fields,
        }
    )


def test_put_location_is_read_back_and_changed(engine, writing, reading):
    place = LocationDraft(location="S", name="Shop", capacity=Decimal("12.5"), region="North")
    assert writing(put_location, place).version == 1
    before = n_entries(engine)
    assert writing(put_location, place).version == 1
    assert n_entries(engine) == before
    assert writing(put_location, place.model_copy(update={"may_be_negative": True}), expected_version=1).version == 2
    assert reading(read_location, "S").may_be_negative
    assert reading(read_location, "S").capacity == Decimal("12.5")
    with pytest.raises(VersionConflictError, match="location 'S' is at version 2, expected version 1"):
        writing(put_location, place, expected_version=1)


@pytest.mark.parametrize(
    ("fields", "match"), [({"location": "@supplier"}, "the ledger's own"), ({"kind": "virtual"}, "kind")]
)
def test_read_draft_of_a_virtual_location_is_refused(fields, match):
    with pytest.raises(CatalogueError, match=match):
        read_draft(LocationDraft, {"location": "S", "name": "Shop", **fields})


def test_list_locations_by_kind_and_region(writing, reading):
    kinds = {"A": "store", "B": "warehouse", "C": "store"}
    drafts = [
        read_draft(LocationDraft, {"location": name, "name": name, "kind": kind, "region": name})
        for name, kind in kinds.items()
    ]
    writing(put_locations, drafts)
    assert [each.location for each in reading(list_locations, limit=2)[0]] == ["A", "B"]
    assert reading(list_locations, limit=2)[1] == ("B",)
    assert [each.location for each in reading(list_locations, chosen=LocationFilter(kind=LocationKind.STORE))[0]] == [
        "A",
        "C",
    ]
    assert [each.location for each in reading(list_locations, chosen=LocationFilter(region="B"))[0]] == ["B"]


def test_read_location_that_is_unknown_is_refused(reading):
    with pytest.raises(NotFoundError, match="location 'X' is unknown"):
        reading(read_location, "X")


def test_put_supplier_is_read_back_and_changed(writing, reading):
    supplier = SupplierDraft(supplier="ACME", name="Acme", minimum_order_value=Decimal("50.00"))
    assert writing(put_supplier, supplier).minimum_order_value == Decimal(50)
    assert writing(put_supplier, supplier).version == 1
    assert writing(put_supplier, supplier.model_copy(update={"is_active": False})).version == 2
    assert not reading(read_supplier, "ACME").is_active
    assert [each.supplier for each in reading(list_suppliers, is_active=False)[0]] == ["ACME"]
    assert reading(list_suppliers, is_active=True)[0] == []


def test_put_supply_term_is_read_back_and_changed(engine, writing, reading, with_parties):
    record = writing(put_supply_term, term())
    assert (record.unit_cost, record.order_multiple, record.base_unit) == (Decimal("3.50"), Decimal("0.5"), "l")
    before = n_entries(engine)
    writing(put_supply_term, term())
    assert n_entries(engine) == before
    assert writing(put_supply_term, term(unit_cost=Decimal("3.60"))).unit_cost == Decimal("3.60")
    assert n_entries(engine) == before + 1
    assert len(reading(list_supply_terms, chosen=SupplyTermFilter(supplier="ACME"))[0]) == 1


def test_put_supply_term_of_something_unknown_is_refused(writing, with_parties):
    for name in ("sku", "location", "supplier"):
        with pytest.raises(NotFoundError, match=f"{name} 'NONE' is not in the catalogue"):
            writing(put_supply_term, term(**{name: "NONE"}))


def test_put_supply_terms_with_refused_ones_writes_the_others(writing, with_parties):
    outcomes = writing(put_supply_terms, [term(sku="NONE"), term(), term(), term(order_multiple=Decimal("0.0001"))])
    assert [outcome.state for outcome in outcomes] == ["refused", "created", "refused", "refused"]


def test_put_supply_term_of_an_inexact_quantity_is_refused(writing, with_parties):
    with pytest.raises(QuantityError, match="more than 3 decimal places"):
        writing(put_supply_term, term(minimum_order_quantity=Decimal("1.0001")))


def test_put_lot_corrects_the_expiry(engine, writing, reading, with_parties):
    day, other = date(2024, 9, 30), date(2024, 10, 31)
    assert writing(put_lot, LotDraft(sku="OIL", lot="L1", expires_on=day)).expires_on == day
    before = n_entries(engine)
    writing(put_lot, LotDraft(sku="OIL", lot="L1", expires_on=day))
    assert n_entries(engine) == before
    writing(put_lot, LotDraft(sku="OIL", lot="L1", expires_on=other), now=datetime(2024, 6, 1, tzinfo=UTC))
    assert reading(list_lots, "OIL")[0] == [LotRecord(sku="OIL", lot="L1", expires_on=other)]


def test_put_lot_of_a_product_without_lots_is_refused(writing):
    writing(put_product, ProductDraft(sku="PEN", name="Pen"))
    with pytest.raises(CatalogueError, match="'PEN' is not kept by lots"):
        writing(put_lot, LotDraft(sku="PEN", lot="L1"))


def test_note_expiry_of_one_new_lot_by_two_receipts_at_once_is_noted_once(engine, reading, with_parties):
    day = date(2024, 9, 30)

    def note():
        with write_transaction(engine) as connection:
            note_expiry(connection, "OIL", "L1", expires_on=day)

    with ThreadPoolExecutor() as pool:
        with write_transaction(engine) as connection:
            note_expiry(connection, "OIL", "L1", expires_on=day)
            other = pool.submit(note)
            with pytest.raises(TimeoutError, match=r"^$"):
                other.result(timeout=0.3)
        other.result(timeout=30)
    assert reading(list_lots, "OIL")[0] == [LotRecord(sku="OIL", lot="L1", expires_on=day)]
