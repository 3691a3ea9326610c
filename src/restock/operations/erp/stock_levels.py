"""Stock: the ledger's balances beside the ERP's, as a list of differences, and either side brought to the other."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal

from sqlalchemy import Connection, Engine, func, select
from sqlalchemy.exc import IntegrityError

from restock.adapters.database.engine import read_transaction, write_transaction
from restock.adapters.database.erp_store import Rejection, clear_rejection, read_pairs, write_rejection
from restock.adapters.database.ledger_store import read_balance
from restock.adapters.database.ledger_tables import BalanceRow
from restock.adapters.database.product_facts import ProductFacts, read_product_facts
from restock.adapters.erp.interface import ErpFaultError, ErpKind, ErpRefusedError, ErpStockLevel
from restock.errors import DataError, RestockError
from restock.ledger.movements import Kind
from restock.operations.catalogue.prices import read_prices
from restock.operations.erp.exchange import Difference, Direction, Exchange, Fate
from restock.operations.erp.reading import require_run
from restock.operations.stock.booking import Draft, DraftLine, book
from restock.operations.stock.company import read_company
from restock.operations.stock.once import Write

# Levels set by one document of the ERP, or by one transaction here.
_AT_A_TIME = 50


@dataclass(frozen=True, kw_only=True)
class Gap:
    """A product at a location whose stock differs; quantities in base units.

    Attributes:
        facts: the product.
        location: ours.
        ours: the ledger's balance over all lots.
        theirs: what the ERP says.
        their_product: identity of the product there.
        their_location: identity of the location there.
    """

    facts: ProductFacts
    location: str
    ours: Decimal
    theirs: Decimal
    their_product: str
    their_location: str

    @property
    def name(self) -> str:
        """What it is kept under where it is rejected."""
        return f"{self.facts.sku}@{self.location}"


def exchange_stock(engine: Engine, exchange: Exchange, direction: Direction, *, is_adjusting: bool) -> None:
    """Compare the stock of both sides and bring one of them to the other where that is asked for.

    Args:
        engine: the ledger.
        exchange: the run.
        direction: OUT or BOTH: the ERP is set to the ledger, which is the truth. IN: it is compared.
        is_adjusting: with IN, the ledger is adjusted to the ERP, as one does once at the start.
    """
    gaps = find_gaps(engine, exchange, way=Direction.OUT if direction.covers(Direction.OUT) else Direction.IN)
    for each in gaps:
        exchange.summary.differences.append(
            Difference(sku=each.facts.sku, location=each.location, ours=_text(each.ours), theirs=_text(each.theirs))
        )
    for start in range(0, len(gaps), _AT_A_TIME):
        some = gaps[start : start + _AT_A_TIME]
        if direction.covers(Direction.OUT):
            _send(engine, exchange, some)
        elif is_adjusting:
            _adjust(engine, exchange, some)


def find_gaps(engine: Engine, exchange: Exchange, *, way: Direction) -> list[Gap]:
    """Return where the stock differs, of what both sides know, by sku and location."""
    theirs: dict[tuple[str, str], Decimal] = defaultdict(Decimal)
    for level in _read_levels(exchange):
        theirs[level.product, level.location] += level.quantity
    with read_transaction(engine) as connection:
        products = read_pairs(connection, exchange.system, ErpKind.PRODUCT)
        locations = read_pairs(connection, exchange.system, ErpKind.LOCATION)
        balances = _read_balances(connection, frozenset(locations.values()))
        facts = read_product_facts(connection, products.values()) if products else {}
    n_unknown = sum(1 for product, place in theirs if product not in products or place not in locations)
    if n_unknown:
        exchange.summary.note(f"{n_unknown} stock levels there are of products or locations that are not linked")
    their_products = {ours: identity for identity, ours in products.items()}
    their_locations = {ours: identity for identity, ours in locations.items()}
    known = {
        (products[product], locations[place]): quantity
        for (product, place), quantity in theirs.items()
        if product in products and place in locations
    }
    compared = sorted(set(known) | {key for key in balances if key[0] in their_products})
    gaps: list[Gap] = []
    for sku, location in compared:
        ours = facts[sku].units.from_scaled(balances.get((sku, location), 0))
        held = known.get((sku, location), Decimal(0))
        if ours == held:
            continue
        gaps.append(
            Gap(
                facts=facts[sku],
                location=location,
                ours=ours,
                theirs=held,
                their_product=their_products[sku],
                their_location=their_locations[location],
            )
        )
    for _ in range(len(compared) - len(gaps)):
        exchange.summary.tally(ErpKind.STOCK, way).count(Fate.UNCHANGED)
    return gaps


def _text(quantity: Decimal) -> str:
    return f"{quantity.normalize():f}"


def _read_levels(exchange: Exchange) -> Iterator[ErpStockLevel]:
    after, is_last = "", False
    while not is_last:
        page = exchange.client.read_stock(after=after, limit=exchange.page_size)
        yield from page.levels
        after, is_last = page.after, page.is_last


def _read_balances(connection: Connection, locations: Collection[str]) -> dict[tuple[str, str], int]:
    total = func.sum(BalanceRow.quantity)
    rows = connection.execute(
        select(BalanceRow.sku, BalanceRow.location, total)
        .group_by(BalanceRow.sku, BalanceRow.location)
        .having(total != 0)
    )
    return {(row[0], row[1]): int(row[2]) for row in rows if row[1] in locations}


def _send(engine: Engine, exchange: Exchange, gaps: Sequence[Gap]) -> None:
    """Set the ERP to the ledger: many at once, and one by one where one of them is refused."""
    with read_transaction(engine) as connection:
        day = read_company(connection).day_of(exchange.clock())
        prices = read_prices(connection, [gap.facts.sku for gap in gaps], on=day)
    due = [gap for gap in gaps if not gap.facts.is_lot_tracked]
    reasons: dict[str, str] = {
        gap.name: "the product is kept by lots: count or adjust it there by lot"
        for gap in gaps
        if gap.facts.is_lot_tracked
    }
    levels = {
        gap.name: ErpStockLevel(
            product=gap.their_product,
            location=gap.their_location,
            quantity=gap.ours,
            unit_cost=prices[gap.facts.sku].unit_cost,
        )
        for gap in due
    }
    try:
        if levels:
            exchange.client.write_stock(list(levels.values()))
    except (ErpRefusedError, ErpFaultError):
        for name, level in levels.items():
            try:
                exchange.client.write_stock([level])
            except ErpRefusedError as error:
                reasons[name] = str(error)
    _settle(engine, exchange, gaps, reasons, way=Direction.OUT)


def _settle(
    engine: Engine, exchange: Exchange, gaps: Sequence[Gap], reasons: Mapping[str, str], *, way: Direction
) -> None:
    """Keep what was rejected, and forget what is not any more."""
    tally = exchange.summary.tally(ErpKind.STOCK, way)
    with write_transaction(engine) as connection:
        require_run(connection, exchange)
        for gap in gaps:
            _note(connection, exchange, gap, reasons.get(gap.name), way=way)
            tally.count(Fate.REJECTED if gap.name in reasons else Fate.CHANGED)


def _note(connection: Connection, exchange: Exchange, gap: Gap, reason: str | None, *, way: Direction) -> None:
    if reason is None:
        clear_rejection(connection, exchange.system, ErpKind.STOCK, way, gap.name)
        return
    rejection = Rejection(kind=ErpKind.STOCK, direction=way, record=gap.name, reason=reason)
    write_rejection(connection, exchange.system, rejection, now=exchange.clock())


def _adjust(engine: Engine, exchange: Exchange, gaps: Sequence[Gap]) -> None:
    """Adjust the ledger to the ERP; each by what it lacks at that moment."""
    tally = exchange.summary.tally(ErpKind.STOCK, Direction.IN)
    with write_transaction(engine) as connection:
        require_run(connection, exchange)
        for gap in gaps:
            reason: str | None = None
            try:
                with connection.begin_nested():
                    _book(connection, exchange, gap)
            except RestockError as error:
                reason = str(error)
            except IntegrityError as error:
                reason = f"the database refuses it: {error.orig}"
            _note(connection, exchange, gap, reason, way=Direction.IN)
            tally.count(Fate.CHANGED if reason is None else Fate.REJECTED)


def _book(connection: Connection, exchange: Exchange, gap: Gap) -> None:
    units = gap.facts.units
    if gap.facts.is_lot_tracked:
        raise DataError(f"{gap.facts.sku} is kept by lots: count it by lot instead.")
    lacking = gap.theirs - units.from_scaled(read_balance(connection, gap.facts.sku, gap.location))
    if not lacking:
        return
    now = exchange.clock()
    draft = Draft(
        kind=Kind.ADJUSTMENT,
        location=gap.location,
        lines=(DraftLine(sku=gap.facts.sku, quantity=lacking),),
        occurred_at=now,
        reference=f"erp:{exchange.run}",
        reason=f"stock as in {exchange.system}",
    )
    request = {"sku": gap.facts.sku, "location": gap.location, "run": exchange.run}
    key = hashlib.sha256(f"{exchange.run}\n{gap.name}".encode()).hexdigest()
    book(connection, draft, Write(key=f"erp:{key}", request=request, actor=exchange.actor, now=now))
