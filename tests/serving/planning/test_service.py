"""The planning service as it is run: BentoML, its worker processes, and many scanners at once."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from restock.adapters.database.engine import open_database
from restock.operations.verify_ledger import verify_ledger
from tests.serving.planning.running import running_planning


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.real)])
def database_url(request):
    """Return the URL of a database; None for SQLite in the workspace."""
    return request.getfixturevalue("postgresql_url") if request.param == "postgresql" else None


def book(client, key, kind="sale", quantity="1"):
    body = {"kind": kind, "location": "STORE-1", "lines": [{"sku": "SCREW", "quantity": quantity}]}
    return client.post("/movements", json=body, headers={"idempotency-key": key})


def scan_all(service, *, writer, n_scans):
    """Book sales one by one; each is sent again now and then, as a scanner does whose reply was lost."""
    with service.client() as client:
        for number in range(n_scans):
            key = f"writer-{writer:02d}-scan-{number:04d}"
            replies = [book(client, key) for _ in range(2 if number % 7 == 0 else 1)]
            for reply in replies:
                assert reply.status_code == 201, reply.text
            assert len({reply.json()["movement"] for reply in replies}) == 1


def run_writers(service, *, n_writers, n_scans):
    with service.client() as client:
        start = n_writers * n_scans + 5
        assert book(client, "opening-stock", kind="receipt", quantity=str(start)).status_code == 201
        with ThreadPoolExecutor(n_writers) as pool:
            list(pool.map(lambda writer: scan_all(service, writer=writer, n_scans=n_scans), range(n_writers)))
        rows = client.get("/stock", params={"sku": "SCREW", "location": "STORE-1"}).json()["items"]
    assert [row["on_hand"] for row in rows] == ["5"]
    engine = open_database(service.database_url)
    assert verify_ledger(engine).n_movements == n_writers * n_scans + 1
    engine.dispose()


def test_fifty_scanners_on_one_sku_lose_and_double_nothing(tmp_path, database_url):
    with running_planning(tmp_path, database_url=database_url) as service:
        assert httpx.get(f"{service.address}/readyz").json()["status"] == "ready"
        run_writers(service, n_writers=50, n_scans=6)


@pytest.mark.timeout(280)
def test_several_workers_of_the_service_share_one_ledger(tmp_path, database_url):
    with running_planning(tmp_path, database_url=database_url, workers=2) as service:
        run_writers(service, n_writers=10, n_scans=10)


@pytest.mark.long
@pytest.mark.timeout(7200)
def test_fifty_scanners_with_a_thousand_scans_each_lose_and_double_nothing(tmp_path, database_url):
    with running_planning(tmp_path, database_url=database_url) as service:
        run_writers(service, n_writers=50, n_scans=1000)
