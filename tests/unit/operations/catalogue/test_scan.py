"""What a scan means here, on SQLite and on PostgreSQL where `make test-all` runs it."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal

import pytest

from restock.adapters.database.engine import write_transaction
from restock.errors import NotFoundError
from restock.ledger.movements import Kind
from restock.ledger.scan import ScanError
from restock.operations.catalogue.places import LocationDraft, put_location
from restock.operations.catalogue.products import ProductDraft, put_product
from restock.operations.catalogue.scan import LotState, UnknownCodeError, resolve_scan
from restock.operations.stock.booking import Draft, DraftLine, book
from restock.operations.stock.once import Write

NOW = datetime(2024, 5, 1, 12, tzinfo=UTC)
TODAY = date(2024, 5, 1)
GTIN, CASE = "9506000134352", "19506000134359"


@pytest.fixture
def scanning(engine, writing, reading):
    """Return a function that resolves a scan, in a shop with 10 bottles of lot L1 that expires in June."""
    writing(put_location, LocationDraft(location="S", name="Shop"))
    writing(
        put_product,
        ProductDraft(
            sku="MILK", name="Milk", is_lot_tracked=True, barcodes=[(GTIN, ""), (CASE, "case")], units=[("case", 12)]
        ),
    )
    writing(put_product, ProductDraft(sku="4006381333931", name="Pen with its number as sku"))
    line = DraftLine(sku="MILK", quantity=Decimal(10), lot="L1", expires_on=date(2024, 6, 1))
    with write_transaction(engine) as connection:
        book(
            connection,
            Draft(kind=Kind.RECEIPT, location="S", lines=(line,), occurred_at=NOW),
            Write(key="receipt-1", request={"n": 1}, actor="test", now=NOW),
        )

    def scan(text, **options):
        return reading(resolve_scan, text, **{"today": TODAY, **options})

    return scan


def test_resolve_scan_of_a_case_gives_its_unit_and_factor(scanning):
    found = scanning(f"(02){CASE}(37)3")
    assert (found.product.sku, found.unit, found.factor, found.quantity) == ("MILK", "case", Decimal(12), 3)
    assert found.base_quantity == Decimal(36)
    assert found.lot_state is LotState.NONE
    assert found.on_hand is None


def test_resolve_scan_with_a_known_lot_gives_its_expiry_and_stock(scanning):
    found = scanning(f"010{GTIN}10L1", location="S")
    assert (found.lot, found.lot_state, found.expires_on) == ("L1", LotState.KNOWN, date(2024, 6, 1))
    assert found.on_hand == Decimal(10)


def test_resolve_scan_with_another_lot_says_that_it_is_unknown(scanning):
    found = scanning(f"010{GTIN}17240930" + "10L9", location="S")
    assert (found.lot_state, found.expires_on, found.known_expires_on) == (LotState.UNKNOWN, date(2024, 9, 30), None)
    assert found.on_hand == Decimal(0)


@pytest.mark.parametrize(
    ("text", "today"),
    [
        (f"(01)0{GTIN}(10)L1", date(2024, 6, 2)),
        (f"(01)0{GTIN}(10)L9(17)240430", TODAY),
        (f"(01)0{GTIN}(17)240430", TODAY),
    ],
)
def test_resolve_scan_of_what_has_expired_says_so(scanning, text, today):
    assert scanning(text, today=today).lot_state is LotState.EXPIRED


def test_resolve_scan_on_the_last_day_is_not_expired(scanning):
    assert scanning(f"(01)0{GTIN}(10)L1", today=date(2024, 6, 1)).lot_state is LotState.KNOWN


def test_resolve_scan_of_a_sku_finds_the_product(scanning):
    assert scanning(" MILK ", location="S").on_hand == Decimal(10)
    found = scanning("4006381333931")
    assert (found.read_as, found.product.sku) == ("sku", "4006381333931")


def test_resolve_scan_of_an_unknown_gtin_says_what_was_read(scanning):
    with pytest.raises(UnknownCodeError, match="no product has barcode 9520123456788") as caught:
        scanning("(01)09520123456788(10)X(17)251231")
    assert caught.value.members()["read"] == {
        "read_as": "gs1_element_string",
        "gtin": "09520123456788",
        "lot": "X",
        "expires_on": "2025-12-31",
        "serial": None,
        "quantity": None,
        "others": [],
    }


def test_resolve_scan_of_an_unknown_case_names_the_product_it_may_hold(scanning):
    with pytest.raises(UnknownCodeError, match="It may be a case of sku 'MILK'"):
        scanning("29506000134356")


def test_resolve_scan_without_a_gtin_says_so(scanning):
    with pytest.raises(UnknownCodeError, match=r"neither \(01\) nor \(02\)"):
        scanning("(10)L1")


@pytest.mark.parametrize("text", ["nothing known", "a\0b", "\ud800", "x" * 200, ")"])
def test_resolve_scan_of_neither_code_nor_sku_is_refused(scanning, text):
    with pytest.raises(ScanError, match=r"neither a GTIN|parenthesis"):
        scanning(text)


def test_resolve_scan_at_an_unknown_location_is_refused(scanning):
    with pytest.raises(NotFoundError, match="location 'X' is unknown"):
        scanning("MILK", location="X")
