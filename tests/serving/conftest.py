"""Fixtures of the service tests."""

import pytest

from tests.serving.running import promote_version, running, serve_version, write_history


@pytest.fixture(scope="session")
def make_workspace(tmp_path_factory):
    """Return a function that makes a workspace with stored history and two versions, the first one served."""

    def make():
        workspace = tmp_path_factory.mktemp("workspace")
        write_history(workspace)
        for _ in range(2):
            promote_version(workspace)
        serve_version(workspace, 1)
        return workspace

    return make


@pytest.fixture(scope="module")
def service(make_workspace):
    with running(make_workspace()) as started:
        yield started
