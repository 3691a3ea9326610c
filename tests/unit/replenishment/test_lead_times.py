"""Lead times from purchase orders: what they tell, what they must not, and draws by hand."""

from __future__ import annotations

import json
from datetime import date, timedelta
from itertools import chain

import numpy as np
import polars as pl
import pytest

from restock.errors import DataError, InsufficientHistoryError
from restock.params import SimulationParams
from restock.replenishment.lead_time_draws import (
    chance_of_lateness,
    chance_of_short_delivery,
    draw_lead_times,
    draw_received_shares,
    draw_remaining_days,
    lead_time_quantiles,
)
from restock.replenishment.lead_time_history import count_crossing, know_at
from restock.replenishment.lead_times import fit_lead_times, read_lead_times
from restock.simulation.company import simulate_demo_company
from restock.tables import PURCHASE_ORDERS

START = date(2024, 1, 1)


def day(number):
    return None if number is None else START + timedelta(days=number)


def orders(*rows):
    """Rows of (supplier, sku, ordered, promised, received, ordered units, received units); days from `START`."""
    return pl.DataFrame(
        [
            {
                "order": f"PO-{number}", "line": 1, "sku": sku, "location": "WH", "supplier": supplier,
                "ordered_on": day(ordered), "promised_on": day(promised), "received_on": day(received),
                "quantity_ordered": float(units), "quantity_received": float(came), "unit_cost": 1.0,
            }
            for number, (supplier, sku, ordered, promised, received, units, came) in enumerate(rows)
        ],
        schema=PURCHASE_ORDERS.polars_schema,
    )  # fmt: skip


def steady(supplier, delay, *, n=40, sku="A", promise=5):
    return [
        (supplier, sku, 10 * place, 10 * place + promise, 10 * place + promise + delay, 10, 10) for place in range(n)
    ]


def terms(*rows):
    return pl.DataFrame(
        rows,
        schema={"sku": pl.String, "supplier": pl.String, "quoted_lead_time_days": pl.Int64},
        orient="row",
    )


@pytest.fixture(scope="module")
def demo_orders():
    params = SimulationParams(n_skus=30, n_stores=1, n_days=360, first_day=date(2024, 1, 1))
    return simulate_demo_company(params, seed=7).tables["purchase_orders"]


def test_fit_lead_times_no_order_by_the_cutoff_raises():
    with pytest.raises(InsufficientHistoryError, match="no purchase order was sent by 2023-12-01, expected one"):
        fit_lead_times(orders(*steady("S", 0)), cutoff=date(2023, 12, 1))


def test_draw_lead_times_of_a_steady_supplier_are_promise_and_delay():
    fitted = fit_lead_times(orders(*steady("S", 2)), cutoff=day(1000))
    found = draw_lead_times(fitted, terms(("A", "S", 5), ("A", "S", 9)), np.full((2, 3), [0.2, 0.5, 0.8]))
    assert found.tolist() == [[7, 7, 7], [11, 11, 11]]
    assert draw_lead_times(fitted, terms(("A", "S", 5)), np.array([[0.5]]), period_days=7).tolist() == [[1]]
    assert draw_lead_times(fitted, terms(("A", "S", 6)), np.array([[0.5]]), period_days=7).tolist() == [[2]]


def test_draw_lead_times_without_a_promise_take_what_is_usual():
    fitted = fit_lead_times(orders(*steady("S", 1, promise=4)), cutoff=day(1000))
    assert draw_lead_times(fitted, terms(("A", "S", None)), np.array([[0.5]])).tolist() == [[5]]


def test_find_groups_a_supplier_with_few_orders_lies_between_its_own_and_all():
    punctual = [steady(f"P{place}", 0) for place in range(8)]
    late = [steady(f"L{place}", 3) for place in range(3)]
    thin = steady("T", 3, n=2)
    fitted = fit_lead_times(orders(*chain.from_iterable(punctual + late), *thin), cutoff=day(1000))
    of = {name: chance_of_lateness(fitted, terms(("A", name, 5)))[0] for name in ("P0", "L0", "T", "unknown")}
    assert of["P0"] < 0.1
    assert of["L0"] > 0.9
    assert of["P0"] < of["unknown"] < of["T"] < of["L0"]


def test_fit_lead_times_open_orders_count_as_late_once_they_are():
    came = steady("S", 0, n=10)
    overdue = [("S", "A", 90 + place, 95 + place, None, 10, 0) for place in range(10)]
    young = [("S", "A", 118 + place, 123 + place, None, 10, 0) for place in range(10)]
    alone, with_overdue, with_young = (
        chance_of_lateness(fit_lead_times(orders(*came, *rows), cutoff=day(119)), terms(("A", "S", 5)))[0]
        for rows in ([], overdue, young)
    )
    assert with_overdue == pytest.approx(0.5, abs=0.06)
    assert with_young == pytest.approx(alone, abs=1e-9)


def test_fit_lead_times_the_future_changes_nothing(demo_orders):
    cutoff = demo_orders["ordered_on"].min() + timedelta(days=250)
    fitted = fit_lead_times(demo_orders, cutoff=cutoff)
    is_later = pl.col("received_on") > cutoff
    other = demo_orders.with_columns(
        received_on=pl.when(is_later).then(pl.col("received_on") + pl.duration(days=50)).otherwise("received_on"),
        quantity_received=pl.when(is_later).then(0.0).otherwise("quantity_received"),
    ).filter(pl.col("ordered_on") <= cutoff + timedelta(days=3))
    assert fit_lead_times(other, cutoff=cutoff).as_json() == fitted.as_json()
    sooner = demo_orders.with_columns(
        received_on=pl.when(is_later).then(None).otherwise("received_on").cast(pl.Date),
    )
    assert fit_lead_times(sooner, cutoff=cutoff).as_json() == fitted.as_json()


def test_read_lead_times_draws_the_same_again(demo_orders):
    fitted = fit_lead_times(demo_orders, cutoff=demo_orders["ordered_on"].max())
    again = read_lead_times(json.loads(json.dumps(fitted.as_json())))
    assert again.as_json() == fitted.as_json()
    assert np.array_equal(again.delay_cdf, fitted.delay_cdf)


def test_lead_time_quantiles_cover_the_demo_company_out_of_time(demo_orders):
    cutoff = demo_orders["ordered_on"].min() + timedelta(days=250)
    fitted = fit_lead_times(demo_orders, cutoff=cutoff)
    later = demo_orders.filter(
        pl.col("ordered_on") > cutoff,
        pl.col("ordered_on") <= cutoff + timedelta(days=100),
        pl.col("received_on").is_not_null(),
    ).with_columns(quoted_lead_time_days=(pl.col("promised_on") - pl.col("ordered_on")).dt.total_days())
    lead = (later["received_on"] - later["ordered_on"]).dt.total_days().to_numpy()
    # Whole days: an interval that covers 80 % or more covers far more. So ties are broken at random.
    rng = np.random.default_rng(1)
    drawn = draw_lead_times(fitted, later, rng.random((later.height, 200)))
    rank = (drawn < lead[:, None]).mean(axis=1) + rng.random(later.height) * (drawn == lead[:, None]).mean(axis=1)
    assert 0.74 < ((rank >= 0.1) & (rank <= 0.9)).mean() < 0.86
    low, high = lead_time_quantiles(fitted, later, (0.1, 0.9)).T
    assert ((lead >= low) & (lead <= high)).mean() > 0.8
    assert chance_of_lateness(fitted, later).mean() == pytest.approx(
        (later["received_on"] > later["promised_on"]).mean(), abs=0.06
    )


def test_draw_remaining_days_know_what_has_not_come():
    half_late = steady("S", 0, n=30) + [
        (supplier, sku, ordered + 5, promised + 5, received + 5, units, came)
        for supplier, sku, ordered, promised, received, units, came in steady("S", 4, n=30)
    ]
    fitted = fit_lead_times(orders(*half_late), cutoff=day(400))
    still = pl.DataFrame(
        {
            "sku": ["A", "A"], "supplier": ["S", "S"],
            "ordered_on": [day(394), day(399)], "promised_on": [day(399), day(404)],
        }
    )  # fmt: skip
    found = draw_remaining_days(fitted, still, np.full((2, 4), [0.1, 0.3, 0.7, 0.9]))
    # The first is one day late: three more to come. The second may still come on time, in four days.
    assert found.tolist() == [[3, 3, 3, 3], [4, 4, 8, 8]]


def test_draw_remaining_days_later_than_ever_follow_the_tail():
    fitted = fit_lead_times(orders(*steady("S", 0)), cutoff=day(800))
    still = pl.DataFrame({"sku": ["A"], "supplier": ["S"], "ordered_on": [day(600)], "promised_on": [day(605)]})
    found = draw_remaining_days(fitted, still, np.array([[0.0, 0.25, 0.5, 0.9999]]))
    assert found.tolist() == [[1, 66, 196, 365]]


def test_draw_remaining_days_ordered_after_the_cutoff_raises():
    fitted = fit_lead_times(orders(*steady("S", 0)), cutoff=day(100))
    later = pl.DataFrame({"sku": ["A"], "supplier": ["S"], "ordered_on": [day(101)], "promised_on": [day(105)]})
    with pytest.raises(DataError, match="1 open lines were ordered after the cutoff 2024-04-10"):
        draw_remaining_days(fitted, later, np.zeros((1, 1)))


def test_draw_received_shares_are_short_as_often_as_the_chance_says():
    rows = [
        (supplier, sku, ordered, promised, received, 10, 6 if place % 4 == 0 else 10)
        for place, (supplier, sku, ordered, promised, received, _, _) in enumerate(steady("S", 0, n=200))
    ]
    fitted = fit_lead_times(orders(*rows), cutoff=day(3000))
    lines = terms(("A", "S", 5))
    assert chance_of_short_delivery(fitted, lines)[0] == pytest.approx(0.25, abs=0.01)
    rng = np.random.default_rng(2)
    shares = draw_received_shares(fitted, lines, rng.random((1, 4000)), rng.random((1, 4000)))
    assert set(np.unique(shares)) == {0.6, 1.0}
    assert (shares < 1).mean() == pytest.approx(0.25, abs=0.03)


def test_count_crossing_tells_pairs_of_which_the_later_came_first():
    rows = [
        ("S", "A", 0, 5, 9, 1, 1), ("S", "A", 2, 7, 7, 1, 1), ("S", "A", 4, 9, 12, 1, 1),
        ("S", "A", 6, 11, None, 1, 0), ("S", "A", 8, 13, None, 1, 0),
        ("S", "B", 0, 5, 20, 1, 1), ("S", "B", 1, 6, 8, 1, 1),
    ]  # fmt: skip
    crossing = count_crossing(know_at(orders(*rows), cutoff=day(15)))
    # A: 9 > 7 crossed; 7 < 12 not; 12, then open: not; two that are open: not known. B: the first is open at day 15.
    assert (crossing.n_pairs, crossing.n_crossed, crossing.share) == (4, 2, 0.5)


def test_scale_delays_grow_with_the_promise_where_long_promises_are_broken_by_more():
    rng = np.random.default_rng(4)
    rows = []
    for place in range(600):
        promise = int(rng.choice([5, 10, 20, 40]))
        rows.append(
            ("S", "A", place, place + promise, place + promise + int(promise * rng.choice([0, 0.2, 0.4])), 1, 1)
        )
    fitted = fit_lead_times(orders(*rows), cutoff=day(2000))
    assert fitted.scale_exponent == pytest.approx(1, abs=0.05)
    spread = np.diff(lead_time_quantiles(fitted, terms(("A", "S", 5), ("A", "S", 40)), (0.1, 0.9)), axis=1)[:, 0]
    assert spread.tolist() == pytest.approx([2, 16], abs=1)
    constant = fit_lead_times(orders(*steady("S", 2)), cutoff=day(1000))
    assert constant.scale_exponent == 0
