"""What holds of lead times whatever the orders were."""

from __future__ import annotations

from datetime import date, timedelta

import numpy as np
import polars as pl
from hypothesis import given, settings
from hypothesis import strategies as st

from restock.replenishment.lead_time_draws import draw_lead_times, draw_remaining_days
from restock.replenishment.lead_times import fit_lead_times
from restock.tables import PURCHASE_ORDERS

START = date(2024, 1, 1)
LINES = st.lists(
    st.tuples(
        st.sampled_from("ST"), st.integers(0, 200), st.one_of(st.none(), st.integers(0, 60)),
        st.one_of(st.none(), st.integers(0, 150)),
    ),
    min_size=1,
    max_size=25,
)  # fmt: skip


def as_orders(lines):
    rows = [
        {
            "order": f"PO-{number}", "line": 1, "sku": "A", "location": "WH", "supplier": supplier,
            "ordered_on": START + timedelta(days=ordered),
            "promised_on": None if promise is None else START + timedelta(days=ordered + promise),
            "received_on": None if lead is None else START + timedelta(days=ordered + lead),
            "quantity_ordered": 1.0, "quantity_received": 1.0, "unit_cost": 1.0,
        }
        for number, (supplier, ordered, promise, lead) in enumerate(lines)
    ]  # fmt: skip
    return pl.DataFrame(rows, schema=PURCHASE_ORDERS.polars_schema)


@settings(max_examples=60, deadline=None)
@given(LINES, st.integers(0, 90), st.integers(0, 90), st.integers(0, 2**31))
def test_a_longer_promise_never_shortens_a_lead_time(lines, promise, longer, seed):
    fitted = fit_lead_times(as_orders(lines), cutoff=START + timedelta(days=200))
    uniforms = np.broadcast_to(np.random.default_rng(seed).random(50), (2, 50))
    quoted = pl.DataFrame(
        {"sku": ["A", "A"], "supplier": ["S", "S"], "quoted_lead_time_days": [promise, promise + longer]}
    )
    found = draw_lead_times(fitted, quoted, uniforms)
    assert (found[1] >= found[0]).all()
    assert (found >= 0).all()
    assert (np.diff(draw_lead_times(fitted, quoted, np.sort(uniforms, axis=1)), axis=1) >= 0).all()


@settings(max_examples=60, deadline=None)
@given(LINES, st.integers(0, 2**31))
def test_distributions_sum_to_one_and_open_orders_come_after_the_cutoff(lines, seed):
    cutoff = START + timedelta(days=200)
    known = as_orders(lines)
    fitted = fit_lead_times(known, cutoff=cutoff)
    assert (np.diff(fitted.delay_cdf, axis=1) >= -1e-12).all()
    assert (fitted.delay_cdf[:, -1] == 1).all()
    still = known.filter(pl.col("received_on").is_null() | (pl.col("received_on") > cutoff))
    remaining = draw_remaining_days(fitted, still, np.random.default_rng(seed).random((still.height, 30)))
    assert (remaining >= 1).all()
