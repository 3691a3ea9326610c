from __future__ import annotations

from dataclasses import replace
from datetime import date

import polars as pl
import pytest

from restock.adapters.contract_documents import BROKEN_RULES
from restock.adapters.key_ledger import RepeatedKeys
from restock.adapters.quality import SuiteChecker
from restock.adapters.quality_sums import add_up_results
from restock.adapters.workspace import project_root
from restock.tables import SALES

TODAY = date(2024, 6, 1)
NONE = RepeatedKeys()


def frame(n, *, units=None, broken=None):
    rows = pl.DataFrame(
        {
            "sku": [f"S{k}" for k in n],
            "location": "L",
            "date": date(2024, 1, 1),
            "units_sold": units or [1.0] * len(n),
            BROKEN_RULES: broken or [0] * len(n),
        }
    )
    return SALES.conform(rows).with_columns(rows[BROKEN_RULES])


def check(*parts, share):
    checker = SuiteChecker(root=project_root(), max_rejected_share=share, today=TODAY)
    return [checker.check(part, SALES) for part in parts]


def plain(result):
    return [replace(item, examples=()) for item in result.expectations]


@pytest.mark.parametrize("share", [0.0, 0.2, 0.25, 0.5])
def test_add_up_results_parts_come_to_the_whole(share):
    first = frame(range(4), units=[1.0, -1.0, None, 2.0], broken=[0, 1, 1, 0])
    second = frame(range(4, 8), units=[1.0, 1.0, -3.0, 2.0], broken=[0, 0, 1, 0])
    (whole,) = check(pl.concat([first, second]), share=share)
    added = add_up_results(check(first, second, share=share), repeats=NONE)
    assert added.n_rows == whole.n_rows
    assert plain(added) == plain(whole)


def test_add_up_results_keys_of_several_parts_break_uniqueness():
    (whole,) = check(frame([1, 2, 2, 3]), share=0.5)
    repeats = RepeatedKeys(parts=frozenset({2}), n_alone=2, examples=("S2",))
    added = add_up_results(check(frame([1, 2]), frame([2, 3]), share=0.5), repeats=repeats)
    assert [item.rule for item in added.broken_critical] == ["sales_key_unique"]
    assert plain(added) == plain(whole)


def test_add_up_results_rows_rejected_for_their_key_count_as_rejected():
    added = add_up_results(check(frame([1, 2]), frame([2, 3]), share=0.2), repeats=NONE, n_newly_rejected=1)
    (share,) = (item for item in added.expectations if item.rule == "rejected_share")
    assert (share.n_unexpected, share.unexpected_share, share.is_met) == (1, 0.25, False)


def test_add_up_results_missing_column_stays_a_problem():
    parts = [frame([1]).drop("sku"), frame([2]).drop("sku")]
    added = add_up_results(check(*parts, share=0.0), repeats=NONE)
    assert {"sku_exists", "sales_key_unique"} <= {item.rule for item in added.broken_critical}
