from __future__ import annotations

import pytest

from restock.adapters.sources.mapping import SourceMapping, read_mapping
from restock.errors import ConfigurationError
from restock.tables import SALES


def write_yaml(tmp_path, text):
    path = tmp_path / "mapping.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def test_read_mapping_full_file_returns_every_key(tmp_path):
    path = write_yaml(
        tmp_path,
        'table: sales\ncolumns: {sku: Artikel}\ndate_format: "%d.%m.%Y"\ndecimal: ","\nseparator: ";"\n'
        "encoding: cp1252\nconstants: {is_promoted: false}\n",
    )
    mapping = read_mapping(path)
    assert mapping.columns == {"sku": "Artikel"}
    assert (mapping.table, mapping.decimal, mapping.separator, mapping.encoding) == ("sales", ",", ";", "cp1252")
    assert mapping.constants == {"is_promoted": False}


def test_read_mapping_empty_file_returns_the_defaults(tmp_path):
    assert read_mapping(write_yaml(tmp_path, "")) == SourceMapping()


def test_read_mapping_missing_file_says_so(tmp_path):
    with pytest.raises(ConfigurationError, match="is missing"):
        read_mapping(tmp_path / "none.yaml")


@pytest.mark.parametrize(
    ("text", "match"),
    [
        ("colums: {sku: A}", "colums: Extra inputs"),
        ("table: sale", "expected one of sales"),
        ('decimal: "x"', "decimal"),
        ("encoding: utf-99", "no text encoding"),
        ("columns: {sku: A}\nconstants: {sku: B}", "both mapped to a column and given as a constant"),
        ('separator: ","\ndecimal: ","', "must differ"),
        ("- a", "valid dictionary"),
        ("a: [", "not readable YAML"),
    ],
)
def test_read_mapping_bad_value_names_it(tmp_path, text, match):
    with pytest.raises(ConfigurationError, match=match):
        read_mapping(write_yaml(tmp_path, text))


def test_require_columns_of_unknown_column_lists_the_tables_columns():
    with pytest.raises(ConfigurationError, match=r"names units, which table sales does not have.*units_sold"):
        SourceMapping(columns={"units": "Menge"}).require_columns_of(SALES)
