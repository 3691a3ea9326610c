"""Workspaces for the promotion tests, trained once and copied."""

import os

import pytest

from tests.pipeline.promotion import (
    copy_workspace,
    promote_in,
    train_candidates,
    write_history,
    write_params,
)

# XGBoost's threads spin while they wait; with more processes than cores they starve each other (a back-test of 3 s took
# 40 s). Read when the library is loaded, so set before any test.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")


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
