from dataclasses import replace
from datetime import date, timedelta

import numpy as np
import polars as pl
import pytest

from restock.forecasting.monitoring import (
    Finding,
    asks_for_retraining,
    judge_inputs,
    judge_outcomes,
    judge_staleness,
)

TRAINED = 90


def outcomes(n_periods=10, n_series=20, *, mean=10.0, low=5.0, high=15.0, demand=10.0):
    days = [date(2024, 5, 1) + timedelta(days=day) for day in range(n_periods)]
    return pl.DataFrame({"date": days * n_series}).with_columns(
        low_units=pl.lit(low), high_units=pl.lit(high), mean_units=pl.lit(mean), demand_units=pl.lit(demand)
    )


def by_subject(findings):
    return {finding.subject: finding for finding in findings}


def test_judge_inputs_stable_panel_breaches_nothing(make_panel, small_params):
    findings = judge_inputs(make_panel(), trained_periods=TRAINED, params=small_params().monitoring)
    assert [finding.subject for finding in findings if finding.is_breached] == []
    assert all(finding.value is not None for finding in findings)


@pytest.mark.parametrize(
    ("subject", "change"),
    [
        ("units_sold", lambda panel: replace(panel, sales_units=after_training(panel.sales_units, 5.0))),
        ("unit_price", lambda panel: replace(panel, unit_price=after_training(panel.unit_price, 3.0))),
        ("is_promoted", lambda panel: replace(panel, is_promoted=after_training(panel.is_promoted, 0.0) + 0)),
    ],
)
def test_judge_inputs_changed_input_is_named(make_panel, small_params, subject, change):
    findings = judge_inputs(change(make_panel()), trained_periods=TRAINED, params=small_params().monitoring)
    assert (
        by_subject(findings)[subject].value
        > by_subject(judge_inputs(make_panel(), trained_periods=TRAINED, params=small_params().monitoring))[
            subject
        ].value
    )


def after_training(values, factor):
    changed = values.copy()
    changed[:, TRAINED:] *= np.float32(factor)
    return changed


def test_judge_inputs_too_few_periods_since_training_judges_nothing(make_panel, small_params):
    panel = make_panel()
    findings = judge_inputs(panel, trained_periods=panel.observed_periods - 3, params=small_params().monitoring)
    assert {finding.value for finding in findings} == {None}
    assert "3 periods since the training, 7 are needed" in findings[0].detail


def test_judge_outcomes_honest_forecasts_breach_nothing(small_params):
    rows = outcomes()
    # Every fifth demand lies outside: 80 % within.
    rows = rows.with_columns(
        demand_units=pl.when(pl.int_range(pl.len()) % 5 == 0).then(pl.int_range(pl.len()) % 2 * 20.0).otherwise(10.0)
    )
    findings = by_kind(judge_outcomes(rows, params=small_params().monitoring))
    assert findings["coverage"].value == pytest.approx(0.8)
    assert not any(finding.is_breached for finding in findings.values())


def by_kind(findings):
    return {finding.kind: finding for finding in findings}


def test_judge_outcomes_biased_forecasts_breach_bias(small_params):
    findings = by_kind(judge_outcomes(outcomes(mean=13.0), params=small_params().monitoring))
    assert findings["bias"].value == pytest.approx(0.3)
    assert findings["bias"].is_breached


@pytest.mark.parametrize(("low", "high"), [(0.0, 100.0), (11.0, 12.0)])
def test_judge_outcomes_too_wide_or_too_narrow_breaches_coverage(small_params, low, high):
    findings = by_kind(judge_outcomes(outcomes(low=low, high=high), params=small_params().monitoring))
    assert findings["coverage"].is_breached


def test_judge_outcomes_of_a_version_without_the_levels_of_the_band_judges_bias_alone(small_params):
    findings = by_kind(judge_outcomes(outcomes(mean=13.0, low=None, high=None), params=small_params().monitoring))
    assert findings["coverage"].value is None
    assert "no quantiles 0.1 and 0.9" in findings["coverage"].detail
    assert findings["bias"].is_breached


def test_judge_outcomes_few_periods_judges_nothing(small_params):
    findings = judge_outcomes(outcomes(n_periods=6), params=small_params().monitoring)
    assert {finding.value for finding in findings} == {None}


@pytest.mark.parametrize(("days", "is_breached"), [(0, False), (2, False), (3, True)])
def test_judge_staleness_sales_that_stopped_coming_breach(make_panel, small_params, days, is_breached):
    panel = make_panel()
    as_of = panel.last_observed + timedelta(days=days)
    found = judge_staleness(panel, as_of=as_of, params=small_params().monitoring)
    assert (found.value, found.is_breached) == (days, is_breached)


def test_asks_for_retraining_not_for_stale_sales():
    stale = finding(is_breached=True, kind="staleness")
    assert not asks_for_retraining([stale], earlier_requests={}, model_version="model_version_2")


def finding(*, is_breached, kind="bias"):
    return Finding(kind=kind, subject="forecasts", value=1.0, limit=0.1, is_breached=is_breached, detail="")


@pytest.mark.parametrize(
    ("is_breached", "earlier", "expected"),
    [
        (True, {}, True),
        (False, {}, False),
        (True, {"2024-05-01": "model_version_2"}, False),
        (True, {"2024-05-01": "model_version_1"}, True),
    ],
)
def test_asks_for_retraining_once_a_version(is_breached, earlier, expected):
    asked = asks_for_retraining(
        [finding(is_breached=is_breached)], earlier_requests=earlier, model_version="model_version_2"
    )
    assert asked is expected
