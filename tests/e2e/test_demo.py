"""`restock demo` as the README promises it, twice, in a workspace of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest


def run(workspace, *arguments, **environment):
    return subprocess.run(
        [sys.executable, "-m", "restock", *arguments],
        env=os.environ | {"RESTOCK_WORKSPACE": str(workspace), "RESTOCK_LOG_LEVEL": "WARNING"} | environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=900,
    )


@pytest.mark.real
@pytest.mark.timeout(1800)
def test_demo_serves_a_promoted_forecast_and_a_second_run_keeps_it(tmp_path):
    workspace = tmp_path / "demo"
    first = run(workspace, "demo", "--folder", str(workspace), "--stop")
    assert first.returncode == 0, first.stdout + first.stderr
    for expected in ("seasonal_naive", "random_forest", "xgboost", "neural", "Seconds per stage", "Try next"):
        assert expected in first.stdout
    families = json.loads((workspace / "data/reports/metrics.json").read_text(encoding="utf-8"))["families"]
    naive = families.pop("seasonal_naive")
    assert all(one["pinball"] < naive["pinball"] and one["wape"] < naive["wape"] for one in families.values())
    versions = json.loads(run(workspace, "models", "--json").stdout)
    assert {(version["model_type"], version["version"]) for version in versions} == {
        ("demand_forecasting", 1),
        ("optimization", 1),
    }
    for expected in ("lines planned as of", "The orders that save most", "beats_classical_rules: passed"):
        assert expected in first.stdout + first.stderr

    second = run(workspace, "demo", "--folder", str(workspace), "--stop")
    assert second.returncode == 0, second.stdout + second.stderr
    assert "Running stage" not in second.stdout
    assert "made by model_version_1" in second.stdout
    assert not (workspace / "logs" / "forecast.json").exists()
