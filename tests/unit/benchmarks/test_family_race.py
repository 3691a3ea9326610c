from __future__ import annotations

import pytest

from restock.benchmarks.family_race import race_families
from restock.errors import InsufficientHistoryError

SCORES = {"seasonal_naive": {"loss": 3.0}, "xgboost": {"loss": 1.0}, "random_forest": {"loss": 2.0}}


def back_test(family):
    if family == "neural":
        raise InsufficientHistoryError("too little history")
    return SCORES[family]


def test_race_families_names_the_best_and_always_scores_seasonal_naive():
    race = race_families(["random_forest", "xgboost"], back_test, by=lambda score: score["loss"])
    assert race.best == "xgboost"
    assert list(race.scores) == ["seasonal_naive", "random_forest", "xgboost"]
    assert race_families(["random_forest"], back_test, by=lambda score: score["loss"]).best == "random_forest"


def test_race_families_that_can_not_be_fitted_are_named():
    race = race_families(["neural", "xgboost"], back_test, by=lambda score: score["loss"])
    assert (race.best, race.skipped) == ("xgboost", {"neural": "too little history"})
    with pytest.raises(InsufficientHistoryError, match="none of neural could be fitted: too little history"):
        race_families(["neural"], back_test, by=lambda score: score["loss"])
