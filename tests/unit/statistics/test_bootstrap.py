from __future__ import annotations

import numpy as np
import pytest

from restock.statistics.bootstrap import paired_bootstrap

OPTIONS = {"n_resamples": 2000, "confidence": 0.95, "seed": 3}


def test_paired_bootstrap_of_a_clear_winner_bounds_it_below_zero():
    rng = np.random.default_rng(1)
    incumbent = rng.gamma(2, 1, 400)
    result = paired_bootstrap(
        incumbent * rng.uniform(0.7, 0.95, 400), incumbent, clusters=np.repeat(np.arange(100), 4), **OPTIONS
    )
    assert result.upper < -0.1
    assert result.share_better == 1.0
    assert result.n_clusters == 100


def test_paired_bootstrap_of_equals_gives_no_difference():
    losses = np.arange(1.0, 11.0)
    result = paired_bootstrap(losses, losses, clusters=np.arange(10), **OPTIONS)
    assert (result.relative_difference, result.lower, result.upper, result.share_better) == (0.0, 0.0, 0.0, 0.0)


def test_paired_bootstrap_with_few_clusters_is_less_sure_than_with_many():
    rng = np.random.default_rng(2)
    incumbent = rng.gamma(2, 1, 600)
    candidate = incumbent + np.repeat(rng.normal(-0.05, 1, 6), 100).clip(-0.5)
    few = paired_bootstrap(candidate, incumbent, clusters=np.repeat(np.arange(6), 100), **OPTIONS)
    many = paired_bootstrap(candidate, incumbent, clusters=np.arange(600), **OPTIONS)
    assert few.upper - few.lower > 3 * (many.upper - many.lower)


def test_paired_bootstrap_covers_no_difference_about_as_often_as_it_says():
    rng = np.random.default_rng(4)
    wins = 0
    for trial in range(200):
        incumbent, candidate = rng.gamma(2, 1, (2, 80))
        result = paired_bootstrap(
            candidate, incumbent, clusters=np.arange(80), n_resamples=200, confidence=0.95, seed=trial
        )
        wins += result.upper < 0
    # 5 % of 200 is 10; beyond 22 lies less than one in ten thousand of a binomial.
    assert wins <= 22


@pytest.mark.parametrize(
    ("candidate", "incumbent", "message"),
    [
        ([1.0], [1.0, 2.0], "one shape and at least one case"),
        ([], [], "one shape and at least one case"),
        ([np.nan], [1.0], "every loss must be finite"),
        ([1.0], [0.0], "the incumbent's loss is zero"),
    ],
)
def test_paired_bootstrap_of_unusable_losses_is_refused(candidate, incumbent, message):
    with pytest.raises(ValueError, match=message):
        paired_bootstrap(np.array(candidate), np.array(incumbent), clusters=np.arange(len(candidate)), **OPTIONS)
