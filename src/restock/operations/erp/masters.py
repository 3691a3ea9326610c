"""Products, locations, suppliers and customers of an ERP, merged into ours field by field."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, select

from restock.adapters.database.erp_store import Link, read_last_change, read_links
from restock.adapters.database.journal import append_audit
from restock.adapters.database.order_tables import CustomerRow
from restock.adapters.erp.interface import ErpKind
from restock.errors import ConflictError, NotFoundError
from restock.operations.catalogue.changes import Subject, put_rows, require_outcome
from restock.operations.catalogue.fields import CatalogueDraft, Name, OptionalCode, read_draft
from restock.operations.catalogue.fields import Code as CodeField
from restock.operations.catalogue.places import LocationDraft, LocationKind, put_location, read_location
from restock.operations.catalogue.products import ProductDraft, put_product, read_product
from restock.operations.catalogue.suppliers import SupplierDraft, put_supplier, read_supplier
from restock.operations.erp.exchange import Exchange, Fate
from restock.operations.erp.merging import Merge, merge

Content = dict[str, Any]
CUSTOMER = Subject(noun="customer", topic="customers", key="customer")


class CustomerDraft(CatalogueDraft):
    """What a customer is to be."""

    customer: CodeField
    name: Name
    region: OptionalCode = ""
    is_active: bool = True


@dataclass(frozen=True, kw_only=True)
class Incoming:
    """A record of an ERP on its way in.

    Attributes:
        kind: of what.
        theirs: identity in the ERP.
        code: what it is known by there.
        changed_at: when it was changed there.
        content: in our words.
        digest: of the content.
    """

    kind: ErpKind
    theirs: str
    code: str
    changed_at: datetime
    content: Content
    digest: str


@dataclass(frozen=True, kw_only=True)
class Taken:
    """What became of a record, and the link to keep; None where it does not concern us."""

    fate: Fate
    link: Link | None


def take_master(connection: Connection, exchange: Exchange, incoming: Incoming, link: Link | None) -> Taken:
    """Merge a record into ours.

    Args:
        connection: in a write transaction; the caller commits.
        exchange: the run.
        incoming: the record.
        link: what both last agreed on; None where they never have.

    Raises:
        RestockError: the catalogue can't hold it, or another record of theirs is ours already.
    """
    keeper = KEEPERS[incoming.kind]
    ours = link.ours if link else incoming.code
    if link is None:
        _require_free(connection, exchange, incoming)
    before = keeper.read(connection, ours)
    merged = merge(
        incoming.content,
        before or {},
        last_theirs=link.their_content if link else {},
        last_ours=link.our_content if link else {},
        their_time=incoming.changed_at,
        our_time=_our_time(connection, incoming.kind, ours, link) if before else None,
    )
    if merged.lost:
        _keep_lost(connection, exchange, incoming, ours, merged)
    now = exchange.clock()
    if before is None or any(before.get(name) != value for name, value in merged.changes.items()):
        keeper.write(connection, ours, {**(before or {}), **merged.changes}, exchange.actor, now)
    after = keeper.read(connection, ours) or {}
    fate = Fate.CREATED if before is None else Fate.UNCHANGED if after == before else Fate.CHANGED
    agreed = Link(
        theirs=incoming.theirs,
        ours=ours,
        digest=incoming.digest,
        their_content=incoming.content,
        our_content={**after, **merged.agreed},
    )
    return Taken(fate=fate, link=agreed)


def _require_free(connection: Connection, exchange: Exchange, incoming: Incoming) -> None:
    """Refuse a second record of theirs with a code that is linked already."""
    taken = read_links(connection, exchange.system, incoming.kind, ours=[incoming.code])
    if taken:
        raise ConflictError(
            f"{incoming.kind} {incoming.code!r} is {taken[0].theirs!r} there already, and {incoming.theirs!r} has the "
            "same code. Give one of them another code in the ERP."
        )


def _our_time(connection: Connection, kind: ErpKind, ours: str, link: Link | None) -> datetime | None:
    if kind is ErpKind.PRODUCT:
        return read_product(connection, ours).changed_at
    # Where both sides meet for the first time, the ERP's names stand.
    if link is None:
        return None
    return read_last_change(connection, ours, actions=[f"create_{kind}", f"change_{kind}"])


def _keep_lost(connection: Connection, exchange: Exchange, incoming: Incoming, ours: str, merged: Merge) -> None:
    append_audit(
        connection,
        actor=exchange.actor,
        action="resolve_erp_conflict",
        subject=ours,
        now=exchange.clock(),
        details={
            "system": exchange.system,
            "kind": incoming.kind.value,
            "theirs": incoming.theirs,
            "kept": "ours" if merged.is_ours_kept else "theirs",
            "lost": merged.lost,
        },
    )
    exchange.summary.note(
        f"{incoming.kind} {ours}: both sides changed {', '.join(sorted(merged.lost))}; "
        f"{'ours' if merged.is_ours_kept else 'theirs'} is later and stands"
    )


@dataclass(frozen=True, kw_only=True)
class Keeper:
    """How a kind is read and written here."""

    read: Callable[[Connection, str], Content | None]
    write: Callable[[Connection, str, Content, str, datetime], None]


def read_product_content(connection: Connection, sku: str) -> Content | None:
    """Return a product in the words of the exchange; None where there is none."""
    try:
        record = read_product(connection, sku)
    except NotFoundError:
        return None
    content = {name: value for name, value in asdict(record).items() if name not in ("sku", "version", "changed_at")}
    return {
        **content,
        "barcodes": sorted([code.gtin, code.unit] for code in record.barcodes),
        "units": sorted([each.unit, f"{each.factor.normalize():f}"] for each in record.units),
    }


def _write_product(connection: Connection, sku: str, content: Content, actor: str, now: datetime) -> None:
    put_product(connection, read_draft(ProductDraft, {"sku": sku, **content}), actor=actor, now=now)


def _read_location(connection: Connection, location: str) -> Content | None:
    try:
        record = read_location(connection, location)
    except NotFoundError:
        return None
    return {"name": record.name, "is_active": record.is_active}


def _write_location(connection: Connection, location: str, content: Content, actor: str, now: datetime) -> None:
    try:
        kept = asdict(read_location(connection, location))
        kept = {name: value for name, value in kept.items() if name != "version"}
    except NotFoundError:
        kept = {"location": location, "kind": LocationKind.WAREHOUSE}
    put_location(connection, read_draft(LocationDraft, {**kept, **content}), actor=actor, now=now)


def read_supplier_content(connection: Connection, supplier: str) -> Content | None:
    """Return a supplier in the words of the exchange; None where there is none."""
    try:
        record = read_supplier(connection, supplier)
    except NotFoundError:
        return None
    return {"name": record.name, "is_active": record.is_active}


def _write_supplier(connection: Connection, supplier: str, content: Content, actor: str, now: datetime) -> None:
    kept: dict[str, Any] = {"supplier": supplier}
    if read_supplier_content(connection, supplier) is not None:
        kept["minimum_order_value"] = read_supplier(connection, supplier).minimum_order_value
    put_supplier(connection, read_draft(SupplierDraft, {**kept, **content}), actor=actor, now=now)


def _read_customer(connection: Connection, customer: str) -> Content | None:
    row = connection.execute(
        select(CustomerRow.name, CustomerRow.region, CustomerRow.is_active).where(CustomerRow.customer == customer)
    ).one_or_none()
    return None if row is None else dict(row._mapping)  # noqa: SLF001  (SQLAlchemy's name for it)


def _write_customer(connection: Connection, customer: str, content: Content, actor: str, now: datetime) -> None:
    draft = read_draft(CustomerDraft, {"customer": customer, **content})
    rows = {draft.customer: draft.model_dump(exclude={"customer"})}
    for outcome in put_rows(connection, CustomerRow, rows, subject=CUSTOMER, actor=actor, now=now):
        require_outcome(outcome)


KEEPERS: Mapping[ErpKind, Keeper] = {
    ErpKind.PRODUCT: Keeper(read=read_product_content, write=_write_product),
    ErpKind.LOCATION: Keeper(read=_read_location, write=_write_location),
    ErpKind.SUPPLIER: Keeper(read=read_supplier_content, write=_write_supplier),
    ErpKind.CUSTOMER: Keeper(read=_read_customer, write=_write_customer),
}
