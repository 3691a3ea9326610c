"""The ledger store on SQLite, and on PostgreSQL where `make test-all` runs it."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from sqlalchemy import insert, text
from sqlalchemy.exc import DatabaseError

from restock.adapters.database.catalogue_tables import LocationRow
from restock.adapters.database.engine import open_database, read_transaction, write_transaction
from restock.adapters.database.ledger_store import (
    IdempotencyError,
    Posting,
    find_differences,
    find_unbalanced,
    post,
    read_balance,
    read_movement,
)
from restock.adapters.database.migrate import migrate
from restock.errors import ConfigurationError, ConflictError, DataError, NotFoundError
from restock.ledger.balances import InsufficientStockError
from restock.ledger.movements import Entry, receive, reverse, sell

NOW = datetime(2024, 5, 1, 12, tzinfo=UTC)


@pytest.fixture
def engine(empty_database):
    migrate(empty_database)
    rows = [
        {
            "location": name,
            "name": name,
            "kind": "store",
            "region": "",
            "may_be_negative": may_be_negative,
            "is_active": True,
            "version": 1,
        }
        for name, may_be_negative in (("S", False), ("TILL", True))
    ]
    with write_transaction(empty_database) as connection:
        connection.execute(insert(LocationRow), rows)
    return empty_database


def posting(movement, identifier, *, key=None, request=None):
    return Posting(
        movement=movement,
        identifier=identifier,
        key=key or f"key-{identifier}",
        request=request or {"movement": identifier},
        posted_by="test",
        posted_at=NOW,
    )


def receipt(quantity, *, sku="A", location="S", lot=""):
    return receive([Entry(sku=sku, quantity=quantity, lot=lot, unit_cost=150)], location=location, occurred_at=NOW)


def sale(quantity, *, sku="A", location="S", lot=""):
    return sell([Entry(sku=sku, quantity=quantity, lot=lot)], location=location, occurred_at=NOW)


def post_one(engine, movement, identifier, **options):
    with write_transaction(engine) as connection:
        return post(connection, posting(movement, identifier, **options))


def balance(engine, sku="A", location="S"):
    with read_transaction(engine) as connection:
        return read_balance(connection, sku, location)


def count(engine, table):
    with read_transaction(engine) as connection:
        return connection.execute(text(f"SELECT count(*) FROM {table}")).scalar_one()


def test_post_changes_balances_and_leaves_event_and_audit_entry(engine):
    posted = post_one(engine, receipt(10), "m1")
    assert posted.reply == {"movement": "m1", "kind": "receipt", "lines": 2}
    assert balance(engine) == 10
    assert balance(engine, location="@supplier") == -10
    assert count(engine, "outbox") == count(engine, "audit_log") == 1


def test_post_is_read_back_as_it_was_posted(engine):
    movement = receipt(10, lot="L1")
    post_one(engine, movement, "m1")
    with read_transaction(engine) as connection:
        assert read_movement(connection, "m1") == movement


def test_post_same_key_and_request_again_gives_the_same_reply_and_posts_nothing(engine):
    first = post_one(engine, receipt(10), "m1", key="k", request={"scan": 1})
    again = post_one(engine, receipt(10), "m2", key="k", request={"scan": 1})
    assert again.is_repeated
    assert again.reply == first.reply
    assert balance(engine) == 10


def test_post_same_key_with_another_request_is_refused(engine):
    post_one(engine, receipt(10), "m1", key="k", request={"scan": 1})
    with pytest.raises(IdempotencyError, match="'k' came with another request before"):
        post_one(engine, receipt(99), "m2", key="k", request={"scan": 2})
    assert balance(engine) == 10


def test_post_more_than_there_is_is_refused_and_leaves_nothing(engine):
    post_one(engine, receipt(3), "m1")
    with pytest.raises(InsufficientStockError, match="S would hold -1 of A"):
        post_one(engine, sale(4), "m2")
    assert balance(engine) == 3
    assert count(engine, "movements") == count(engine, "idempotency") == 1


def test_post_below_zero_where_it_is_allowed_reports_it(engine):
    posted = post_one(engine, sale(4, location="TILL"), "m1")
    assert [(each.location, each.balance) for each in posted.below_zero] == [("TILL", -4)]


def test_post_to_an_unknown_location_is_refused(engine):
    with pytest.raises(NotFoundError, match="location 'X' is unknown"):
        post_one(engine, receipt(1, location="X"), "m1")


def test_post_reversal_takes_back_once(engine):
    movement = receipt(10)
    post_one(engine, movement, "m1")
    back = reverse(movement, posted_as="m1", occurred_at=NOW, reason="wrong delivery")
    post_one(engine, back, "m2")
    assert balance(engine) == 0
    with pytest.raises(ConflictError, match="'m1' is reversed already, by 'm2'"):
        post_one(engine, back, "m3")


def test_post_reversal_of_nothing_is_refused(engine):
    back = reverse(receipt(10), posted_as="m9", occurred_at=NOW, reason="x")
    with pytest.raises(NotFoundError, match="there is no movement 'm9'"):
        post_one(engine, back, "m1")


@pytest.mark.parametrize("statement", ["UPDATE movement_lines SET quantity = 1", "DELETE FROM movements"])
def test_posted_rows_can_t_be_changed_or_removed(engine, statement):
    post_one(engine, receipt(10), "m1")
    refused = pytest.raises(DatabaseError, match="append-only: post a reversal instead")
    with refused, write_transaction(engine) as connection:
        connection.execute(text(statement))


def test_find_differences_names_a_balance_that_was_tampered_with(engine):
    post_one(engine, receipt(10), "m1")
    with read_transaction(engine) as connection:
        assert list(find_differences(connection)) == []
        assert find_unbalanced(connection) is None
    with write_transaction(engine) as connection:
        connection.execute(text("UPDATE balances SET quantity = 11 WHERE location = 'S'"))
        connection.execute(text("DELETE FROM balances WHERE location = '@supplier'"))
        connection.execute(text("INSERT INTO balances VALUES ('Z', 'S', '', 5, 1)"))
    with read_transaction(engine) as connection:
        found = list(find_differences(connection))
    assert found == [(("A", "@supplier", ""), 0, -10), (("A", "S", ""), 11, 10), (("Z", "S", ""), 5, 0)]


def test_find_unbalanced_names_the_movement(engine):
    post_one(engine, receipt(10), "m1")
    with write_transaction(engine) as connection:
        connection.execute(text("INSERT INTO movement_lines VALUES ('m1', 3, 'A', 'S', '', 2, NULL, NULL, '', '')"))
    with read_transaction(engine) as connection:
        assert find_unbalanced(connection) == ("m1", "A", "", 2)


def test_post_from_many_threads_loses_and_doubles_nothing(engine):
    post_one(engine, receipt(1_000), "m0")

    def scan(number):
        # Every scan is sent twice, as a scanner with a weak network does.
        for attempt in ("a", "b"):
            post_one(engine, sale(1), f"m{number}{attempt}", key=f"scan-{number}", request={"scan": number})

    with ThreadPoolExecutor(max_workers=8) as pool:
        list(pool.map(scan, range(200)))
    assert balance(engine) == 800
    assert count(engine, "movements") == 201
    with read_transaction(engine) as connection:
        assert list(find_differences(connection)) == []


def test_post_of_an_unbalanced_movement_is_refused(engine):
    movement = receipt(10)
    broken = replace(movement, lines=(movement.lines[0], replace(movement.lines[1], quantity=9)))
    with pytest.raises(DataError, match="sum to -1, expected 0"):
        post_one(engine, broken, "m1")


@pytest.mark.parametrize("url", ["mysql://localhost/x", "no address"])
def test_open_database_other_databases_are_refused(url):
    with pytest.raises(ConfigurationError, match="must be sqlite"):
        open_database(url)
