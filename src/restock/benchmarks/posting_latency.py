"""How long one booking over HTTP takes, beside a bare FastAPI endpoint that writes the same rows, in the same run."""

from __future__ import annotations

import itertools
import sys
import tempfile
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import SecretStr

from restock.adapters.bento_server import PLANNING_SERVICE
from restock.adapters.database.engine import open_database, write_transaction
from restock.adapters.database.migrate import migrate
from restock.benchmarks.bare_posting import DATABASE_VARIABLE
from restock.benchmarks.forecast_latency import percentiles, running_command, running_service, take_turns
from restock.operations.access import Role
from restock.operations.catalogue.places import LocationDraft, LocationKind, put_location
from restock.operations.catalogue.products import ProductDraft, put_product
from restock.operations.identity.issuing import issue_token
from restock.settings import Settings

_SKU, _LOCATION = "SKU-1", "STORE-1"


def measure_posting_latency(settings: Settings, *, n_requests: int = 1_000) -> dict[str, Any]:
    """Return p50 and p99 of single sales booked through the planning API on SQLite, and of the bare endpoint.

    One client sends one request after another over kept-alive HTTP on loopback; the two take turns in blocks. Both
    commit each sale with full sync.

    Args:
        settings: where things run; nothing of the workspace is touched.
        n_requests: requests to each; a tenth more come first and are not counted.

    Raises:
        NotReadyError: a service did not start.
    """
    import httpx

    with tempfile.TemporaryDirectory(prefix="restock-bench-") as scratch, httpx.Client(timeout=30.0) as client:
        folder = Path(scratch)
        secured = settings.model_copy(
            update={"workspace": folder, "database_url": SecretStr(f"sqlite:///{folder / 'ledger.db'}")}
        )
        _fill(secured)
        token = issue_token(secured, "bench", role=Role.OPERATOR)
        bare = [sys.executable, "-m", "uvicorn", "--factory", "restock.benchmarks.bare_posting:build_app"]
        with (
            running_service(PLANNING_SERVICE, secured, scratch=folder) as address,
            running_command(
                [*bare, "--log-level", "warning"], scratch=folder, environment={DATABASE_VARIABLE: f"{folder}/bare.db"}
            ) as bare_address,
        ):
            numbers = itertools.count()
            headers = {"authorization": f"Bearer {token}"}

            def book(kind: str = "sale", quantity: str = "1") -> None:
                lines = [{"sku": _SKU, "quantity": quantity}]
                body = {"kind": kind, "location": _LOCATION, "lines": lines}
                key = {"idempotency-key": f"bench-{next(numbers):08d}"}
                client.post(f"{address}/api/v1/movements", json=body, headers=headers | key).raise_for_status()

            def insert() -> None:
                body = {"key": f"bench-{next(numbers):08d}", "sku": _SKU, "location": _LOCATION}
                client.post(f"{bare_address}/post", json=body).raise_for_status()

            book("receipt", str(10 * n_requests))
            ours, raw = take_turns((book, insert), n_requests=n_requests)
    return {
        "n_requests": n_requests,
        **percentiles("post", ours),
        **percentiles("bare", raw),
        "ratio_p50": round(float(np.median(ours) / np.median(raw)), 2),
    }


def _fill(settings: Settings) -> None:
    engine, now = open_database(settings.ledger_url), datetime.now(UTC)
    migrate(engine)
    with write_transaction(engine) as connection:
        place = LocationDraft(location=_LOCATION, name=_LOCATION, kind=LocationKind.STORE)
        put_location(connection, place, actor="bench", now=now)
        product = ProductDraft(sku=_SKU, name="Bench", unit_price=Decimal("1.99"))
        put_product(connection, product, actor="bench", now=now)
    engine.dispose()
