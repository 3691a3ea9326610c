from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from restock.errors import ConfigurationError
from restock.params import merge_values, parse_params, read_param_values, read_params

PARAMS_FILE = Path(__file__).resolve().parents[2] / "params.yaml"


@pytest.fixture
def values():
    return read_param_values(PARAMS_FILE)


def test_parse_params_with_a_misspelt_key_names_it(values):
    values["forecasting"]["horizn"] = 14
    with pytest.raises(ConfigurationError, match=r"forecasting\.horizn: Extra inputs are not permitted \(got 14\)"):
        parse_params(values)


def test_parse_params_out_of_bounds_names_key_bound_and_value(values):
    values["promotion"]["confidence"] = 1.5
    with pytest.raises(ConfigurationError, match=r"promotion\.confidence: .*less than.* 1.* \(got 1\.5\)"):
        parse_params(values)


@pytest.mark.parametrize("quantiles", [[0.5, 0.1, 0.9], [0.1, 0.4, 0.9], [0.1, 0.5, 0.5]])
def test_parse_params_with_unusable_quantiles_is_refused(values, quantiles):
    values["forecasting"]["quantiles"] = quantiles
    with pytest.raises(ConfigurationError, match=r"quantiles must increase, without repeats, and hold 0\.5"):
        parse_params(values)


def test_parse_params_without_the_baseline_is_refused(values):
    values["forecasting"]["families"] = ["xgboost"]
    with pytest.raises(ConfigurationError, match="families must hold seasonal_naive"):
        parse_params(values)


def test_parsed_params_are_frozen(values):
    with pytest.raises(ValueError, match="frozen"):
        parse_params(values).seed = 3


def test_read_params_with_a_profile_changes_only_what_it_names():
    base, demo = read_params(PARAMS_FILE), read_params(PARAMS_FILE, profile="demo")
    assert demo.simulation.n_skus < base.simulation.n_skus
    assert demo.promotion == base.promotion


def test_read_params_with_an_unknown_profile_names_the_known_ones():
    with pytest.raises(ConfigurationError, match=r"has no profile 'huge', has \['demo'\]"):
        read_params(PARAMS_FILE, profile="huge")


def test_read_params_without_a_file_says_where_to_run(tmp_path):
    with pytest.raises(ConfigurationError, match=r"is missing\. Run the command in a restock checkout or workspace"):
        read_params(tmp_path / "params.yaml")


@pytest.mark.parametrize("text", ["a: [", "- 1\n- 2\n", "\x00"])
def test_read_params_of_something_else_is_refused(tmp_path, text):
    path = tmp_path / "params.yaml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ConfigurationError, match=r"params\.yaml (is not readable YAML|must hold a mapping)"):
        read_params(path)


def test_merge_values_leaves_its_arguments_alone():
    base = {"a": {"x": 1}, "b": [1]}
    merge_values(base, {"a": {"x": 2}, "b": [2]})
    assert yaml.safe_dump(base) == "a:\n  x: 1\nb:\n- 1\n"
