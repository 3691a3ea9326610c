"""The loop closes over HTTP: what a scanner posts today is in the next training batch."""

from __future__ import annotations

from datetime import date
from pathlib import Path

from restock.adapters.sources.ledger import spool_ledger
from restock.adapters.sources.requests import SourceFormat, SourceRequest
from restock.adapters.storage import read_table
from restock.operations.ingest import BatchStatus, ingest_source
from restock.params import read_params
from restock.pipeline.ingest import run_ingest
from restock.pipeline.validate import run_validate
from restock.tables import SALES

ROOT = Path(__file__).resolve().parents[3]


def train_on(engine, tmp_path, *, now):
    """Ingest the ledger and validate it as the training pipeline does; return the batch's status and the sales."""
    params, data = read_params(ROOT / "params.yaml"), tmp_path / "data"
    request = SourceRequest(format=SourceFormat.LEDGER, files=spool_ledger(engine, folder=tmp_path / "spool", now=now))
    status = ingest_source(request, params, data_dir=data, now=now).status
    run_ingest(data, params, now=now)
    run_validate(data, params, today=now.date())
    return status, read_table(data / "validated" / "sales.parquet", SALES).select("sku", "date", "units_sold").rows()


def scan_and_sell(operator):
    """Scan a barcode and sell what it is, as a till does."""
    scanned = operator.post("/scan", {"code": "4006381333931", "location": "STORE-1"})
    assert scanned.status_code == 200, scanned.text
    operator.book("sale", scanned.json()["sku"], 1)


def test_a_scan_posted_through_the_api_changes_the_next_training_batch(engine, operator, clock, tmp_path):
    operator.book("receipt", "MILK", 10, lot="A", expires_on="2024-08-01")
    scan_and_sell(operator)
    clock.forward(days=1)
    _, before = train_on(engine, tmp_path, now=clock.now)
    assert before == [("MILK", date(2024, 5, 1), 1.0)]
    scan_and_sell(operator)
    scan_and_sell(operator)
    clock.forward(days=1)
    status, after = train_on(engine, tmp_path, now=clock.now)
    assert status is BatchStatus.ACCEPTED
    assert after == [*before, ("MILK", date(2024, 5, 2), 2.0)]
