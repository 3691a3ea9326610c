"""The finance view equals the ledger: random histories posted for real, valued, and compared to the cent."""

from __future__ import annotations

import random
from datetime import UTC, date, datetime, timedelta

import pytest
from sqlalchemy import func, insert, select

from restock.adapters.database.catalogue_tables import LocationRow, ProductRow
from restock.adapters.database.engine import open_database, read_transaction, write_transaction
from restock.adapters.database.ledger_store import Posting, post
from restock.adapters.database.ledger_tables import BalanceRow
from restock.adapters.database.migrate import NOTHING, migrate
from restock.analytics.valuation import Flow, Method
from restock.errors import DataError
from restock.ledger.balances import InsufficientStockError
from restock.ledger.movements import (
    Entry,
    adjust,
    arrive,
    dispatch,
    receive,
    reverse,
    sell,
    settle_count,
    take_back,
    write_off,
)
from restock.operations.analytics.finance import Period, report_finance, value_by_location

START = datetime(2024, 1, 1, 8, tzinfo=UTC)
N_DAYS = 30
SKUS = {"A": 0, "B": 3}
LOCATIONS = ("S1", "S2")
ALL = Period(first=date(2024, 1, 1), last=date(2024, 2, 29))


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.real)])
def engine(request, tmp_path):
    url = f"sqlite:///{tmp_path / 'ledger.db'}"
    if request.param == "postgresql":
        url = request.getfixturevalue("postgresql_url")
    engine = open_database(url)
    migrate(engine, to=NOTHING)
    migrate(engine)
    with write_transaction(engine) as connection:
        location = {"kind": "store", "region": "", "may_be_negative": False, "is_active": True, "version": 1}
        connection.execute(insert(LocationRow), [location | {"location": one, "name": one} for one in LOCATIONS])
        product = {"name": "x", "category_path": "Food", "base_unit": "u", "is_lot_tracked": False}
        product |= {"shelf_life_days": None, "is_active": True, "version": 1, "changed_at_utc": START}
        rows = [product | {"sku": sku, "quantity_decimals": decimals} for sku, decimals in SKUS.items()]
        connection.execute(insert(ProductRow), rows)
    yield engine
    engine.dispose()


def play(engine, *, seed, n_movements=120, cost=None):
    """Post a random history, some of it back-dated and some reversed."""
    rng, posted = random.Random(seed), {}
    for number in range(n_movements):
        when = START + timedelta(days=rng.randrange(N_DAYS), minutes=rng.randrange(600))
        sku, location = rng.choice(list(SKUS)), rng.choice(LOCATIONS)
        entry = Entry(
            sku=sku,
            quantity=rng.randint(1, 40) * 10 ** SKUS[sku] + rng.randrange(10 ** SKUS[sku]),
            unit_cost=cost or rng.randint(1, 500),
            unit_price=999,
        )
        verbs = {
            "receive": lambda e=entry, p=location, t=when: receive([e], location=p, occurred_at=t),
            "sell": lambda e=entry, p=location, t=when: sell([e], location=p, occurred_at=t),
            "back": lambda e=entry, p=location, t=when: take_back([e], location=p, occurred_at=t),
            "out": lambda e=entry, p=location, t=when: dispatch([e], location=p, occurred_at=t, reference="T"),
            "in": lambda e=entry, p=location, t=when: arrive([e], location=p, occurred_at=t, reference="T"),
            "off": lambda e=entry, p=location, t=when: write_off([e], location=p, occurred_at=t, reason="x"),
            "adjust": lambda e=entry, p=location, t=when: adjust([e], location=p, occurred_at=t, reason="x"),
            "count": lambda e=entry, p=location, t=when: settle_count(
                [e], booked=[e.quantity + rng.choice([-1, 1])], location=p, occurred_at=t, reference="C"
            ),
        }
        verb = rng.choice([*verbs, "receive", "receive", "reverse"])
        if verb == "reverse":
            if not posted:
                continue
            original = rng.choice(list(posted))
            movement = reverse(posted.pop(original), posted_as=original, occurred_at=when, reason="x")
        else:
            movement = verbs[verb]()
        name = f"m{number}"
        posting = Posting(
            movement=movement, identifier=name, key=name, request={}, posted_by="x", posted_at=START + timedelta(number)
        )
        try:
            with write_transaction(engine) as connection:
                post(connection, posting)
        except InsufficientStockError:
            continue
        if movement.reverses is None:
            posted[name] = movement


def held(connection, sku):
    """Return what the ledger's own balances say the company holds."""
    location = BalanceRow.location
    total = func.coalesce(func.sum(BalanceRow.quantity), 0)
    statement = select(total).where(BalanceRow.sku == sku, ~location.like("@%") | (location == "@transit"))
    return int(connection.execute(statement).scalar_one())


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("method", list(Method))
def test_report_finance_equals_the_ledger_to_the_cent(engine, seed, method):
    play(engine, seed=seed)
    with read_transaction(engine) as connection:
        whole = report_finance(connection, ALL, method=method)
        by_location = value_by_location(connection, whole)
        for product in whole.products:
            # What it is worth is what came in less what went out, and how much there is, is what the balances say.
            assert product.opening_value + sum(product.flows.values()) == product.closing_value
            assert product.closing_quantity == held(connection, product.sku)
            assert sum(layer.quantity for layer in product.layers) == product.closing_quantity
            places = by_location[product.sku]
            assert sum(value for _, value in places.values()) == product.closing_value
            assert sum(quantity for quantity, _ in places.values()) == product.closing_quantity
        # Cut anywhere, the parts give the whole: what closes one period opens the next.
        cut = date(2024, 1, 1) + timedelta(days=3 + 4 * seed)
        early = report_finance(connection, Period(first=ALL.first, last=cut), method=method)
        late = report_finance(connection, Period(first=cut + timedelta(days=1), last=ALL.last), method=method)
        closing = {product.sku: (product.closing_quantity, product.closing_value) for product in early.products}
        for product in late.products:
            opening = (product.opening_quantity, product.opening_value)
            assert closing.get(product.sku, (0, 0)) == opening
        for flow in Flow:
            assert early.flow(flow) + late.flow(flow) == whole.flow(flow)


@pytest.mark.parametrize("method", list(Method))
def test_report_finance_at_one_cost_is_quantity_times_cost(engine, method):
    play(engine, seed=99, cost=250)
    with read_transaction(engine) as connection:
        report = report_finance(connection, ALL, method=method)
        for product in report.products:
            exact = product.closing_quantity * 250 / product.facts.scale
            # Each flow is rounded once, by at most half a cent.
            assert abs(product.closing_value - exact) <= 60


def test_period_that_ends_before_it_begins_is_refused():
    with pytest.raises(DataError, match="must begin before it ends"):
        Period(first=date(2024, 1, 2), last=date(2024, 1, 1))
