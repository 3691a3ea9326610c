from __future__ import annotations

import pytest

from restock.errors import ConfigurationError
from restock.settings import Settings, find_workspace, read_settings


def test_find_workspace_from_a_folder_inside_finds_the_top(tmp_path):
    inside = tmp_path / "data" / "raw"
    inside.mkdir(parents=True)
    for mark in ("params.yaml", "dvc.yaml"):
        (tmp_path / mark).touch()
    assert find_workspace(inside) == tmp_path


def test_find_workspace_without_one_is_the_folder_itself(tmp_path):
    assert find_workspace(tmp_path) == tmp_path


def test_settings_paths_follow_the_workspace(tmp_path, monkeypatch):
    monkeypatch.setenv("RESTOCK_WORKSPACE", str(tmp_path))
    settings = read_settings()
    assert settings.data_dir == tmp_path.resolve() / "data"
    assert settings.tracking_uri == f"sqlite:///{tmp_path.resolve()}/mlflow.db"


def test_settings_of_a_queued_experiment_share_the_home_s_models_and_runs(tmp_path, monkeypatch):
    folder = tmp_path / ".dvc" / "tmp" / "exps" / "tmp1" / "shop"
    folder.mkdir(parents=True)
    for mark in ("params.yaml", "dvc.yaml"):
        (folder / mark).touch()
    monkeypatch.delenv("RESTOCK_WORKSPACE", raising=False)
    monkeypatch.chdir(folder)
    settings = read_settings()
    assert settings.data_dir == folder.resolve() / "data"
    assert settings.home == tmp_path.resolve()
    assert settings.tracking_uri == f"sqlite:///{tmp_path.resolve()}/mlflow.db"


def test_read_settings_another_workspace_than_the_experiment_s_is_refused(tmp_path, monkeypatch):
    folder = tmp_path / ".dvc" / "tmp" / "exps" / "tmp1"
    folder.mkdir(parents=True)
    monkeypatch.chdir(folder)
    monkeypatch.setenv("RESTOCK_WORKSPACE", str(tmp_path))
    with pytest.raises(ConfigurationError, match=r"but DVC runs this experiment in .*env -u RESTOCK_WORKSPACE"):
        read_settings()


def test_read_settings_out_of_bounds_names_the_variable(monkeypatch):
    monkeypatch.setenv("RESTOCK_FORECAST_PORT", "99999")
    with pytest.raises(ConfigurationError, match=r"RESTOCK_FORECAST_PORT: .* \(got '99999'\)"):
        read_settings()


def test_settings_do_not_show_a_password_of_the_tracking_server(monkeypatch):
    monkeypatch.setenv("RESTOCK_MLFLOW_TRACKING_URI", "postgresql://me:hunter2@host/db")
    assert "hunter2" not in repr(Settings())
