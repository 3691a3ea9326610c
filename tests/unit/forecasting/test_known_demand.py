"""Demand as far as it is known: what is masked, what is recovered, and that nothing of it comes from later periods."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from restock.forecasting.censoring import CensoringRule, mask_censored
from restock.forecasting.known_demand import demand_in_hindsight, known_demand, silence_probabilities

RULE = CensoringRule(max_stockout_share=0.0, recover_from_share=0.2, silence_probability=0.7)
few = settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@few
@given(cutoff_index=st.integers(0, 119), seed=st.integers(0, 2**16), panel_seed=st.integers(0, 50))
def test_known_demand_sees_nothing_after_its_period(cutoff_index, seed, panel_seed, make_panel, with_other_future):
    panel = silenced(make_panel(seed=panel_seed))
    changed = with_other_future(panel, panel.date_of(cutoff_index), plans=True, seed=seed)
    before, after = (known_demand(history, RULE) for history in (panel, changed))
    for name in ("units", "weight", "is_recovered"):
        np.testing.assert_array_equal(
            getattr(before, name)[:, : cutoff_index + 1], getattr(after, name)[:, : cutoff_index + 1]
        )


@few
@given(cutoff_index=st.integers(1, 119))
def test_demand_in_hindsight_of_a_shorter_history_reads_no_more_than_it(cutoff_index, make_panel, with_other_future):
    panel = silenced(make_panel())
    cutoff = panel.date_of(cutoff_index)
    known, other = (
        demand_in_hindsight(history.observed_until(cutoff), RULE)
        for history in (panel, with_other_future(panel, cutoff))
    )
    np.testing.assert_array_equal(known.units, other.units)
    np.testing.assert_array_equal(known.weight, other.weight)


def silenced(panel):
    """The same panel with a fortnight of unflagged silence in its best seller."""
    sales = panel.sales_units.copy()
    sales[int(np.nanargmax(np.nanmean(sales, axis=1))), 70:84] = 0
    return replace(panel, sales_units=sales)


def test_known_demand_of_a_series_does_not_depend_on_the_others(make_panel):
    panel = silenced(make_panel())
    together, alone = known_demand(panel, RULE), known_demand(panel.select(np.array([3])), RULE)
    np.testing.assert_array_equal(together.units[3], alone.units[0])


def test_known_demand_that_recovers_nothing_is_the_mask(make_panel):
    panel = silenced(make_panel())
    known = known_demand(panel, CensoringRule(max_stockout_share=0.0))
    np.testing.assert_array_equal(known.units, mask_censored(panel, max_stockout_share=0.0))
    np.testing.assert_array_equal(known.weight, ~np.isnan(known.units))
    assert known.latent is None


def test_known_demand_with_every_stockout_allowed_is_sales_as_they_were(make_panel):
    panel = silenced(make_panel())
    rule = replace(RULE, max_stockout_share=1.0)
    np.testing.assert_array_equal(known_demand(panel, rule).units, panel.sales_units[:, : panel.observed_periods])


def test_known_demand_recovers_partly_stocked_periods_alone(make_panel):
    panel = make_panel()
    observed = slice(0, panel.observed_periods)
    known = known_demand(panel, RULE)
    is_short = panel.stockout_share[:, observed] > 0
    sold = panel.sales_units[:, observed]
    assert known.is_recovered.sum() > 50
    assert (is_short | ~known.is_recovered).all()
    assert (known.units[known.is_recovered] >= sold[known.is_recovered]).all()
    assert (known.weight[known.is_recovered] < 1).all()
    # Half of the day was missing: sales were cut in half, and what is recovered is close to what was wanted.
    wanted = 2 * sold[known.is_recovered] + 0.5
    assert known.units[known.is_recovered].sum() == pytest.approx(wanted.sum(), rel=0.1)
    # A stricter rule recovers none of them.
    strict = known_demand(panel, replace(RULE, recover_from_share=0.6))
    assert np.isnan(strict.units[is_short & ~np.isnan(sold)]).all()


def test_known_demand_takes_the_share_of_demand_where_it_is_known(make_panel):
    panel = make_panel()
    # The half of the day with stock holds nine tenths of the demand.
    shares = np.where(panel.stockout_share > 0, 0.9, 1.0).astype(np.float32)
    by_time, by_demand = (
        known_demand(history, RULE) for history in (panel, replace(panel, in_stock_demand_share=shares))
    )
    cells = by_time.is_recovered & by_demand.is_recovered
    assert by_demand.units[cells].sum() < by_time.units[cells].sum()
    assert by_demand.weight[cells].mean() > by_time.weight[cells].mean() + 0.2


def test_silences_are_masked_as_they_go_on_and_from_their_first_day_in_hindsight(make_panel):
    panel = silenced(make_panel())
    row = int(np.nanargmax(np.nanmean(make_panel().sales_units, axis=1)))
    known, hindsight = known_demand(panel, RULE), demand_in_hindsight(panel, RULE)
    run = slice(70, 84)
    assert np.isnan(known.units[row, 80:84]).all()
    assert not np.isnan(known.units[row, 70])
    assert np.isnan(hindsight.units[row, run]).all()
    assert (hindsight.weight[row, run] == 0).all()
    found = silence_probabilities(panel)
    assert found.so_far[row, 70] < 0.5 < found.in_hindsight[row, 70]


def test_draws_leave_what_was_sold_in_stock_as_it_is(make_panel):
    panel = make_panel()
    known = demand_in_hindsight(panel, RULE)
    series, periods = np.nonzero(~np.isnan(known.units))
    drawn = known.draw(series, periods, np.random.default_rng(1))
    cells = known.is_recovered[series, periods]
    sold = panel.sales_units[series, periods]
    np.testing.assert_array_equal(drawn[~cells], sold[~cells])
    assert (drawn[cells] >= sold[cells] - 1e-4).all()
    assert drawn[cells].mean() == pytest.approx(known.units[series, periods][cells].mean(), rel=0.1)
    again = known.draw(series, periods, np.random.default_rng(1))
    np.testing.assert_array_equal(drawn, again)
