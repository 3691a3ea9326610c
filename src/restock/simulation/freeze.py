"""The generator is frozen: a change of its code, or of what it makes, must be a decision and not an accident.

`python -m restock.simulation.freeze` writes the digests of today's generator into the file `FROZEN`.
"""

from __future__ import annotations

import hashlib
import logging
from datetime import date
from pathlib import Path

import polars as pl

from restock.params import SimulationParams
from restock.simulation.company import simulate_demo_company

logger = logging.getLogger(__name__)

PACKAGE_DIR = Path(__file__).parent
FROZEN_FILE = PACKAGE_DIR / "FROZEN"
FROZEN_PARAMS = SimulationParams(n_skus=24, n_stores=2, n_days=120, first_day=date(2024, 1, 1))
FROZEN_SEED = 7


def generator_digest() -> str:
    """Return the SHA-256 over the source of the package's modules, by name, with line endings normalised."""
    digest = hashlib.sha256()
    for path in sorted(PACKAGE_DIR.glob("*.py"), key=lambda module: module.name):
        source = path.read_bytes().replace(b"\r\n", b"\n")
        digest.update(f"{path.name}\0{len(source)}\0".encode())
        digest.update(source)
    return digest.hexdigest()


def tables_digest(tables: dict[str, pl.DataFrame]) -> str:
    """Return the SHA-256 over tables: names, column names and values, independent of any file format."""
    digest = hashlib.sha256()
    for name, frame in sorted(tables.items()):
        digest.update(f"{name}\0{frame.height}\0".encode())
        for column in frame.iter_columns():
            values = "\n".join(repr(value) for value in column.to_list())
            digest.update(f"{column.name}\0{len(values)}\0{values}".encode())
    return digest.hexdigest()


def current_digests() -> dict[str, str]:
    """Return the digests of the generator as it is: of its source, and of a small company that it makes."""
    company = simulate_demo_company(FROZEN_PARAMS, seed=FROZEN_SEED)
    return {"source": generator_digest(), "tables": tables_digest(company.tables)}


def read_frozen(path: Path = FROZEN_FILE) -> dict[str, str]:
    """Return the digests that were written when the generator was frozen."""
    lines = path.read_text(encoding="utf-8").splitlines()
    return dict(line.split(maxsplit=1) for line in lines if line and not line.startswith("#"))


def write_frozen(path: Path = FROZEN_FILE) -> dict[str, str]:
    """Write the digests of the generator as it is, and return them."""
    digests = current_digests()
    lines = [
        "# SHA-256 of the demo company's generator and of a small company it makes; see freeze.py.",
        *(f"{name} {digest}" for name, digest in digests.items()),
    ]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return digests


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    for part, value in write_frozen().items():
        logger.info("%s %s", part, value)
