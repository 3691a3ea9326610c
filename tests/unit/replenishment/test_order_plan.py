"""Orders chosen on sample paths against every quantity simulated one by one, and against what is known by hand."""

from __future__ import annotations

import numpy as np
import pytest

from restock.errors import HorizonError
from restock.replenishment.feasible_orders import Binding, window_costs
from restock.replenishment.lost_sales import poisson_case
from restock.replenishment.lost_sales_policies import projected_stockout
from restock.replenishment.newsvendor import poisson_newsvendor
from restock.replenishment.order_lines import Objective, OpenOrders, OrderLines, holding_cost_per_period, order_terms
from restock.replenishment.order_plan import plan_orders
from restock.replenishment.order_up_to import poisson_order_up_to_rule
from restock.replenishment.order_windows import project_windows
from restock.replenishment.simulate import OrderUpTo, StockTerms, UnmetDemand, simulate_stock
from restock.replenishment.window_costs import window_outcome
from tests.followed_stock import follow


def some_lines(seed=0, n_series=6, n_paths=9, horizon=12, **changed):
    rng = np.random.default_rng(seed)
    given = {
        "demand_paths": rng.poisson(2.0, (n_series, n_paths, horizon)).astype(np.float32),
        "on_hand": rng.integers(0, 9, n_series).astype(float),
        "backorders": np.zeros(n_series),
        "lead_times": rng.integers(0, 4, (n_series, n_paths)),
        "next_lead_times": rng.integers(0, 4, (n_series, n_paths)),
        "review_periods": rng.integers(1, 5, n_series),
        "open_orders": OpenOrders(
            series=np.array([0, 0, 3]),
            units=np.array([4.0, 2.0, 5.0]),
            arrival_periods=rng.integers(0, 6, (3, n_paths)),
        ),
    }
    return OrderLines(**(given | changed))


def followed(lines, row, order, *, reviews, shelf_life=0):
    """Return held, short, missed, wasted over the window, means over paths, and its length, by slow simulation."""
    totals = np.zeros(5)
    orders = lines.open_orders
    for path in range(lines.n_paths):
        lead, following = int(lines.lead_times[row, path]), int(lines.next_lead_times[row, path])
        end = max(reviews * int(lines.review_periods[row]) + following, lead + 1)
        end = min(end, lead + shelf_life) if shelf_life else end
        arrivals = [
            (int(orders.arrival_periods[i, path]), float(orders.units[i])) for i in np.flatnonzero(orders.series == row)
        ]
        found = follow(
            lines.demand_paths[row, path].tolist(),
            on_hand=float(lines.on_hand[row]),
            order=order,
            lead=lead,
            is_lost=lines.unmet is UnmetDemand.LOST,
            arrivals=arrivals,
            expiring=() if lines.expiring_units is None else lines.expiring_units[row].tolist(),
            shelf_life=shelf_life,
            backorders=float(lines.backorders[row]),
        )
        totals += (*found.sums(lead, end), found.wasted_of_order, end - lead)
    return totals / lines.n_paths


@pytest.mark.parametrize("unmet", list(UnmetDemand))
def test_window_outcome_is_as_simulated_for_every_quantity(unmet):
    lines = some_lines(unmet=unmet, backorders=np.array([0, 3, 0, 0, 1, 0]) * (unmet is UnmetDemand.BACKORDERED))
    reviews = np.ones(6, dtype=int)
    windows = project_windows(lines, covered_reviews=reviews, shelf_life_periods=np.zeros(6, dtype=int))
    costs = window_costs(order_terms(6, holding_cost=1.0, shortage_cost=7.0))
    for order in range(0, 25, 3):
        found = window_outcome(windows, np.full(6, float(order)), costs)
        for row in range(6):
            held, short, missed, _, periods = followed(lines, row, float(order), reviews=1)
            assert found.held[row] == pytest.approx(held, abs=1e-5)
            assert found.short[row] == pytest.approx(short, abs=1e-5)
            assert found.missed[row] == pytest.approx(missed, abs=1e-5)
            assert found.cost[row] == pytest.approx(held + 7 * short, abs=1e-4)
            assert windows.periods[row] == periods


def test_perishables_sell_first_expired_first_and_waste_as_simulated():
    expiring = np.zeros((6, 12))
    expiring[:, 0], expiring[:, 1] = 2.0, 3.0
    lines = some_lines(3, on_hand=np.full(6, 5.0), expiring_units=expiring)
    life = np.array([2, 3, 4, 3, 2, 5])
    windows = project_windows(lines, covered_reviews=np.ones(6, dtype=int), shelf_life_periods=life)
    costs = window_costs(order_terms(6, holding_cost=1.0, shortage_cost=7.0, waste_cost=3.0))
    for order in (1, 4, 9, 15):
        found = window_outcome(windows, np.full(6, float(order)), costs)
        for row in (1, 2, 4, 5):
            held, short, _, wasted, _ = followed(lines, row, float(order), reviews=1, shelf_life=int(life[row]))
            assert found.short[row] == pytest.approx(short, abs=1e-5)
            assert found.wasted[row] == pytest.approx(wasted, abs=1e-5)
            assert found.held[row] == pytest.approx(held, abs=1e-5)


@pytest.mark.parametrize("unmet", list(UnmetDemand))
@pytest.mark.parametrize("seed", range(3))
def test_plan_orders_finds_the_quantity_that_simulating_every_one_finds(unmet, seed):
    lines = some_lines(seed, unmet=unmet)
    plan = plan_orders(lines, order_terms(6, holding_cost=1.0, shortage_cost=7.0))
    for row in range(6):
        costs = []
        for order in range(40):
            held, short, _, _, _ = followed(lines, row, float(order), reviews=1)
            costs.append(held + 7 * short)
        assert costs[int(plan.order_quantity[row])] == pytest.approx(min(costs), abs=1e-4)
        assert plan.expected_cost[row] == pytest.approx(min(costs), abs=1e-4)
        assert plan.unordered_cost[row] == pytest.approx(costs[0], abs=1e-4)


def test_plan_orders_with_supplier_terms_takes_the_cheapest_allowed_order_or_waits():
    lines = some_lines(5, on_hand=np.array([0, 2, 4, 6, 8, 10.0]), season_periods=4)
    terms = order_terms(
        6, holding_cost=0.2, shortage_cost=7.0, fixed_order_cost=3.0, minimum_order_quantity=5.0, order_multiple=3.0,
        most_order_quantity=17.0,
    )  # fmt: skip
    plan = plan_orders(lines, terms, most_covered_reviews=2)
    assert (plan.order_quantity > 0).any()
    assert (plan.order_quantity == 0).any()
    for row in range(6):
        reviews = int(plan.covered_reviews[row])
        costs = {}
        for order in (0, 6, 9, 12, 15):
            held, short, _, _, periods = followed(lines, row, float(order), reviews=reviews)
            costs[order] = held * 0.2 + short * 7 + (3 if order else 0)
        best = min(cost for order, cost in costs.items() if order)
        held, short, _, _, first_periods = followed(lines, row, 0.0, reviews=1)
        pays = held * 0.2 + short * 7 >= best / periods * first_periods
        if plan.order_quantity[row] > 0:
            assert pays
            assert costs[int(plan.order_quantity[row])] == pytest.approx(best, abs=1e-4)
        else:
            assert not pays or plan.wanted_quantity[row] == 0


def test_base_stock_level_on_many_paths_is_the_exact_newsvendor():
    rng = np.random.default_rng(4)
    lines = OrderLines(
        demand_paths=rng.poisson(5.0, (1, 40_000, 4)).astype(np.float32),
        on_hand=np.array([12.0]),
        backorders=np.zeros(1),
        lead_times=np.full((1, 40_000), 3),
        review_periods=np.ones(1, dtype=int),
        unmet=UnmetDemand.BACKORDERED,
    )
    plan = plan_orders(lines, order_terms(1, holding_cost=1.0, shortage_cost=9.0))
    exact = poisson_newsvendor(holding_cost=1, shortage_cost=9, demand_mean=5, lead_time_periods=3)
    assert plan.order_up_to_level[0] == exact.order_up_to_level
    assert plan.reorder_point[0] == exact.order_up_to_level - 1
    assert plan.order_quantity[0] == exact.order_up_to_level - 12
    assert plan.expected_cost[0] == pytest.approx(exact.expected_cost, rel=0.02)


def test_targets_are_reached_by_the_least_quantity():
    lines = some_lines(7, n_paths=50)
    by_share = plan_orders(
        lines, order_terms(6, holding_cost=1.0, shortage_cost=1.0, fill_rate=0.9), objective=Objective.FILL_RATE
    )
    by_cycle = plan_orders(
        lines,
        order_terms(6, holding_cost=1.0, shortage_cost=1.0, cycle_service_level=0.8),
        objective=Objective.CYCLE_SERVICE,
    )
    assert (by_share.order_quantity > 0).all()
    for row in range(6):
        periods_asked = followed(lines, row, 0.0, reviews=1)
        assert periods_asked[4] >= 1
        demand = by_share.window_demand_mean[row]
        enough, less = (
            followed(lines, row, order, reviews=1)[2]
            for order in (by_share.order_quantity[row], by_share.order_quantity[row] - 1)
        )
        assert enough <= 0.1 * demand + 1e-6
        assert less > 0.1 * demand - 1e-6
    assert (by_cycle.stockout_probability <= 0.2 + 1e-9).all()


@pytest.mark.parametrize(
    ("changed", "quantity", "binding"),
    [
        ({}, 10, Binding.NONE),
        ({"minimum_order_quantity": 15.0}, 15, Binding.MINIMUM_ORDER),
        ({"minimum_order_quantity": 500.0}, 0, Binding.MINIMUM_ORDER),
        ({"order_multiple": 8.0}, 8, Binding.ORDER_MULTIPLE),
        ({"most_order_quantity": 7.0}, 7, Binding.STORAGE),
        ({"most_order_quantity": 7.0, "order_multiple": 8.0}, 0, Binding.STORAGE),
        ({"shortage_cost": 0.5, "cycle_service_level": 0.9}, 10, Binding.SERVICE_FLOOR),
        ({"waste_cost": 100.0, "shelf_life_periods": 1}, 8, Binding.SHELF_LIFE),
    ],
)
def test_the_binding_constraint_is_named(changed, quantity, binding):
    # Demand of 8 to 12 a period, each as likely; a ratio of 0.5 to 0.6 asks for 10.
    demand = np.tile(np.array([8.0, 9, 10, 10, 10, 10, 10, 10, 10, 12], dtype=np.float32)[None, :, None], (1, 1, 30))
    lines = OrderLines(
        demand_paths=demand, on_hand=np.zeros(1), backorders=np.zeros(1), lead_times=np.zeros((1, 10), dtype=int),
        review_periods=np.ones(1, dtype=int),
    )  # fmt: skip
    plan = plan_orders(lines, order_terms(1, **({"holding_cost": 1.0, "shortage_cost": 3.0} | changed)))
    assert (plan.order_quantity[0], plan.bindings[0]) == (quantity, binding)


def test_a_window_beyond_the_horizon_is_refused_or_repeats_the_season():
    lines = some_lines(1, horizon=3)
    terms = order_terms(6, holding_cost=1.0, shortage_cost=7.0)
    with pytest.raises(HorizonError, match="the paths end at 3"):
        plan_orders(lines, terms)
    repeated = some_lines(1, horizon=3, season_periods=2)
    longer = some_lines(
        1, horizon=3, demand_paths=repeated.demand_paths[:, :, [0, 1, 2, 1, 2, 1, 2, 1, 2, 1, 2]], season_periods=None
    )
    assert plan_orders(repeated, terms).order_quantity.tolist() == plan_orders(longer, terms).order_quantity.tolist()


def test_lines_in_any_order_and_on_threads_give_the_same_plan():
    lines = some_lines(2, n_series=40, season_periods=7)
    terms = order_terms(40, holding_cost=0.1, shortage_cost=7.0, fixed_order_cost=np.arange(40) % 3.0)
    plan = plan_orders(lines, terms)
    rows = np.random.default_rng(0).permutation(40)
    other = plan_orders(lines.select(rows), terms.select(rows), n_threads=2)
    assert other.order_quantity.tolist() == plan.order_quantity[rows].tolist()
    assert other.reorder_point.tolist() == plan.reorder_point[rows].tolist()


def test_short_deliveries_by_path_leave_more_to_order():
    lines = some_lines(0)
    orders = lines.open_orders
    half = OpenOrders(
        series=orders.series, units=orders.units[:, None] * np.full((1, 9), 0.5), arrival_periods=orders.arrival_periods
    )
    terms = order_terms(6, holding_cost=1.0, shortage_cost=7.0)
    whole, short = plan_orders(lines, terms), plan_orders(some_lines(0, open_orders=half), terms)
    assert short.inventory_position[0] == whole.inventory_position[0] - 3
    assert short.order_quantity[0] > whole.order_quantity[0]


def test_a_higher_accepted_stockout_probability_orders_less():
    lines = some_lines(8, n_paths=200)
    usual = plan_orders(lines, order_terms(6, holding_cost=1.0, shortage_cost=9.0))
    tuned = plan_orders(lines, order_terms(6, holding_cost=1.0, shortage_cost=9.0, stockout_limit_factor=2.0))
    assert (tuned.order_up_to_level <= usual.order_up_to_level).all()
    assert (tuned.order_up_to_level < usual.order_up_to_level).any()


def test_order_terms_out_of_bounds_are_refused():
    with pytest.raises(ValueError, match="order_multiple must be > 0, got 0"):
        order_terms(2, holding_cost=1.0, shortage_cost=1.0, order_multiple=np.array([1.0, 0.0]))
    with pytest.raises(ValueError, match="line needs a target"):
        plan_orders(some_lines(), order_terms(6, holding_cost=1.0, shortage_cost=1.0), objective=Objective.FILL_RATE)


def test_lines_that_make_no_sense_are_refused():
    terms = order_terms(6, holding_cost=1.0, shortage_cost=1.0)
    lines = some_lines()
    overdue = OpenOrders(series=np.array([0]), units=np.array([1.0]), arrival_periods=np.full((1, 9), -1))
    for changed, said in (
        ({"demand_paths": np.full((6, 9, 12), np.nan)}, "demand_paths must be finite"),
        ({"demand_paths": np.full((6, 9, 12), -1.0)}, "demand_paths must be finite and >= 0"),
        ({"on_hand": np.full(6, np.nan)}, "on_hand, backorders and open orders must be finite"),
        ({"open_orders": overdue}, "received before now"),
        ({"review_periods": np.zeros(6, dtype=int)}, "review periods >= 1"),
        ({"lead_times": lines.lead_times[:3]}, r"lead_times \(n_series, n_paths\)"),
    ):
        with pytest.raises(ValueError, match=said):
            plan_orders(some_lines(**changed), terms)


def test_a_line_without_demand_or_stock_orders_nothing():
    lines = some_lines(demand_paths=np.zeros((6, 9, 12)), on_hand=np.zeros(6), open_orders=None, season_periods=4)
    plan = plan_orders(lines, order_terms(6, holding_cost=1.0, shortage_cost=9.0, fixed_order_cost=np.arange(6.0)))
    assert plan.order_quantity.tolist() == [0] * 6
    assert plan.order_up_to_level.tolist() == [0] * 6
    assert plan.fill_rate.tolist() == [1] * 6


def test_holding_cost_counts_the_price_of_money():
    found = holding_cost_per_period(np.array([100.0]), yearly_price_of_money=0.365, periods_per_year=365)
    assert found[0] == pytest.approx(0.1)


@pytest.mark.parametrize(("mean", "lead", "fixed", "shortage"), [(6, 2, 50, 4), (2, 2, 50, 20), (20, 2, 10, 20)])
def test_levels_with_a_cost_per_order_are_near_the_exact_ones(mean, lead, fixed, shortage):
    rng = np.random.default_rng(0)
    lines = OrderLines(
        demand_paths=rng.poisson(mean, (1, 2_000, 20)).astype(np.float32),
        on_hand=np.zeros(1),
        backorders=np.zeros(1),
        lead_times=np.full((1, 2_000), lead),
        review_periods=np.ones(1, dtype=int),
        unmet=UnmetDemand.BACKORDERED,
        season_periods=10,
    )
    terms = order_terms(1, holding_cost=1.0, shortage_cost=shortage, fixed_order_cost=fixed)
    plan = plan_orders(lines, terms, most_covered_reviews=20)
    exact = poisson_order_up_to_rule(
        fixed_order_cost=fixed, holding_cost=1, shortage_cost=shortage, demand_mean=mean, lead_time_periods=lead
    )
    demand = rng.poisson(mean, (1, 100, 600)).astype(float)

    def cost(reorder_point, level):
        one = np.ones(1)
        found = simulate_stock(
            OrderUpTo(reorder_point=reorder_point * one, order_up_to_level=level * one),
            StockTerms(
                holding_cost=one, shortage_cost=shortage * one, fixed_order_cost=fixed * one,
                review_periods=np.ones(1, dtype=int), minimum_order_quantity=0 * one, order_multiple=one,
            ),
            demand=demand, lead_times=np.full(demand.shape, lead), on_hand=level * one,
            unmet=UnmetDemand.BACKORDERED, warm_up_periods=50,
        )  # fmt: skip
        return found.total_cost.mean()

    ours = cost(plan.reorder_point[0], plan.order_up_to_level[0])
    assert ours <= 1.015 * cost(exact.reorder_point, exact.order_up_to_level)


def test_orders_of_lost_sales_are_the_projected_stockout_policys():
    rng = np.random.default_rng(2)
    case = poisson_case(5.0, lead_time_periods=4, holding_cost=1.0, shortage_cost=9.0)
    states = np.array([[3, 5, 5, 4], [0, 9, 0, 7], [12, 0, 0, 0], [6, 6, 6, 6]])
    n_paths = 20_000
    due = [(row, float(units), period) for row, state in enumerate(states) for period, units in enumerate(state)]
    lines = OrderLines(
        demand_paths=rng.poisson(5.0, (4, n_paths, 5)).astype(np.float32),
        on_hand=np.zeros(4),
        backorders=np.zeros(4),
        lead_times=np.full((4, n_paths), 4),
        review_periods=np.ones(4, dtype=int),
        open_orders=OpenOrders(
            series=np.array([row for row, _, _ in due]),
            units=np.array([units for _, units, _ in due]),
            arrival_periods=np.array([[period] * n_paths for _, _, period in due]),
        ),
    )
    plan = plan_orders(lines, order_terms(4, holding_cost=1.0, shortage_cost=9.0, stockout_limit_factor=1.7))
    expected = projected_stockout(case, 0.17)(states)
    # Sampled chances of 0.17 are within 0.01: at most a unit to either side.
    assert (np.abs(plan.order_quantity - expected) <= 1).all()
    assert (plan.order_quantity == expected).sum() >= 3
