from __future__ import annotations

from datetime import date, timedelta

import polars as pl
from hypothesis import given, settings
from hypothesis import strategies as st

from restock.adapters.key_ledger import KeyLedger
from restock.tables import PRODUCTS, SALES

DAY = date(2024, 1, 1)


def part(*keys):
    rows = [(None if n < 0 else f"S{n}", "L", DAY + timedelta(days=n)) for n in keys]
    return pl.DataFrame(rows, schema={"sku": pl.String, "location": pl.String, "date": pl.Date}, orient="row")


def ledger_of(folder, *parts, table=SALES):
    ledger = KeyLedger(table, folder)
    for item in parts:
        ledger.add(item)
    return ledger.find_repeats()


def rows_by_part(found, n_parts):
    return {n: found.rows_of(n).tolist() for n in range(1, n_parts + 1) if found.rows_of(n).size}


def test_find_repeats_one_part_writes_nothing(tmp_path):
    assert ledger_of(tmp_path / "keys", part(1, 1, 2)).parts == frozenset()
    assert not (tmp_path / "keys").exists()


def test_find_repeats_keys_of_earlier_parts_are_found_once_a_part(tmp_path):
    found = ledger_of(tmp_path / "keys", part(1, 2, 3), part(4, 2, 2), part(2, 5, 3))
    # The second row of key 2 in the second part repeats within it, which is not told here.
    assert rows_by_part(found, 3) == {2: [1], 3: [0, 2]}
    # Alone in their parts are key 2 in the first and third, and key 3 in the first and third.
    assert found.n_alone == 4
    assert found.examples[0] == str({"sku": "S2", "location": "L", "date": DAY + timedelta(days=2)})


def test_find_repeats_rows_without_a_key_repeat_nothing(tmp_path):
    assert ledger_of(tmp_path / "keys", part(-1), part(-1), part(-1)).parts == frozenset()


def test_find_repeats_missing_key_column_repeats_nothing(tmp_path):
    keyless = part(1).drop("sku")
    assert ledger_of(tmp_path / "keys", keyless, keyless).parts == frozenset()


def test_find_repeats_key_of_one_column_is_shown_plain(tmp_path):
    found = ledger_of(tmp_path / "keys", part(1), part(1), table=PRODUCTS)
    assert found.examples == ("S1",)


@settings(deadline=None, max_examples=40)
@given(parts=st.lists(st.lists(st.integers(0, 6), max_size=6), min_size=2, max_size=4))
def test_find_repeats_agrees_with_a_plain_count(tmp_path_factory, parts):
    found = ledger_of(tmp_path_factory.mktemp("ledger") / "keys", *(part(*keys) for keys in parts))
    expected = {}
    for n, keys in enumerate(parts, start=1):
        earlier = {key for before in parts[: n - 1] for key in before}
        rows = [row for row, key in enumerate(keys) if key in earlier and key not in keys[:row]]
        if rows:
            expected[n] = rows
    assert rows_by_part(found, len(parts)) == expected
