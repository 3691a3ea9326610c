"""Fitted forecasters on disk, each in its library's own safe format; what else they need is plain JSON; no pickle."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast
from zipfile import ZIP_DEFLATED, BadZipFile

import numpy as np
from pydantic import ValidationError

from restock.adapters.ensemble_files import load_ensemble, save_ensemble
from restock.adapters.storage import read_json, write_bytes, write_json
from restock.errors import DataError, NotFoundError
from restock.forecasting.families.ensemble import EnsembleForecaster
from restock.forecasting.families.seasonal_naive import SeasonalNaive
from restock.forecasting.families.statistical import StatisticalForecaster
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
# 2: groups by sku, similar periods among the features, fitted levels of XGBoost.
_TABULAR_SCHEMA_VERSION = 2
_SCHEMA_VERSIONS = {"random_forest": _TABULAR_SCHEMA_VERSION, "xgboost": _TABULAR_SCHEMA_VERSION}

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
    if isinstance(forecaster, SeasonalNaive | StatisticalForecaster):
        write_json(
            folder / DESCRIPTION_FILE,
            {"schema_version": _SCHEMA_VERSION, "family": forecaster.family} | asdict(forecaster),
        )
    elif isinstance(forecaster, EnsembleForecaster):
        save_ensemble(forecaster, folder, save_member=save_forecaster)
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
    loaders: dict[str, Callable[[], DemandForecaster]] = {
        "seasonal_naive": lambda: _load_seasonal_naive(described),
        "statistical": lambda: _load_statistical(described),
        "random_forest": lambda: _load_tabular(described, folder),
        "xgboost": lambda: _load_tabular(described, folder),
        "ensemble": lambda: load_ensemble(folder, load_member=load_forecaster),
    }
    if family in loaders:
        expected = _SCHEMA_VERSIONS.get(family, _SCHEMA_VERSION)
        if described.get("schema_version") != expected:
            raise DataError(
                f"{folder / DESCRIPTION_FILE} has schema {described.get('schema_version')!r}, expected {expected}. "
                "Train again with this version of restock."
            )
        try:
            return loaders[family]()
        except KeyError as error:
            raise DataError(
                f"{folder / DESCRIPTION_FILE} lacks {error}, expected all that save_forecaster writes. "
                "Restore the folder, or train anew."
            ) from error
        except ValidationError as error:
            faults = "; ".join(f"{'.'.join(map(str, fault['loc']))}: {fault['msg']}" for fault in error.errors())
            raise DataError(
                f"{folder / DESCRIPTION_FILE} is not what save_forecaster writes: {faults}. Restore the folder, or "
                "train anew."
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


def _load_statistical(described: dict[str, Any]) -> StatisticalForecaster:
    """Return the smoothing methods that their JSON describes."""
    values = {field.name: described[field.name] for field in fields(StatisticalForecaster)}
    errors = {method: tuple(tuple(row) for row in levels) for method, levels in described["errors"].items()}
    return StatisticalForecaster(**values | {"quantiles": tuple(described["quantiles"]), "errors": errors})


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
    described: dict[str, Any] = {
        "schema_version": _TABULAR_SCHEMA_VERSION,
        "family": forecaster.family,
        "horizon": forecaster.horizon,
        "quantiles": list(forecaster.quantiles),
        "features": forecaster.features.model_dump(mode="json"),
        "groups": {
            attribute: {name: asdict(level) for name, level in levels.items()}
            for attribute, levels in forecaster.groups.levels.items()
        },
    }
    if forecaster.family == "xgboost":
        predictor = cast("XGBoostPredictor", forecaster.predictor)
        described["fitted_quantiles"] = list(predictor.fitted_quantiles)
        write_json(folder / DESCRIPTION_FILE, described)
        _save_xgboost(predictor, folder)
    else:
        write_json(folder / DESCRIPTION_FILE, described)
        _save_random_forest(cast("RandomForestPredictor", forecaster.predictor), folder)


def _load_tabular(described: dict[str, Any], folder: Path) -> TabularForecaster:
    """Return the forecaster of trees that `_save_tabular` wrote."""
    quantiles = tuple(described["quantiles"])
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
        predictor=_load_xgboost(folder, tuple(described["fitted_quantiles"]), quantiles)
        if described["family"] == "xgboost"
        else _load_random_forest(folder, quantiles),
    )


def _save_xgboost(predictor: XGBoostPredictor, folder: Path) -> None:
    predictor.quantile_booster.save_model(folder / QUANTILE_BOOSTER_FILE)
    predictor.mean_booster.save_model(folder / MEAN_BOOSTER_FILE)


def _load_xgboost(folder: Path, fitted: tuple[float, ...], quantiles: tuple[float, ...]) -> XGBoostPredictor:
    import xgboost

    from restock.forecasting.families.xgboost import PREDICTION_PARAMS, XGBoostPredictor

    _require_files(folder, QUANTILE_BOOSTER_FILE, MEAN_BOOSTER_FILE)
    boosters = {}
    for name in (QUANTILE_BOOSTER_FILE, MEAN_BOOSTER_FILE):
        _require_whole_object(folder / name)
        try:
            boosters[name] = xgboost.Booster(PREDICTION_PARAMS, model_file=str(folder / name))
        except xgboost.core.XGBoostError as error:
            raise DataError(f"{folder / name} is not a model that XGBoost can read: {error}") from error
    return XGBoostPredictor(
        quantile_booster=boosters[QUANTILE_BOOSTER_FILE],
        mean_booster=boosters[MEAN_BOOSTER_FILE],
        fitted_quantiles=fitted,
        quantiles=quantiles,
    )


def _require_whole_object(path: Path) -> None:
    """Refuse what is not one whole UBJSON object: of a file that was cut short, XGBoost may read beyond the end.

    Raises:
        DataError: the file does not begin and end as an object does.
    """
    content = path.read_bytes()
    if not (content.startswith(b"{") and content.endswith(b"}")):
        raise DataError(f"{path} is not a model that XGBoost can read: it is no whole UBJSON object.")


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
