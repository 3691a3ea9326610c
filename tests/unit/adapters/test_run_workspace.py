import pytest
import yaml

from restock.adapters.run_workspace import apply_changes, create_run_workspace, find_run
from restock.adapters.storage import write_json
from restock.adapters.workspace import create_workspace
from restock.errors import ConfigurationError, NotFoundError
from restock.settings import Settings

BATCHES = {"batches": [{"id": "0123456789abcdef", "tables": {}}]}


@pytest.fixture
def home(tmp_path):
    folder = tmp_path / "home"
    create_workspace(folder)
    write_json(folder / "data" / "batches.json", BATCHES)
    (folder / "data" / "raw").mkdir(parents=True)
    return folder


def test_create_run_workspace_has_its_own_params_and_the_home_s_models(home):
    run = home / ".runs" / "one"
    create_run_workspace(run, home=home, changes=["backtest.n_windows=2"])
    assert yaml.safe_load((run / "params.yaml").read_text())["backtest"]["n_windows"] == 2
    assert yaml.safe_load((home / "params.yaml").read_text())["backtest"]["n_windows"] != 2
    settings = Settings(workspace=run)
    assert settings.models_dir == home / "models"
    assert settings.data_dir == run / "data"
    assert settings.tracking_uri == f"sqlite:///{home / 'mlflow.db'}"


def test_create_run_workspace_again_keeps_the_batches_of_its_first_time(home):
    run = home / ".runs" / "one"
    create_run_workspace(run, home=home)
    before = (run / "data" / "batches.json").read_bytes()
    write_json(home / "data" / "batches.json", {"batches": [*BATCHES["batches"], {"id": "f" * 16, "tables": {}}]})
    create_run_workspace(run, home=home)
    assert (run / "data" / "batches.json").read_bytes() == before


def test_create_run_workspace_without_batches_is_refused(tmp_path):
    create_workspace(tmp_path / "home")
    with pytest.raises(NotFoundError, match=r"has no batch to train on\. Ingest one first"):
        create_run_workspace(tmp_path / "home" / ".runs" / "one", home=tmp_path / "home")


def test_create_run_workspace_misspelt_change_is_refused_before_anything_is_written(home):
    run = home / ".runs" / "one"
    with pytest.raises(ConfigurationError, match=r"backtest\.windows"):
        create_run_workspace(run, home=home, changes=["backtest.windows=2"])
    assert not run.exists()


@pytest.mark.parametrize("change", ["seed", "=1", "backtest..n=1", "backtest.=1"])
def test_apply_changes_no_assignment_is_refused(change):
    with pytest.raises(ConfigurationError, match=r"must read section\.key=value"):
        apply_changes({}, [change])


def test_find_run_latest_is_the_last_evaluated(home):
    for name in ("one", "two"):
        create_run_workspace(home / ".runs" / name, home=home)
    write_json(home / ".runs" / "one" / "data" / "reports" / "evaluation" / "candidate.json", {})
    assert find_run(home, "latest") == home / ".runs" / "one"


@pytest.mark.parametrize("name", ["three", "../..", "."])
def test_find_run_unknown_name_is_refused(home, name):
    create_run_workspace(home / ".runs" / "one", home=home)
    with pytest.raises(NotFoundError, match="the last ones are: one"):
        find_run(home, name)
