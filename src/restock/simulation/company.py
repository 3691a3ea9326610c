"""The demo company: the tables a real one would bring, and the truth behind them, kept apart.

Sales come from the tills and are right; movements are what clerks booked, mistakes included; stock is what these
movements add up to. So the books and the shelves differ, as they do in a real company.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass

import polars as pl

from restock.params import SimulationParams
from restock.simulation.catalogue import create_catalogue, product_table
from restock.simulation.chain import create_chain, location_table
from restock.simulation.demand import draw_demand, know_effects, latent_mean
from restock.simulation.history import Company
from restock.simulation.movements import movement_table
from restock.simulation.ordering import brief_planner
from restock.simulation.prices import plan_prices
from restock.simulation.purchasing import purchase_order_table
from restock.simulation.records import sales_table, stock_table
from restock.simulation.streams import Stream, random_stream
from restock.simulation.suppliers import sign_suppliers, supply_terms_table
from restock.simulation.trading import trade
from restock.simulation.trading_days import calendar_table, list_trading_days
from restock.simulation.truth import truth_tables

logger = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class DemoCompany:
    """A simulated company.

    Attributes:
        tables: what the company's systems hold, by name of table: sales, products, locations, calendar, supply_terms,
            purchase_orders, movements, stock.
        truth: what only the simulator knows: demand, lost_sales, injected_errors, hidden_losses, on_hand. For tests and
            benchmarks; nothing that plans may read it.
    """

    tables: dict[str, pl.DataFrame]
    truth: dict[str, pl.DataFrame]


def simulate_demo_company(params: SimulationParams, *, seed: int) -> DemoCompany:
    """Return a small chain of stores with one warehouse, and its truth.

    Args:
        params: size and first day.
        seed: >= 0; the same seed and size give the same tables.
    """
    company = found_company(params, seed=seed)
    history = trade(company, seed=seed)
    tables = {
        "sales": sales_table(company, history),
        "products": product_table(company.catalogue),
        "locations": location_table(company.chain),
        "calendar": calendar_table(company.days),
        "supply_terms": supply_terms_table(company.catalogue, company.chain, terms=company.suppliers),
        "purchase_orders": purchase_order_table(
            history.orders, catalogue=company.catalogue, chain=company.chain, days=company.days
        ),
        "movements": movement_table(history.rows, catalogue=company.catalogue, chain=company.chain, days=company.days),
        "stock": stock_table(company, history),
    }
    logger.info(
        "simulated the demo company: %d skus, %d stores, %d days to %s, %d sales rows, %d movements",
        company.catalogue.n_skus,
        company.chain.n_stores,
        company.days.n_days,
        company.days.last_day,
        tables["sales"].height,
        tables["movements"].height,
    )
    return DemoCompany(tables=tables, truth=truth_tables(company, history))


def found_company(params: SimulationParams, *, seed: int) -> Company:
    """Return all that is fixed before the first day: range, stores, prices, latent demand, suppliers."""
    days = list_trading_days(params.first_day, params.n_days)
    catalogue = create_catalogue(params.n_skus, params.n_days, rng=random_stream(seed, Stream.CATALOGUE))
    chain = create_chain(params.n_stores, catalogue, rng=random_stream(seed, Stream.CHAIN))
    prices = plan_prices(catalogue, days, rng=random_stream(seed, Stream.PRICES))
    rate_stream = random_stream(seed, Stream.DEMAND_RATE)
    effects = know_effects(catalogue, days, prices, rng=rate_stream)
    mean_units = latent_mean(catalogue, chain, days=days, effects=effects, rng=rate_stream)
    suppliers = sign_suppliers(catalogue, chain, rng=random_stream(seed, Stream.SUPPLIERS))
    return Company(
        catalogue=catalogue,
        chain=chain,
        days=days,
        prices=prices,
        demand=draw_demand(mean_units, catalogue, rng=random_stream(seed, Stream.DEMAND)),
        suppliers=suppliers,
        planner=brief_planner(catalogue, effects, terms=suppliers),
    )
