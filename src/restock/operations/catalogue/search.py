"""Catalogue search: an index in memory that follows the catalogue."""

from __future__ import annotations

import logging
import threading
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from sqlalchemy import Connection, func, select

from restock.adapters.database.catalogue_tables import BarcodeRow, ProductRow
from restock.errors import DataError
from restock.operations.catalogue.changes import in_chunks
from restock.operations.catalogue.search_index import Hit, SearchEntry, SearchIndex, build_index, find

LONGEST_QUERY = 200
LARGEST_ANSWER = 100
# Changed products beside the large index before it is built anew: they cost every search a little.
_MOST_ASIDE = 1_000
_log = logging.getLogger(__name__)


class QueryError(DataError):
    """A search is for nothing, or for too much text."""

    title = "The search can't be made"


@dataclass(frozen=True, kw_only=True)
class _Snapshot:
    """What a search looks in; never changed.

    Attributes:
        main: all products as they were when it was built.
        aside: those that have changed since.
        changed: skus of those; what `main` says of them no longer holds.
        latest: when the last of all was changed, UTC; None where there is none.
    """

    main: SearchIndex = field(default_factory=lambda: build_index(()))
    aside: SearchIndex = field(default_factory=lambda: build_index(()))
    changed: frozenset[str] = frozenset()
    latest: datetime | None = None


class CatalogueSearch:
    """Finds products; one for a process, shared by its threads. It follows the catalogue by itself."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._snapshot = _Snapshot()

    def search(
        self, connection: Connection, query: str, *, limit: int = 20, is_active: bool | None = None
    ) -> list[Hit]:
        """Return the products that a query means, the best first.

        Args:
            connection: in a transaction; what it sees is what is found.
            query: as typed: sku, barcode, words of name and category, also with mistakes.
            limit: products at most, 1 to LARGEST_ANSWER.
            is_active: only products in use, or only others; None: all.

        Raises:
            QueryError: the query is empty or longer than LONGEST_QUERY.
        """
        if not query.strip() or len(query) > LONGEST_QUERY:
            raise QueryError(f"a search has 1 to {LONGEST_QUERY} characters, got {len(query.strip())}. Shorten it.")
        if not 1 <= limit <= LARGEST_ANSWER:
            raise ValueError(f"limit must be 1 to {LARGEST_ANSWER}, got {limit}")
        snapshot = self._follow(connection)
        hits = find(snapshot.main, query, limit=limit, without=snapshot.changed, is_active=is_active)
        hits += find(snapshot.aside, query, limit=limit, is_active=is_active)
        return sorted(hits, key=lambda hit: (hit.match, -hit.score, hit.entry.sku))[:limit]

    def _follow(self, connection: Connection) -> _Snapshot:
        """Return what the catalogue is now; put_products gives every change a later instant than all before."""
        latest = connection.execute(select(func.max(ProductRow.changed_at_utc))).scalar_one()
        if latest is None or _is_there(self._snapshot, latest):
            return self._snapshot
        with self._lock:
            # Another thread may have come first, or may see a later state.
            if not _is_there(self._snapshot, latest):
                self._snapshot = _advance(connection, self._snapshot)
            return self._snapshot


def _is_there(snapshot: _Snapshot, latest: datetime) -> bool:
    return snapshot.latest is not None and snapshot.latest >= latest


def _advance(connection: Connection, before: _Snapshot) -> _Snapshot:
    """Return a snapshot of the catalogue as it is; few changes are kept aside, many build it anew."""
    if before.latest is not None:
        n_changed = connection.execute(
            select(func.count()).where(ProductRow.changed_at_utc > before.latest)
        ).scalar_one()
        if n_changed + len(before.aside.entries) <= _MOST_ASIDE:
            fresh, latest = _read_entries(connection, since=before.latest)
            skus = frozenset(entry.sku for entry in fresh)
            kept = [entry for entry in before.aside.entries if entry.sku not in skus]
            return _Snapshot(
                main=before.main, aside=build_index([*kept, *fresh]), changed=before.changed | skus, latest=latest
            )
    entries, latest = _read_entries(connection, since=None)
    _log.info("the search index holds %d products", len(entries))
    return _Snapshot(main=build_index(entries), latest=latest)


def _read_entries(connection: Connection, *, since: datetime | None) -> tuple[list[SearchEntry], datetime | None]:
    """Return products changed after an instant, or all, and when the last of them was; None where there are none."""
    statement = select(
        ProductRow.sku,
        ProductRow.name,
        ProductRow.category_path,
        ProductRow.is_active,
        ProductRow.changed_at_utc,
    ).order_by(ProductRow.sku)
    if since is not None:
        statement = statement.where(ProductRow.changed_at_utc > since)
    rows = connection.execute(statement).all()
    gtins = _read_gtins(connection, None if since is None else [row.sku for row in rows])
    entries = [
        SearchEntry(
            sku=row.sku,
            name=row.name,
            category_path=row.category_path,
            gtins=tuple(gtins.get(row.sku, ())),
            is_active=row.is_active,
        )
        for row in rows
    ]
    return entries, max((row.changed_at_utc for row in rows), default=None)


def _read_gtins(connection: Connection, skus: list[str] | None) -> Mapping[str, list[str]]:
    """Return barcodes by sku, of some products or of all."""
    statement = select(BarcodeRow.sku, BarcodeRow.gtin).order_by(BarcodeRow.gtin)
    found: dict[str, list[str]] = defaultdict(list)
    selections: Iterable[list[str] | None] = (None,) if skus is None else in_chunks(skus)
    for some in selections:
        chosen = statement if some is None else statement.where(BarcodeRow.sku.in_(some))
        for sku, gtin in connection.execute(chosen):
            found[sku].append(gtin)
    return found
