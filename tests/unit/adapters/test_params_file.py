from __future__ import annotations

import difflib
import shutil
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from restock.adapters.params_file import set_param_values
from restock.errors import ConfigurationError
from restock.params import read_params

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture
def file(tmp_path):
    return Path(shutil.copy(ROOT / "params.yaml", tmp_path))


def test_set_param_values_changes_those_lines_and_no_other_character(file):
    before = file.read_text(encoding="utf-8")
    set_param_values(
        file,
        {
            "families.neural.learning_rate": 0.00123,
            "families.xgboost.max_depth": 9,
            "calibration.strength": 0.25,
            "seed": 7,
        },
    )
    after = file.read_text(encoding="utf-8")
    changed = [line for line in difflib.ndiff(before.splitlines(), after.splitlines()) if line.startswith(("+ ", "- "))]
    assert sorted(changed) == sorted(
        [
            "- seed: 20240101",
            "+ seed: 7",
            "-     max_depth: 6",
            "+     max_depth: 9",
            "-     learning_rate: 0.008",
            "+     learning_rate: 0.00123",
            "-   strength: 0.5                 # share of the correction of the levels that is made; 0 makes none",
            "+   strength: 0.25                 # share of the correction of the levels that is made; 0 makes none",
        ]
    )
    params = read_params(file)
    assert (params.families.neural.learning_rate, params.families.xgboost.max_depth) == (0.00123, 9)


# A directory for every example would be slow; each example begins with the same text.
@given(value=st.floats(min_value=1e-12, max_value=1e12) | st.integers(min_value=0, max_value=10**9))
def test_set_param_values_are_read_back_as_the_numbers_that_they_are(tmp_path_factory, value):
    file = tmp_path_factory.getbasetemp() / "numbers.yaml"
    file.write_text("a:\n  b: 1  # one\n  c: x\n", encoding="utf-8")
    set_param_values(file, {"a.b": value})
    found = yaml.safe_load(file.read_text(encoding="utf-8"))["a"]["b"]
    assert found == value
    assert type(found) is type(value)


def test_set_param_values_keeps_the_line_ends_of_the_file(tmp_path):
    file = tmp_path / "params.yaml"
    file.write_bytes(b"a:\r\n  b: 1  # one\r\n  c: x\r\nd: 2\r\n")
    set_param_values(file, {"a.b": 10, "d": 3})
    assert file.read_bytes() == b"a:\r\n  b: 10  # one\r\n  c: x\r\nd: 3\r\n"


@pytest.mark.parametrize("key", ["families.xgboost.depth", "families.prophet.max_depth", "families.xgboost", "seed.x"])
def test_set_param_values_unknown_key_changes_nothing(file, key):
    before = file.read_bytes()
    with pytest.raises(ConfigurationError, match=f"has no plain value at {key}"):
        set_param_values(file, {"families.xgboost.max_depth": 9, key: 1})
    assert file.read_bytes() == before


@pytest.mark.parametrize("content", [None, b"a: [1\n", b"\xff\xfe\x00"])
def test_set_param_values_unreadable_file_is_explained(tmp_path, content):
    file = tmp_path / "params.yaml"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(ConfigurationError, match="can't be read as YAML"):
        set_param_values(file, {"a": 1})


def test_set_param_values_keeps_the_file_s_mode(file):
    file.chmod(0o600)
    set_param_values(file, {"seed": 3})
    assert file.stat().st_mode & 0o777 == 0o600
