"""What a version says about its paths comes back, and what is broken is named."""

from __future__ import annotations

import json

import numpy as np
import pytest

from restock.errors import DataError
from restock.forecasting.dependence import independence
from restock.forecasting.families.fit import fit_forecaster
from restock.forecasting.segments import fit_segment_rule
from restock.operations.path_recipe import DEPENDENCE_FILE, PathRecipe, read_path_recipe, write_path_recipe


@pytest.fixture
def recipe(make_panel, small_params):
    rule = fit_segment_rule(make_panel(), params=small_params().evaluation)
    return PathRecipe(dependence=independence(10, rule=rule), seed=3, n_paths=50)


def test_read_path_recipe_gives_back_what_was_written(tmp_path, recipe):
    write_path_recipe(recipe, tmp_path)
    assert read_path_recipe(tmp_path) == recipe


def test_read_path_recipe_of_an_older_version_is_none(tmp_path):
    assert read_path_recipe(tmp_path) is None


def test_read_path_recipe_of_a_broken_file_is_refused(tmp_path, recipe):
    write_path_recipe(recipe, tmp_path)
    stored = json.loads((tmp_path / DEPENDENCE_FILE).read_text())
    del stored["shared"]
    (tmp_path / DEPENDENCE_FILE).write_text(json.dumps(stored))
    with pytest.raises(DataError, match=r"dependence\.json is not what promotion writes: KeyError\('shared'\)"):
        read_path_recipe(tmp_path)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"schema_version": 2}, "schema_version must be 1, got 2"),
        ({"schema_version": None}, "schema_version must be 1, got None"),
        ({"n_paths": 1}, "n_paths must be 2 to 10000, got 1"),
        ({"n_paths": 10**9}, "n_paths must be 2 to 10000, got 1000000000"),
        ({"by_segment": {"A-smooth": [0.0] * 9}}, "by_segment lacks 'all'"),
        ({"by_segment": {"all": [0.0] * 9, "A-smooth": [0.0] * 8}}, "A-smooth has 8 lags, expected 9"),
        ({"by_segment": {"all": [float("nan")] * 9}}, "all must hold correlations of -1 to 1"),
        ({"by_segment": []}, "AttributeError"),
    ],
)
def test_read_path_recipe_that_this_version_can_not_draw_by_is_refused(tmp_path, recipe, changes, words):
    write_path_recipe(recipe, tmp_path)
    stored = json.loads((tmp_path / DEPENDENCE_FILE).read_text())
    (tmp_path / DEPENDENCE_FILE).write_text(json.dumps(stored | changes))
    with pytest.raises(DataError, match=rf"dependence\.json is not what promotion writes: .*{words}"):
        read_path_recipe(tmp_path)


def test_draw_gives_a_series_the_same_paths_alone_and_among_others(recipe, make_panel, small_params):
    panel = make_panel()
    forecaster = fit_forecaster("seasonal_naive", panel, params=small_params())
    whole = np.concatenate([paths for _, paths in recipe.draw(forecaster.forecast(panel, horizon=10), panel)])
    one = panel.select(np.array([4]))
    alone = np.concatenate([paths for _, paths in recipe.draw(forecaster.forecast(one, horizon=10), one)])
    np.testing.assert_array_equal(alone[0], whole[4])
