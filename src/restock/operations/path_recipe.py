"""How a version's sample paths are drawn, kept beside the model: the dependence, the seed and how many; plain JSON."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from restock.adapters.storage import read_json, write_json
from restock.errors import DataError
from restock.forecasting.dependence import DemandDependence
from restock.forecasting.forecast import DemandForecast
from restock.forecasting.panel import DemandPanel
from restock.statistics.paths import iterate_paths

DEPENDENCE_FILE = "dependence.json"
# More than params.yaml allows would take memory that nobody planned for.
FEWEST_PATHS, MOST_PATHS = 2, 10_000
_SCHEMA_VERSION = 1


@dataclass(frozen=True, kw_only=True)
class PathRecipe:
    """What makes the same paths of a forecast everywhere.

    Attributes:
        dependence: how demands hang together.
        seed: of all paths.
        n_paths: paths of every series.
    """

    dependence: DemandDependence
    seed: int
    n_paths: int

    def draw(self, forecast: DemandForecast, panel: DemandPanel) -> Iterator[tuple[slice, NDArray[np.float32]]]:
        """Yield rows and their paths, shape (n_rows, horizon, n_paths), units per period, block by block.

        Args:
            forecast: of the series of `panel`, in its order.
            panel: history, which tells the segments.
        """
        return iterate_paths(
            forecast.quantile_units,
            forecast.quantiles,
            series=self.dependence.of_panel(panel),
            lags=self.dependence.to_lags(),
            n_paths=self.n_paths,
            seed=self.seed,
        )


def write_path_recipe(recipe: PathRecipe, folder: Path) -> None:
    """Write it into a version's folder."""
    write_json(
        folder / DEPENDENCE_FILE,
        {
            "schema_version": _SCHEMA_VERSION,
            "seed": recipe.seed,
            "n_paths": recipe.n_paths,
            **recipe.dependence.to_json(),
        },
    )


def read_path_recipe(folder: Path) -> PathRecipe | None:
    """Return what `write_path_recipe` wrote; None for a version that was promoted before there were paths.

    Raises:
        DataError: the file is not what promotion writes.
    """
    path = folder / DEPENDENCE_FILE
    if not path.exists():
        return None
    stored = read_json(path)
    try:
        return _parse(stored)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise DataError(f"{path} is not what promotion writes: {error!r}. Promote the model anew.") from error


def _parse(stored: Mapping[str, Any]) -> PathRecipe:
    """Return the recipe that plain values describe.

    Raises:
        KeyError, TypeError, ValueError, AttributeError: they describe none that this version can draw by.
    """
    if stored.get("schema_version") != _SCHEMA_VERSION:
        raise ValueError(f"schema_version must be {_SCHEMA_VERSION}, got {stored.get('schema_version')}")
    n_paths = int(stored["n_paths"])
    if not FEWEST_PATHS <= n_paths <= MOST_PATHS:
        raise ValueError(f"n_paths must be {FEWEST_PATHS} to {MOST_PATHS}, got {n_paths}")
    return PathRecipe(dependence=DemandDependence.from_json(stored), seed=int(stored["seed"]), n_paths=n_paths)
