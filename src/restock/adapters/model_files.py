"""Fitted forecasters on disk, each in its library's own safe format; what else they need is plain JSON; no pickle."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast
from zipfile import ZIP_DEFLATED, BadZipFile

import numpy as np

from restock.adapters.storage import read_json, write_bytes, write_json
from restock.errors import DataError, NotFoundError
from restock.forecasting.families.seasonal_naive import SeasonalNaive
from restock.forecasting.families.tabular import TabularForecaster
from restock.forecasting.forecast import DemandForecaster
from restock.forecasting.group_levels import GroupLevel, GroupLevels
from restock.params import FeatureParams

if TYPE_CHECKING:
    from restock.forecasting.families.random_forest import RandomForestPredictor
    from restock.forecasting.families.xgboost import XGBoostPredictor

DESCRIPTION_FILE = "forecaster.json"
QUANTILE_BOOSTER_FILE = "model.ubj"
MEAN_BOOSTER_FILE = "mean.ubj"
FOREST_FILE = "model.skops"
LEAVES_FILE = "leaf_targets.npz"
_SCHEMA_VERSION = 1

# All that a fitted RandomForestRegressor is made of; a file that names any other type is refused.
_TRUSTED_FOREST_TYPES = [
    "sklearn.ensemble._forest.RandomForestRegressor",
    "sklearn.tree._classes.DecisionTreeRegressor",
    "sklearn.tree._tree.Tree",
]


def save_forecaster(forecaster: DemandForecaster, folder: Path) -> None:
    """Write a fitted forecaster into `folder`, which is made; `load_forecaster` gives it back.

    Raises:
        ValueError: the family is not known.
    """
    folder.mkdir(parents=True, exist_ok=True)
    if isinstance(forecaster, SeasonalNaive):
        write_json(
            folder / DESCRIPTION_FILE,
            {"schema_version": _SCHEMA_VERSION, "family": "seasonal_naive"} | asdict(forecaster),
        )
    elif isinstance(forecaster, TabularForecaster):
        _save_tabular(forecaster, folder)
    elif forecaster.family == "neural":
        from restock.adapters.neural_files import save_neural
        from restock.forecasting.families.neural import NeuralForecaster

        if not isinstance(forecaster, NeuralForecaster):
            raise TypeError(f"family neural is {type(forecaster).__name__}, expected NeuralForecaster")
        save_neural(forecaster, folder)
    else:
        raise ValueError(f"family {forecaster.family!r} has no file format")


def load_forecaster(folder: Path) -> DemandForecaster:
    """Return the forecaster that `save_forecaster` wrote.

    Raises:
        NotFoundError: a file is missing.
        DataError: the folder does not hold a forecaster of a known family and format, or a file of it is broken.
    """
    described = read_json(folder / DESCRIPTION_FILE)
    family = described.get("family")
    if family == "neural":
        from restock.adapters.neural_files import load_neural

        return load_neural(folder)
    if family in ("seasonal_naive", "random_forest", "xgboost"):
        try:
            return _load_seasonal_naive(described) if family == "seasonal_naive" else _load_tabular(described, folder)
        except KeyError as error:
            raise DataError(
                f"{folder / DESCRIPTION_FILE} lacks {error}, expected all that save_forecaster writes. "
                "Restore the folder, or train anew."
            ) from error
    raise DataError(f"{folder / DESCRIPTION_FILE} names family {family!r}, expected one this version of restock knows.")


def _load_seasonal_naive(described: dict[str, Any]) -> SeasonalNaive:
    """Return the baseline that its JSON describes."""
    return SeasonalNaive(
        horizon=described["horizon"],
        quantiles=tuple(described["quantiles"]),
        season_periods=described["season_periods"],
        residual_periods=described["residual_periods"],
        max_stockout_share=described["max_stockout_share"],
        pooled_errors=tuple(tuple(row) for row in described["pooled_errors"]),
    )


def _require_files(folder: Path, *names: str) -> None:
    """Refuse a folder that lacks a file; the libraries' own errors do not say so clearly, or at all.

    Raises:
        NotFoundError: a file is missing.
    """
    for name in names:
        if not (folder / name).is_file():
            raise NotFoundError(f"{folder / name} is missing. Restore the folder, or train anew.")


def _save_tabular(forecaster: TabularForecaster, folder: Path) -> None:
    """Write the regressor in its library's format and the rest as JSON."""
    described = {
        "schema_version": _SCHEMA_VERSION,
        "family": forecaster.family,
        "horizon": forecaster.horizon,
        "quantiles": list(forecaster.quantiles),
        "features": forecaster.features.model_dump(mode="json"),
        "groups": {
            attribute: {name: asdict(level) for name, level in levels.items()}
            for attribute, levels in forecaster.groups.levels.items()
        },
    }
    write_json(folder / DESCRIPTION_FILE, described)
    if forecaster.family == "xgboost":
        _save_xgboost(cast("XGBoostPredictor", forecaster.predictor), folder)
    else:
        _save_random_forest(cast("RandomForestPredictor", forecaster.predictor), folder)


def _load_tabular(described: dict[str, Any], folder: Path) -> TabularForecaster:
    """Return the forecaster of trees that `_save_tabular` wrote."""
    quantiles = tuple(described["quantiles"])
    load_predictor = _load_xgboost if described["family"] == "xgboost" else _load_random_forest
    levels = {
        attribute: {
            name: GroupLevel(mean_units=level["mean_units"], season_index=tuple(level["season_index"]))
            for name, level in groups.items()
        }
        for attribute, groups in described["groups"].items()
    }
    return TabularForecaster(
        family=described["family"],
        horizon=described["horizon"],
        quantiles=quantiles,
        features=FeatureParams.model_validate(described["features"]),
        groups=GroupLevels(levels=levels),
        predictor=load_predictor(folder, quantiles),
    )


def _save_xgboost(predictor: XGBoostPredictor, folder: Path) -> None:
    predictor.quantile_booster.save_model(folder / QUANTILE_BOOSTER_FILE)
    predictor.mean_booster.save_model(folder / MEAN_BOOSTER_FILE)


def _load_xgboost(folder: Path, _quantiles: tuple[float, ...]) -> XGBoostPredictor:
    import xgboost

    from restock.forecasting.families.xgboost import PREDICTION_PARAMS, XGBoostPredictor

    _require_files(folder, QUANTILE_BOOSTER_FILE, MEAN_BOOSTER_FILE)
    boosters = {}
    for name in (QUANTILE_BOOSTER_FILE, MEAN_BOOSTER_FILE):
        try:
            boosters[name] = xgboost.Booster(PREDICTION_PARAMS, model_file=str(folder / name))
        except xgboost.core.XGBoostError as error:
            raise DataError(f"{folder / name} is not a model that XGBoost can read: {error}") from error
    return XGBoostPredictor(quantile_booster=boosters[QUANTILE_BOOSTER_FILE], mean_booster=boosters[MEAN_BOOSTER_FILE])


def _save_random_forest(predictor: RandomForestPredictor, folder: Path) -> None:
    import skops.io

    write_bytes(folder / FOREST_FILE, skops.io.dumps(predictor.forest, compression=ZIP_DEFLATED))
    np.savez_compressed(folder / LEAVES_FILE, leaf_targets=predictor.leaf_targets, first_node=predictor.first_node)


def _load_random_forest(folder: Path, quantiles: tuple[float, ...]) -> RandomForestPredictor:
    import skops.io
    from skops.io.exceptions import UntrustedTypesFoundException

    from restock.forecasting.families.random_forest import RandomForestPredictor

    _require_files(folder, FOREST_FILE, LEAVES_FILE)
    try:
        forest = skops.io.load(folder / FOREST_FILE, trusted=_TRUSTED_FOREST_TYPES)
    except UntrustedTypesFoundException as error:
        raise DataError(f"{folder / FOREST_FILE} holds types that a random forest is not made of: {error}") from error
    except BadZipFile as error:
        raise DataError(f"{folder / FOREST_FILE} is not a model that skops can read: {error}") from error
    try:
        with np.load(folder / LEAVES_FILE, allow_pickle=False) as leaves:
            leaf_targets, first_node = leaves["leaf_targets"], leaves["first_node"]
    # numpy takes what is not a zip for a pickle, and refuses it with a ValueError.
    except (BadZipFile, ValueError, KeyError) as error:
        raise DataError(f"{folder / LEAVES_FILE} is not an archive of leaf targets that numpy can read.") from error
    return RandomForestPredictor(forest=forest, leaf_targets=leaf_targets, first_node=first_node, quantiles=quantiles)
