"""ERPNext (versions 14 and 15) through Frappe's REST interface."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from decimal import Decimal
from functools import cached_property
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from restock.adapters.erp.calling import Caller
from restock.adapters.erp.erpnext_calls import Filter, FrappeSite, split_names
from restock.adapters.erp.erpnext_payloads import (
    item_values,
    order_values,
    reconciliation_values,
    reference_field_values,
)
from restock.adapters.erp.erpnext_records import (
    DOCUMENT_KINDS,
    REFERENCE_FIELD,
    Document,
    DocumentKind,
    Surroundings,
    as_record,
    parse_instant,
)
from restock.adapters.erp.interface import (
    ErpAccessError,
    ErpKind,
    ErpProduct,
    ErpPurchaseOrder,
    ErpRecord,
    ErpRefusedError,
    ErpReplyError,
    ErpStockLevel,
    ErpSupplier,
    OrderState,
    Page,
    StockPage,
    Unreadable,
)

ERPNEXT = "erpnext"
_CONFIRMED, _CANCELLED = 1, 2
_ORDER_KINDS = (ErpKind.PURCHASE_ORDER, ErpKind.CUSTOMER_ORDER)


def authorization(key: str, secret: str) -> dict[str, str]:
    """Return the header that Frappe knows a user's API key and secret by."""
    return {"Authorization": f"token {key}:{secret}", "Accept": "application/json"}


@dataclass(eq=False)
class ErpNext:
    """An ERPNext site.

    Its instants are the local time of the site, without a zone: where summer time ends, an hour comes twice. So changes
    are looked for once more than an hour back.
    """

    caller: Caller
    system: str = ERPNEXT
    settling: timedelta = timedelta(minutes=75)
    _made_fields: set[str] = field(default_factory=set, init=False, repr=False)

    def close(self) -> None:
        """Give the connections back."""
        self.caller.http.close()

    @cached_property
    def site(self) -> FrappeSite:
        """The REST interface."""
        return FrappeSite(caller=self.caller)

    def find_newest(self, kind: ErpKind) -> str:
        """Return the instant of the latest change of a kind; empty where there is nothing."""
        where = DOCUMENT_KINDS[kind]
        rows = self.site.list_documents(
            where.doctype, fields=["modified"], filters=where.filters, order_by="modified desc", limit=1
        )
        return str(rows[0]["modified"]) if rows else ""

    def step_back(self, instant: str) -> str:
        """Return the instant that lies `settling` before another one."""
        return (parse_instant(instant) - self.settling).isoformat(sep=" ", timespec="microseconds")

    def read_page(self, kind: ErpKind, *, since: str, after: str, limit: int) -> Page:
        """Return documents changed at `since` or later whose name comes after `after`."""
        where = DOCUMENT_KINDS[kind]
        filters: list[Filter] = [*where.filters]
        if since:
            filters.append(["modified", ">=", since])
        if after:
            filters.append(["name", ">", after])
        documents = self.site.list_documents(
            where.doctype, fields=self._fields_of(kind), filters=filters, order_by="name asc", limit=limit
        )
        return Page(
            records=self._as_records(kind, documents),
            after=str(documents[-1]["name"]) if documents else after,
            is_last=len(documents) < limit,
        )

    def read_some(self, kind: ErpKind, identities: Sequence[str]) -> tuple[ErpRecord | Unreadable, ...]:
        """Return the documents with these names that are there."""
        where = DOCUMENT_KINDS[kind]
        found: list[ErpRecord | Unreadable] = []
        for some in split_names(sorted(set(identities))):
            filters: list[Filter] = [*where.filters, ["name", "in", list(some)]]
            documents = self.site.list_documents(
                where.doctype, fields=self._fields_of(kind), filters=filters, limit=len(some)
            )
            found += self._as_records(kind, documents)
        return tuple(found)

    def read_stock(self, *, after: str, limit: int) -> StockPage:
        """Return the bins after one, by name."""
        filters: list[Filter] = [["actual_qty", "!=", 0]]
        if after:
            filters.append(["name", ">", after])
        bins = self.site.list_documents(
            "Bin", fields=["name", "item_code", "warehouse", "actual_qty"], filters=filters, limit=limit
        )
        return StockPage(
            levels=tuple(_as_level(each) for each in bins),
            after=str(bins[-1]["name"]) if bins else after,
            is_last=len(bins) < limit,
        )

    def write_product(self, product: ErpProduct, *, reference: str) -> ErpRecord | Unreadable:  # noqa: ARG002
        """Make the item, or bring name and state of the one that is there to it, and return it as it is there now."""
        name = product.theirs or product.code
        changes = {"item_name": product.name, "disabled": int(not product.is_active)}
        if self.site.get_document("Item", name) is None:
            group = product.category_path.rpartition("/")[2]
            values = item_values(product, group=group if group in self._around.parents else self._root_group)
            self._insert_once("Item", values, find=lambda: self.site.get_document("Item", name))
        self._change("Item", name, changes)
        return self._read_back(ErpKind.PRODUCT, name)

    def write_supplier(self, supplier: ErpSupplier, *, reference: str) -> ErpRecord | Unreadable:
        """Make the supplier, once for a reference, or bring the one that is there to it, and return it as it is now."""
        changes = {"supplier_name": supplier.name, "disabled": int(not supplier.is_active)}
        name = supplier.theirs
        if not name:
            values = {**changes, "supplier_group": "All Supplier Groups", REFERENCE_FIELD: reference}
            self._require_reference_field("Supplier")
            made = self._insert_once("Supplier", values, find=lambda: self._find_supplier(supplier.name, reference))
            name = str(made["name"])
        self._change("Supplier", name, changes)
        return self._read_back(ErpKind.SUPPLIER, name)

    def write_purchase_order(self, order: ErpPurchaseOrder, *, reference: str) -> ErpRecord | Unreadable:
        """Make and submit the order, once for a reference, or cancel it, and return it as it is there now."""
        found = self._find_order(order, reference)
        if found is None:
            self._require_reference_field("Purchase Order")
            values = {**self._order_values(order), REFERENCE_FIELD: reference, "docstatus": _CONFIRMED}
            found = self._insert_once("Purchase Order", values, find=lambda: self._find("Purchase Order", reference))
        name = str(found["name"])
        wanted = _CANCELLED if order.state is OrderState.CANCELLED else _CONFIRMED
        # Nothing leads back from cancelled.
        if int(found["docstatus"]) < wanted:
            self._update_once("Purchase Order", name, {"docstatus": wanted})
        return self._read_back(ErpKind.PURCHASE_ORDER, name)

    def write_stock(self, levels: Sequence[ErpStockLevel]) -> None:
        """Set bins by a stock reconciliation; those that hold already are left alone.

        Raises:
            ErpRefusedError: ERPNext refuses one of them, and none was set.
        """
        by_company: dict[str, list[ErpStockLevel]] = {}
        for level in self._off(levels):
            by_company.setdefault(self._company_of(level.location), []).append(level)
        for company, wanted in sorted(by_company.items()):
            try:
                self.site.insert("Stock Reconciliation", reconciliation_values(wanted, company=company))
            except ErpRefusedError:
                # A first try whose reply was lost has set them: ERPNext refuses what changes nothing.
                if self._off(wanted):
                    raise

    def _off(self, levels: Sequence[ErpStockLevel]) -> list[ErpStockLevel]:
        """Return the levels that are not what the bins hold."""
        held: dict[tuple[str, str], ErpStockLevel] = {}
        for some in split_names(sorted({level.product for level in levels})):
            for each in self.site.list_all(
                "Bin",
                fields=["name", "item_code", "warehouse", "actual_qty"],
                filters=[["item_code", "in", list(some)]],
            ):
                held[each["item_code"], each["warehouse"]] = _as_level(each)
        off = []
        for level in levels:
            now = held.get((level.product, level.location))
            if (now.quantity if now else 0) != level.quantity:
                off.append(level)
        return off

    def _as_records(self, kind: ErpKind, documents: Sequence[Document]) -> tuple[ErpRecord | Unreadable, ...]:
        where = DOCUMENT_KINDS[kind]
        names = [str(each["name"]) for each in documents]
        whole: dict[str, dict[str, Any]] = {str(each["name"]): dict(each) for each in documents}
        for table, (doctype, fields) in where.children.items() if names else ():
            children = self.site.list_children(doctype, of=where.doctype, names=names, fields=fields)
            for name in names:
                whole[name][table] = children.get(name, [])
        around = self._around
        if kind in _ORDER_KINDS:
            items = {str(row["item_code"]) for each in whole.values() for row in each["items"] if row.get("item_code")}
            around = Surroundings(zone=around.zone, services=self._services_among(items))
        return tuple(as_record(kind, whole[name], around) for name in names)

    def _services_among(self, items: set[str]) -> frozenset[str]:
        """Return the items that are no stock, such as freight."""
        found: set[str] = set()
        for some in split_names(sorted(items)):
            filters: list[Filter] = [["name", "in", list(some)], ["is_stock_item", "=", 0]]
            found |= {str(row["name"]) for row in self.site.list_all("Item", fields=["name"], filters=filters)}
        return frozenset(found)

    @cached_property
    def _around(self) -> Surroundings:
        told = self.site.call_method("frappe.client.get_time_zone")
        name = told.get("time_zone") if isinstance(told, dict) else None
        try:
            zone = ZoneInfo(str(name))
        except (ZoneInfoNotFoundError, ValueError) as error:
            raise ErpReplyError(
                f"{self.caller.shown} says that its time zone is {name!r}, expected such as Europe/Berlin. Set it in "
                "ERPNext's System Settings."
            ) from error
        groups = self.site.list_all("Item Group", fields=["name", "parent_item_group"])
        units = self.site.list_all("UOM", fields=["name"], filters=[["must_be_whole_number", "=", 1]])
        return Surroundings(
            zone=zone,
            parents={str(each["name"]): str(each.get("parent_item_group") or "") for each in groups},
            whole_units=frozenset(str(each["name"]) for each in units),
        )

    @property
    def _root_group(self) -> str:
        return next((name for name, parent in self._around.parents.items() if not parent), "All Item Groups")

    @cached_property
    def _companies(self) -> dict[str, str]:
        """The company of each warehouse."""
        return {
            str(each["name"]): str(each["company"])
            for each in self.site.list_all("Warehouse", fields=["name", "company"])
        }

    def _company_of(self, warehouse: str) -> str:
        company = self._companies.get(warehouse)
        if company is None:
            raise ErpRefusedError(f"{self.caller.shown} has no warehouse {warehouse!r} any more.")
        return company

    def _has_reference_field(self, doctype: str) -> bool:
        return doctype in self._made_fields or doctype in self._known_fields

    @cached_property
    def _known_fields(self) -> frozenset[str]:
        """Doctypes that have our custom field."""
        rows = self.site.list_all("Custom Field", fields=["name", "dt"], filters=[["fieldname", "=", REFERENCE_FIELD]])
        try:
            return frozenset(str(row["dt"]) for row in rows)
        except ErpAccessError:
            # Without the right to see custom fields nothing can be written under a reference, but all can be read.
            return frozenset()

    def _fields_of(self, kind: ErpKind) -> list[str]:
        where: DocumentKind = DOCUMENT_KINDS[kind]
        has_reference = kind is ErpKind.PURCHASE_ORDER and self._has_reference_field(where.doctype)
        return [*where.fields, *([REFERENCE_FIELD] if has_reference else [])]

    def _require_reference_field(self, doctype: str) -> None:
        """Make our custom field where it is not there yet: unique, so that nothing is ever made twice."""
        if self._has_reference_field(doctype):
            return
        name = f"{doctype}-{REFERENCE_FIELD}"
        self._insert_once(
            "Custom Field",
            reference_field_values(doctype),
            find=lambda: self.site.get_document("Custom Field", name),
        )
        self._made_fields.add(doctype)

    def _find(self, doctype: str, reference: str) -> Document | None:
        rows = self.site.list_documents(
            doctype, fields=["name", "docstatus"], filters=[[REFERENCE_FIELD, "=", reference]], limit=1
        )
        return rows[0] if rows else None

    def _find_supplier(self, name: str, reference: str) -> Document | None:
        """Return the supplier that was made under a reference, or the one that has the name already."""
        return self._find("Supplier", reference) or self.site.get_document("Supplier", name)

    def _find_order(self, order: ErpPurchaseOrder, reference: str) -> Document | None:
        if order.theirs:
            return self.site.get_document("Purchase Order", order.theirs)
        return self._find("Purchase Order", reference) if self._has_reference_field("Purchase Order") else None

    def _insert_once(self, doctype: str, values: Mapping[str, Any], *, find: Callable[[], Document | None]) -> Document:
        """Make a document that is unique by itself, or return the one that a try whose reply was lost has made."""
        try:
            return self.site.insert(doctype, values)
        except ErpRefusedError:
            found = find()
            if found is None:
                raise
            return found

    def _change(self, doctype: str, name: str, changes: Mapping[str, object]) -> None:
        """Change what differs; refused by ERPNext where another one has changed it since it was read."""
        there = self._get(doctype, name)
        if _differs(there, changes):
            self._update_once(doctype, name, changes, read_at=there["modified"])

    def _update_once(
        self, doctype: str, name: str, changes: Mapping[str, object], *, read_at: object | None = None
    ) -> None:
        """Change a document; a refusal counts for nothing where a try whose reply was lost has changed it."""
        try:
            self.site.update(doctype, name, {**changes, **({"modified": read_at} if read_at else {})})
        except ErpRefusedError:
            if _differs(self._get(doctype, name), changes):
                raise

    def _get(self, doctype: str, name: str) -> Document:
        there = self.site.get_document(doctype, name)
        if there is None:
            raise ErpRefusedError(f"{self.caller.shown} has no {doctype} {name!r} any more.")
        return there

    def _read_back(self, kind: ErpKind, name: str) -> ErpRecord | Unreadable:
        found = self.read_some(kind, [name])
        if not found:
            raise ErpRefusedError(f"{self.caller.shown} does not show {kind} {name!r} after it was written.")
        return found[0]

    def _order_values(self, order: ErpPurchaseOrder) -> dict[str, Any]:
        company = self._company_of(order.location)
        currency = (self.site.get_document("Company", company) or {}).get("default_currency")
        return order_values(order, company=company, currency=currency)


def _as_level(each: Document) -> ErpStockLevel:
    quantity = each["actual_qty"]
    return ErpStockLevel(product=each["item_code"], location=each["warehouse"], quantity=Decimal(str(quantity)))


def _differs(document: Document, values: Mapping[str, object]) -> bool:
    return any((document.get(key) or 0) != (value or 0) for key, value in values.items())
