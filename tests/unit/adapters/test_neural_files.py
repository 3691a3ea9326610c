import json
import zipfile
from datetime import date
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from restock.adapters.neural_files import load_neural, save_neural
from restock.adapters.storage import read_json, write_json
from restock.errors import DataError, NotFoundError
from restock.forecasting.families.neural import NeuralForecaster, fit_neural
from restock.forecasting.panel import DemandPanel
from restock.params import merge_values, parse_params, read_param_values
from restock.timeline import Frequency

ROOT = Path(__file__).resolve().parents[3]
HORIZON = 7
MAX_MODEL_BYTES = 10_000_000


@pytest.fixture(scope="module")
def panel() -> DemandPanel:
    rng = np.random.default_rng(11)
    n_series, n_periods = 6, 90
    shape = (n_series, n_periods + HORIZON)
    sales = rng.poisson(5, shape).astype(np.float32)
    sales[:, n_periods:] = np.nan
    return DemandPanel(
        series=pl.DataFrame(
            {
                "sku": [f"S{i}" for i in range(n_series)],
                "location": ["L1", "L2"] * 3,
                "category": ["Bäckerei", "Käse"] * 3,
                "subcategory": [""] * n_series,
                "region": ["north"] * n_series,
                "list_price": [1.0] * n_series,
            },
            schema_overrides={"list_price": pl.Float32},
        ),
        start=date(2024, 1, 1),
        frequency=Frequency.DAILY,
        observed_periods=n_periods,
        sales_units=sales,
        stockout_share=np.zeros(shape, dtype=np.float32),
        unit_price=np.ones(shape, dtype=np.float32),
        is_promoted=(rng.random(shape) < 0.1).astype(np.float32),
        is_holiday=np.zeros(shape, dtype=np.float32),
    )


@pytest.fixture(scope="module")
def fitted(panel: DemandPanel) -> NeuralForecaster:
    changes = {
        "forecasting": {"horizon": HORIZON, "quantiles": [0.05, 0.5, 0.95]},
        "families": {"neural": {"lookback_periods": 21, "epochs": 1, "batch_size": 32, "training_windows": 200}},
    }
    params = parse_params(merge_values(read_param_values(ROOT / "params.yaml"), changes))
    return fit_neural(panel, params=params, seed=1)


@pytest.fixture(scope="module")
def folder(fitted: NeuralForecaster, tmp_path_factory: pytest.TempPathFactory) -> Path:
    saved = tmp_path_factory.mktemp("saved") / "neural"
    save_neural(fitted, saved)
    return saved


def test_load_neural_gives_what_was_fitted(folder: Path, fitted: NeuralForecaster, panel: DemandPanel) -> None:
    loaded = load_neural(folder)
    before, after = (f.forecast(panel, horizon=HORIZON) for f in (fitted, loaded))
    # The exported graph is the same arithmetic; what is left is the order of float32 sums.
    np.testing.assert_allclose(after.quantile_units, before.quantile_units, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(after.mean_units, before.mean_units, rtol=1e-5, atol=1e-6)
    assert (loaded.family, loaded.quantiles, loaded.layout) == (fitted.family, fitted.quantiles, fitted.layout)
    assert dict(loaded.vocabularies) == dict(fitted.vocabularies)


def test_load_neural_takes_any_number_of_series(folder: Path, panel: DemandPanel) -> None:
    loaded = load_neural(folder)
    for rows in ([2], [0, 5], [0, 1, 2, 3, 4, 5, 0]):
        assert loaded.forecast(panel.select(np.array(rows)), horizon=1).mean_units.shape == (len(rows), 1)


def test_save_neural_writes_a_whole_saved_model_and_nothing_unsafe(folder: Path) -> None:
    files = {path.relative_to(folder).as_posix(): path for path in folder.rglob("*") if path.is_file()}
    assert {
        "saved_model.pb",
        "variables/variables.index",
        "assets/vocabularies.json",
        "model.keras",
        "forecaster.json",
    } <= set(files)
    assert not [name for name in files if Path(name).suffix in {".pkl", ".pickle", ".joblib", ".h5", ".npy"}]
    assert not list(folder.glob(".*"))
    assert sum(path.stat().st_size for path in files.values()) < MAX_MODEL_BYTES
    config = zipfile.ZipFile(folder / "model.keras").read("config.json").decode()
    assert "Lambda" not in config
    assert not json.loads(config).get("compile_config")


def test_save_neural_keras_file_loads_in_safe_mode_with_the_same_weights(
    folder: Path, fitted: NeuralForecaster
) -> None:
    import keras

    model = keras.saving.load_model(folder / "model.keras", compile=False, safe_mode=True)
    for ours, theirs in zip(fitted.model.get_weights(), model.get_weights(), strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_save_neural_overwrites_an_earlier_one(fitted: NeuralForecaster, tmp_path: Path, panel: DemandPanel) -> None:
    save_neural(fitted, tmp_path)
    save_neural(fitted, tmp_path)
    assert load_neural(tmp_path).forecast(panel, horizon=1).horizon == 1


def test_save_neural_of_a_loaded_forecaster_is_refused(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="was loaded and holds no Keras model"):
        save_neural(load_neural(folder), tmp_path)


def test_load_neural_missing_folder_is_not_found(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match=r"forecaster\.json is missing"):
        load_neural(tmp_path / "absent")


def test_load_neural_missing_saved_model_is_not_found(folder: Path, tmp_path: Path) -> None:
    write_json(tmp_path / "forecaster.json", read_json(folder / "forecaster.json"))
    with pytest.raises(NotFoundError, match=r"saved_model\.pb is missing"):
        load_neural(tmp_path)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"family": "xgboost"}, "describes family 'xgboost'"),
        ({"schema_version": 99}, "schema 99"),
        ({"frequency": "hourly"}, "not a neural forecaster's description.*hourly"),
        ({"quantiles": None}, "not a neural forecaster's description"),
    ],
)
def test_load_neural_other_description_is_refused(
    folder: Path, tmp_path: Path, changes: dict[str, object], message: str
) -> None:
    write_json(tmp_path / "forecaster.json", read_json(folder / "forecaster.json") | changes)
    with pytest.raises(DataError, match=message):
        load_neural(tmp_path)


def test_save_neural_description_is_plain_json(folder: Path, fitted: NeuralForecaster) -> None:
    described = json.loads((folder / "forecaster.json").read_text(encoding="utf-8"))
    assert described["family"] == "neural"
    assert described["vocabularies"]["category"] == ["Bäckerei", "Käse"]
    assert described["horizon"] == fitted.horizon
