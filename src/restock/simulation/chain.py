"""The chain: its stores and warehouse, who works there and which store lists which article."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl

from restock.simulation.arrays import Flags, Floats
from restock.simulation.catalogue import Catalogue
from restock.tables import LOCATIONS

USERS_PER_LOCATION = 4
_REGIONS = ("North", "South", "West", "East")
_BRISK_RATE_UNITS = 3.0
_SMALLEST_RANGE_SHARE = 0.78


@dataclass(frozen=True, kw_only=True)
class Chain:
    """Stores 0 to n_stores - 1, then the warehouse.

    Attributes:
        location: identifiers, shape (n_stores + 1,).
        region: regions, same shape.
        store_size: demand beside an average store, a factor, shape (n_stores,).
        weekend_tilt: how much more of the week's demand falls on the weekend, log scale, shape (n_stores,).
        is_listed: whether a store sells the article, shape (n_skus, n_stores); every article has at least one store.
    """

    location: tuple[str, ...]
    region: tuple[str, ...]
    store_size: Floats
    weekend_tilt: Floats
    is_listed: Flags

    @property
    def n_stores(self) -> int:
        """How many stores there are."""
        return len(self.location) - 1

    @property
    def warehouse(self) -> int:
        """Index of the warehouse among the locations."""
        return len(self.location) - 1

    @property
    def user(self) -> tuple[str, ...]:
        """Users, `USERS_PER_LOCATION` a location in order of location."""
        return tuple(f"{name.lower()}-u{place}" for name in self.location for place in range(1, USERS_PER_LOCATION + 1))


def create_chain(n_stores: int, catalogue: Catalogue, *, rng: np.random.Generator) -> Chain:
    """Return a chain whose smaller stores list fewer of the slow articles."""
    store_size = np.exp(rng.uniform(-0.5, 0.5, n_stores))
    rank = np.argsort(np.argsort(store_size)) / max(n_stores - 1, 1)
    range_share = _SMALLEST_RANGE_SHARE + (1 - _SMALLEST_RANGE_SHARE) * rank
    is_listed = rng.random((catalogue.n_skus, n_stores)) < range_share
    is_listed |= (catalogue.base_rate >= _BRISK_RATE_UNITS)[:, None]
    is_listed[:, int(np.argmax(store_size))] = True
    return Chain(
        location=(*(f"STORE-{number:02d}" for number in range(1, n_stores + 1)), "WH-01"),
        region=(*(_REGIONS[place % len(_REGIONS)] for place in range(n_stores)), _REGIONS[0]),
        store_size=store_size,
        weekend_tilt=rng.uniform(-0.12, 0.12, n_stores),
        is_listed=is_listed,
    )


def location_table(chain: Chain) -> pl.DataFrame:
    """Return table `locations`."""
    return LOCATIONS.conform(
        pl.DataFrame(
            {
                "location": chain.location,
                "kind": ["store"] * chain.n_stores + ["warehouse"],
                "region": chain.region,
            }
        )
    )
