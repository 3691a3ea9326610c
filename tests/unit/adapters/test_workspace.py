from __future__ import annotations

import pytest
import yaml

from restock.adapters.storage import checksums_of
from restock.adapters.workspace import create_workspace, project_root, run_dvc
from restock.errors import ConfigurationError, RestockError
from restock.params import read_params


def test_create_workspace_twice_changes_nothing(tmp_path):
    folder = tmp_path / "run"
    create_workspace(folder, profile="demo")
    before = checksums_of(folder)
    create_workspace(folder, profile="demo")
    assert checksums_of(folder) == before


def test_create_workspace_writes_the_profiles_values_and_a_working_pipeline(tmp_path):
    create_workspace(tmp_path, profile="demo")
    assert read_params(tmp_path / "params.yaml") == read_params(project_root() / "params.yaml", profile="demo")
    code = yaml.safe_load((tmp_path / "dvc.yaml").read_text(encoding="utf-8"))["vars"][0]["code"]
    assert (tmp_path / code / "tables" / "__init__.py").is_file()
    run_dvc(["stage", "list"], folder=tmp_path)


def test_create_workspace_with_an_unknown_profile_writes_nothing(tmp_path):
    with pytest.raises(ConfigurationError, match="has no profile 'huge'"):
        create_workspace(tmp_path / "run", profile="huge")
    assert not (tmp_path / "run").exists()


def test_run_dvc_that_fails_carries_its_words(tmp_path):
    with pytest.raises(RestockError, match=r"`dvc repro` failed in .* you are not inside of a DVC repository"):
        run_dvc(["repro"], folder=tmp_path)


def test_create_workspace_keeps_secrets_and_data_out_of_a_repository_around_it(tmp_path):
    create_workspace(tmp_path / "shop")
    ignored = (tmp_path / "shop" / ".gitignore").read_text(encoding="utf-8").splitlines()
    assert {"secrets/", "mlflow.db*", "data/raw/*/", ".dvc/cache"} <= set(ignored)
