from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal

import pytest
from sqlalchemy import func, select
from sqlalchemy.exc import OperationalError

from restock.adapters.database.catalogue_tables import ProductRow
from restock.adapters.database.engine import read_transaction, write_transaction
from restock.adapters.database.exchange_tables import ImportRow
from restock.adapters.database.ledger_store import read_balance
from restock.adapters.database.ledger_tables import AuditRow, MovementRow, OutboxRow
from restock.adapters.database.order_tables import PurchaseOrderRow
from restock.errors import DataError, NotFoundError
from restock.ledger.movements import Kind
from restock.operations.exchange import importing
from restock.operations.exchange.import_log import (
    ImportState,
    iterate_rejections,
    list_imports,
    list_rejections,
    read_import,
    reason_column,
)
from restock.operations.stock.booking import Draft, DraftLine, book
from restock.operations.stock.once import Write
from restock.operations.verify_ledger import verify_ledger
from tests.unit.operations.exchange.conftest import LOCATIONS, NOW, PRODUCTS, fetch, send

MANY = "sku,name\n" + "".join(f"P{n},Product {n}\n" for n in range(11))
STOCK = "sku,location,on_hand\n=1+1,S1,5\n-7,S1,3\n"


def _refused(engine, done):
    with read_transaction(engine) as connection:
        return list(iterate_rejections(connection, done.record.import_id))


def _count(engine, row):
    with read_transaction(engine) as connection:
        return connection.execute(select(func.count()).select_from(row)).scalar_one()


@pytest.fixture
def catalogue(engine):
    send(engine, PRODUCTS)
    send(engine, LOCATIONS)
    return engine


def test_import_file_keeps_bad_rows_with_line_and_reason(engine):
    done = send(
        engine,
        "sku,name,shelf_life_days,note\nA,Tea,10,x\n,Nameless,,\nC,Jam,ten,y\nD,too,many,fields,here\nE,Rice,0,\n",
    )
    record = done.record
    assert (record.n_rows, record.n_written, record.n_rejected) == (5, 1, 4)
    assert record.ignored == ("note",)
    found = {each.line: each for each in _refused(engine, done)}
    assert sorted(found) == [3, 4, 5, 6]
    assert "sku is empty, expected a name or number" in found[3].reason
    assert "shelf_life_days is 'ten', expected a" in found[4].reason
    assert found[4].content == {"sku": "C", "name": "Jam", "shelf_life_days": "ten", "note": "y"}
    assert "5 fields, expected 4 fields" in found[5].reason
    assert "shelf_life_days: Input should be greater than or equal to 1" in found[6].reason


def test_import_file_the_same_file_again_changes_nothing_and_says_so(catalogue):
    first = send(catalogue, STOCK)
    before = [_count(catalogue, row) for row in (MovementRow, AuditRow, OutboxRow, ImportRow)]
    again = send(catalogue, STOCK, filename="other name.csv")
    assert (first.is_repeated, again.is_repeated) == (False, True)
    assert again.record == first.record
    assert [_count(catalogue, row) for row in (MovementRow, AuditRow, OutboxRow, ImportRow)] == before


def test_import_file_again_tries_the_refused_rows_again_and_only_those(engine):
    send(engine, PRODUCTS)
    first = send(engine, STOCK)
    assert (first.record.n_written, first.record.n_rejected) == (0, 2)
    assert "location 'S1' is unknown" in _refused(engine, first)[0].reason
    again = send(engine, STOCK)
    assert (again.is_repeated, again.record.attempt, again.record.n_rejected) == (True, 2, 2)
    send(engine, LOCATIONS)
    third = send(engine, STOCK)
    assert (third.is_repeated, third.is_resumed) == (False, True)
    assert (third.record.n_written, third.record.n_rejected) == (2, 0)
    assert _refused(engine, third) == []
    with read_transaction(engine) as connection:
        assert read_balance(connection, "-7", "S1") == 3
    verify_ledger(engine)


@pytest.mark.parametrize("crash_at", range(1, 6))
def test_import_file_goes_on_where_it_was_cut_off(engine, monkeypatch, crash_at):
    monkeypatch.setattr(importing, "CHUNK_RECORDS", 2)
    calls = []

    def crash(done, total):
        calls.append((done, total))
        if len(calls) == crash_at:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        send(engine, MANY, on_progress=crash)
    with read_transaction(engine) as connection:
        (cut_off,), _ = list_imports(connection)
    assert (cut_off.state, cut_off.n_done) == (ImportState.RUNNING, 2 * crash_at)
    done = send(engine, MANY)
    assert (done.is_resumed, done.record.state) == (True, ImportState.DONE)
    assert (done.record.n_written, done.record.n_unchanged, done.record.n_rejected) == (11, 0, 0)
    assert _count(engine, ProductRow) == 11


def test_import_file_a_chunk_that_fails_leaves_nothing_of_itself(engine, monkeypatch):
    monkeypatch.setattr(importing, "CHUNK_RECORDS", 4)
    note = importing.note_progress
    calls = []

    def fail_second(*arguments, **options):
        calls.append(1)
        if len(calls) == 2:
            raise OSError("the disk is full")
        return note(*arguments, **options)

    monkeypatch.setattr(importing, "note_progress", fail_second)
    with pytest.raises(OSError, match="the disk is full"):
        send(engine, MANY)
    assert _count(engine, ProductRow) == 4
    assert send(engine, MANY).record.n_written == 11
    assert _count(engine, ProductRow) == 11


@pytest.mark.parametrize(
    ("sqlstate", "n_failures", "is_done"), [("40P01", 2, True), ("40P01", 9, False), (None, 1, False)]
)
def test_import_file_begins_a_chunk_again_where_two_waited_for_each_other(
    engine, monkeypatch, sqlstate, n_failures, is_done
):
    write = importing._write_next
    failures = iter([True] * n_failures)

    def fail(*arguments):
        written = write(*arguments)
        if next(failures, False):
            reason = Exception("deadlock")
            reason.sqlstate = sqlstate
            raise OperationalError("UPDATE", {}, reason)
        return written

    monkeypatch.setattr(importing, "_write_next", fail)
    if is_done:
        assert send(engine, MANY).record.n_written == 11
    else:
        with pytest.raises(OperationalError, match="deadlock"):
            send(engine, MANY)
        assert _count(engine, ProductRow) == 0


def test_import_file_sent_twice_at_once_is_written_once(catalogue, monkeypatch):
    monkeypatch.setattr(importing, "CHUNK_RECORDS", 3)
    rows = "".join(f"2024-04-01T10:00:{n:02d}Z,receipt,-7,S1,1\n" for n in range(30))
    content = "occurred_at_utc,kind,sku,location,quantity\n" + rows
    with ThreadPoolExecutor(4) as pool:
        done = list(pool.map(lambda _: send(catalogue, content), range(4)))
    assert {each.record.import_id for each in done} == {done[0].record.import_id}
    with read_transaction(catalogue) as connection:
        assert read_balance(connection, "-7", "S1") == 30
        assert read_import(connection, done[0].record.import_id).n_written == 30
    verify_ledger(catalogue)


def test_import_file_beside_tills_and_other_imports_loses_nothing(engine, monkeypatch):
    monkeypatch.setattr(importing, "CHUNK_RECORDS", 7)
    skus = [f"P{number}" for number in range(6)]
    send(engine, "sku,name\n" + "".join(f"{sku},{sku}\n" for sku in skus))
    send(engine, LOCATIONS)

    def rows(order, note):
        # Each import takes the products in another order, which is how writers come to wait for each other.
        return "occurred_at_utc,kind,sku,location,quantity,reference\n" + "".join(
            f"2024-04-01,receipt,{sku},S1,1,{note}-{turn}\n" for turn in range(6) for sku in order
        )

    def sell(sku):
        line = DraftLine(sku=sku, quantity=Decimal(1))
        for turn in range(6):
            draft = Draft(kind=Kind.RECEIPT, location="S1", lines=(line,), occurred_at=NOW)
            with write_transaction(engine) as connection:
                book(connection, draft, Write(key=f"till-{sku}-{turn}", request={}, actor="till", now=NOW))

    with ThreadPoolExecutor(6) as pool:
        imports = [
            pool.submit(send, engine, rows(order, n)) for n, order in enumerate((skus, skus[::-1], skus[3:] + skus[:3]))
        ]
        tills = [pool.submit(sell, sku) for sku in skus[:3]]
        assert [each.result().record.n_written for each in imports] == [36, 36, 36]
        assert [each.result() for each in tills] == [None] * 3
    with read_transaction(engine) as connection:
        assert [read_balance(connection, sku, "S1") for sku in skus] == [24, 24, 24, 18, 18, 18]
    verify_ledger(engine)


def test_import_file_dry_run_keeps_nothing_and_tells_what_would_be(catalogue):
    counts = [_count(catalogue, row) for row in (MovementRow, AuditRow, OutboxRow, ImportRow)]
    content = (
        "occurred_at_utc,kind,sku,location,quantity\n"
        "2024-04-01,receipt,-7,S1,5\n2024-04-02,sale,-7,S1,-5\n2024-04-03,sale,-7,S1,-1\n"
    )
    done = send(catalogue, content, dry_run=True)
    assert (done.is_dry_run, done.n_judged, done.record.import_id) == (True, 3, "")
    assert (done.record.n_written, done.record.n_rejected) == (2, 1)
    assert [each.line for each in done.rejections] == [4]
    assert "would hold -1" in done.rejections[0].reason
    assert [_count(catalogue, row) for row in (MovementRow, AuditRow, OutboxRow, ImportRow)] == counts


def test_import_file_a_blank_cell_leaves_what_is_there(catalogue):
    send(catalogue, "sku,name,category_path,unit_price\n=1+1,New name,,\n")
    row = next(line for line in fetch(catalogue, "products").decode().splitlines() if "New name" in line)
    assert row.startswith("'=1+1,New name,Food,piece,0,false")
    assert row.endswith("1.25,2.50,true")


def test_import_file_stock_brings_the_books_to_the_file(catalogue):
    send(catalogue, STOCK)
    send(catalogue, "sku,location,on_hand\n=1+1,S1,2\n")
    with read_transaction(catalogue) as connection:
        assert read_balance(connection, "=1+1", "S1") == 2
    assert send(catalogue, "sku,location,on_hand,x\n=1+1,S1,2,\n").record.n_unchanged == 1


def test_import_file_asked_to_be_written_again_brings_the_books_back(catalogue):
    send(catalogue, STOCK)
    send(catalogue, "sku,location,on_hand\n=1+1,S1,2\n")
    assert send(catalogue, STOCK).is_repeated
    again = send(catalogue, STOCK, again=True)
    assert (again.is_repeated, again.record.n_written, again.record.n_unchanged) == (False, 1, 1)
    with read_transaction(catalogue) as connection:
        assert read_balance(connection, "=1+1", "S1") == 5
    with pytest.raises(DataError, match="movements happened once"):
        send(catalogue, "occurred_at_utc,kind,sku,location,quantity\n2024-04-01,receipt,-7,S1,1\n", again=True)


def test_import_file_stock_of_lots_needs_the_lot_and_keeps_its_expiry(catalogue):
    done = send(catalogue, "sku,location,lot,expires_on,on_hand\n0042,S1,L9,2025-02-28,1.5\n0042,S1,,,1\n-7,S1,L1,,1\n")
    assert [each.line for each in _refused(catalogue, done)] == [3, 4]
    assert b"0042,S1,L9,2025-02-28,1.500,kg" in fetch(catalogue, "stock")


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ("sale,-7,S1,3,", "a sale takes from the stock, expected less than 0"),
        ("receipt,-7,S1,-3,", "a receipt adds to the stock, expected more than 0"),
        ("theft,-7,S1,-3,", "kind is 'theft', expected one of receipt"),
        ("count,-7,S1,-3,", "a count is not told by a row alone"),
        ("adjustment,-7,S1,1,", "reason is empty"),
        ("receipt,nope,S1,1,", "sku 'nope' is not in the catalogue"),
        ("receipt,-7,nowhere,1,", "location 'nowhere' is unknown"),
        ("receipt,-7,@supplier,1,", "location '@supplier' is unknown"),
        ("receipt,-7,S1,1.5,", "more than 0 decimal places"),
        ("sale,-7,S1,-1,", "would hold -1"),
    ],
)
def test_import_file_movement_that_breaks_a_rule_is_refused(catalogue, row, reason):
    done = send(catalogue, f"occurred_at_utc,kind,sku,location,quantity,reason\n2024-04-01,{row}\n")
    assert reason in _refused(catalogue, done)[0].reason
    assert _count(catalogue, MovementRow) == 0


def test_import_file_lines_of_a_movement_that_do_not_sum_to_zero_are_all_refused(catalogue):
    content = (
        "movement,line,occurred_at_utc,kind,sku,location,quantity\n"
        "M1,1,2024-04-01,receipt,-7,@supplier,-5\nM1,2,2024-04-01,receipt,-7,S1,4\n"
        "M2,1,2024-04-01,receipt,-7,@supplier,-5\nM2,2,2024-04-01,receipt,-7,S1,5\n"
    )
    done = send(catalogue, content)
    assert [each.line for each in _refused(catalogue, done)] == [2, 3]
    assert "sum to -1, expected 0" in _refused(catalogue, done)[0].reason
    assert done.record.n_written == 2


def test_import_file_a_posted_movement_is_unchanged_or_refused(stocked):
    content = fetch(stocked, "movements")
    done = send(stocked, content)
    assert (done.record.n_written, done.record.n_rejected) == (0, 0)
    assert done.record.n_unchanged == done.record.n_rows
    changed = send(stocked, content.replace(b"wrong till", b"right till"))
    assert changed.record.n_rejected == 2
    assert "posted already with other content" in _refused(stocked, changed)[0].reason


def test_import_file_an_order_with_one_bad_line_is_refused_as_a_whole(stocked):
    content = (
        "purchase_order,supplier,location,ordered_on,sku,quantity_ordered,quantity_received,unit_cost\n"
        "PO1,ACME,S1,2024-04-01,0042,2,1,3\nPO1,ACME,S1,2024-04-01,nope,2,0,3\n"
        "PO2,ACME,S1,2024-04-01,0042,2,2,3\nPO3,ACME,S1,,0042,2,,3\n"
    )
    done = send(stocked, content)
    assert [each.line for each in _refused(stocked, done)] == [2, 3]
    with read_transaction(stocked) as connection:
        states = connection.execute(select(PurchaseOrderRow.purchase_order, PurchaseOrderRow.state)).all()
    assert {("PO2", "received"), ("PO3", "draft")} <= {tuple(row) for row in states}
    other = send(stocked, content.replace("PO3,ACME,S1,,0042,2", "PO3,ACME,S1,,0042,9"))
    assert "line 1, quantity_ordered: 2000 here, 9000 in the file" in _refused(stocked, other)[-1].reason


def test_import_file_two_rows_about_the_same_product_are_written_in_their_order(engine):
    done = send(engine, "sku,name\nA,First\nB,Other\nA,Second\n")
    assert done.record.n_written == 3
    assert b"A,Second," in fetch(engine, "products")


def test_import_file_of_told_kinds_is_refused(engine):
    with pytest.raises(DataError, match="alerts can be exported, not imported"):
        send(engine, "alert\n1\n", kind=importing.ExchangeKind.ALERTS)


def test_import_file_with_a_decimal_comma_reads_it_where_asked_for(catalogue):
    content = "sku;location;lot;on_hand\n0042;S1;L1;1,5\n"
    refused = send(catalogue, content)
    assert "on_hand is '1,5', expected a number with '.'" in _refused(catalogue, refused)[0].reason
    assert send(catalogue, content, decimal_mark=",").record.n_written == 1
    assert b"L1,,1.500,kg" in fetch(catalogue, "stock")


def test_read_import_unknown_is_not_found(engine):
    with read_transaction(engine) as connection, pytest.raises(NotFoundError, match="there is no import 'x'"):
        read_import(connection, "x")


def test_list_rejections_pages_by_line(engine):
    done = send(engine, "sku,name\n" + ",x\n" * 5)
    with read_transaction(engine) as connection:
        first, after = list_rejections(connection, done.record.import_id, limit=3)
        rest, end = list_rejections(connection, done.record.import_id, after=after, limit=3)
    assert [each.line for each in (*first, *rest)] == [2, 3, 4, 5, 6]
    assert end is None


def test_reason_column_is_none_that_the_kind_reads(engine):
    assert reason_column(send(engine, "sku,name\nA,B\n").record) == "reason"
    done = send(engine, "occurred_at_utc,kind,sku,location,quantity\n2024-01-01,sale,a,b,1\n")
    assert reason_column(done.record) == "rejection_reason"
