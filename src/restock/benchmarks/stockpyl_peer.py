"""Run by stockpyl's own interpreter: its answers to a few cases and the seconds of each. Imports nothing of restock.

stockpyl brings old documentation tools with it; `policy_speed` starts this file in an environment of its own.
"""

from __future__ import annotations

import json
import sys
import time
import warnings
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

_FUNCTIONS = {
    "newsvendor": ("newsvendor", "newsvendor_poisson"),
    "reorder_point": ("rq", "r_q_poisson_exact"),
    "order_up_to": ("ss", "s_s_discrete_exact"),
    "wagner_whitin": ("wagner_whitin", "wagner_whitin"),
}


def main(cases_file: Path) -> None:
    """Print one JSON object: by case its cost and the median seconds of a call."""
    warnings.simplefilter("ignore")
    found = {}
    for name, case in json.loads(cases_file.read_text(encoding="utf-8")).items():
        if name == "guaranteed_service":
            solve, data = _service_times, {"times": case}
        else:
            module, function = _FUNCTIONS[name]
            solve, data = getattr(import_module(f"stockpyl.{module}"), function), case
        cost, seconds = _timed(solve, data)
        found[name] = {"cost": cost, "seconds": seconds}
    sys.stdout.write(json.dumps(found) + "\n")


def _timed(solve: Callable[..., Any], data: dict[str, Any]) -> tuple[float, float]:
    solve(**data)
    seconds = []
    for _ in range(5):
        begun = time.perf_counter()
        answer = solve(**data)
        seconds.append(time.perf_counter() - begun)
    # Wagner-Whitin gives its tables after the cost.
    return float(answer[1] if len(answer) != 3 else answer[2]), sorted(seconds)[2]


def _service_times(times: dict[str, Any]) -> Any:
    from stockpyl.gsm_tree import (  # type: ignore[import-not-found]  # lives in an environment of its own
        optimize_committed_service_times,
    )
    from stockpyl.instances import load_instance  # type: ignore[import-not-found]  # the same

    network = load_instance(times["instance"])
    for node in network.sink_nodes:
        node.demand_source.mean = node.demand_source.mean or 0
    return optimize_committed_service_times(network)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
