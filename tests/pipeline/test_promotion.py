"""Promotion and rollback, from candidates to what is served, with a real tracking store."""

import json
import shutil

import pytest
import yaml

from restock.adapters.registry import (
    METADATA_FILE,
    Action,
    ModelType,
    list_versions,
    read_current,
    read_metadata,
    set_current,
    verify_version,
    write_version,
)
from restock.adapters.tracking import connect, tracking_place
from restock.adapters.tracking_registry import CONTENT_TAG, VERSION_TAG, read_aliases
from restock.errors import ConfigurationError, DataError, GoldenReplayError, NotFoundError, TamperedVersionError
from restock.operations.candidates import read_candidate
from restock.operations.mirror import repair_mirror
from restock.operations.promote import promote
from restock.operations.promotion_steps import STEPS, CandidateRefusedError
from restock.operations.rollback import roll_back
from restock.operations.served_model import load_served_model
from restock.operations.stored_history import find_history, load_history
from restock.operations.version_table import list_version_rows
from restock.settings import Settings
from restock.timeline import Frequency
from tests.pipeline.promotion import (
    N_DAYS,
    NOW,
    make_request,
    params_of,
    promote_in,
    settings_of,
    start_promotion,
    train_candidates,
    write_history,
    write_params,
)

TYPE = ModelType.DEMAND_FORECASTING


def models_of(workspace):
    return workspace / "models"


def served_number(workspace):
    return read_current(models_of(workspace), TYPE).served


def roll_back_in(workspace, **changes):
    given = {"reason": "test", "rolled_back_by": "tester", "now": NOW} | changes
    return roll_back(settings_of(workspace), TYPE, **given)


def aliased_versions(workspace):
    """Return the number in models/ behind each alias; "" for a candidate that was never promoted."""
    place = tracking_place(settings_of(workspace))
    aliases = read_aliases(place, TYPE)
    with connect(place) as client:
        return {alias: client.get_model_version(TYPE, version).tags[VERSION_TAG] for alias, version in aliases.items()}


def test_promote_first_candidate_that_beats_the_baseline_is_served_and_complete(trained):
    steps = []
    result = promote_in(trained, after_step=steps.append)
    folder = verify_version(models_of(trained), TYPE, 1)
    assert tuple(steps) == STEPS
    assert (result.version, result.previous, result.override, result.warnings) == (1, None, None, ())
    documents = {"metadata.json", "params.yaml", "metrics.json", "signature.json", "golden.json", "MODEL_CARD.md"}
    documents |= {"dependence.json"}
    assert documents | {"model.ubj", "forecaster.json"} <= {path.name for path in folder.iterdir()}
    model = load_served_model(models_of(trained), TYPE, 1)
    assert model.family == "xgboost"
    history = load_history(
        trained / "data" / "validated",
        find_history(trained / "data" / "validated", frequency=Frequency.DAILY, horizon=7),
    )
    assert model.training_data_hash == history.data_hash
    assert model.paths is not None
    assert "all" in model.paths.dependence.by_segment


def test_promote_metadata_say_where_the_version_came_from(trained):
    promote_in(trained, reason="first one")
    metadata = read_metadata(models_of(trained), TYPE, 1)
    candidate = read_candidate(trained / "data", "xgboost")
    assert metadata["promoted_by"] == "tester"
    assert metadata["reason"] == "first one"
    assert metadata["cutoff"] == candidate.cutoff.isoformat()
    assert metadata["data_hashes"] == candidate.data_hashes
    assert metadata["mlflow"]["run_id"] == candidate.mlflow_run_id
    assert metadata["library_versions"]["xgboost"]
    with connect(tracking_place(settings_of(trained))) as client:
        registered = client.get_model_version(TYPE, metadata["mlflow"]["registered_version"])
    assert registered.tags[CONTENT_TAG] == metadata["content_sha256"]
    assert registered.run_id == candidate.mlflow_run_id


def test_promote_documents_show_metrics_beside_baseline_and_replaced(served):
    result = promote_in(served)
    folder = models_of(served) / TYPE / "model_version_2"
    metrics = json.loads((folder / "metrics.json").read_text())
    assert metrics == json.loads(json.dumps(result.metrics))
    assert set(metrics["overall"]) == {"candidate", "seasonal_naive", "replaced"}
    assert metrics["overall"]["candidate"]["pinball"] < metrics["overall"]["seasonal_naive"]["pinball"]
    assert metrics["overall"]["replaced"] == metrics["overall"]["seasonal_naive"]
    assert metrics["replaces"] == {
        "version": 1,
        "windows": metrics["windows"],
        "overall": metrics["overall"]["seasonal_naive"],
    }
    card = (folder / "MODEL_CARD.md").read_text()
    assert "Promoted by tester" in card
    assert f"{metrics['overall']['candidate']['pinball']:.4f}" in card
    recipe = yaml.safe_load((folder / "params.yaml").read_text())
    assert recipe["families"] == {"xgboost": recipe["families"]["xgboost"]}


def test_promote_better_candidate_replaces_and_aliases_follow(served):
    result = promote_in(served)
    assert (result.version, result.previous) == (2, 1)
    assert served_number(served) == 2
    assert aliased_versions(served) == {"champion": "2", "previous": "1"}


def test_promote_same_candidate_again_is_refused_and_becomes_the_challenger(trained):
    promote_in(trained)
    with pytest.raises(CandidateRefusedError, match="same recipe and same data as version 1: nothing new to serve"):
        promote_in(trained)
    assert list_versions(models_of(trained), TYPE) == (1,)
    assert aliased_versions(trained) == {"champion": "1", "challenger": ""}


def test_promote_worse_candidate_is_refused_with_figures(served):
    promote_in(served)
    with pytest.raises(CandidateRefusedError, match=r"pinball loss \+.* against version 2") as refused:
        promote_in(served, family="seasonal_naive")
    figures = refused.value.members()["gate"]["conditions"][1]["figures"]
    assert figures["upper"] > 0
    assert served_number(served) == 2


def test_promote_override_is_recorded_everywhere(served):
    promote_in(served)
    result = promote_in(served, family="seasonal_naive", override="the shop asked for it")
    assert result.override == "the shop asked for it"
    assert read_current(models_of(served), TYPE).override == "the shop asked for it"
    assert read_metadata(models_of(served), TYPE, 3)["override"] == "the shop asked for it"
    assert "the shop asked for it" in (models_of(served) / TYPE / "model_version_3" / "MODEL_CARD.md").read_text()
    assert [row.override for row in list_version_rows(models_of(served), TYPE)][2] == "the shop asked for it"


def test_promote_override_that_was_not_needed_is_not_recorded(served):
    assert promote_in(served, override="just in case").override is None
    assert read_metadata(models_of(served), TYPE, 2)["override"] is None


def test_promote_same_recipe_on_newer_data_passes(trained):
    promote_in(trained)
    write_history(trained, n_days=N_DAYS + 7)
    train_candidates(trained)
    result = promote_in(trained)
    assert result.version == 2
    assert "newer data: cutoff" in result.verdict.conditions[1].detail


def test_promote_served_recipe_that_nobody_trained_today_is_back_tested_here(trained):
    promote_in(trained)
    write_params(trained, {"families": {"xgboost": {"n_rounds": 2}}})
    train_candidates(trained)
    windows = []
    with pytest.raises(CandidateRefusedError, match="against version 1"):
        promote(
            settings_of(trained),
            params_of(trained),
            make_request(),
            now=NOW,
            on_progress=lambda done, total: windows.append((done, total)),
        )
    assert windows == [(1, 2), (2, 2)]


def test_promote_past_a_tampered_served_version_needs_an_override(served):
    path = models_of(served) / TYPE / "model_version_1" / "forecaster.json"
    path.chmod(0o644)
    path.write_text(path.read_text() + " ")
    with pytest.raises(
        CandidateRefusedError, match=r"version 1 can't be compared with: .*forecaster\.json was changed"
    ):
        promote_in(served)
    assert promote_in(served, override="version 1 is broken").version == 2


def test_promote_candidate_of_other_data_is_refused(trained):
    write_history(trained, n_days=N_DAYS + 1)
    with pytest.raises(DataError, match=r"trained on another sales\.parquet .* dvc repro"):
        promote_in(trained)


def test_promote_candidate_of_another_horizon_is_refused(trained):
    write_params(trained, {"forecasting": {"horizon": 8}})
    with pytest.raises(DataError, match=r"trained for horizon 7, daily periods .* asks for 8, daily"):
        promote_in(trained)


def test_promote_candidate_of_another_frequency_is_refused(trained):
    write_params(trained, {"forecasting": {"frequency": "weekly"}})
    with pytest.raises(DataError, match=r"trained for horizon 7, daily periods .* asks for 7, weekly"):
        promote_in(trained)


def test_promote_same_recipe_on_older_data_is_refused(trained):
    promote_in(trained)
    write_history(trained, n_days=N_DAYS - 10)
    train_candidates(trained)
    with pytest.raises(CandidateRefusedError, match="nothing new to serve"):
        promote_in(trained)


def test_promote_family_that_was_not_trained_says_so(trained):
    with pytest.raises(NotFoundError, match="family neural was not trained"):
        promote_in(trained, family="neural")


def test_promote_empty_reason_is_refused(trained):
    with pytest.raises(ConfigurationError, match="reason must say something"):
        promote_in(trained, reason=" ")


def test_promote_while_mlflow_is_away_serves_and_warns_and_is_repaired_later(trained):
    away = Settings(workspace=trained, mlflow_tracking_uri="sqlite:////proc/nowhere/mlflow.db")
    result = promote(away, params_of(trained), make_request(), now=NOW)
    assert served_number(trained) == 1
    assert len(result.warnings) == 2
    assert all("restock models --repair" in warning for warning in result.warnings)
    assert repair_mirror(models_of(trained), TYPE, place=tracking_place(settings_of(trained))) == ("champion",)
    assert aliased_versions(trained) == {"champion": "1"}


def test_repair_mirror_moved_aliases_follow_current_again(served):
    promote_in(served)
    place = tracking_place(settings_of(served))
    with connect(place) as client:
        client.set_registered_model_alias(TYPE, "champion", "1")
        client.delete_registered_model_alias(TYPE, "previous")
    assert repair_mirror(models_of(served), TYPE, place=place) == ("champion", "previous")
    assert aliased_versions(served) == {"champion": "2", "previous": "1"}


def test_roll_back_serves_the_previous_version_again(served):
    promote_in(served)
    result = roll_back_in(served, reason="over-forecasts")
    current = read_current(models_of(served), TYPE)
    assert (result.version, result.previous) == (1, 2)
    assert (current.served, current.action, current.reason) == (1, Action.ROLLBACK, "over-forecasts")
    assert [change.served for change in current.history] == [1, 2, 1]
    assert aliased_versions(served) == {"champion": "1", "previous": "2"}
    assert [row.state for row in list_version_rows(models_of(served), TYPE)] == ["served", "previous"]


def test_roll_back_named_version_is_served(served):
    promote_in(served)
    promote_in(served, override="again")
    assert roll_back_in(served, to=1).version == 1


def test_roll_back_first_version_has_nothing_before(served):
    with pytest.raises(NotFoundError, match="version 1 of demand_forecasting is the first"):
        roll_back_in(served)


@pytest.mark.parametrize(("to", "match"), [(1, "served already"), (9, "never served; those that were: 1")])
def test_roll_back_to_no_fit_version_is_refused(served, to, match):
    with pytest.raises(ConfigurationError, match=match):
        roll_back_in(served, to=to)


def test_roll_back_to_tampered_version_is_refused(served):
    promote_in(served)
    (models_of(served) / TYPE / "model_version_1" / "golden.json").unlink()
    with pytest.raises(TamperedVersionError, match=r"golden\.json is missing"):
        roll_back_in(served)
    assert served_number(served) == 2


def test_roll_back_to_version_that_no_longer_gives_its_golden_outputs_is_refused(served):
    promote_in(served)
    folder = models_of(served) / TYPE / "model_version_1"
    golden = json.loads((folder / "golden.json").read_text())
    golden["outputs"]["mean_units"][0][0] += 1

    def build(building):
        for name in ("forecaster.json", "metrics.json"):
            shutil.copy(folder / name, building / name)
        (building / "golden.json").write_text(json.dumps(golden))

    metadata = read_metadata(models_of(served), TYPE, 1)
    kept = {key: value for key, value in metadata.items() if key not in ("files", "version")}
    version = write_version(models_of(served), TYPE, build=build, metadata=kept)
    current = read_current(models_of(served), TYPE)
    set_current(models_of(served), TYPE, current.history[0].model_copy(update={"served": version}))
    set_current(models_of(served), TYPE, current.history[1])
    with pytest.raises(GoldenReplayError, match="1 of 35 mean_units"):
        roll_back_in(served, to=version)
    assert served_number(served) == 2


def test_list_version_rows_tell_tampered_and_absent_versions(served):
    promote_in(served)
    promote_in(served, override="again")
    shutil.rmtree(models_of(served) / TYPE / "model_version_1")
    (models_of(served) / TYPE / "model_version_2" / "metadata.json").unlink()
    rows = list_version_rows(models_of(served), TYPE)
    assert [row.state for row in rows] == ["served before", "tampered with", "served"]
    assert "has no version 1" in rows[0].reason


def test_promote_model_that_changes_meanwhile_is_refused(trained):
    def train_again(step):
        if step == "gate":
            path = trained / "data" / "candidates" / TYPE / "xgboost" / "model" / "forecaster.json"
            path.write_text(path.read_text() + " ")

    with pytest.raises(DataError, match="changed while it was promoted"):
        promote_in(trained, after_step=train_again)
    assert promote_in(trained).version == 1


def test_promote_two_at_once_come_one_after_the_other(trained):
    processes = [start_promotion(trained, override="both", reason=f"process {number}") for number in range(2)]
    for process in processes:
        process.join(timeout=120)
    assert [process.exitcode for process in processes] == [0, 0]
    current = read_current(models_of(trained), TYPE)
    assert [(change.served, change.previous) for change in current.history] == [(1, None), (2, 1)]
    assert list_versions(models_of(trained), TYPE) == (1, 2)
    for version in (1, 2):
        metadata = read_metadata(models_of(trained), TYPE, version)
        assert metadata["reason"] == current.history[version - 1].reason
    assert aliased_versions(trained) == {"champion": "2", "previous": "1"}


def test_versions_are_read_only_files(trained):
    promote_in(trained)
    folder = models_of(trained) / TYPE / "model_version_1"
    assert {path.stat().st_mode & 0o222 for path in folder.rglob("*") if path.is_file()} == {0}
    assert (folder / METADATA_FILE).exists()
