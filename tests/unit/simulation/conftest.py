from datetime import date

import pytest

from restock.params import SimulationParams
from restock.simulation.company import DemoCompany, found_company, simulate_demo_company
from restock.simulation.history import Company

PARAMS = SimulationParams(n_skus=48, n_stores=3, n_days=240, first_day=date(2024, 1, 1))
SEED = 11


@pytest.fixture(scope="session")
def demo_company() -> DemoCompany:
    return simulate_demo_company(PARAMS, seed=SEED)


@pytest.fixture(scope="session")
def company_plan() -> Company:
    return found_company(PARAMS, seed=SEED)
