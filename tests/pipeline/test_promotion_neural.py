"""A TensorFlow version: the SavedModel lies in the version's folder itself."""

from restock.adapters.registry import ModelType, verify_version
from restock.operations.served_model import load_served_model
from restock.pipeline.train import run_train
from tests.pipeline.promotion import params_of, promote_in, settings_of, write_params

TINY = {
    "lookback_periods": 14,
    "hidden_units": 4,
    "epochs": 1,
    "training_windows": 200,
}


def test_promote_neural_version_holds_a_saved_model_and_its_parts(trained):
    families = ["seasonal_naive", "xgboost", "neural"]
    write_params(trained, {"families": {"neural": TINY}, "forecasting": {"families": families}})
    run_train("neural", settings_of(trained), params_of(trained))
    promote_in(trained, family="neural", override="hardly trained")
    folder = verify_version(trained / "models", ModelType.DEMAND_FORECASTING, 1)
    names = {path.name for path in folder.iterdir()}
    assert {"saved_model.pb", "variables", "assets", "metadata.json", "golden.json", "MODEL_CARD.md"} <= names
    assert list((folder / "assets").iterdir())
    assert not [path for path in folder.rglob("*") if path.suffix in (".h5", ".pkl", ".pickle")]
    assert load_served_model(trained / "models", ModelType.DEMAND_FORECASTING, 1).family == "neural"
