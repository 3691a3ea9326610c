"""What each input of the boosted trees adds: against expectations taken node by node, for every set of inputs."""

from __future__ import annotations

import json
from dataclasses import replace
from itertools import combinations
from math import factorial

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from restock.errors import NotFoundError
from restock.forecasting.calibration import no_calibration
from restock.forecasting.cold_start import fit_cold_start
from restock.forecasting.explanation.drivers import Driver
from restock.forecasting.explanation.inputs import explain_by_inputs
from restock.forecasting.families.ensemble import EnsembleForecaster, SegmentWeights
from restock.forecasting.families.fit import fit_forecaster
from restock.forecasting.features import SCALE, build_origin_features
from restock.forecasting.segments import fit_segment_rule

HORIZON = 10


def expectation(node, row, known):
    """Return a tree's value with only some inputs known: at a split by another, both ways by what went there."""
    if "leaf" in node:
        return node["leaf"]
    children = {child["nodeid"]: child for child in node["children"]}
    value = row[node["split"]]
    if node["split"] in known:
        goes = node["missing"] if np.isnan(value) else node["yes"] if value < node["split_condition"] else node["no"]
        return expectation(children[goes], row, known)
    return sum(child["cover"] / node["cover"] * expectation(child, row, known) for child in children.values())


def splits_of(node):
    return {node["split"]} | set().union(*map(splits_of, node["children"])) if "leaf" not in node else set()


def by_sets(tree, row):
    """Return the Shapley value of every input of one tree, by the definition."""
    players = sorted(splits_of(tree))
    parts = dict.fromkeys(players, 0.0)
    for player in players:
        others = [other for other in players if other != player]
        for size in range(len(players)):
            weight = factorial(size) * factorial(len(players) - size - 1) / factorial(len(players))
            for chosen in combinations(others, size):
                known = set(chosen)
                parts[player] += weight * (expectation(tree, row, known | {player}) - expectation(tree, row, known))
    return parts


def test_explain_by_inputs_is_the_shapley_value_of_every_set_of_inputs(make_panel, small_params):
    params = small_params(families={"xgboost": {"n_rounds": 4, "max_depth": 3}})
    panel = make_panel(n_series=3)
    forecaster = fit_forecaster("xgboost", panel, params=params)
    told = explain_by_inputs(forecaster, panel, horizon=2)
    features = build_origin_features(panel, params.features)
    rows = forecaster.rows_ahead(panel, features, horizon=2)
    scale = features.column(SCALE)[:, -1]
    trees = [
        json.loads(tree) for tree in forecaster.predictor.mean_booster.get_dump(dump_format="json", with_stats=True)
    ]
    used = set().union(*map(splits_of, trees))
    assert len(used) > 3
    for place, row in enumerate(rows):
        series, ahead = divmod(place, 2)
        named = dict(zip(told.names, row.astype(float), strict=True))
        logs = dict.fromkeys(told.names, 0.0)
        for tree in trees:
            for name, part in by_sets(tree, named).items():
                logs[name] += part
        mean = told.mean_units[series, ahead]
        base = mean / np.exp(sum(logs.values()))
        assert told.average_units[series, ahead] == pytest.approx(base, rel=1e-3)
        # The logarithmic mean of where it begins and where it ends.
        factor = (mean - base) / np.log(mean / base)
        for column, name in enumerate(told.names):
            expected = logs[name] * factor
            assert told.input_units[series, ahead, column] == pytest.approx(
                expected, abs=2e-3 * float(scale[series])
            ), name
            if name not in used:
                assert told.input_units[series, ahead, column] == 0


few = settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@few
@given(panel_seed=st.integers(2, 2**16), horizon=st.integers(1, HORIZON))
def test_explain_by_inputs_sums_to_the_trees_forecast(panel_seed, horizon, fitted, make_panel, small_params):
    forecaster = fitted("xgboost", make_panel(), small_params())
    panel = make_panel(seed=panel_seed)
    told = explain_by_inputs(forecaster, panel, horizon=horizon)
    served = forecaster.forecast(panel, horizon=horizon).mean_units
    np.testing.assert_allclose(told.average_units + told.input_units.sum(axis=2), served, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(told.other_units, 0, atol=1e-4)


def test_explain_by_inputs_promotion_adds_where_one_is_planned(fitted, make_panel, small_params):
    panel = make_panel(seed=3)
    told = explain_by_inputs(fitted("xgboost", make_panel(), small_params()), panel, horizon=HORIZON)
    is_promoted = panel.is_promoted[:, panel.observed_periods : panel.observed_periods + HORIZON] > 0
    column = told.names.index("is_promoted")
    assert told.drivers[column] is Driver.PROMOTION
    # Beside an average row, which is promoted now and then, no promotion takes away a little.
    assert told.input_units[is_promoted, column].min() > 0 > told.input_units[~is_promoted, column].max()


def test_explain_by_inputs_of_an_ensemble_leaves_what_is_not_the_trees_to_others(fitted, make_panel, small_params):
    params, panel = small_params(), make_panel(seed=3)
    trees = fitted("xgboost", make_panel(), params)
    neutral = no_calibration(params.forecasting.quantiles)
    ensemble = EnsembleForecaster(
        horizon=HORIZON,
        quantiles=params.forecasting.quantiles,
        rule=fit_segment_rule(panel, params=params.evaluation),
        weights=SegmentWeights(members=("statistical", "xgboost"), overall=(0.25, 0.75), by_segment={}),
        members={"statistical": fitted("statistical", make_panel(), params), "xgboost": trees},
        calibration=replace(neutral, mean_factors={"all": 1.2}),
        cold_start=fit_cold_start(panel, params=params),
    )
    told = explain_by_inputs(ensemble, panel, horizon=HORIZON)
    of_trees = 0.75 * trees.forecast(panel, horizon=HORIZON).mean_units
    served = ensemble.forecast(panel, horizon=HORIZON).mean_units
    np.testing.assert_allclose(told.average_units + told.input_units.sum(axis=2), of_trees, rtol=1e-4)
    np.testing.assert_allclose(told.other_units, served - of_trees, rtol=1e-3, atol=1e-3)
    np.testing.assert_array_equal(told.mean_units, served)


@pytest.mark.parametrize("family", ["statistical", "random_forest"])
def test_explain_by_inputs_without_boosted_trees_says_what_to_do(family, fitted, make_panel, small_params):
    with pytest.raises(NotFoundError, match=f"family {family} has no boosted trees"):
        explain_by_inputs(fitted(family, make_panel(), small_params()), make_panel(), horizon=2)
