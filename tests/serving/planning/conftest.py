"""The planning API on a database with a small catalogue, called through its whole gateway."""

from __future__ import annotations

import itertools
import shutil
from datetime import UTC, date, datetime, timedelta

import pytest
from sqlalchemy import insert
from starlette.testclient import TestClient

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
from restock.adapters.database.engine import open_database, write_transaction
from restock.adapters.database.migrate import NOTHING, migrate
from restock.errors import AuthenticationError
from restock.operations.access import Principal, Role
from restock.settings import Settings
from serving.asgi import Gateway
from serving.planning.events import EventBroker, EventLimits
from serving.planning.frame import build_frame

NOW = datetime(2024, 5, 1, 12, tzinfo=UTC)
FIRST_DAY = date(2024, 1, 1)


class Tokens:
    """Knows one token a role, which is the role's name."""

    def verify(self, token):
        if token not in set(Role):
            raise AuthenticationError("no such token.")
        return Principal(name=f"the-{token}", role=Role(token))


class Clock:
    """A time that tests move."""

    def __init__(self):
        self.now = NOW

    def __call__(self):
        return self.now

    def forward(self, **parts):
        self.now += timedelta(**parts)


class Api:
    """A client that is somebody, and makes up a new key for each write."""

    def __init__(self, client, role):
        self._client = client
        self._headers = {"authorization": f"Bearer {role}"}
        self._keys = itertools.count()

    def get(self, path, **query):
        return self._client.get(f"/api/v1{path}", params=query, headers=self._headers)

    def send(self, method, path, body=None, *, key=None, **headers):
        key = key or f"key-{self._headers['authorization'][7:]}-{next(self._keys):06d}"
        return self._client.request(
            method, f"/api/v1{path}", json=body, headers=self._headers | {"idempotency-key": key} | headers
        )

    def post(self, path, body=None, **options):
        return self.send("POST", path, body, **options)

    def book(self, kind, sku, quantity, *, location="STORE-1", **line):
        """Book a movement of one line that must succeed, and return the reply."""
        body = {"kind": kind, "location": location, "lines": [{"sku": sku, "quantity": str(quantity), **line}]}
        if kind in ("adjustment", "write_off"):
            body["reason"] = "test"
        reply = self.post("/movements", body)
        assert reply.status_code == 201, reply.text
        return reply.json()

    def on_hand(self, sku, location="STORE-1"):
        """Return the balance by lot, as text."""
        return {row["lot"]: row["on_hand"] for row in self.get("/stock", sku=sku, location=location).json()["items"]}


@pytest.fixture(scope="session")
def filled_database(tmp_path_factory):
    """Return a SQLite file with a small catalogue; tests work on copies of it."""
    path = tmp_path_factory.mktemp("filled") / "ledger.db"
    engine = open_database(f"sqlite:///{path}")
    migrate(engine)
    with write_transaction(engine) as connection:
        fill_catalogue(connection)
    # The last connection brings what the write-ahead log holds into the file.
    engine.dispose()
    return path


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.real)])
def engine(request, tmp_path):
    """Return a migrated database with a small catalogue."""
    if request.param == "sqlite":
        shutil.copyfile(request.getfixturevalue("filled_database"), tmp_path / "ledger.db")
        engine = open_database(f"sqlite:///{tmp_path / 'ledger.db'}")
    else:
        engine = open_database(request.getfixturevalue("postgresql_url"))
        migrate(engine, to=NOTHING)
        migrate(engine)
        with write_transaction(engine) as connection:
            fill_catalogue(connection)
    yield engine
    engine.dispose()


def fill_catalogue(connection):
    """Insert MILK (by lots, cases of 12), SCREW and FLOUR (kg, 3 decimals); two stores, a warehouse, a supplier."""
    products = [("MILK", "Whole milk 1 l", "piece", 0, True), ("SCREW", "Screw M4", "piece", 0, False)]
    products.append(("FLOUR", "Wheat flour", "kg", 3, False))
    connection.execute(
        insert(ProductRow),
        [
            {
                "sku": sku,
                "name": name,
                "category_path": "Food > Dairy" if sku == "MILK" else "Other",
                "base_unit": unit,
                "quantity_decimals": decimals,
                "is_lot_tracked": is_lot_tracked,
                "is_active": True,
                "version": 1,
                "changed_at_utc": NOW,
            }
            for sku, name, unit, decimals, is_lot_tracked in products
        ],
    )
    connection.execute(insert(ProductUnitRow), {"sku": "MILK", "unit": "case", "factor": 12_000_000})
    connection.execute(insert(BarcodeRow), {"gtin": "04006381333931", "sku": "MILK", "unit": "piece"})
    connection.execute(
        insert(CostRow), [{"sku": sku, "valid_from": FIRST_DAY, "unit_cost": 60} for sku in ("MILK", "SCREW", "FLOUR")]
    )
    connection.execute(
        insert(PriceRow), [{"sku": sku, "valid_from": FIRST_DAY, "unit_price": 99} for sku in ("MILK", "SCREW")]
    )
    connection.execute(
        insert(LocationRow),
        [
            {
                "location": location,
                "name": location,
                "kind": "warehouse" if location == "DC-1" else "store",
                "region": "north",
                "may_be_negative": location == "TILL-1",
                "is_active": True,
                "version": 1,
            }
            for location in ("STORE-1", "TILL-1", "DC-1")
        ],
    )
    supplier = {"supplier": "SUP-1", "name": "Dairy & Co", "is_active": True, "minimum_order_value": 500, "version": 1}
    connection.execute(insert(SupplierRow), supplier)
    terms = {
        "sku": "MILK",
        "location": "DC-1",
        "supplier": "SUP-1",
        "unit_cost": 55,
        "minimum_order_quantity": 12,
        "order_multiple": 12,
        "fixed_order_cost": 0,
        "review_periods": 7,
        "quoted_lead_time_days": 3,
    }
    connection.execute(insert(SupplyTermRow), terms)


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def client(engine, clock, tmp_path):
    settings = Settings(workspace=tmp_path, requests_per_second=10_000)
    # Streams end at once, so that every route can be called like any other.
    broker = EventBroker(engine, limits=EventLimits(longest_seconds=0))
    frame = build_frame(engine, settings, now=clock, verifier=Tokens(), broker=broker)

    async def nothing(scope, receive, send):
        raise AssertionError("the gateway must not pass anything on to BentoML")

    return TestClient(Gateway(nothing, find_frame=lambda: frame), raise_server_exceptions=False)


@pytest.fixture
def api(client):
    """Return a function that makes a client of a role."""
    return lambda role: Api(client, role)


@pytest.fixture
def operator(api):
    return api("operator")


@pytest.fixture
def manager(api):
    return api("manager")
