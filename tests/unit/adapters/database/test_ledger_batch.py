"""Posting in batches is posting one by one, only faster."""

from __future__ import annotations

import json
import random
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import insert, select

from restock.adapters.database.catalogue_tables import LocationRow
from restock.adapters.database.engine import read_transaction, write_transaction
from restock.adapters.database.ledger_batch import Refused, event_text, post_many, reply_text
from restock.adapters.database.ledger_store import Posted, Posting, build_event, build_reply, find_differences, post
from restock.adapters.database.mapped_tables import METADATA
from restock.adapters.database.migrate import NOTHING, migrate
from restock.errors import RestockError
from restock.ledger.movements import Entry, Kind, Movement, dispatch, receive, reverse, sell

NOW = datetime(2024, 5, 1, 12, tzinfo=UTC)
TABLES = ("movements", "movement_lines", "balances", "idempotency", "outbox", "audit_log")


def prepare(engine):
    migrate(engine)
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
        for name, may_be_negative in (("S", False), ("S2", False), ("TILL", True))
    ]
    with write_transaction(engine) as connection:
        connection.execute(insert(LocationRow), rows)
    return engine


@pytest.fixture
def engine(empty_database):
    return prepare(empty_database)


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


def post_batch(engine, postings):
    with write_transaction(engine) as connection:
        return post_many(connection, postings)


def dump(engine):
    """Return every ledger table, in order, without the numbers that the database gives."""
    found = {}
    with read_transaction(engine) as connection:
        for name in TABLES:
            table = METADATA.tables[name]
            order = [table.c.position] if "position" in table.c else list(table.primary_key)
            rows = connection.execute(select(table).order_by(*order)).mappings()
            found[name] = [{column: value for column, value in row.items() if column != "position"} for row in rows]
            if "position" not in table.c:
                # Servers sort text by their own rules.
                found[name].sort(key=lambda row: str([row[column.name] for column in table.primary_key]))
    return found


def draw_postings(seed, n_postings=120):
    """Return postings of every kind, good and bad: short stock, unknown places, repeated keys, reversals."""
    rng = random.Random(seed)
    made = []
    for number in range(n_postings):
        when = NOW + timedelta(minutes=rng.randrange(10_000), microseconds=rng.choice((0, 7)))
        entries = [
            Entry(sku=rng.choice("ABÄ"), quantity=rng.randint(1, 12), lot=rng.choice(("", "L1")), unit_cost=3)
            for _ in range(rng.choice((1, 1, 1, 3)))
        ]
        place = rng.choice(("S", "S", "S2", "TILL", "NOWHERE") if rng.random() < 0.1 else ("S", "S2", "TILL"))
        verb = rng.choice(
            ("receive", "sell", "sell", "dispatch", "reverse", "broken" if rng.random() < 0.2 else "sell")
        )
        if verb == "receive":
            movement = receive(entries, location=place, occurred_at=when, reference='PO "1"')
        elif verb == "sell":
            movement = sell(entries, location=place, occurred_at=when, reference="ä\\1")
        elif verb == "dispatch":
            movement = dispatch(entries, location=place, occurred_at=when, reference="TR")
        elif verb == "broken":
            movement = replace(sell(entries, location=place, occurred_at=when), lines=())
        else:
            earlier = rng.choice([one for one in made if one.movement.kind is not Kind.REVERSAL] or [None])
            back = earlier.movement if earlier is not None and earlier.movement.lines else receipt(1)
            name = "m-none" if earlier is None or rng.random() < 0.1 else earlier.identifier
            movement = reverse(back, posted_as=name, occurred_at=when, reason="mistake")
        key = f"k{number}"
        request = {"number": number}
        if made and rng.random() < 0.15:
            old = rng.choice(made)
            key, request = old.key, old.request if rng.random() < 0.6 else request
        made.append(posting(movement, f"m{number:03d}", key=key, request=request))
    return made


def describe(outcome):
    if isinstance(outcome, Posted):
        return ("posted", outcome.reply, outcome.is_repeated, outcome.below_zero, dict(outcome.balances))
    error = outcome.error if isinstance(outcome, Refused) else outcome
    return ("refused", type(error), str(error), error.members())


def post_one_by_one(engine, postings):
    outcomes = []
    for one in postings:
        try:
            with write_transaction(engine) as connection:
                outcomes.append(post(connection, one))
        except RestockError as error:
            outcomes.append(error)
    return outcomes


@pytest.mark.parametrize("seed", range(8))
def test_post_many_gives_the_tables_and_replies_of_posting_one_by_one(engine, seed):
    postings = draw_postings(seed)
    expected = [describe(each) for each in post_one_by_one(engine, postings)]
    tables = dump(engine)
    migrate(engine, to=NOTHING)
    prepare(engine)
    rng, found, start = random.Random(seed), [], 0
    while start < len(postings):
        size = rng.choice((1, 7, 60))
        found += [describe(each) for each in post_batch(engine, postings[start : start + size])]
        start += size
    assert found == expected
    assert dump(engine) == tables
    # A draw without refusals and repeats proves little.
    assert {each[0] for each in found} == {"posted", "refused"}
    assert any(each[0] == "posted" and each[2] for each in found)


def test_post_many_refuses_what_there_is_not_enough_for_and_posts_the_others(engine):
    batch = [posting(receipt(5), "m1"), posting(sale(4), "m2"), posting(sale(2), "m3"), posting(sale(1), "m4")]
    outcomes = post_batch(engine, batch)
    assert [type(each) for each in outcomes] == [Posted, Posted, Refused, Posted]
    assert str(outcomes[2].error).startswith("S would hold -1 of A")
    tables = dump(engine)
    assert [row["key"] for row in tables["idempotency"]] == ["key-m1", "key-m2", "key-m4"]
    assert [(row["location"], row["quantity"], row["version"]) for row in tables["balances"]] == [
        ("@customer", 5, 2),
        ("@supplier", -5, 1),
        ("S", 0, 3),
    ]


def test_post_many_of_nothing_but_refused_ones_leaves_nothing(engine):
    outcomes = post_batch(engine, [posting(sale(1), "m1"), posting(receipt(1, location="X"), "m2")])
    assert all(isinstance(each, Refused) for each in outcomes)
    assert not any(dump(engine).values())


def test_post_many_key_that_was_refused_first_is_free_for_a_later_request(engine):
    batch = [posting(sale(1), "m1", key="k"), posting(receipt(9), "m2"), posting(sale(1), "m3", key="k")]
    assert [type(each) for each in post_batch(engine, batch)] == [Refused, Posted, Posted]
    assert post_batch(engine, [posting(sale(1), "m9", key="k", request={"movement": "m3"})])[0].is_repeated


def test_post_many_of_more_postings_than_a_statement_has_parameters(engine):
    batch = [posting(receipt(1, sku=f"SKU-{number}"), f"m{number:05d}") for number in range(2_100)]
    assert all(isinstance(each, Posted) for each in post_batch(engine, batch))
    assert all(each.is_repeated for each in post_batch(engine, batch))
    with read_transaction(engine) as connection:
        assert list(find_differences(connection)) == []


def test_post_many_of_nothing_gives_nothing(engine):
    assert post_batch(engine, []) == []


def test_post_many_from_several_writers_loses_and_doubles_nothing(engine):
    post_batch(engine, [posting(receipt(400, sku=sku), f"stock-{sku}") for sku in "ABC"])

    def write(writer):
        rng = random.Random(writer)
        outcomes = []
        for number in range(10):
            # Half of the keys are those of another writer too.
            batch = [
                posting(
                    sale(1, sku=rng.choice("ABC")),
                    f"w{writer}-{number}-{place}",
                    key=f"shared-{writer // 2}-{number}-{place}" if place % 2 else None,
                    request={"place": place},
                )
                for place in range(20)
            ]
            rng.shuffle(batch)
            outcomes += post_batch(engine, batch)
        return outcomes

    with ThreadPoolExecutor(max_workers=4) as pool:
        outcomes = [each for found in pool.map(write, range(4)) for each in found]
    assert all(isinstance(each, Posted) for each in outcomes)
    assert sum(not each.is_repeated for each in outcomes) == 4 * 100 + 2 * 100
    with read_transaction(engine) as connection:
        assert list(find_differences(connection)) == []
    sold = sum(row["quantity"] for row in dump(engine)["balances"] if row["location"] == "@customer")
    assert sold == 600


@pytest.mark.parametrize("movement", [receipt(3, sku='Ä "x"\\', lot="\n"), sale(2)])
def test_texts_of_a_batch_are_the_json_of_a_single_posting(movement):
    made = posting(movement, 'm"1')
    assert reply_text(made) == json.dumps(build_reply(made))
    assert event_text(made) == json.dumps(build_event(made))


def test_post_many_refuses_a_naive_instant(engine):
    naive = Movement(kind=Kind.SALE, occurred_at=datetime(2024, 1, 1), lines=receipt(1).lines)  # noqa: DTZ001
    with pytest.raises(ValueError, match="an instant must know its zone"):
        post_batch(engine, [posting(naive, "m1")])
    assert not any(dump(engine).values())
