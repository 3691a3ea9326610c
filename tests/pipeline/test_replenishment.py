"""From a back-test to a promoted policy and a kept plan, in one small workspace with a warehouse."""

import json
from dataclasses import replace
from datetime import date, timedelta

import numpy as np
import polars as pl
import pytest

from restock.adapters.panel_files import load_panel
from restock.adapters.registry import ModelType, read_current, verify_version
from restock.adapters.storage import read_table, write_json, write_table
from restock.errors import DataError, GoldenReplayError, InfeasiblePlanError, NotFoundError
from restock.operations.candidates import read_backtest, read_candidate
from restock.operations.daily_forecast import write_daily_forecast
from restock.operations.promotion_gate import Rules
from restock.operations.promotion_steps import CandidateRefusedError
from restock.operations.replenishment.cost_evidence import judge_simulated_cost, read_replenishment_tables
from restock.operations.replenishment.daily_plan import read_daily_plan, replay_plan, write_daily_plan
from restock.operations.replenishment.policy import UNTUNED, load_served_policy, write_policy
from restock.operations.replenishment.policy_candidate import policy_folder
from restock.operations.replenishment.policy_golden import make_policy_golden, replay_policy_golden
from restock.operations.replenishment.promote_policy import promote_policy
from restock.operations.rollback import roll_back
from restock.params import change_params
from restock.pipeline.optimize import run_optimize
from restock.replenishment.policy_tuning import LineGroup
from restock.tables import LOCATIONS, PRODUCTS, PURCHASE_ORDERS, STOCK, SUPPLY_TERMS
from tests.pipeline.promotion import (
    N_DAYS,
    NOW,
    copy_workspace,
    make_request,
    params_of,
    promote_in,
    settings_of,
    write_params,
)

LAST = date(2024, 1, 1) + timedelta(days=N_DAYS - 1)
CHANGES = {"replenishment": {"shortage_multiples": [0.5, 1.0], "simulated_paths": 20}, "paths": {"n_paths": 60}}


def write_supply(workspace):
    """Write a warehouse, terms, stock and three months of orders; four of six skus are perishable."""
    folder = workspace / "data" / "validated"
    products = read_table(folder / "products.parquet", PRODUCTS).with_columns(
        unit_cost=pl.lit(1.5),
        unit_price=pl.lit(2.5),
        shelf_life_days=pl.when(pl.col("sku") < "SKU-5").then(4).otherwise(None),
    )
    skus, stores = products["sku"].to_list(), ["STORE-1", "STORE-2"]
    terms = [
        {"sku": sku, "location": place, "supplier": "SUP" if place == "WH" else "WH", "unit_cost": 1.5,
         "order_multiple": 6 if place == "WH" else 1, "minimum_order_quantity": 1,
         "fixed_order_cost": 4.0 if place == "WH" else 0.0, "review_periods": 2 if place == "WH" else 1,
         "quoted_lead_time_days": 3 if place == "WH" else 1}
        for sku in skus for place in (*stores, "WH")
    ]  # fmt: skip
    rng = np.random.default_rng(5)
    days = [(number, LAST - timedelta(days=4 * (25 - number))) for number in range(1, 26)]
    orders = [
        {"order": f"PO-{number}", "line": line, "sku": sku, "location": "WH", "supplier": "SUP",
         "ordered_on": day, "promised_on": day + timedelta(days=3),
         "received_on": None if number == 25 else day + timedelta(days=int(rng.integers(2, 4))),
         "quantity_ordered": 60.0, "quantity_received": 0.0 if number == 25 else 60.0, "unit_cost": 1.5}
        for number, day in days for line, sku in enumerate(skus, start=1)
    ]  # fmt: skip
    stock = [
        {"sku": sku, "location": place, "as_of": LAST, "on_hand": 90.0 if place == "WH" else 10.0}
        for sku in skus
        for place in (*stores, "WH")
    ]
    locations = pl.concat(
        [
            read_table(folder / "locations.parquet", LOCATIONS),
            LOCATIONS.conform(pl.DataFrame({"location": ["WH"], "kind": ["warehouse"], "region": ["north"]})),
        ]
    )
    for frame, table in (
        (locations, LOCATIONS),
        (products, PRODUCTS),
        (pl.DataFrame(terms), SUPPLY_TERMS),
        (pl.DataFrame(orders), PURCHASE_ORDERS),
        (pl.DataFrame(stock), STOCK),
    ):
        write_table(table.conform(frame), table, folder / f"{table.name}.parquet")


@pytest.fixture(scope="module")
def optimized_template(trained_template, tmp_path_factory):
    """A forecaster is served, the day's forecast is kept, and a policy waits for promotion."""
    workspace = copy_workspace(trained_template, tmp_path_factory.mktemp("optimized") / "workspace")
    write_params(workspace, CHANGES)
    promote_in(workspace)
    write_supply(workspace)
    settings, params = settings_of(workspace), params_of(workspace)
    write_daily_forecast(settings, as_of=LAST)
    run_optimize(settings, params)
    return workspace


@pytest.fixture
def optimized(optimized_template, tmp_path):
    return copy_workspace(optimized_template, tmp_path / "workspace")


def plan(workspace, **changes):
    params = change_params(params_of(workspace), {"replenishment": changes})
    return write_daily_plan(settings_of(workspace), params, as_of=LAST)


def promote(workspace, **changes):
    return promote_policy(settings_of(workspace), params_of(workspace), make_request(**changes), now=NOW)


def test_run_optimize_writes_a_policy_and_what_every_rule_costs(optimized):
    metrics = json.loads((optimized / "data" / "reports" / "optimization.json").read_text(encoding="utf-8"))
    rules = metrics["rules"]
    assert rules["planner"]["cost"] < rules["normal_base_stock"]["cost"] < rules["min_max"]["cost"]
    parts = ("holding", "shortage", "ordering", "waste")
    assert sum(rules["planner"][name] for name in parts) == pytest.approx(rules["planner"]["cost"], abs=0.05)
    assert set(metrics["shortage_multiples"]) == {"fresh_store", "fresh_warehouse", "store", "warehouse"}
    assert sum(metrics["gap"].values()) == pytest.approx(rules["planner"]["cost"], abs=0.05)
    assert all(values["cost"] >= rules["clairvoyant_bound"]["cost"] > 0 for values in rules.values())
    # Two windows are too few to keep tuning and judging apart: that is said.
    assert metrics["tuned_on_judged"] is True


def test_run_optimize_without_supply_terms_says_so_and_leaves_no_candidate(trained):
    write_params(trained, CHANGES)
    metrics = run_optimize(settings_of(trained), params_of(trained))
    assert metrics["is_available"] is False
    with pytest.raises(NotFoundError, match="no supply terms"):
        promote(trained)


def test_promote_policy_serves_it_and_plans_follow(optimized):
    assert load_served_policy(optimized / "models") == UNTUNED
    result = promote(optimized)
    assert result.verdict.conditions[0].figures["relative_difference"] < 0
    served = load_served_policy(optimized / "models")
    assert served.version == "model_version_1"
    assert plan(optimized).table["policy_version"].unique().to_list() == ["model_version_1"]
    folder = verify_version(optimized / "models", ModelType.OPTIMIZATION, 1)
    names = {path.name for path in folder.iterdir()}
    assert names == {
        "policy.json", "metadata.json", "params.yaml", "metrics.json", "signature.json", "golden.json", "MODEL_CARD.md",
    }  # fmt: skip
    assert "normal_base_stock" in (folder / "MODEL_CARD.md").read_text(encoding="utf-8")


def test_promote_policy_the_same_again_is_refused(optimized):
    promote(optimized)
    with pytest.raises(CandidateRefusedError, match="nothing new to serve"):
        promote(optimized)


def test_promote_policy_that_costs_more_than_classical_rules_is_refused(optimized):
    folder = policy_folder(optimized / "data")
    costs = pl.read_parquet(folder / "costs.parquet")
    dearer = pl.when(pl.col("rule") == "planner").then(1_000.0).otherwise(pl.col("shortage"))
    costs.with_columns(shortage=dearer).write_parquet(folder / "costs.parquet")
    with pytest.raises(CandidateRefusedError, match="beats_classical_rules"):
        promote(optimized)
    assert read_current(optimized / "models", ModelType.OPTIMIZATION) is None


def test_roll_back_of_a_policy_replays_its_golden_orders(optimized):
    promote(optimized)
    write_policy({LineGroup.STORE: 2.0, LineGroup.WAREHOUSE: 0.25}, policy_folder(optimized / "data"))
    promote(optimized, override="a test")
    result = roll_back(
        settings_of(optimized), ModelType.OPTIMIZATION, reason="a test", rolled_back_by="tester", now=NOW
    )
    assert (result.version, result.previous) == (1, 2)
    policy = load_served_policy(optimized / "models")
    golden = make_policy_golden(policy)
    replay_policy_golden(policy, golden)
    other = replace(policy, shortage_multiples=dict.fromkeys(LineGroup, 0.001))
    with pytest.raises(GoldenReplayError, match="other orders"):
        replay_policy_golden(other, golden)


def test_gate_of_a_forecaster_tells_what_its_forecasts_cost_in_replenishment(optimized):
    # Validated tables changed since the training: the same forecasts, trained anew on them, come to the gate.

    data_dir, params = optimized / "data", params_of(optimized)
    better, naive = (read_backtest(read_candidate(data_dir, name)) for name in ("xgboost", "seasonal_naive"))
    rules = Rules(quantiles=params.forecasting.quantiles, promotion=params.promotion, seed=1)

    def judge(candidate, incumbent):
        return judge_simulated_cost(
            candidate,
            incumbent,
            load_panel(data_dir / "features"),
            read_replenishment_tables(data_dir),
            params=params,
            models_dir=optimized / "models",
            rules=rules,
            against="seasonal naive",
        )

    condition = judge(better, naive)
    assert condition.has_passed is True
    assert condition.figures["candidate_cost"] < condition.figures["incumbent_cost"]
    # Forecasts of nothing: shelves stay empty, and that costs.
    nothing = better.with_columns(pl.col("^q0.*$") * 0.0)
    refused = judge(nothing, better)
    assert refused.has_passed is False
    assert "must not be above 0" in refused.detail


def test_write_daily_plan_is_kept_and_replayed_to_the_last_unit(optimized):
    made = plan(optimized)
    assert made.table.height == 18
    assert made.skipped.is_empty()
    replayed = replay_plan(settings_of(optimized), as_of=LAST)
    units = np.zeros(made.table.height)
    for part in replayed.planned:
        units[part.rows] = part.order_quantity
    assert units.tolist() == made.table["order_quantity"].to_list()
    # Made again on a later day, from data that went on: still the same.
    write_table(STOCK.empty(), STOCK, optimized / "data" / "validated" / "stock.parquet")
    again = replay_plan(settings_of(optimized), as_of=LAST)
    assert [part.order_quantity.tolist() for part in again.planned] == [
        part.order_quantity.tolist() for part in replayed.planned
    ]


def test_write_daily_plan_orders_whole_multiples_and_no_more_than_the_warehouse_has(optimized):
    table = plan(optimized).table
    warehouse = table.filter(pl.col("location") == "WH")
    assert (warehouse["order_quantity"] % 6 == 0).all()
    assert (table["order_quantity"] > 0).any()
    sent = table.filter(pl.col("location") != "WH").group_by("sku").agg(pl.col("order_quantity").sum())
    assert (sent["order_quantity"] <= 90).all()


def test_write_daily_plan_within_a_budget_names_what_binds_and_its_price(optimized):
    free = plan(optimized)
    wanted = free.description["order_value"]
    bound = plan(optimized, budget=wanted * 0.5)
    outside = bound.table.filter(pl.col("supplier") == "SUP")
    assert float(outside["order_quantity"].sum()) * 1.5 <= wanted * 0.5
    (limit,) = bound.description["limits"]
    assert limit["kind"] == "budget"
    assert limit["is_binding"]
    assert limit["shadow_price"] > 0
    assert "budget" in outside["binding"].to_list()
    assert bound.description["gap"] <= 1e-6


def test_write_daily_plan_of_stores_and_warehouses_that_buy_outside_spends_the_budget_once(optimized):
    path = optimized / "data" / "validated" / "supply_terms.parquet"
    terms = read_table(path, SUPPLY_TERMS)
    direct = terms.with_columns(
        supplier=pl.when(pl.col("location") == "STORE-1").then(pl.lit("SUP")).otherwise("supplier")
    )
    write_table(direct, SUPPLY_TERMS, path)
    wanted = plan(optimized).table.filter(pl.col("supplier") == "SUP")
    assert wanted.group_by("location").agg(pl.col("order_quantity").sum())["order_quantity"].min() > 0
    budget = float(wanted["order_quantity"].sum()) * 1.5 * 0.6
    bought = plan(optimized, budget=budget).table.filter(pl.col("supplier") == "SUP")
    assert 0 < float(bought["order_quantity"].sum()) * 1.5 <= budget


def test_write_daily_plan_in_a_full_store_orders_what_there_is_room_for(optimized):
    path = optimized / "data" / "validated" / "locations.parquet"
    free = plan(optimized).table.filter(pl.col("location") == "STORE-2")
    room = float(free["order_quantity"].sum()) - 5
    held = 10.0 * free.height
    locations = read_table(path, LOCATIONS)
    full = pl.when(pl.col("location") == "STORE-2").then(held + room).otherwise(None)
    write_table(locations.with_columns(capacity_units=full), LOCATIONS, path)
    made = plan(optimized)
    bound = made.table.filter(pl.col("location") == "STORE-2")
    assert float(bound["order_quantity"].sum()) <= room
    assert "storage" in bound["binding"].to_list()
    assert [limit["name"] for limit in made.description["limits"]] == ["STORE-2"]


def test_write_daily_plan_with_limits_that_contradict_each_other_names_them(optimized):
    with pytest.raises(InfeasiblePlanError, match="budget"):
        plan(optimized, budget=1.0, service_floors={"A": 0.9, "B": 0.9, "C": 0.9})


def test_write_daily_plan_of_unknown_stock_leaves_the_line_out_by_name(optimized):
    path = optimized / "data" / "validated" / "stock.parquet"
    stock = read_table(path, STOCK)
    write_table(stock.filter(~((pl.col("sku") == "SKU-2") & (pl.col("location") == "STORE-1"))), STOCK, path)
    made = plan(optimized)
    assert made.skipped.select("sku", "location").rows() == [("SKU-2", "STORE-1")]
    assert "stock is not known" in made.skipped["reason"][0]
    write_table(stock.filter(~((pl.col("sku") == "SKU-3") & (pl.col("location") == "WH"))), STOCK, path)
    skipped = plan(optimized).skipped.filter(pl.col("sku") == "SKU-3")
    assert skipped["reason"].str.contains("stock of its warehouse is not known").to_list() == [True, True, False]
    write_table(STOCK.empty(), STOCK, path)
    with pytest.raises(DataError, match="nothing can be planned"):
        plan(optimized)


def test_write_daily_plan_knows_nothing_of_later_days(optimized):
    before = plan(optimized).table
    folder = optimized / "data" / "validated"
    later = LAST + timedelta(days=1)
    stock, orders = (read_table(folder / f"{table.name}.parquet", table) for table in (STOCK, PURCHASE_ORDERS))
    write_table(
        pl.concat([stock, stock.with_columns(as_of=pl.lit(later), on_hand=pl.lit(9_999.0))]),
        STOCK,
        folder / "stock.parquet",
    )
    received = orders.with_columns(
        received_on=pl.col("received_on").fill_null(later),
        quantity_received=pl.when(pl.col("received_on").is_null())
        .then("quantity_ordered")
        .otherwise("quantity_received"),
    )
    write_table(received, PURCHASE_ORDERS, folder / "purchase_orders.parquet")
    assert plan(optimized).table.equals(before)


def test_read_daily_plan_that_was_changed_is_refused(optimized):
    made = plan(optimized)
    with pytest.raises(NotFoundError, match="no plan of 2024-01-05 is kept"):
        read_daily_plan(optimized / "data", as_of=date(2024, 1, 5))
    made.table.with_columns(order_quantity=pl.lit(1.0)).write_parquet(made.folder / "plan.parquet")
    with pytest.raises(DataError, match=r"plan\.parquet changed"):
        read_daily_plan(optimized / "data", as_of=LAST)


def test_replay_plan_whose_forecast_was_replaced_is_refused(optimized):
    made = plan(optimized)
    path = made.folder / "plan.json"
    description = json.loads(path.read_text(encoding="utf-8"))
    description["forecast"]["sha256"] = "0" * 64
    write_json(path, description)
    with pytest.raises(DataError, match="was replaced by another"):
        replay_plan(settings_of(optimized), as_of=LAST)


def test_write_daily_plan_without_a_kept_forecast_says_how_to_make_it(optimized):
    with pytest.raises(NotFoundError, match="restock forecast --as-of 2024-05-01"):
        write_daily_plan(settings_of(optimized), params_of(optimized), as_of=date(2024, 5, 1))
