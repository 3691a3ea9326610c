"""The least that posting a sale over HTTP can be: FastAPI and the SQL of the same rows."""

from __future__ import annotations

import os
import sqlite3
import threading
from contextlib import closing
from typing import Any

from fastapi import FastAPI

DATABASE_VARIABLE = "BARE_DATABASE"
_TABLES = """
CREATE TABLE IF NOT EXISTS movements (movement TEXT PRIMARY KEY, kind TEXT, at TEXT);
CREATE TABLE IF NOT EXISTS lines (movement TEXT, line INTEGER, sku TEXT, location TEXT, quantity INTEGER,
    PRIMARY KEY (movement, line));
CREATE TABLE IF NOT EXISTS balances (sku TEXT, location TEXT, quantity INTEGER, PRIMARY KEY (sku, location));
CREATE TABLE IF NOT EXISTS idempotency (key TEXT PRIMARY KEY, reply TEXT);
CREATE TABLE IF NOT EXISTS outbox (position INTEGER PRIMARY KEY, event TEXT, payload TEXT);
"""
_BALANCE = (
    "INSERT INTO balances VALUES (?, ?, ?) ON CONFLICT (sku, location) DO UPDATE SET "
    "quantity = quantity + excluded.quantity"
)


def build_app() -> FastAPI:
    """Return the application; its database is the file that the variable names."""
    path, lock = os.environ[DATABASE_VARIABLE], threading.Lock()
    with closing(_connect(path)) as connection:
        connection.executescript(_TABLES)
    kept = _connect(path)
    app = FastAPI()

    @app.get("/readyz")
    def readyz() -> dict[str, str]:
        return {"status": "ready"}

    @app.post("/post")
    def post(body: dict[str, Any]) -> dict[str, str]:
        key, sku, location = str(body["key"]), str(body["sku"]), str(body["location"])
        with lock:
            kept.execute("BEGIN IMMEDIATE")
            kept.execute("INSERT INTO idempotency VALUES (?, ?)", (key, "{}"))
            kept.execute("INSERT INTO movements VALUES (?, 'sale', datetime())", (key,))
            kept.executemany(
                "INSERT INTO lines VALUES (?, ?, ?, ?, ?)", [(key, 1, sku, location, -1), (key, 2, sku, "@customer", 1)]
            )
            kept.executemany(_BALANCE, [(sku, location, -1), (sku, "@customer", 1)])
            kept.execute("INSERT INTO outbox (event, payload) VALUES (?, '{}')", (key,))
            kept.execute("COMMIT")
        return {"movement": key}

    return app


def _connect(path: str) -> sqlite3.Connection:
    """Return a connection as safe as the ledger's: write-ahead log, full sync."""
    connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    for pragma in ("journal_mode=WAL", "synchronous=FULL"):
        connection.execute(f"PRAGMA {pragma}")
    return connection
