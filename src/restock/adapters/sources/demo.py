"""The demo company as a source, with the digest of the code that makes it."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl

import restock.simulation
from restock.adapters.sources.mapping import SourceMapping
from restock.adapters.sources.raw_table import LINE, RawTable, build_raw_table
from restock.params import SimulationParams
from restock.tables import SOURCE_TABLES, TABLES


@dataclass(frozen=True, kw_only=True)
class DemoSource:
    """What the simulator made: the tables a company would bring, and the truth that nothing which plans may read."""

    tables: tuple[RawTable, ...]
    truth: dict[str, pl.DataFrame]


def read_demo(params: SimulationParams, *, seed: int) -> DemoSource:
    """Return the simulated company's tables and truth; rows are numbered from 1."""
    from restock.simulation.company import simulate_demo_company

    company = simulate_demo_company(params, seed=seed)
    mapping = SourceMapping()
    tables = tuple(
        build_raw_table(
            company.tables[name].with_row_index(LINE, offset=1).with_columns(pl.col(LINE).cast(pl.Int64)),
            TABLES[name],
            mapping=mapping,
            file=f"demo:{name}",
        )
        for name in SOURCE_TABLES
        if name in company.tables
    )
    return DemoSource(tables=tables, truth=company.truth)


def identify_demo(params: SimulationParams, *, seed: int) -> dict[str, Any]:
    """Return what decides the demo company's tables: params, seed and the simulator's own source."""
    digest = hashlib.sha256()
    folder = Path(restock.simulation.__file__).parent
    for path in sorted(folder.glob("*.py")):
        digest.update(path.name.encode() + b"\0" + path.read_bytes() + b"\0")
    return {"simulation": params.model_dump(mode="json"), "seed": seed, "generator": digest.hexdigest()}
