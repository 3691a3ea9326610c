"""Searches in a real study on disk, one of them killed."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from restock.adapters.studies import TrialStopped, open_study
from restock.errors import ConfigurationError, ConflictError
from restock.forecasting.search_space import Dimension

SPACE = {
    "depth": Dimension(low=1, high=10, is_integer=True),
    "rate": Dimension(low=0.01, high=1.0, is_log=True),
}
IN_FORCE = {"depth": 9, "rate": 0.9}
STEPS = 3
# A process that searches until somebody kills it: the third trial never ends.
ENDLESS = """
import sys, time
from pathlib import Path
from restock.adapters.studies import open_study
from tests.unit.adapters.test_studies import IN_FORCE, SPACE, bowl

def objective(values, report):
    if len(tried) == 2:
        Path(sys.argv[1]).with_suffix(".stuck").touch()
        time.sleep(600)
    tried.append(values)
    return bowl(values, report)

tried = []
with open_study(Path(sys.argv[1]), name="s", seed=1) as study:
    study.search(SPACE, in_force=IN_FORCE, objective=objective, n_trials=50)
"""


def bowl(values, report):
    """Lowest at depth 4 and rate 0.1; the same loss at each step, so that what is worse is worse from the first."""
    loss = (values["depth"] - 4) ** 2 + (values["rate"] - 0.1) ** 2
    for step in range(STEPS):
        if report(loss) and step < STEPS - 1:
            raise TrialStopped
    return loss


def search(file, *, n_trials, in_force=None, objective=bowl, name="s", **options):
    with open_study(file, name=name, seed=1) as study:
        study.search(SPACE, in_force=in_force or IN_FORCE, objective=objective, n_trials=n_trials, **options)
        return study.trials()


@pytest.fixture
def file(tmp_path):
    return tmp_path / "tuning" / "study.db"


def test_search_tries_what_is_in_force_first_and_finds_better(file):
    trials = search(file, n_trials=25)
    assert [trial.number for trial in trials] == list(range(25))
    assert trials[0].values == IN_FORCE
    finished = [trial for trial in trials if trial.loss is not None]
    assert min(trial.loss for trial in finished) < 0.1 * trials[0].loss
    for trial in trials:
        assert 1 <= trial.values["depth"] <= 10
        assert isinstance(trial.values["depth"], int)
        assert 0.01 <= trial.values["rate"] <= 1


def test_search_stops_what_falls_behind_the_median_and_never_what_is_in_force(file):
    trials = search(file, n_trials=25)
    stopped = [trial for trial in trials if trial.loss is None]
    assert stopped
    assert all(len(trial.losses) == 1 for trial in stopped)
    assert all(len(trial.losses) == STEPS for trial in trials if trial.loss is not None)
    # What is compared was seen at the same step: stopped is who is worse than the median of those that ended before.
    for trial in trials[4:]:
        ended = [other.losses[0] for other in trials[: trial.number] if other.loss is not None]
        assert (trial.losses[0] > np.median(ended)) == (trial.loss is None)
    # The worst values, in force from now on, are judged to the end all the same.
    worst = {"depth": 10, "rate": 1.0}
    again = search(file, n_trials=25, in_force=worst)
    assert again[-1].values == worst
    assert again[-1].loss == pytest.approx(36.81)


def test_search_given_again_counts_the_trials_that_it_has(file):
    first = search(file, n_trials=6)
    seen = []
    more = search(file, n_trials=9, on_trial=lambda trial, done: seen.append((trial.number, done)))
    assert more[:6] == first
    assert seen == [(6, 7), (7, 8), (8, 9)]
    assert search(file, n_trials=9) == more
    # What goes on is drawn anew, not the first draws once more.
    assert not {tuple(trial.values.items()) for trial in more[6:]} & {tuple(trial.values.items()) for trial in first}


def test_search_of_another_name_begins_anew(file):
    search(file, n_trials=3)
    assert len(search(file, n_trials=2, name="other")) == 2


def test_search_tries_values_in_force_outside_the_range_as_they_are(file):
    (trial,) = search(file, n_trials=1, in_force={"depth": 40, "rate": 0.001})
    assert trial.values == {"depth": 40, "rate": 0.001}
    assert trial.loss == pytest.approx(36**2 + 0.099**2)


def test_search_with_the_same_seed_draws_the_same(file, tmp_path):
    first, second = search(file, n_trials=8), search(tmp_path / "other.db", n_trials=8)
    assert [trial.values for trial in first] == [trial.values for trial in second]


def test_search_begins_no_trial_after_its_time(file):
    def slow(values, report):
        time.sleep(0.2)
        return bowl(values, report)

    assert 1 <= len(search(file, n_trials=50, objective=slow, timeout_seconds=0.3)) <= 4


def test_open_study_keeps_its_identity_and_gives_each_study_its_own(file):
    def identity(name):
        with open_study(file, name=name, seed=1) as study:
            return study.identity

    assert identity("s") == identity("s") != identity("other")


def test_open_study_that_another_holds_is_refused(file):
    with (
        open_study(file, name="s", seed=1),
        pytest.raises(ConflictError, match="another search works on "),
        open_study(file, name="s", seed=1),
    ):
        pass


def test_search_that_was_killed_in_a_trial_goes_on(file):
    root = Path(__file__).resolve().parents[3]
    process = subprocess.Popen([sys.executable, "-c", ENDLESS, str(file)], cwd=root)
    try:
        while not file.with_suffix(".stuck").exists():
            assert process.poll() is None
            time.sleep(0.05)
    finally:
        process.kill()
        process.wait()
    with open_study(file, name="s", seed=1) as study:
        kept = study.trials()
    assert [trial.number for trial in kept] == [0, 1]
    trials = search(file, n_trials=5)
    assert trials[:2] == kept
    # Number 2 was cut off: it does not count, and nothing takes its number.
    assert [trial.number for trial in trials] == [0, 1, 3, 4, 5]


def test_search_killed_in_its_first_trial_tries_what_is_in_force_again(file):
    class Killed(BaseException):
        pass

    def die(values, report):
        raise Killed

    with pytest.raises(Killed):
        search(file, n_trials=5, objective=die)
    trials = search(file, n_trials=2)
    assert trials[0].values == IN_FORCE
    assert len(trials) == 2


@pytest.mark.parametrize("loss", [float("nan"), float("inf")])
@pytest.mark.parametrize("is_reported", [True, False])
def test_search_a_loss_that_is_no_finite_number_is_an_error_and_the_search_can_go_on(file, loss, is_reported):
    def diverge(values, report):
        if values != IN_FORCE and is_reported:
            report(loss)
        return bowl(values, report) if values == IN_FORCE else loss

    with pytest.raises(ConfigurationError, match=f"finite number, got {loss} for depth="):
        search(file, n_trials=8, objective=diverge)
    assert len(search(file, n_trials=8)) == 8
