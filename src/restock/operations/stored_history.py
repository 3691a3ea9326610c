"""The validated tables as one panel in memory, with an index by sku and location, for requests that name a series."""

from __future__ import annotations

import difflib
import hashlib
from bisect import bisect_left
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import polars as pl

from restock.adapters.storage import read_table, sha256_of
from restock.errors import DataError, NotFoundError
from restock.forecasting.panel import DemandPanel, build_demand_panel, series_attributes
from restock.forecasting.unsold import join_panels, unsold_series
from restock.schema import Table
from restock.tables import CALENDAR, LOCATIONS, PRODUCTS, SALES
from restock.timeline import Frequency

FileIdentity = tuple[int, int, int]

HISTORY_TABLES: tuple[Table, ...] = (SALES, PRODUCTS, LOCATIONS, CALENDAR)

# Kind of a location that sells to customers: a catalogued product may be asked for there before it was ever sold.
STORE = "store"
# Near matches are looked for among this many neighbours in sorted order: a whole catalogue would take seconds.
_NEIGHBOURS = 200
_NEAR_MATCHES = 5
_NAMED_UNKNOWN = 20


class UnknownSeriesError(NotFoundError):
    """A sku, a location or the pair of them has no stored history.

    Attributes:
        unknown: the position in the request, sku and location of each, and what lies near.
    """

    title = "No stored history for this series"

    def __init__(self, message: str, *, unknown: tuple[UnknownSeries, ...]) -> None:
        super().__init__(message)
        self.unknown = unknown

    def members(self) -> dict[str, object]:
        """Return the unknown series, and what lies near the first."""
        return {
            "near_matches": list(self.unknown[0].near_matches),
            "errors": [asdict(unknown) for unknown in self.unknown],
        }


@dataclass(frozen=True, kw_only=True)
class UnknownSeries:
    """One series that was asked for and is not there.

    Attributes:
        position: where in the request, from 0.
        sku: as asked for.
        location: as asked for.
        detail: which part is unknown.
        near_matches: known names that look alike: skus, or locations.
    """

    position: int
    sku: str
    location: str
    detail: str
    near_matches: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class HistoryIdentity:
    """What changes whenever stored history has to be read again.

    Attributes:
        files: of each table's file: inode, time of change in ns, bytes.
        frequency: length of one period.
        horizon: periods that the panel extends beyond the last observed one.
    """

    files: tuple[FileIdentity, ...]
    frequency: Frequency
    horizon: int

    def __str__(self) -> str:
        newest = datetime.fromtimestamp(max(changed for _, changed, _ in self.files) / 1e9, tz=UTC)
        return f"of {newest:%Y-%m-%d %H:%M:%S} UTC ({self.frequency}, {self.horizon} periods ahead)"


@dataclass(frozen=True, kw_only=True)
class StoredHistory:
    """All stored series.

    Attributes:
        panel: every series, horizon included.
        rows: row of the panel by (sku, location).
        skus: known skus, sold or in the catalogue, sorted.
        locations: known locations that sell, or are stores, sorted.
        calendar: table `calendar`, also for posted history.
        location_table: table `locations`, also for posted history.
        products: table `products`: the catalogue.
        data_hash: SHA-256 over the validated tables' hashes.
    """

    panel: DemandPanel
    rows: dict[tuple[str, str], int]
    skus: tuple[str, ...]
    locations: tuple[str, ...]
    calendar: pl.DataFrame
    location_table: pl.DataFrame
    products: pl.DataFrame
    data_hash: str

    def select(self, keys: Sequence[tuple[str, str]]) -> DemandPanel:
        """Return the panel of the series `keys`, in that order.

        A product of the catalogue that a location never sold is there too, with unknown sales throughout.

        Raises:
            UnknownSeriesError: the sku or the location of one or more is not there.
        """
        found = [self.rows.get(key) for key in keys]
        if None not in found:
            return self.panel.select(np.array(found, dtype=np.intp))
        unsold = sorted({key for key in keys if key not in self.rows})
        if not all(self._is_known(key) for key in unsold):
            raise self._unknown(keys)
        frame = pl.DataFrame(unsold, schema={"sku": pl.String, "location": pl.String}, orient="row")
        products = self.products.join(frame, on="sku", how="semi")
        attributes = series_attributes(frame, products, locations=self.location_table)
        sold = np.array([row for row in found if row is not None], dtype=np.intp)
        together = join_panels(self.panel.select(sold), unsold_series(self.panel, attributes))
        place = {key: row for row, key in enumerate(together.series.select("sku", "location").rows())}
        return together.select(np.array([place[key] for key in keys], dtype=np.intp))

    def _is_known(self, key: tuple[str, str]) -> bool:
        sku, location = key
        return key in self.rows or (_has(self.skus, sku) and _has(self.locations, location))

    def _unknown(self, keys: Sequence[tuple[str, str]]) -> UnknownSeriesError:
        missing = [position for position, key in enumerate(keys) if not self._is_known(key)]
        unknown = tuple(self._describe(position, *keys[position]) for position in missing[:_NAMED_UNKNOWN])
        first = unknown[0]
        near = f" Near: {', '.join(first.near_matches)}." if first.near_matches else ""
        more = f" {len(missing)} of {len(keys)} series are unknown." if len(missing) > 1 else ""
        return UnknownSeriesError(
            f"{first.detail}.{near}{more} For a product the system has never seen, post its history to "
            "/forecast_history.",
            unknown=unknown,
        )

    def _describe(self, position: int, sku: str, location: str) -> UnknownSeries:
        if not _has(self.skus, sku):
            detail, near = f"sku {sku!r} is unknown", near_matches(sku, self.skus)
        else:
            detail, near = f"location {location!r} is unknown", near_matches(location, self.locations)
        return UnknownSeries(position=position, sku=sku, location=location, detail=detail, near_matches=near)


def near_matches(name: str, known: Sequence[str]) -> tuple[str, ...]:
    """Return up to five names of sorted `known` that look like `name`, the most alike first.

    Example:
        >>> near_matches("SKU-0012", ["SKU-0001", "SKU-0012A", "STORE-1"])
        ('SKU-0012A', 'SKU-0001')
    """
    middle = bisect_left(known, name)
    neighbours = known[max(middle - _NEIGHBOURS // 2, 0) : middle + _NEIGHBOURS // 2]
    others = {other.casefold(): other for other in neighbours}
    alike = difflib.get_close_matches(name.casefold(), list(others), n=_NEAR_MATCHES)
    return tuple(others[folded] for folded in alike)


def find_history(folder: Path, *, frequency: Frequency, horizon: int) -> HistoryIdentity | None:
    """Return which stored history lies in `folder` (data/validated), or None while a table is missing."""
    files = tuple(identity for identity in file_identities(_paths(folder)) if identity is not None)
    if len(files) < len(HISTORY_TABLES):
        return None
    return HistoryIdentity(files=files, frequency=frequency, horizon=horizon)


def file_identities(paths: Iterable[Path]) -> tuple[FileIdentity | None, ...]:
    """Return inode, time of change (ns) and size (bytes) of files, which change with their content; None: not there."""
    found: list[FileIdentity | None] = []
    for path in paths:
        try:
            status = path.stat()
        except FileNotFoundError:
            found.append(None)
        else:
            found.append((status.st_ino, status.st_mtime_ns, status.st_size))
    return tuple(found)


def load_history(folder: Path, identity: HistoryIdentity) -> StoredHistory:
    """Return the stored history in `folder`.

    Raises:
        NotFoundError: a table is missing.
        DataError: a table can't be read, lies off the grid, or changed while it was read.
    """
    sales, products, locations, calendar = (
        read_table(path, table) for path, table in zip(_paths(folder), HISTORY_TABLES, strict=True)
    )
    data_hash = hash_history(
        {table.name: sha256_of(path) for path, table in zip(_paths(folder), HISTORY_TABLES, strict=True)}
    )
    if find_history(folder, frequency=identity.frequency, horizon=identity.horizon) != identity:
        raise DataError(f"the tables in {folder.name} changed while they were read; they are read again shortly.")
    panel = build_demand_panel(
        sales,
        products,
        locations=locations,
        calendar=calendar,
        frequency=identity.frequency,
        horizon=identity.horizon,
    )
    keys = list(zip(panel.series["sku"].to_list(), panel.series["location"].to_list(), strict=True))
    stores = locations.filter(pl.col("kind") == STORE)["location"].to_list()
    return StoredHistory(
        panel=panel,
        rows={key: row for row, key in enumerate(keys)},
        skus=tuple(sorted({sku for sku, _ in keys} | set(products["sku"].to_list()))),
        locations=tuple(sorted({location for _, location in keys} | set(stores))),
        calendar=calendar,
        location_table=locations,
        products=products,
        data_hash=data_hash,
    )


def hash_history(table_hashes: Mapping[str, str]) -> str:
    """Return one SHA-256 over the hashes of the history tables.

    Args:
        table_hashes: SHA-256 of each table's file, by the table's name; others are ignored.

    Raises:
        KeyError: a table's hash is missing.
    """
    return hashlib.sha256("".join(table_hashes[table.name] for table in HISTORY_TABLES).encode()).hexdigest()


def _paths(folder: Path) -> tuple[Path, ...]:
    return tuple(folder / f"{table.name}.parquet" for table in HISTORY_TABLES)


def _has(names: Sequence[str], name: str) -> bool:
    """Return whether sorted `names` hold `name`."""
    position = bisect_left(names, name)
    return position < len(names) and names[position] == name
