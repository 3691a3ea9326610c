"""The demo company in the ledger: its catalogue, every booking of its clerks, mistakes included, and its orders."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import polars as pl
from sqlalchemy import Connection, Engine, func, insert, select, update

from restock.adapters.database.engine import read_transaction, write_transaction
from restock.adapters.database.ledger_batch import Refused, post_many
from restock.adapters.database.ledger_store import Posting
from restock.adapters.database.ledger_tables import AuditRow, MovementRow, OutboxRow
from restock.errors import DataError
from restock.ledger.movements import Kind, Line, Movement, Virtual
from restock.operations.demo_catalogue import (
    CURRENCY_DECIMALS,
    Tables,
    booked_units,
    insert_catalogue,
    insert_orders,
    set_company,
)

logger = logging.getLogger(__name__)

_BATCH = 2_000
_FIRST, _OPENING = "M000000001", "OPENING"
_PLAIN_VERBS = {
    "sale": (Kind.SALE, Virtual.CUSTOMER),
    "return": (Kind.RETURN, Virtual.CUSTOMER),
    "receipt": (Kind.RECEIPT, Virtual.SUPPLIER),
}
_IMPORT, _SUBJECT = "import_demo_company", "demo"


@dataclass(frozen=True, kw_only=True)
class PostedDemo:
    """What of the demo company was posted.

    Attributes:
        n_posted: movements posted now.
        n_known: movements that were there.
        n_orders: purchase orders.
    """

    n_posted: int
    n_known: int
    n_orders: int


def _ignore_progress(_done: int, _total: int) -> None:
    """Show no progress."""


def post_demo_company(
    engine: Engine,
    tables: Tables,
    *,
    now: datetime,
    actor: str,
    on_progress: Callable[[int, int], None] = _ignore_progress,
) -> PostedDemo:
    """Post the demo company into a ledger; a second time posts nothing, and after a crash it goes on.

    Bookings are posted at the time at which the clerks made them. Their events count as delivered: they are no news.

    Args:
        engine: a migrated database, empty or with this company.
        tables: what `restock.simulation.company` makes.
        now: the present, UTC.
        actor: who imports.
        on_progress: called with how many movements are done, and how many there are.

    Raises:
        DataError: the ledger holds movements of another company.
    """
    movements = _prepare_movements(tables)
    with write_transaction(engine) as connection:
        if _is_empty(connection):
            set_company(connection)
        insert_catalogue(connection, tables, now=now)
    n_posted = n_known = 0
    for part in movements.iter_slices(_BATCH):
        if _is_posted(engine, part):
            n_known += part.height
        else:
            n_new = _post_part(engine, part)
            n_posted, n_known = n_posted + n_new, n_known + part.height - n_new
        on_progress(n_posted + n_known, movements.height)
    with write_transaction(engine) as connection:
        n_orders = insert_orders(connection, tables)
        if n_posted:
            _note_import(connection, n_posted=n_posted, n_orders=n_orders, now=now, actor=actor)
    logger.info("posted %d movements of the demo company, %d were there", n_posted, n_known)
    return PostedDemo(n_posted=n_posted, n_known=n_known, n_orders=n_orders)


def _is_empty(connection: Connection) -> bool:
    """Return whether a ledger has no movement yet, or refuse one that has others than the demo company's.

    Raises:
        DataError: it is another's.
    """
    first = connection.execute(select(MovementRow.movement).order_by(MovementRow.movement).limit(1)).scalar()
    own = select(MovementRow.movement).where(MovementRow.movement == _FIRST, MovementRow.reference == _OPENING)
    if first is None:
        return True
    if connection.execute(own).first() is None:
        raise DataError(
            f"the ledger holds movements of another company, such as {first!r}. Post the demo company into a ledger of "
            "its own: RESTOCK_WORKSPACE=.demo, or another RESTOCK_DATABASE_URL."
        )
    return False


def _prepare_movements(tables: Tables) -> pl.DataFrame:
    """Return the bookings that move something, with pieces and minor units of money, in order of time."""
    money = pl.col("unit_price", "product_cost") * 10**CURRENCY_DECIMALS
    return (
        tables["movements"]
        .join(tables["products"].select("sku", product_cost="unit_cost"), on="sku", how="left")
        .with_columns(money.round().cast(pl.Int64), units=booked_units())
        # A count that found what was booked moves nothing.
        .filter(pl.col("units") != 0)
    )


def _is_posted(engine: Engine, part: pl.DataFrame) -> bool:
    """Return whether all of a part is there."""
    names = MovementRow.movement.between(part["movement"][0], part["movement"][-1])
    with read_transaction(engine) as connection:
        return bool(connection.execute(select(func.count()).where(names)).scalar_one() == part.height)


def _post_part(engine: Engine, part: pl.DataFrame) -> int:
    """Post a part and return how many of it are new.

    Raises:
        DataError: one is refused.
    """
    with write_transaction(engine) as connection:
        outcomes = post_many(connection, list(_build_postings(part)))
        for name, outcome in zip(part["movement"], outcomes, strict=True):
            if isinstance(outcome, Refused):
                raise DataError(
                    f"movement {name} of the demo company can't be posted: {outcome.error} The ledger may hold a demo "
                    "company of another size or seed; give this one a ledger of its own."
                ) from outcome.error
        # What happened long ago is no news to those who listen.
        connection.execute(
            update(OutboxRow)
            .where(OutboxRow.event.between(part["movement"][0], part["movement"][-1]))
            .values(delivered_at_utc=OutboxRow.created_at_utc)
        )
    return sum(not outcome.is_repeated for outcome in outcomes if not isinstance(outcome, Refused))


def _build_postings(part: pl.DataFrame) -> Iterator[Posting]:
    """Yield the bookings as postings; a key stands for the whole row."""
    names = (
        "movement",
        "occurred_at_utc",
        "sku",
        "location",
        "kind",
        "quantity",
        "unit_of_measure",
        "unit_price",
        "user",
        "reference",
        "product_cost",
        "units",
    )
    for row in part.select(names).iter_rows():
        movement, at, sku, location, kind, quantity, unit, price, user, reference, cost, units = row
        verb, other, reason = _read_verb(kind, reference, units)
        is_costed = verb in (Kind.RECEIPT, Kind.ADJUSTMENT)
        line = {
            "sku": sku,
            "unit_cost": (price if verb is Kind.RECEIPT else cost) if is_costed else None,
            "unit_price": price if verb in (Kind.SALE, Kind.RETURN) else None,
            "entered_quantity": str(abs(int(quantity))),
            "entered_unit": unit,
        }
        ends = ((location, units), (other.value, -units))
        # What leaves a place comes first, as everywhere.
        source, target = ends if units < 0 else ends[::-1]
        yield Posting(
            movement=Movement(
                kind=verb,
                occurred_at=at,
                lines=tuple(Line(location=place, quantity=change, **line) for place, change in (source, target)),
                reference=reference,
                reason=reason,
            ),
            identifier=movement,
            key=f"demo-{movement}",
            request={"row": [at.isoformat(), *row[2:9], reference]},
            posted_by=user,
            posted_at=at,
        )


def _read_verb(kind: str, reference: str, units: int) -> tuple[Kind, Virtual, str]:
    """Return the verb of a booking, where the goods come from or go to, and the reason."""
    if kind in _PLAIN_VERBS:
        return (*_PLAIN_VERBS[kind], "")
    if kind == "transfer":
        return (Kind.TRANSFER_OUT if units < 0 else Kind.TRANSFER_IN), Virtual.TRANSIT, ""
    if reference.startswith("COUNT"):
        return Kind.COUNT, Virtual.LOSS if units < 0 else Virtual.FOUND, ""
    if reference == _OPENING:
        return Kind.ADJUSTMENT, Virtual.ADJUSTMENT, "opening stock"
    if units < 0:
        return Kind.WRITE_OFF, Virtual.LOSS, "expired"
    return Kind.ADJUSTMENT, Virtual.ADJUSTMENT, "correction"


def _note_import(connection: Connection, *, n_posted: int, n_orders: int, now: datetime, actor: str) -> None:
    details: dict[str, Any] = {"movements": n_posted, "purchase_orders": n_orders}
    row = {"at_utc": now, "actor": actor, "action": _IMPORT, "subject": _SUBJECT, "details": details}
    connection.execute(insert(AuditRow), row)
