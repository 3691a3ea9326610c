from __future__ import annotations

import pytest

from restock.forecasting.families.fit import fit_forecaster


@pytest.fixture(scope="module")
def fitted():
    """Return a function that gives a fitted family, fitted once."""
    known = {}

    def build(family, panel, params):
        if (family, params) not in known:
            known[family, params] = fit_forecaster(family, panel, params=params)
        return known[family, params]

    return build
