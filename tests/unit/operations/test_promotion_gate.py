import json
from datetime import date, timedelta

import numpy as np
import polars as pl
import pytest

from restock.operations.promotion_gate import Rules, ServedVersion, judge_candidate
from restock.params import PromotionParams

QUANTILES = (0.1, 0.5, 0.9)
RULES = Rules(quantiles=QUANTILES, promotion=PromotionParams(confidence=0.95, n_resamples=300), seed=1)
CUTOFFS = (date(2024, 5, 1), date(2024, 5, 8))


def backtest(error_units, *, cutoffs=CUTOFFS, n_series=30, noise_units=0.0, demand_units=10.0):
    """Return a back-test whose every quantile misses demand by an error, plus noise per series."""
    rng = np.random.default_rng(3)
    rows = []
    for number in range(n_series):
        missed = demand_units + error_units + noise_units * float(rng.normal())
        rows += [
            {"sku": f"S{number}", "location": "L", "cutoff": cutoff, "date": cutoff + timedelta(days=step),
             "horizon": step, "demand": demand_units, "is_censored": False, "mean_units": missed,
             **{f"q{quantile:g}": missed for quantile in QUANTILES}}
            for cutoff in cutoffs for step in (1, 2)
        ]  # fmt: skip
    return pl.DataFrame(rows)


def judge(candidate, *, baseline=None, served=None, is_baseline=False):
    return judge_candidate(
        candidate,
        is_baseline=is_baseline,
        baseline=backtest(4.0) if baseline is None else baseline,
        served=served,
        rules=RULES,
    )


def states(verdict):
    return [condition.has_passed for condition in verdict.conditions]


def test_judge_candidate_first_and_better_than_baseline_passes():
    verdict = judge(backtest(1.0))
    assert verdict.has_passed
    assert states(verdict) == [True, None, None]
    assert verdict.conditions[0].figures["relative_difference"] == pytest.approx(-0.75)
    assert verdict.conditions[0].figures["upper"] == pytest.approx(-0.75)


def test_judge_candidate_worse_than_baseline_is_refused_with_figures():
    verdict = judge(backtest(5.0))
    assert states(verdict) == [False, None, None]
    assert verdict.failed[0].figures["relative_difference"] == pytest.approx(0.25)


def test_judge_candidate_better_only_by_luck_is_refused():
    verdict = judge(backtest(3.95, noise_units=3.0), baseline=backtest(4.0))
    assert verdict.conditions[0].has_passed is False
    assert verdict.conditions[0].figures["upper"] > 0


def test_judge_candidate_equal_to_baseline_is_refused():
    assert states(judge(backtest(4.0)))[0] is False


def test_judge_candidate_baseline_itself_only_has_to_beat_what_is_served():
    assert judge(backtest(4.0), is_baseline=True).has_passed
    served = ServedVersion(version=3, backtest=backtest(1.0))
    assert states(judge(backtest(4.0), is_baseline=True, served=served)) == [None, False, None]


def test_judge_candidate_better_than_served_passes():
    verdict = judge(backtest(1.0), served=ServedVersion(version=3, backtest=backtest(2.0)))
    assert states(verdict) == [True, True, None]
    assert "version 3" in verdict.conditions[1].detail


def test_judge_candidate_worse_than_served_is_refused():
    verdict = judge(backtest(2.0), served=ServedVersion(version=3, backtest=backtest(1.0)))
    assert [condition.name for condition in verdict.failed] == ["beats_served_version"]


@pytest.mark.parametrize(("newer", "expected"), [("cutoff 2024-06-01 after 2024-05-01", True), ("", False)])
def test_judge_candidate_same_recipe_needs_newer_data(newer, expected):
    served = ServedVersion(version=2, is_same_recipe=True, newer_because=newer)
    assert states(judge(backtest(1.0), served=served))[1] is expected


def test_judge_candidate_served_recipe_unusable_is_refused_with_the_reason():
    served = ServedVersion(version=2, unusable_because="model.ubj was changed")
    verdict = judge(backtest(1.0), served=served)
    assert "model.ubj was changed" in verdict.failed[0].detail


def test_judge_candidate_other_windows_are_refused():
    verdict = judge(backtest(1.0), baseline=backtest(4.0, cutoffs=CUTOFFS[:1]))
    assert "other windows" in verdict.failed[0].detail


def test_judge_candidate_nothing_scored_is_refused():
    censored = backtest(1.0).with_columns(is_censored=True)
    assert "nothing to compare" in judge(censored).failed[0].detail


def test_judge_candidate_without_served_backtest_is_a_callers_bug():
    with pytest.raises(ValueError, match="needs a back-test"):
        judge(backtest(1.0), served=ServedVersion(version=2))


def test_verdict_to_json_says_not_available_in_words():
    value = json.loads(json.dumps(judge(backtest(1.0)).to_json(), allow_nan=False))
    assert [condition["passed"] for condition in value["conditions"]] == [True, "not available", "not available"]
