from __future__ import annotations

import pytest

from restock.forecasting.families.fit import fit_forecaster


@pytest.fixture(scope="module")
def fitted():
    """Return a function that gives a fitted family, fitted once."""
    known = {}

    def build(family, panel, params):
        key = family, params.model_dump_json()
        if key not in known:
            known[key] = fit_forecaster(family, panel, params=params)
        return known[key]

    return build
