"""What counts as censored, as plain values beside a fitted model."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from restock.forecasting.censoring import CensoringRule


def read_censoring_rule(described: Mapping[str, Any]) -> CensoringRule:
    """Return the rule of a model's description, also of one that holds the largest stockout share alone.

    Raises:
        KeyError: it holds neither.
    """
    if "censoring" in described:
        return CensoringRule(**{name: float(value) for name, value in described["censoring"].items()})
    return CensoringRule(max_stockout_share=float(described["max_stockout_share"]))
