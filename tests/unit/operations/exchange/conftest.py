from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal

import pytest

from restock.adapters.database.engine import open_database, write_transaction
from restock.adapters.database.migrate import NOTHING, migrate
from restock.ledger.movements import Kind
from restock.operations.exchange.exporting import ExportFormat, ExportRequest, export
from restock.operations.exchange.importing import ImportRequest, import_file
from restock.operations.exchange.kinds import ExchangeKind
from restock.operations.exchange.layouts import Layout
from restock.operations.stock.booking import Draft, DraftLine, book, book_reversal
from restock.operations.stock.once import Write
from restock.operations.stock.purchase_orders import OrderDraft, OrderLine, draft_order

NOW = datetime(2024, 5, 1, 12, tzinfo=UTC)
# As a company's own files are: quotes, a line end, a formula, leading zeros, other scripts.
PRODUCTS = """\
sku,name,category_path,unit,quantity_decimals,is_lot_tracked,shelf_life_days,barcodes,units,unit_cost,unit_price
0042,"Tee ""Grün"", lose",Food > Tea,kg,3,true,365,,,4.00,9.99
=1+1,'=HYPERLINK,Food,piece,0,false,,4006381333931|14006381333938:case,case=12,1.25,2.50
-7,お茶 🍵,,piece,0,,,,,,
"""
LOCATIONS = """location,name,kind,region,capacity,may_be_negative,is_active
S1,Store,store,North,12.5,false,true
TILL,Till,store,,,true,true
"""


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.real)])
def engine(request, tmp_path):
    """Return an engine for a database with all tables and no rows."""
    url = f"sqlite:///{tmp_path / 'ledger.db'}"
    if request.param == "postgresql":
        url = request.getfixturevalue("postgresql_url")
    opened = open_database(url)
    empty(opened)
    yield opened
    opened.dispose()


def empty(engine):
    migrate(engine, to=NOTHING)
    migrate(engine)


def send(engine, content, *, filename="file.csv", now=NOW, **options):
    """Import a file and return what became of it."""
    content = content.encode() if isinstance(content, str) else content
    dry_run = options.pop("dry_run", False)
    on_progress = options.pop("on_progress", None)
    if "kind" in options:
        options["kind"] = ExchangeKind(options["kind"])
    request = ImportRequest(source=content, filename=filename, **options)
    return import_file(engine, request, actor="ann", now=now, dry_run=dry_run, on_progress=on_progress)


def fetch(engine, kind, *, form="csv", layout="restock", now=NOW, **chosen):
    """Export rows and return the bytes of the file."""
    request = ExportRequest(kind=ExchangeKind(kind), format=ExportFormat(form), layout=Layout(layout), **chosen)
    return b"".join(export(engine, request, now=now).chunks)


@pytest.fixture
def stocked(engine):
    """Return a database with a small company in it: catalogue, stock, movements, orders."""
    assert send(engine, PRODUCTS).record.n_rejected == 0
    assert send(engine, LOCATIONS).record.n_rejected == 0
    send(engine, 'supplier,name,minimum_order_value\nACME,"Acme, Ltd",50\n')
    send(
        engine,
        "sku,location,supplier,unit_cost,minimum_order_quantity,order_multiple,quoted_lead_time_days\n"
        "0042,S1,ACME,3.90,2.5,0.5,7\n=1+1,TILL,ACME,1.20,12,12,3\n",
    )
    send(engine, "sku,valid_from,unit_cost,unit_price\n-7,2024-01-01,,3.00\n-7,2024-03-01,1.10,3.50\n")
    send(engine, "customer,name,region\nC1,+49 Shop,North\n")
    send(
        engine,
        "customer_order,customer,location,ordered_on,requested_on,line,sku,quantity_ordered,unit_price\n"
        "SO1,C1,S1,2024-04-01,2024-06-01,1,0042,1.5,9.99\nSO1,C1,S1,2024-04-01,2024-06-01,2,-7,3,3.50\n",
    )
    with write_transaction(engine) as connection:
        _book(connection, "receipt", "S1", DraftLine(sku="0042", quantity=Decimal("7.250"), lot="L1",
                                                      expires_on=date(2025, 1, 31)), "k1")  # fmt: skip
        _book(connection, "receipt", "TILL", DraftLine(sku="=1+1", quantity=Decimal(2), unit="case"), "k2")
        sale = _book(connection, "sale", "TILL", DraftLine(sku="=1+1", quantity=Decimal(30)), "k3")
        _book(connection, "adjustment", "S1", DraftLine(sku="-7", quantity=Decimal(4)), "k4", reason='found\n"behind"')
        write = Write(key="key-reverse", request={}, actor="ann", now=NOW)
        book_reversal(connection, sale["movement"], write, reason="wrong till")
        _book(connection, "sale", "TILL", DraftLine(sku="=1+1", quantity=Decimal(30)), "k5")
        lines = (OrderLine(sku="0042", quantity=Decimal("2.5")), OrderLine(sku="-7", quantity=Decimal(4),
                 unit_cost=Decimal("1.10")))  # fmt: skip
        draft_order(
            connection,
            OrderDraft(supplier="ACME", location="S1", lines=lines, promised_on=date(2024, 5, 9), note="@night\nonly"),
            Write(key="key-order", request={}, actor="ann", now=NOW),
        )
    return engine


def _book(connection, kind, location, line, key, *, reason=""):
    draft = Draft(kind=Kind(kind), location=location, lines=(line,), occurred_at=NOW, reference="=ref", reason=reason)
    return book(connection, draft, Write(key=f"key-{key}", request={"k": key}, actor="ann", now=NOW))
