from __future__ import annotations

from itertools import pairwise

import pytest

from restock.adapters.sources.aliases import ALIASES, find_by_alias, normalise_name
from restock.errors import DataError
from restock.tables import SALES, SOURCE_TABLES, TABLES


def test_aliases_belong_to_columns_and_none_to_two_of_them():
    assert set(ALIASES) <= set(SOURCE_TABLES)
    for table, columns in ALIASES.items():
        assert set(columns) <= set(TABLES[table].column_names)
        names = sorted(alias for aliases in columns.values() for alias in aliases)
        assert all(first != second for first, second in pairwise(names))
        assert not set(names) & set(TABLES[table].column_names)


@pytest.mark.parametrize("name", ["item", "Item-ID", "StockCode", "PRODUCT CODE", "SKU"])
def test_find_by_alias_other_spellings_are_found(name):
    assert find_by_alias(SALES, "sku", ["x", name], file="f.csv") == name


def test_find_by_alias_unknown_names_are_left_alone():
    assert find_by_alias(SALES, "sku", ["artikel", "x"], file="f.csv") is None


def test_find_by_alias_several_candidates_are_refused():
    with pytest.raises(DataError, match=r"f.csv: sku could be read from 'item' or 'Product'"):
        find_by_alias(SALES, "sku", ["item", "Product"], file="f.csv")


def test_normalise_name_joins_words_by_underscores():
    assert normalise_name(" Store  Nbr.") == "store_nbr"
