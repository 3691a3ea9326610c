"""The catalogue: which articles the demo company sells, how they are packed and how they tend to sell."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

import numpy as np
import polars as pl

from restock.simulation.arrays import Flags, Floats, Ints
from restock.simulation.barcodes import in_company_gtin13
from restock.simulation.categories import CATEGORIES, SUBCATEGORIES
from restock.tables import PRODUCTS

_BRANDS = ("Alder", "Bramble", "Corvin", "Dellwood", "Everby", "Fenmark", "Gorse", "Halden")
_VARIANTS = ("", "classic", "value", "select", "family size", "mini", "organic", "light")
_SKUS_PER_SUBCATEGORY = 4
_SECOND_BARCODE_SHARE = 0.15
_SECOND_BARCODE_OFFSET = 5_000_000_000
# Paces of sale, units a day in an average store: (share of articles, lowest rate, highest rate).
_PACES = ((0.20, 6.0, 20.0), (0.40, 1.8, 6.0), (0.25, 0.4, 1.6), (0.15, 0.04, 0.25))
_INTERMITTENT_PACE = 3
_LAUNCH_SHARE = 0.12
_EARLIEST_LAUNCH_SHARE, _LATEST_LAUNCH_SHARE = 0.12, 0.85


@dataclass(frozen=True, kw_only=True)
class Catalogue:
    """Every article as arrays of shape (n_skus,), articles of one subcategory side by side.

    Attributes:
        sku: identifiers.
        name: names, unique.
        barcodes: GTIN-13s of each article, one or two.
        category: index in `CATEGORIES`.
        subcategory: index in `SUBCATEGORIES`, never falling.
        list_price_minor: first list price, minor units of currency.
        unit_cost_minor: purchase cost, minor units of currency.
        pack_units: units in a case pack.
        shelf_life_days: days from receipt, 0 where it does not expire.
        base_rate: mean demand in an average store on an average day, units.
        is_intermittent: whether demand comes in rare batches.
        batch_units: mean size of such a batch, units; 1 elsewhere.
        dispersion: size parameter r of the negative binomial, variance = mean + mean^2 / r.
        launch_day: day of history on which it is introduced; 0 from the start.
    """

    sku: tuple[str, ...]
    name: tuple[str, ...]
    barcodes: tuple[tuple[str, ...], ...]
    category: Ints
    subcategory: Ints
    list_price_minor: Ints
    unit_cost_minor: Ints
    pack_units: Ints
    shelf_life_days: Ints
    base_rate: Floats
    is_intermittent: Flags
    batch_units: Floats
    dispersion: Floats
    launch_day: Ints

    @property
    def n_skus(self) -> int:
        """How many articles there are."""
        return len(self.sku)


def create_catalogue(n_skus: int, n_days: int, *, rng: np.random.Generator) -> Catalogue:
    """Return a catalogue of `n_skus` articles, some of them introduced during `n_days` of history."""
    n_subcategories = min(len(SUBCATEGORIES), max(1, n_skus // _SKUS_PER_SUBCATEGORY))
    subcategory = np.sort(np.arange(n_skus) % n_subcategories)
    traits = [SUBCATEGORIES[index] for index in subcategory]
    lows, highs = np.array([trait.prices for trait in traits]).T
    price = lows * (highs / lows) ** rng.random(n_skus)
    list_price_minor = end_in_nine(np.round(price * 100).astype(np.int64))
    pace, base_rate = _draw_paces(np.array([trait.pace for trait in traits]), rng=rng)
    is_intermittent = pace == _INTERMITTENT_PACE
    is_launched = rng.random(n_skus) < _LAUNCH_SHARE
    launch_share = rng.uniform(_EARLIEST_LAUNCH_SHARE, _LATEST_LAUNCH_SHARE, n_skus)
    return Catalogue(
        sku=tuple(f"SKU-{number:04d}" for number in range(1, n_skus + 1)),
        name=_article_names(subcategory),
        barcodes=_draw_barcodes(n_skus, rng=rng),
        category=np.array([CATEGORIES.index(trait.category) for trait in traits], dtype=np.int64),
        subcategory=subcategory.astype(np.int64),
        list_price_minor=list_price_minor,
        unit_cost_minor=np.round(list_price_minor * rng.uniform(0.55, 0.75, n_skus)).astype(np.int64),
        pack_units=np.array(
            [trait.pack_units[int(rng.integers(len(trait.pack_units)))] for trait in traits], dtype=np.int64
        ),
        shelf_life_days=np.array(
            [0 if trait.shelf_life_days is None else rng.integers(*trait.shelf_life_days) for trait in traits],
            dtype=np.int64,
        ),
        base_rate=base_rate,
        is_intermittent=is_intermittent,
        batch_units=np.where(is_intermittent, rng.uniform(1.2, 3.5, n_skus), 1.0),
        dispersion=rng.uniform(6.0, 25.0, n_skus),
        launch_day=np.where(is_launched, np.round(launch_share * n_days), 0).astype(np.int64),
    )


def end_in_nine(price_minor: Ints) -> Ints:
    """Return prices moved to the nearest that end in 9, at least 9, minor units of currency.

    Example:
        >>> end_in_nine(np.array([123, 4]))
        array([119,   9])
    """
    return np.maximum((price_minor + 6) // 10 * 10 - 1, 9)


def product_table(catalogue: Catalogue) -> pl.DataFrame:
    """Return table `products`."""
    return PRODUCTS.conform(
        pl.DataFrame(
            {
                "sku": catalogue.sku,
                "name": catalogue.name,
                "category_path": [SUBCATEGORIES[index].path for index in catalogue.subcategory],
                "barcodes": [list(codes) for codes in catalogue.barcodes],
                "unit_cost": catalogue.unit_cost_minor / 100,
                "unit_price": catalogue.list_price_minor / 100,
                "pack_units": catalogue.pack_units,
                "shelf_life_days": [int(days) or None for days in catalogue.shelf_life_days],
            },
            schema_overrides={"shelf_life_days": pl.Int64},
        )
    )


def _draw_paces(factor: Floats, *, rng: np.random.Generator) -> tuple[Ints, Floats]:
    """Return each article's pace (index in `_PACES`) and base rate; brisk subcategories get the brisk paces."""
    n_skus = factor.size
    rank = np.argsort(np.argsort(-np.log(factor) - 0.6 * rng.standard_normal(n_skus)))
    ends = np.cumsum([share for share, _, _ in _PACES])[:-1]
    pace = np.searchsorted(ends, (rank + 0.5) / n_skus).astype(np.int64)
    low = np.array([low for _, low, _ in _PACES])[pace]
    high = np.array([high for _, _, high in _PACES])[pace]
    return pace, low * (high / low) ** rng.random(n_skus)


def _article_names(subcategory: Ints) -> tuple[str, ...]:
    """Return a unique name for every article: brand, noun, variant."""
    seen: Counter[int] = Counter()
    names = []
    for index in subcategory.tolist():
        place = seen[index]
        seen[index] += 1
        nouns = SUBCATEGORIES[index].nouns
        series, noun = divmod(place, len(nouns))
        series, brand = divmod(series, len(_BRANDS))
        number, variant = divmod(series, len(_VARIANTS))
        words = [_BRANDS[(brand + noun) % len(_BRANDS)], nouns[noun].lower(), _VARIANTS[variant]]
        words += [str(number + 1)] if number else []
        names.append(" ".join(word for word in words if word))
    return tuple(names)


def _draw_barcodes(n_skus: int, *, rng: np.random.Generator) -> tuple[tuple[str, ...], ...]:
    """Return the barcodes of each article; some carry a second one from an older package."""
    has_second = rng.random(n_skus) < _SECOND_BARCODE_SHARE
    return tuple(
        (in_company_gtin13(number), in_company_gtin13(number + _SECOND_BARCODE_OFFSET))
        if second
        else (in_company_gtin13(number),)
        for number, second in enumerate(has_second.tolist(), start=1)
    )
