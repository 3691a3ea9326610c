"""The DAGs run on a small company with `dag.test()`: from a file to a promoted model, a kept forecast and a verdict."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime

import polars as pl
import pytest
from sqlalchemy import insert, select

from restock.adapters.database.catalogue_tables import LocationRow, ProductRow, SupplierRow, SupplyTermRow
from restock.adapters.database.engine import open_database, read_transaction, write_transaction
from restock.adapters.database.migrate import migrate
from restock.adapters.database.order_tables import PurchaseOrderRow
from restock.adapters.database.planning_tables import PlanRow
from restock.adapters.registry import read_current, read_metadata
from restock.adapters.storage import read_json, write_table
from restock.params import read_params
from restock.settings import Settings
from restock.tables import STOCK, SUPPLY_TERMS
from tests.dags.conftest import LAST_DAY, write_sales

TYPE = "demand_forecasting"


def supply_terms():
    """Return who delivers each series."""
    term = {"supplier": "SUP", "unit_cost": 1.5, "minimum_order_quantity": 1, "order_multiple": 1}
    term |= {"fixed_order_cost": 0.0, "review_periods": 1, "quoted_lead_time_days": 2}
    return [{"sku": f"SKU-{number}", "location": f"L{number % 2}"} | term for number in range(10)]


def write_supply(home):
    """Write validated supply terms, and a stock of nothing on the last day."""
    folder = home / "data" / "validated"
    terms = pl.DataFrame(supply_terms())
    day = date.fromisoformat(LAST_DAY)
    stock = terms.select("sku", "location", as_of=pl.lit(day), on_hand=0.0, on_order=0.0)
    for frame, table in ((terms, SUPPLY_TERMS), (stock, STOCK)):
        write_table(table.conform(frame), table, folder / f"{table.name}.parquet")


def fill_ledger(home):
    """Make the ledger's tables and a catalogue that knows the series and their supplier."""
    engine = open_database(Settings(workspace=home).ledger_url)
    migrate(engine)
    now = datetime(2024, 5, 30, tzinfo=UTC)
    product = {"category_path": "", "base_unit": "piece", "quantity_decimals": 0, "is_lot_tracked": False}
    product |= {"is_active": True, "version": 1, "changed_at_utc": now}
    place = {"kind": "store", "region": "", "may_be_negative": False, "is_active": True, "version": 1}
    with write_transaction(engine) as connection:
        skus = [term["sku"] for term in supply_terms()]
        connection.execute(insert(ProductRow), [product | {"sku": sku, "name": sku} for sku in skus])
        connection.execute(insert(LocationRow), [place | {"location": name, "name": name} for name in ("L0", "L1")])
        supplier = {"supplier": "SUP", "name": "SUP", "is_active": True, "version": 1}
        connection.execute(insert(SupplierRow), supplier)
        connection.execute(insert(SupplyTermRow), [term | {"unit_cost": 150} for term in supply_terms()])
    engine.dispose()


@pytest.fixture(scope="module")
def done(airflow_home, run_dags):
    """Run every DAG in the order a person would; return (workspace, results by DAG, the whole log)."""
    home, _ = airflow_home
    write_sales(home / "sales.csv")
    results, log = run_dags(
        ("ingest_sales", {"source": "sales.csv"}),
        ("train_demand_forecasting", {"families": ["xgboost"], "cutoffs": 2, "changes": ["seed=7"]}),
        ("promote_model", {"reason": "the first one; $(touch escaped) --override=x", "override": "small data"}),
        ("daily_forecast", {"as_of": LAST_DAY}),
        ("monitor_forecast", {"as_of": LAST_DAY}),
        ("optimize_replenishment", {}),
    )
    return home, {result["dag"]: result for result in results}, log


def test_ingest_sales_keeps_a_batch_and_the_validated_tables(done):
    home, results, _ = done
    assert results["ingest_sales"]["state"] == "success"
    assert pl.read_parquet(home / "data" / "validated" / "sales.parquet").height == 1500


def test_train_runs_in_its_own_workspace_and_skips_what_was_not_chosen(done):
    home, results, _ = done
    tasks = results["train_demand_forecasting"]["tasks"]
    assert results["train_demand_forecasting"]["state"] == "success"
    assert tasks["train.random_forest"] == tasks["tune"] == "skipped"
    assert tasks["train.xgboost"] == tasks["evaluate"] == "success"
    (run,) = (home / ".runs").iterdir()
    assert read_json(run / "data" / "reports" / "metrics.json")["families"].keys() == {
        "seasonal_naive",
        "xgboost",
        "ensemble",
    }
    assert not (home / "data" / "candidates").exists()


def test_promote_model_serves_the_run_s_candidate_and_says_which_run_promoted_it(done):
    home, results, _ = done
    assert results["promote_model"]["state"] == "success"
    current = read_current(home / "models", TYPE)
    assert current.served == 1
    assert current.changed_by == "dag_test (Airflow)"
    assert current.reason == "the first one; $(touch escaped) --override=x"
    assert not list(home.rglob("escaped"))
    assert read_metadata(home / "models", TYPE, 1)["orchestration_run"].startswith("promote_model/")


def test_training_runs_carry_the_airflow_run(done):
    home, results, _ = done
    import mlflow

    client = mlflow.MlflowClient(f"sqlite:///{home / 'mlflow.db'}")
    experiment = client.get_experiment_by_name(TYPE)
    runs = client.search_runs([experiment.experiment_id])
    expected = f"train_demand_forecasting/{results['train_demand_forecasting']['run']}"
    assert {run.data.tags.get("restock.airflow_run") for run in runs} == {expected}


def test_daily_forecast_keeps_the_day(done):
    home, results, _ = done
    assert results["daily_forecast"]["state"] == "success"
    folder = home / "data" / "forecasts" / TYPE / f"as_of={LAST_DAY}"
    assert read_json(folder / "forecast.json")["model_version"] == "model_version_1"
    assert pl.read_parquet(folder / "quantile_forecast.parquet")["date"].min().isoformat() > LAST_DAY


def test_optimize_replenishment_works_in_the_training_s_workspace_and_says_that_nothing_can_be_ordered(done):
    home, results, _ = done
    assert results["optimize_replenishment"]["state"] == "success"
    (run,) = (home / ".runs").iterdir()
    assert read_json(run / "data" / "reports" / "optimization.json")["is_available"] is False


def test_daily_plan_keeps_the_day_s_plan_and_drafts_an_order_a_supplier(done, run_dags):
    home, _, _ = done
    write_supply(home)
    fill_ledger(home)
    # Its day is that of the forecast that starts it; by hand it is asked for.
    results, log = run_dags(("daily_plan", {"as_of": LAST_DAY}))
    assert results[-1]["state"] == "success", log[-3000:]
    described = read_json(home / "data" / "plans" / f"as_of={LAST_DAY}" / "plan.json")
    assert described["lines"] == 10
    assert described["to_order"] > 0
    assert described["orchestration_run"] == f"daily_plan/{results[-1]['run']}"
    engine = open_database(Settings(workspace=home).ledger_url)
    with read_transaction(engine) as connection:
        stored = connection.execute(select(PlanRow.order_quantity)).scalars().all()
        orders = connection.execute(select(PurchaseOrderRow.supplier, PurchaseOrderRow.state)).all()
    engine.dispose()
    assert len(stored) == 10
    assert {tuple(order) for order in orders} == {("SUP", "draft")}


def test_monitor_forecast_with_too_little_to_judge_asks_for_nothing(done):
    _, results, _ = done
    tasks = results["monitor_forecast"]["tasks"]
    assert tasks == {"monitor": "success", "is_retraining_needed": "success", "request_retraining": "skipped"}


@pytest.mark.real
def test_a_training_that_is_tuned_searches_and_trains_with_what_is_better(done, run_dags):
    home, _, _ = done
    before = (home / "params.yaml").read_bytes()
    # Before the sales that the next test brings in. In force are so few rounds that nearly anything is better.
    form = {
        "families": ["xgboost"],
        "cutoffs": 2,
        "tune_trials": 4,
        "changes": ["families.xgboost.n_rounds=2", "families.xgboost.learning_rate=0.03"],
    }
    results, log = run_dags(("train_demand_forecasting", form))
    assert results[0]["state"] == "success", log[-4000:]
    assert results[0]["tasks"]["tune"] == results[0]["tasks"]["train.xgboost"] == "success"
    (run,) = (home / ".runs").glob("*/data/reports/tuning")
    run = run.parents[2]
    report = read_json(run / "data" / "reports" / "tuning" / "xgboost.json")
    assert (report["trials"], report["is_applied"], report["in_force"]["n_rounds"]) == (4, True, 2)
    trained = read_json(run / "data" / "candidates" / TYPE / "xgboost" / "training.json")
    assert report["best"].items() <= trained["params"]["families"]["xgboost"].items()
    # The run's own params only: those of the home stay.
    assert read_params(run / "params.yaml").families.xgboost.n_rounds == report["best"]["n_rounds"]
    assert (home / "params.yaml").read_bytes() == before
    # The trials are runs in the home's MLflow, and lead back to this Airflow run.
    import mlflow

    client = mlflow.MlflowClient(f"sqlite:///{home / 'mlflow.db'}")
    experiment = client.get_experiment_by_name(TYPE)
    (search,) = client.search_runs([experiment.experiment_id], filter_string="tags.`mlflow.runName` = 'tune xgboost'")
    assert search.data.tags["restock.airflow_run"] == f"train_demand_forecasting/{results[0]['run']}"
    trials = client.search_runs(
        [experiment.experiment_id], filter_string=f"tags.`mlflow.parentRunId` = '{search.info.run_id}'"
    )
    assert len(trials) == 4


def test_drift_and_bias_ask_for_retraining_and_raise_alerts(done, run_dags):
    home, _, _ = done
    # Two weeks later everything sells four times as much.
    write_sales(home / "later.csv", first_day="2024-05-30", n_days=14, level=4.0)
    results, _ = run_dags(
        ("ingest_sales", {"source": "later.csv", "table": "sales"}),
        *(("daily_forecast", {"as_of": f"2024-06-{day:02d}"}) for day in (1, 5)),
        ("monitor_forecast", {"as_of": "2024-06-12"}),
    )
    assert [result["state"] for result in results] == ["success"] * 4
    assert results[-1]["tasks"]["request_retraining"] == "success"
    alerts = pl.read_parquet(home / "data" / "alerts" / "as_of=2024-06-12.parquet")
    kinds = set(alerts["kind"])
    assert {"forecast_input_drift", "forecast_bias"} <= kinds
    assert json.loads(alerts["repair"][0]) == {"action": "retrain", "model_type": TYPE}
    # The next day says nothing new about the same version.
    again, _ = run_dags(("monitor_forecast", {"as_of": "2024-06-13"}))
    assert again[0]["tasks"]["request_retraining"] == "skipped"


def test_a_refused_batch_fails_at_once_and_leaves_the_data(done, run_dags):
    home, _, _ = done
    before = (home / "data" / "validated" / "sales.parquet").read_bytes()
    (home / "broken.csv").write_text("sku,location,date,units_sold\nA,L,not a date,1\n", encoding="utf-8")
    results, log = run_dags(("ingest_sales", {"source": "broken.csv", "table": "sales"}))
    assert results[0]["tasks"]["ingest"] == "failed"
    assert "ended with exit code 3" in log
    assert (home / "data" / "validated" / "sales.parquet").read_bytes() == before


def test_a_misspelt_field_of_a_form_is_refused(done, run_dags):
    results, log = run_dags(("daily_forecast", {"as_off": LAST_DAY}))
    assert results[0]["tasks"]["forecast"] == "failed"
    assert "the form has no field 'as_off'; it has as_of" in log


def test_an_impossible_form_of_a_training_is_not_tried_again(done, run_dags):
    results, log = run_dags(("train_demand_forecasting", {"families": ["xgboost"], "cutoffs": 30}))
    assert results[0]["tasks"]["train.seasonal_naive"] == "failed"
    assert "Lower params.yaml: backtest.n_windows" in log


def test_an_address_that_may_hold_a_secret_is_refused_and_never_run(done, run_dags):
    source = "postgresql://me:s3cr3t@db.example/shop"
    results, log = run_dags(("ingest_sales", {"source": source, "query": "SELECT 1", "table": "sales"}))
    assert results[0]["tasks"]["ingest"] == "failed"
    assert "write env:NAME" in log
    assert "Running command" not in log
