"""The demo company's generator changes only by decision: then run `python -m restock.simulation.freeze`."""

import polars as pl
import pytest

from restock.simulation.freeze import current_digests, generator_digest, read_frozen, tables_digest, write_frozen


@pytest.mark.parametrize("part", ["source", "tables"])
def test_generator_is_what_was_frozen(part):
    assert current_digests()[part] == read_frozen()[part]


def test_write_frozen_reads_back(tmp_path):
    path = tmp_path / "FROZEN"
    written = write_frozen(path)
    assert read_frozen(path) == written
    assert written["source"] == generator_digest()


def test_tables_digest_one_changed_value_changes_it():
    frame = pl.DataFrame({"sku": ["A", "B"], "units": [1, 2]})
    changed = pl.DataFrame({"sku": ["A", "B"], "units": [1, 3]})
    assert tables_digest({"x": frame}) == tables_digest({"x": frame.clone()})
    assert tables_digest({"x": frame}) != tables_digest({"x": changed})
    assert tables_digest({"x": frame}) != tables_digest({"y": frame})
