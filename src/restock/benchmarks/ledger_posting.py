"""How many movements a second are posted in batches, beside raw SQL that writes the same rows in the same batches.

Both sides take turns on one database and sell the same skus. The raw side gets its rows ready-made and checks nothing:
no stock, no hash of the request, no audit entry.
"""

from __future__ import annotations

import gc
import hashlib
import json
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from sqlalchemy import Connection, Engine, insert

from restock.adapters.database.catalogue_tables import LocationRow
from restock.adapters.database.engine import open_database, write_transaction
from restock.adapters.database.ledger_batch import post_many
from restock.adapters.database.ledger_store import TOPIC, Posted, Posting, build_event, build_reply, post
from restock.adapters.database.migrate import migrate
from restock.adapters.private_postgresql import find_programs, run_postgresql
from restock.ledger.balances import add_up
from restock.ledger.movements import Entry, receive, sell

_LOCATIONS = tuple(f"STORE-{number:02d}" for number in range(1, 21))
_N_SKUS = 500
_START = datetime(2024, 1, 1, tzinfo=UTC)
_STOCK = 10**9
_ROWS = {
    "movements": "movement, kind, occurred_at_utc, posted_at_utc, posted_by, reference, reason, reverses",
    "movement_lines": "movement, line, sku, location, lot, quantity, unit_cost, unit_price, entered_quantity, "
    "entered_unit",
    "idempotency": "key, request_sha256, reply, created_at_utc",
    "outbox": "event, topic, payload, created_at_utc",
    "balances": "sku, location, lot, quantity, version",
}
_ADD = (
    " ON CONFLICT (sku, location, lot) DO UPDATE SET quantity = balances.quantity + excluded.quantity, "
    "version = balances.version + excluded.version"
)

Rows = dict[str, list[tuple[Any, ...]]]


def measure_posting(*, n_movements: int = 20_000, batch: int = 500, repeats: int = 3, n_single: int = 1_000) -> Any:
    """Return movements a second by database, ours and raw, and the latency of a single posting.

    Args:
        n_movements: postings of each side and repeat.
        batch: postings a transaction.
        repeats: turns; the median counts.
        n_single: postings one by one, each committed.
    """
    found = {}
    with TemporaryDirectory(prefix="restock-bench-") as folder:
        engine = open_database(f"sqlite:///{Path(folder) / 'ledger.db'}")
        found["sqlite"] = _measure(engine, n_movements=n_movements, batch=batch, repeats=repeats, n_single=n_single)
        engine.dispose()
    if find_programs() is not None:
        with run_postgresql(fsync="on") as url:
            engine = open_database(url)
            found["postgresql"] = _measure(
                engine, n_movements=n_movements, batch=batch, repeats=repeats, n_single=n_single
            )
            engine.dispose()
    return found


def _measure(engine: Engine, *, n_movements: int, batch: int, repeats: int, n_single: int) -> dict[str, Any]:
    migrate(engine)
    _prepare(engine)
    seconds: dict[str, list[float]] = {"ours": [], "raw": []}
    for turn in range(repeats):
        postings = _draw_postings(n_movements, f"ours-{turn}", seed=turn)
        rows = [
            _raw_rows(engine, part) for part in _split(_draw_postings(n_movements, f"raw-{turn}", seed=turn), batch)
        ]
        parts = _split(postings, batch)
        sides: dict[str, Callable[[], None]] = {
            "ours": lambda parts=parts: _post_parts(engine, parts),  # type: ignore[misc]
            "raw": lambda rows=rows: _write_raw(engine, rows),  # type: ignore[misc]
        }
        # What the bench holds ready is not ours to look through for garbage.
        gc.collect()
        gc.freeze()
        for name in ("ours", "raw") if turn % 2 else ("raw", "ours"):
            begun = time.perf_counter()
            sides[name]()
            seconds[name].append(time.perf_counter() - begun)
        gc.unfreeze()
    ours, raw = (n_movements / median(seconds[name]) for name in ("ours", "raw"))
    return {
        "batch": batch,
        "movements_per_second": round(ours),
        "raw_movements_per_second": round(raw),
        "ratio": round(ours / raw, 2),
        **_time_single(engine, n_single),
    }


def _prepare(engine: Engine) -> None:
    """Make the locations, and stock of every sku."""
    rows = [
        {
            "location": name,
            "name": name,
            "kind": "store",
            "region": "",
            "may_be_negative": False,
            "is_active": True,
            "version": 1,
        }
        for name in _LOCATIONS
    ]
    receipts = [
        receive(
            [Entry(sku=_sku(number), quantity=_STOCK) for number in range(_N_SKUS)], location=name, occurred_at=_START
        )
        for name in _LOCATIONS
    ]
    with write_transaction(engine) as connection:
        connection.execute(insert(LocationRow), rows)
        post_many(connection, [_posting(movement, f"opening-{n}") for n, movement in enumerate(receipts)])


def _sku(number: int) -> str:
    return f"SKU-{number:05d}"


def _posting(movement: Any, identifier: str) -> Posting:
    request = {
        "kind": movement.kind.value,
        "location": movement.lines[0].location,
        "lines": [{"sku": line.sku, "quantity": line.quantity} for line in movement.lines[1:2]],
        "reference": movement.reference,
    }
    return Posting(
        movement=movement,
        identifier=identifier,
        key=f"key-{identifier}",
        request=request,
        posted_by="store-01-u1",
        posted_at=_START,
    )


def _draw_postings(n_postings: int, prefix: str, *, seed: int) -> list[Posting]:
    """Return sales of one line, as a till or a scanner books them, that no stock stands against."""
    rng = np.random.default_rng(seed)
    skus, places = rng.integers(0, _N_SKUS, n_postings), rng.integers(0, len(_LOCATIONS), n_postings)
    return [
        _posting(
            sell(
                [Entry(sku=_sku(sku), quantity=1, unit_price=399, entered_quantity="1", entered_unit="piece")],
                location=_LOCATIONS[place],
                occurred_at=_START + timedelta(seconds=number),
                reference=f"INV-{number // 3:09d}",
            ),
            f"{prefix}-{number:09d}",
        )
        for number, (sku, place) in enumerate(zip(skus.tolist(), places.tolist(), strict=True))
    ]


def _split(items: Sequence[Any], size: int) -> list[Sequence[Any]]:
    return [items[start : start + size] for start in range(0, len(items), size)]


def _post_parts(engine: Engine, parts: Sequence[Sequence[Posting]]) -> None:
    for part in parts:
        with write_transaction(engine) as connection:
            outcomes = post_many(connection, part)
        if not all(isinstance(outcome, Posted) for outcome in outcomes):
            raise RuntimeError("a posting of the bench was refused")


def _raw_rows(engine: Engine, part: Sequence[Posting]) -> Rows:
    """Return the rows that `post` would write, in the database's own types."""

    def instant(value: datetime) -> Any:
        if engine.dialect.name == "postgresql":
            return value
        return value.replace(tzinfo=None).isoformat(sep=" ", timespec="microseconds")

    rows: Rows = {table: [] for table in _ROWS}
    totals: dict[tuple[str, str, str], list[int]] = {}
    for posting in part:
        movement, name, at = posting.movement, posting.identifier, instant(posting.posted_at)
        rows["movements"].append(
            (name, movement.kind.value, instant(movement.occurred_at), at, "x", movement.reference, "", None)
        )
        rows["movement_lines"] += [
            (name, n, line.sku, line.location, line.lot, line.quantity, None, line.unit_price, "1", "piece")
            for n, line in enumerate(movement.lines, start=1)
        ]
        digest = hashlib.sha256(name.encode()).hexdigest()
        rows["idempotency"].append((posting.key, digest, json.dumps(build_reply(posting)), at))
        rows["outbox"].append((name, TOPIC, json.dumps(build_event(posting)), at))
        for key, change in add_up(movement.lines).items():
            total = totals.setdefault(key, [0, 0])
            total[0] += change
            total[1] += 1
    rows["balances"] = [(*key, *totals[key]) for key in sorted(totals)]
    return rows


def _write_raw(engine: Engine, parts: Sequence[Rows]) -> None:
    for rows in parts:
        with write_transaction(engine) as connection:
            _write_rows(connection, rows)


def _write_rows(connection: Connection, rows: Rows) -> None:
    """Write rows with the driver's executemany, the plain way."""
    mark = "?" if connection.dialect.name == "sqlite" else "%s"
    cursor = connection.connection.cursor()
    for table, columns in _ROWS.items():
        values = ", ".join([mark] * (columns.count(",") + 1))
        statement = f"INSERT INTO {table} ({columns}) VALUES ({values})"  # noqa: S608  (our own names)
        cursor.executemany(statement + (_ADD if table == "balances" else ""), rows[table])


def _time_single(engine: Engine, n_single: int) -> dict[str, float]:
    """Return the latency of one posting in a transaction of its own, and of its raw rows, ms."""
    postings, raw = (_draw_postings(n_single, name, seed=9) for name in ("single", "raw-single"))
    rows = [_raw_rows(engine, [posting]) for posting in raw]
    ours, theirs = [], []
    for posting, row in zip(postings, rows, strict=True):
        begun = time.perf_counter()
        with write_transaction(engine) as connection:
            post(connection, posting)
        ours.append(time.perf_counter() - begun)
        begun = time.perf_counter()
        with write_transaction(engine) as connection:
            _write_rows(connection, row)
        theirs.append(time.perf_counter() - begun)
    figures = {}
    for name, taken in (("single", ours), ("raw_single", theirs)):
        for percent in (50, 99):
            figures[f"{name}_p{percent}_ms"] = round(float(np.percentile(taken, percent)) * 1e3, 3)
    return figures
