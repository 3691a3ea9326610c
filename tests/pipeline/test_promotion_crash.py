"""Promotion killed between every two steps and at any moment: what was served stays served, and the next one works."""

import signal
import time

import numpy as np
import pytest

from restock.adapters.registry import (
    ModelType,
    list_versions,
    never_served,
    read_current,
    read_metadata,
    verify_version,
)
from restock.adapters.tracking import connect, tracking_place
from restock.adapters.tracking_registry import VERSION_TAG, read_aliases
from restock.adapters.workspace import run_dvc
from restock.operations.promotion_steps import STEPS, CandidateRefusedError
from restock.operations.served_model import load_served_model
from tests.pipeline.promotion import copy_workspace, promote_in, settings_of, start_promotion

TYPE = ModelType.DEMAND_FORECASTING
BEFORE_SERVE = STEPS[: STEPS.index("serve")]
PUBLISHED = STEPS[STEPS.index("publish") :]
N_KILLS = 1000


def check_whole(workspace):
    """Return which version is served; it loads, and the newest versions are what was promoted."""
    models = workspace / "models"
    served = read_current(models, TYPE).served
    load_served_model(models, TYPE, served)
    for version in list_versions(models, TYPE)[-3:]:
        verify_version(models, TYPE, version)
    return served


def leftovers(workspace):
    folder = workspace / "models" / TYPE
    return sorted(path.name for path in folder.iterdir() if path.name.startswith(".") and path.name != ".lock")


def champion(workspace):
    place = tracking_place(settings_of(workspace))
    version = read_aliases(place, TYPE)["champion"]
    with connect(place) as client:
        return int(client.get_model_version(TYPE, version).tags[VERSION_TAG])


@pytest.mark.parametrize("step", STEPS)
def test_promote_killed_after_a_step_leaves_a_whole_version_served_and_the_next_one_works(served, step):
    process = start_promotion(served, kill_after=step)
    process.join(timeout=120)
    assert process.exitcode == -signal.SIGKILL
    is_before = step in BEFORE_SERVE
    assert check_whole(served) == (1 if is_before else 2)
    assert list_versions(served / "models", TYPE) == ((1, 2) if step in PUBLISHED else (1,))
    if is_before:
        assert promote_in(served).version == 2
    else:
        with pytest.raises(CandidateRefusedError, match="nothing new to serve"):
            promote_in(served)
    assert check_whole(served) == 2
    assert champion(served) == 2
    assert leftovers(served) == []
    assert never_served(served / "models", TYPE) == ()


def test_promote_after_a_crash_leaves_another_one_s_published_version_alone(served):
    process = start_promotion(served, kill_after="publish", reason="the first try")
    process.join(timeout=120)
    assert promote_in(served, reason="somebody else's").version == 3
    assert never_served(served / "models", TYPE) == (2,)
    assert read_metadata(served / "models", TYPE, 2)["reason"] == "the first try"


@pytest.mark.parametrize("step", ["publish", "track"])
def test_promote_killed_around_dvc_is_tracked_by_the_next_one(served, step):
    run_dvc(["init", "--no-scm", "--quiet"], folder=served)
    process = start_promotion(served, kill_after=step)
    process.join(timeout=120)
    assert check_whole(served) == 1
    assert promote_in(served).version == check_whole(served) == 2
    assert (served / "models" / TYPE / "model_version_2.dvc").is_file()


@pytest.mark.long
@pytest.mark.timeout(3 * 3600)
def test_promote_killed_a_thousand_times_never_serves_a_broken_version(served_template, tmp_path):
    rng = np.random.default_rng(20240101)
    workspace = copy_workspace(served_template, tmp_path / "workspace")
    start_promotion(workspace, kill_after="tidy").join(timeout=120)
    # How long a promotion takes here, so that kills fall on all of it.
    uninterrupted = time.monotonic()
    start_promotion(workspace, kill_after="mirror").join(timeout=120)
    typical_seconds = time.monotonic() - uninterrupted
    killed = 0
    while killed < N_KILLS:
        before = check_whole(workspace)
        # The two families take turns, so that there always is something to promote.
        family = ("xgboost", "seasonal_naive")[before % 2]
        at_a_step = rng.random() < 0.5
        process = start_promotion(
            workspace,
            kill_after=str(rng.choice(STEPS)) if at_a_step else None,
            family=family,
            override="crash test",
        )
        # Waits for a process that may end by itself sooner; either way the next check must hold.
        process.join(timeout=120 if at_a_step else float(rng.uniform(0, typical_seconds)))
        if process.is_alive():
            process.kill()
            process.join(timeout=120)
        killed += process.exitcode == -signal.SIGKILL
        after = check_whole(workspace)
        assert after >= before
    assert promote_in(workspace, family="xgboost", override="at last").version == check_whole(workspace)
    assert leftovers(workspace) == []
    assert champion(workspace) == check_whole(workspace)
