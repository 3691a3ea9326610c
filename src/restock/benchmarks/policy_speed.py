"""Textbook policies beside stockpyl's: the same cost, and the seconds of one call."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

from restock.errors import ConfigurationError
from restock.replenishment.finite_horizon import wagner_whitin
from restock.replenishment.guaranteed_service import Stage, place_safety_stock
from restock.replenishment.newsvendor import poisson_newsvendor
from restock.replenishment.order_up_to import poisson_order_up_to_rule
from restock.replenishment.reorder_point import exact_poisson_rule

PEER = "stockpyl==1.0.2"
_PEER_FILE = Path(__file__).with_name("stockpyl_peer.py")
_PEER_TIMEOUT_SECONDS = 300
_REPEATS = 5
# Instances of Snyder and Shen (2019) as stockpyl names its arguments: problem 4.8(a), example 5.8, example 4.7, problem
# 3.29 and problem 6.8.
_CASES: dict[str, dict[str, Any]] = {
    "newsvendor": {"holding_cost": 200, "stockout_cost": 270, "demand_mean": 18},
    "reorder_point": {
        "holding_cost": 20, "stockout_cost": 150, "fixed_cost": 100, "demand_mean": 1.5, "lead_time": 2,
    },
    "order_up_to": {
        "holding_cost": 1, "stockout_cost": 4, "fixed_cost": 5, "demand_mean": 6, "use_poisson": True,
    },
    "wagner_whitin": {
        "num_periods": 5, "holding_cost": 0.1, "fixed_cost": 100, "demand": [730, 580, 445, 650, 880],
    },
    "guaranteed_service": {"instance": "problem_6_8"},
}  # fmt: skip
# Processing periods and holding cost of problem 6.8, from the last stage to the first.
_SERIAL = (
    (5, 5.73), (10, 4.56), (2, 3.04), (15, 2.93), (8, 2.47), (5, 2.37), (9, 1.15), (5, 1.1), (1, 0.98), (5, 0.87),
)  # fmt: skip
_SAFETY_FACTOR = 2.0537489106318225


def measure_policy_speed() -> dict[str, dict[str, float]]:
    """Return by policy the seconds of one call, ours and stockpyl's (1.0.2), and their ratio; both find the same cost.

    Raises:
        ConfigurationError: uv or stockpyl can't be had, or the two differ in a cost by more than one in a million.
    """
    ours = {name: _timed(solve) for name, solve in _our_solvers().items()}
    theirs = _run_peer()
    found = {}
    for name, (cost, seconds) in ours.items():
        peer = theirs[name]
        if abs(cost - peer["cost"]) > 1e-6 * abs(peer["cost"]):
            raise ConfigurationError(f"{PEER} finds a cost of {peer['cost']} for {name}, restock {cost}. File a bug.")
        found[name] = {
            "seconds": seconds,
            "stockpyl_seconds": peer["seconds"],
            "ratio": round(peer["seconds"] / seconds, 1),
        }
    return found


def _our_solvers() -> dict[str, Callable[[], float]]:
    stages = [
        Stage(
            name=str(place),
            processing_periods=periods,
            holding_cost=cost,
            safety_factor=_SAFETY_FACTOR,
            demand_deviation=0.0 if place else 15.8,
            most_service_periods=None if place else 3,
            supplier_service_periods=7 if place == len(_SERIAL) - 1 else 0,
        )
        for place, (periods, cost) in enumerate(_SERIAL)
    ]
    arcs = [(str(place + 1), str(place)) for place in range(len(_SERIAL) - 1)]
    return {
        "newsvendor": lambda: poisson_newsvendor(holding_cost=200, shortage_cost=270, demand_mean=18).expected_cost,
        "reorder_point": lambda: (
            exact_poisson_rule(
                holding_cost=20, shortage_cost=150, fixed_order_cost=100, demand_mean=1.5, lead_time_periods=2
            ).cost
        ),
        "order_up_to": lambda: (
            poisson_order_up_to_rule(holding_cost=1, shortage_cost=4, fixed_order_cost=5, demand_mean=6).cost
        ),
        "wagner_whitin": lambda: wagner_whitin((730, 580, 445, 650, 880), holding_cost=0.1, fixed_order_cost=100).cost,
        "guaranteed_service": lambda: place_safety_stock(stages, arcs).cost,
    }


def _timed(solve: Callable[[], float]) -> tuple[float, float]:
    cost, seconds = solve(), []
    for _ in range(_REPEATS):
        begun = time.perf_counter()
        cost = solve()
        seconds.append(time.perf_counter() - begun)
    return cost, median(seconds)


def _run_peer() -> dict[str, dict[str, float]]:
    """Return stockpyl's costs and seconds.

    Raises:
        ConfigurationError: it did not run.
    """
    uv = shutil.which("uv", path=str(Path(sys.executable).parent)) or shutil.which("uv")
    if uv is None:
        raise ConfigurationError("uv, which makes the environment of stockpyl, is not installed. Run: make setup.")
    with tempfile.TemporaryDirectory() as folder:
        cases_file = Path(folder) / "cases.json"
        cases_file.write_text(json.dumps(_CASES), encoding="utf-8")
        command = [uv, "run", "--quiet", "--no-project", "--isolated", "--python", sys.executable, "--with", PEER]
        command += ["python", str(_PEER_FILE), str(cases_file)]
        try:
            done = subprocess.run(  # a fixed command over a file of its own
                command, cwd=folder, capture_output=True, text=True, timeout=_PEER_TIMEOUT_SECONDS, check=False
            )
        except subprocess.TimeoutExpired as error:
            raise ConfigurationError(f"{PEER} took longer than {error.timeout} s. Try a quiet machine.") from error
    if done.returncode:
        last = (done.stderr.strip() or "no message").splitlines()[-1]
        raise ConfigurationError(f"{PEER} did not run in an own environment: {last}. Is the index reachable?")
    found: dict[str, dict[str, float]] = json.loads(done.stdout.strip().splitlines()[-1])
    return found
