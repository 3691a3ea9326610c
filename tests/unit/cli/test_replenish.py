"""`restock replenish`: tables for people, one JSON value for machines."""

from __future__ import annotations

import json

import pytest
from typer.testing import CliRunner

from restock.adapters.database.engine import open_database
from restock.adapters.database.migrate import migrate
from restock.cli.app import app
from restock.cli.console import output
from restock.settings import Settings
from tests.planned_workspace import KEPT, PLAN_DAY
from tests.serving.running import SKUS, STORES


@pytest.fixture
def call(planned_template, monkeypatch):
    monkeypatch.setenv("RESTOCK_WORKSPACE", str(planned_template))
    monkeypatch.setattr(output, "width", 200)
    return invoke


@pytest.fixture
def change(planned, monkeypatch):
    """Return what calls in a workspace of its own, with an empty ledger."""
    monkeypatch.setenv("RESTOCK_WORKSPACE", str(planned))
    monkeypatch.setattr(output, "width", 200)
    migrate(open_database(Settings(workspace=planned).ledger_url))
    return invoke


def invoke(*arguments):
    done = CliRunner().invoke(app, ["replenish", *arguments])
    assert done.exit_code == 0, done.output + repr(done.exception)
    return done.stdout


def test_plan_again_gives_the_same_plan_and_stores_it(change, planned):
    path = planned / "data" / "plans" / f"as_of={PLAN_DAY}" / "plan.json"
    before = json.loads(path.read_text())
    told = json.loads(change("plan", "--as-of", str(PLAN_DAY), "--draft-orders", "--json"))
    assert told["sha256"] == before["sha256"]
    # The ledger's catalogue is empty, so it knows none of the lines; each is named.
    assert told["drafted"]["stored"]["stored"] == 0
    assert len(told["drafted"]["stored"]["unknown"]) == told["lines"]
    assert told["drafted"]["purchase_orders"] == []


def test_plan_makes_the_forecast_first_where_it_is_missing(change, planned):
    (partition,) = (planned / "data" / "forecasts" / "demand_forecasting").iterdir()
    (partition / "forecast.json").unlink()
    shown = change("plan", "--as-of", str(PLAN_DAY))
    assert f"19 lines planned as of {PLAN_DAY}" in shown
    assert "The orders that save most" in shown
    assert (partition / "forecast.json").exists()


def test_explain_shows_the_sentence_the_curve_and_what_would_change_it(call):
    shown = call("explain", SKUS[5], STORES[0], "--as-of", str(PLAN_DAY))
    assert shown.startswith("Order ")
    assert "expected cost by order quantity" in shown
    assert "◆" in shown
    assert "2 days less lead time" in shown
    told = json.loads(call("explain", SKUS[5], STORES[0], "--json"))
    assert (told["sku"], told["as_of"]) == (SKUS[5], str(PLAN_DAY))
    assert told["sentence"] == shown.splitlines()[0]


def test_frontier_draws_and_tells(call):
    told = json.loads(call("frontier", "--location", STORES[1], "--points", "5", "--json"))
    assert 2 <= len(told["points"]) <= 5
    shown = call("frontier", "--location", STORES[1], "--points", "5")
    assert "% of demand served" in shown
    assert f"{told['points'][-1]['fill_rate']:.3%}" in shown


def test_what_if_shows_each_scenario_beside_the_plan(call):
    options = ("--service-target", "0.9", "--lead-time-days", "3", "--demand-factor", "2", "--outage-days", "4")
    shown = call("what-if", *options, "--sku", KEPT[0])
    names = ("as planned", "serve 90.0%", "lead time +3 days", "2 times the demand", "all suppliers out for 4 days")
    assert [name for name in names if name in shown] == list(names)
    told = json.loads(call("what-if", "--budget", "50", "--location", STORES[1], "--json"))
    assert [one["name"] for one in told["scenarios"]] == ["as planned", "budget 50.00"]


def test_what_if_without_a_difference_is_refused(planned_template, monkeypatch):
    monkeypatch.setenv("RESTOCK_WORKSPACE", str(planned_template))
    done = CliRunner().invoke(app, ["replenish", "what-if"])
    assert "nothing differs from the plan" in str(done.exception)


def test_overrides_say_what_can_t_be_judged_yet(change):
    assert "its window is not over" in change("overrides")
    told = json.loads(change("overrides", "--json"))
    assert told == {
        "plans": [{"as_of": str(PLAN_DAY), "lines": 0, "plan_value_added": None, "forecast_value_added_units": None}],
        "overrides": [],
    }
