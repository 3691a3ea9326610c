"""All mapped tables: importing this module makes every one of them known to the metadata."""

from __future__ import annotations

from restock.adapters.database import (
    catalogue_tables,
    company_table,
    delivery_tables,
    exchange_tables,
    identity_tables,
    ledger_tables,
    order_tables,
    planning_tables,
)
from restock.adapters.database.base import Base

MODULES = (
    catalogue_tables,
    company_table,
    delivery_tables,
    exchange_tables,
    identity_tables,
    ledger_tables,
    order_tables,
    planning_tables,
)
METADATA = Base.metadata
