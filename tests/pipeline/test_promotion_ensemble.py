"""An ensemble version: its members lie in it, each in its own format, and its recipe is that of all its families."""

import json

import numpy as np
import pytest

from restock.adapters.registry import ModelType, verify_version
from restock.errors import DataError
from restock.operations.candidates import candidate_folder, choose_family
from restock.operations.promotion_steps import CandidateRefusedError
from restock.operations.served_model import load_served_model
from restock.pipeline.combine import run_combine
from restock.pipeline.evaluate import run_evaluate
from restock.pipeline.train import run_train
from tests.pipeline.promotion import copy_workspace, params_of, promote_in, settings_of, write_params


@pytest.fixture(scope="module")
def combined_template(trained_template, tmp_path_factory):
    """A workspace whose ensemble is smoothing and boosted trees."""
    workspace = copy_workspace(trained_template, tmp_path_factory.mktemp("combined") / "workspace")
    families = ["seasonal_naive", "statistical", "xgboost"]
    write_params(workspace, {"forecasting": {"families": families}, "ensemble": {"smallest_segment_rows": 100}})
    settings, params = settings_of(workspace), params_of(workspace)
    run_train("statistical", settings, params)
    run_combine(settings, params)
    return workspace


@pytest.fixture
def combined(combined_template, tmp_path):
    return copy_workspace(combined_template, tmp_path / "workspace")


def test_promote_ensemble_version_is_served_and_holds_its_members(combined):
    promote_in(combined, family="ensemble", override="a test")
    folder = verify_version(combined / "models", ModelType.DEMAND_FORECASTING, 1)
    served = load_served_model(combined / "models", ModelType.DEMAND_FORECASTING, 1)
    assert served.family == "ensemble"
    described = json.loads((folder / "forecaster.json").read_text(encoding="utf-8"))
    members = described["weights"]["members"]
    assert {path.name for path in (folder / "members").iterdir()} == set(members)
    metadata = json.loads((folder / "metadata.json").read_text(encoding="utf-8"))
    assert f"members/{members[0]}/forecaster.json" in metadata["files"]
    assert "average of several families" in (folder / "MODEL_CARD.md").read_text(encoding="utf-8")
    rows = [described["weights"]["overall"], *described["weights"]["by_segment"].values()]
    np.testing.assert_allclose([sum(row) for row in rows], 1.0)


def test_promote_after_an_ensemble_back_tests_its_recipe_and_the_same_recipe_needs_new_data(combined):
    promote_in(combined, family="ensemble", override="a test")
    with pytest.raises(CandidateRefusedError, match="nothing new to serve"):
        promote_in(combined, family="ensemble")
    # Another ensemble was trained since: the served recipe is back-tested from its families on.
    write_params(combined, {"ensemble": {"equal_weights_pull": 3.0}})
    run_combine(settings_of(combined), params_of(combined))
    result = promote_in(combined, family="xgboost", override="a test")
    assert "replaced" in result.metrics["overall"]


def test_run_evaluate_scores_the_ensemble_beside_the_families(combined):
    metrics = run_evaluate(settings_of(combined), params_of(combined))
    assert set(metrics["families"]) == {"seasonal_naive", "statistical", "xgboost", "ensemble"}
    assert all("ensemble" in of_segment for of_segment in metrics["segments"].values())
    best = min(metrics["families"], key=lambda name: metrics["families"][name]["pinball"])
    assert metrics["families"][choose_family(combined / "data")]["pinball"] == metrics["families"][best]["pinball"]
    assert metrics["windows"]["ensemble"]["pinball_sd"] >= 0


def test_run_combine_refuses_families_trained_on_other_data(combined):
    path = candidate_folder(combined / "data", "statistical") / "training.json"
    training = json.loads(path.read_text(encoding="utf-8"))
    training["data_hashes"]["sales"] = "0" * 64
    path.write_text(json.dumps(training), encoding="utf-8")
    with pytest.raises(DataError, match="seasonal_naive and statistical were trained on other data"):
        run_combine(settings_of(combined), params_of(combined))
