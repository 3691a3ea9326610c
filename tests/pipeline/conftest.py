"""Workspaces for the promotion tests, trained once and copied."""

import pytest

from tests.pipeline.promotion import (
    copy_workspace,
    promote_in,
    train_candidates,
    write_history,
    write_params,
)


@pytest.fixture(scope="session")
def trained_template(tmp_path_factory):
    """Two trained families, nothing promoted."""
    workspace = tmp_path_factory.mktemp("trained") / "workspace"
    write_history(workspace)
    write_params(workspace)
    train_candidates(workspace)
    return workspace


@pytest.fixture(scope="session")
def served_template(trained_template, tmp_path_factory):
    """The seasonal naive is served as version 1; XGBoost is the candidate."""
    workspace = copy_workspace(trained_template, tmp_path_factory.mktemp("served") / "workspace")
    promote_in(workspace, family="seasonal_naive")
    return workspace


@pytest.fixture
def trained(trained_template, tmp_path):
    return copy_workspace(trained_template, tmp_path / "workspace")


@pytest.fixture
def served(served_template, tmp_path):
    return copy_workspace(served_template, tmp_path / "workspace")
