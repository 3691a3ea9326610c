"""Neural forecasters on disk: a SavedModel for serving, the Keras file beside it, and what reads a panel as JSON."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import Any

from restock.adapters.censoring_files import read_censoring_rule
from restock.adapters.storage import read_json, write_json
from restock.errors import DataError, NotFoundError, RestockError
from restock.forecasting.families.neural import NeuralForecaster, as_serve_function, input_signature
from restock.forecasting.families.neural_network import import_keras, import_tensorflow
from restock.forecasting.families.neural_windows import STATIC_ATTRIBUTES, WindowLayout
from restock.timeline import Frequency

DESCRIPTION_FILE = "forecaster.json"
KERAS_FILE = "model.keras"
# git drops empty folders, and a SavedModel without its assets/ is not whole: this file keeps the folder.
VOCABULARIES_FILE = "assets/vocabularies.json"
_SCHEMA_VERSION = 1


def save_neural(forecaster: NeuralForecaster, folder: Path) -> None:
    """Write a fitted forecaster into `folder`.

    Whatever trained it, TensorFlow serves it. The folder then holds `saved_model.pb`, `variables/` and `assets/`
    (served), `model.keras` (to train on or look into; inside its zip Keras keeps the weights as HDF5) and
    `forecaster.json`; no pickle, no `.h5`, no Lambda layer.

    Raises:
        ValueError: the forecaster was loaded, not fitted; copy the folder it came from instead.
    """
    if forecaster.model is None:
        raise ValueError("the forecaster was loaded and holds no Keras model, expected a fitted one: copy its folder")
    folder.mkdir(parents=True, exist_ok=True)
    backend = import_keras().config.backend()
    forecaster.model.save(str(folder / KERAS_FILE), include_optimizer=False)
    layout = forecaster.layout
    write_json(
        folder / DESCRIPTION_FILE,
        {
            "schema_version": _SCHEMA_VERSION,
            "family": forecaster.family,
            "horizon": layout.horizon,
            "quantiles": list(forecaster.quantiles),
            "lookback_periods": layout.lookback_periods,
            "frequency": layout.frequency.value,
            "known_ahead": list(layout.known_ahead),
            "censoring": asdict(layout.censoring),
            "vocabularies": {name: list(forecaster.vocabularies[name]) for name in STATIC_ATTRIBUTES},
            "trained_on": backend,
        },
    )
    if backend == "tensorflow":
        _write_saved_model(forecaster.model, layout, folder=folder)
    else:
        _export_apart(folder)
    vocabularies = {name: list(forecaster.vocabularies[name]) for name in STATIC_ATTRIBUTES}
    write_json(folder / VOCABULARIES_FILE, vocabularies)


def export_saved_model(folder: Path) -> None:
    """Write the SavedModel of a folder's `model.keras`, which Keras reads alike on each backend.

    Raises:
        NotFoundError: the folder or a file of it is missing.
        DataError: the description is not one of a neural forecaster of this schema.
        ConfigurationError: Keras runs on another backend than TensorFlow.
    """
    layout, _, _ = _parse_description(read_json(folder / DESCRIPTION_FILE), origin=folder / DESCRIPTION_FILE)
    model = import_keras().saving.load_model(folder / KERAS_FILE, compile=False, safe_mode=True)
    _write_saved_model(model, layout, folder=folder)


def _write_saved_model(model: Any, layout: WindowLayout, *, folder: Path) -> None:
    """Export a Keras model on TensorFlow into `folder`."""
    with tempfile.TemporaryDirectory(dir=folder, prefix=".export.") as scratch:
        exported = Path(scratch) / "saved_model"
        model.export(str(exported), verbose=False, input_signature=[input_signature(layout)], format="tf_saved_model")
        for part in exported.iterdir():
            target = folder / part.name
            if target.is_dir():  # of an earlier model; a folder can't be renamed onto one that holds files
                shutil.rmtree(target)
            part.rename(target)


def _export_apart(folder: Path) -> None:
    """Write the SavedModel in a process of its own: Keras keeps the backend that it began with.

    Raises:
        RestockError: the process failed.
    """
    code = "import sys; from pathlib import Path; from restock.adapters.neural_files import export_saved_model; "
    command = [sys.executable, "-c", code + "export_saved_model(Path(sys.argv[1]))", str(folder)]
    environment = os.environ | {"KERAS_BACKEND": "tensorflow"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        last = (done.stderr.strip() or "no message").splitlines()[-1]
        raise RestockError(
            f"the network in {folder / KERAS_FILE} can't be written for TensorFlow, which serves it: {last}. Train it "
            "with RESTOCK_KERAS_BACKEND=tensorflow."
        )


def load_neural(folder: Path) -> NeuralForecaster:
    """Return the forecaster that `save_neural` wrote, served by its SavedModel; Keras is not imported.

    Raises:
        NotFoundError: the folder, its description or its SavedModel is missing.
        DataError: the description is not one of a neural forecaster of this schema.
        ConfigurationError: TensorFlow is not installed.
    """
    described = read_json(folder / DESCRIPTION_FILE)
    layout, quantiles, vocabularies = _parse_description(described, origin=folder / DESCRIPTION_FILE)
    if not (folder / "saved_model.pb").is_file():
        raise NotFoundError(f"{folder / 'saved_model.pb'} is missing. Train again: restock train neural.")
    loaded = import_tensorflow().saved_model.load(str(folder))

    def endpoint(inputs: Any) -> Any:
        # TensorFlow frees the weights with `loaded`, whoever still holds its functions; this closure keeps it alive.
        return loaded.serve(inputs)

    return NeuralForecaster(
        layout=layout, quantiles=quantiles, vocabularies=vocabularies, serve=as_serve_function(endpoint)
    )


def _parse_description(
    described: Any, *, origin: Path
) -> tuple[WindowLayout, tuple[float, ...], dict[str, tuple[str, ...]]]:
    """Return layout, quantiles and vocabularies of a description.

    Raises:
        DataError: it is of another schema or family, or a key is missing or of the wrong type.
    """
    found = described if isinstance(described, dict) else {}
    if (found.get("schema_version"), found.get("family")) != (_SCHEMA_VERSION, "neural"):
        raise DataError(
            f"{origin} describes family {found.get('family')!r}, schema {found.get('schema_version')!r}; expected "
            f"family 'neural', schema {_SCHEMA_VERSION}. Train again with this version of restock."
        )
    try:
        layout = WindowLayout(
            horizon=int(found["horizon"]),
            lookback_periods=int(found["lookback_periods"]),
            frequency=Frequency(found["frequency"]),
            known_ahead=tuple(found["known_ahead"]),
            censoring=read_censoring_rule(found),
        )
        quantiles = tuple(float(level) for level in found["quantiles"])
        vocabularies = {name: tuple(found["vocabularies"][name]) for name in STATIC_ATTRIBUTES}
    except (KeyError, TypeError, ValueError) as error:
        raise DataError(f"{origin} is not a neural forecaster's description: {error!r}. Train again.") from error
    return layout, quantiles, vocabularies
