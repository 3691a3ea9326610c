"""A small ERPNext: Frappe's REST interface with its filters, paging, docstatus rules and errors."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any
from zoneinfo import ZoneInfo

from tests.erp_servers import Answer, Asked, FakeErp

KEY, SECRET = "key-of-restock", "s3cret-of-restock"
COMPANY = "Rainbow Corner"
_CHILDREN = {
    "Item Barcode": ("Item", "barcodes"),
    "UOM Conversion Detail": ("Item", "uoms"),
    "Purchase Order Item": ("Purchase Order", "items"),
    "Sales Order Item": ("Sales Order", "items"),
    "Stock Reconciliation Item": ("Stock Reconciliation", "items"),
}
_TABLES = {(parent, table): child for child, (parent, table) in _CHILDREN.items()}
_NAMED_BY = {"Item": "item_code", "Supplier": "supplier_name", "Customer": "customer_name"}
_LINKS = {
    "supplier": "Supplier",
    "customer": "Customer",
    "set_warehouse": "Warehouse",
    "item_group": "Item Group",
    "stock_uom": "UOM",
}
_ROW_LINKS = {"item_code": "Item", "warehouse": "Warehouse", "uom": "UOM"}
_SUBMITTABLE = ("Purchase Order", "Sales Order", "Stock Reconciliation")
_OPERATORS: dict[str, Callable[[Any, Any], bool]] = {
    "=": lambda a, b: a == b,
    "!=": lambda a, b: a != b,
    ">": lambda a, b: a > b,
    ">=": lambda a, b: a >= b,
    "<": lambda a, b: a < b,
    "<=": lambda a, b: a <= b,
    "in": lambda a, b: a in b,
}


class FrappeError(Exception):
    """An error as Frappe raises it."""

    def __init__(self, kind: str, message: str, status: int = 417) -> None:
        super().__init__(message)
        self.kind, self.message, self.status = kind, message, status


class ErpNextServer(FakeErp):
    """An ERPNext site with a company and nothing else."""

    def __init__(self, *, time_zone: str = "Asia/Kolkata") -> None:
        super().__init__()
        self.time_zone = time_zone
        self.documents: dict[str, dict[str, dict[str, Any]]] = {}
        self._series = 0
        self.put("Company", COMPANY, default_currency="EUR")
        for unit, whole in (("Nos", 1), ("Box", 1), ("Kg", 0)):
            self.put("UOM", unit, must_be_whole_number=whole)
        self.put("Item Group", "All Item Groups", parent_item_group="")
        self.put("Item Group", "Food", parent_item_group="All Item Groups")
        self.put("Item Group", "Drinks", parent_item_group="Food")

    def put(self, doctype: str, name: str, **values: Any) -> dict[str, Any]:
        """Make or change a document past all rules, as people in ERPNext do within them."""
        known = self.documents.setdefault(doctype, {})
        # A check field that nobody set is 0.
        stored = known.setdefault(name, {"name": name, "docstatus": 0, "disabled": 0, "has_variants": 0})
        stored.update(values)
        for table in {table for parent, table in _TABLES if parent == doctype}:
            for at, row in enumerate(stored.setdefault(table, []), start=1):
                row.update({"name": f"{name}-{table}-{at}", "parent": name, "parenttype": doctype, "idx": at})
        stored["modified"] = self._local(self.tick())
        return stored

    def put_item(self, code: str, **values: Any) -> dict[str, Any]:
        """Make or change an item."""
        known = self.documents.get("Item", {}).get(code)
        standard = {"item_code": code, "item_name": code, "item_group": "Drinks", "stock_uom": "Nos"}
        standard |= {"is_stock_item": 1, "has_variants": 0, "disabled": 0, "standard_rate": 2.5, "valuation_rate": 1.25}
        return self.put("Item", code, **(values if known else {**standard, **values}))

    def put_warehouse(self, name: str, **values: Any) -> dict[str, Any]:
        """Make or change a warehouse."""
        return self.put(
            "Warehouse", name, **{"warehouse_name": name, "is_group": 0, "disabled": 0, "company": COMPANY, **values}
        )

    def put_bin(self, item: str, warehouse: str, quantity: float) -> None:
        """Set what is on hand."""
        self.put("Bin", f"{item}@{warehouse}", item_code=item, warehouse=warehouse, actual_qty=quantity)

    def put_order(self, doctype: str, name: str, lines: list[dict[str, Any]], **values: Any) -> dict[str, Any]:
        """Make or change a submitted order."""
        rows = [{"uom": "Nos", "conversion_factor": 1, "base_rate": 1.5, **row} for row in lines]
        return self.put(
            doctype,
            name,
            items=rows,
            **{"docstatus": 1, "status": "To Receive", "transaction_date": "2024-05-01", **values},
        )

    def answer(self, asked: Asked) -> Answer:
        """Return the reply to a request."""
        try:
            if asked.headers.get("authorization") != f"token {KEY}:{SECRET}":
                raise FrappeError("AuthenticationError", "Invalid token", 401)
            return self._route(asked)
        except FrappeError as error:
            message = json.dumps({"message": error.message, "title": "Message", "raise_exception": 1})
            content = {
                "exception": f"frappe.exceptions.{error.kind}: {error.message}",
                "exc_type": error.kind,
                "exc": json.dumps([f"Traceback (most recent call last):\n{error.kind}"]),
                "_server_messages": json.dumps([message]),
            }
            return Answer(error.status, content)

    def _route(self, asked: Asked) -> Answer:
        parts = asked.path.strip("/").split("/", 3)
        if parts[:2] == ["api", "method"]:
            if parts[2] != "frappe.client.get_time_zone":
                raise FrappeError("ValidationError", f"Failed to get method {parts[2]}")
            return Answer(200, {"message": {"time_zone": self.time_zone}})
        doctype, name = parts[2], parts[3] if len(parts) > 3 else None
        if asked.method == "GET":
            data = self._list(doctype, asked.query) if name is None else self._get(doctype, name)
        elif asked.method == "POST":
            data = self._insert(doctype, asked.body)
        else:
            data = self._update(doctype, name or "", asked.body)
        return Answer(200, {"data": data})

    def _rows(self, doctype: str, query: dict[str, str]) -> Iterator[dict[str, Any]]:
        if doctype not in _CHILDREN:
            yield from self.documents.get(doctype, {}).values()
            return
        parent, table = _CHILDREN[doctype]
        if query.get("parent") != parent:
            raise FrappeError("PermissionError", f"No permission for {doctype}", 403)
        for document in self.documents.get(parent, {}).values():
            yield from document[table]

    def _list(self, doctype: str, query: dict[str, str]) -> list[dict[str, Any]]:
        fields = json.loads(query.get("fields", '["name"]'))
        filters = json.loads(query.get("filters", "[]"))
        rows = list(self._rows(doctype, query))
        for name, operator, value in filters:
            rows = [row for row in rows if _OPERATORS[operator](row.get(name, "" if operator == ">" else None), value)]
        for part in reversed(query.get("order_by", "modified desc").split(",")):
            name, direction = part.split()
            rows.sort(key=lambda row, name=name: row[name], reverse=direction == "desc")
        start, length = int(query.get("limit_start", 0)), int(query.get("limit_page_length", 20))
        return [{name: row.get(name) for name in fields} for row in rows[start : start + length]]

    def _get(self, doctype: str, name: str) -> dict[str, Any]:
        found = self.documents.get(doctype, {}).get(name)
        if found is None:
            raise FrappeError("DoesNotExistError", f"{doctype} {name} not found", 404)
        return found

    def _insert(self, doctype: str, values: dict[str, Any]) -> dict[str, Any]:
        known = self.documents.setdefault(doctype, {})
        if doctype == "Custom Field":
            name = f"{values['dt']}-{values['fieldname']}"
        elif doctype in _NAMED_BY:
            name = str(values.get(_NAMED_BY[doctype]) or "")
        else:
            self._series += 1
            name = f"{doctype.upper()[:3]}-{self._series:05d}"
        if not name:
            raise FrappeError("MandatoryError", f"[{doctype}]: {_NAMED_BY[doctype]}")
        if name in known:
            raise FrappeError("DuplicateEntryError", f"{doctype} {name} already exists", 409)
        self._check_links(values)
        self._check_unique(doctype, name, values)
        if doctype == "Stock Reconciliation" and values.get("docstatus") == 1:
            self._reconcile(values)
        values = {**values, **({"status": "To Receive"} if values.get("docstatus") == 1 else {})}
        for row in values.get("items", ()):
            row["base_rate"] = row.get("rate")
        return self.put(doctype, name, **values)

    def _update(self, doctype: str, name: str, values: dict[str, Any]) -> dict[str, Any]:
        stored = self._get(doctype, name)
        if values.get("modified", stored["modified"]) != stored["modified"]:
            raise FrappeError("TimestampMismatchError", "Document has been modified after you have opened it")
        before, after = stored["docstatus"], values.get("docstatus", stored["docstatus"])
        if (before, after) not in ((0, 0), (0, 1), (1, 1), (1, 2)) or (after and doctype not in _SUBMITTABLE):
            raise FrappeError("ValidationError", f"Cannot change docstatus from {before} to {after}")
        if before == 1 and after == 1:
            raise FrappeError("UpdateAfterSubmitError", "Not allowed to change after submission")
        self._check_links(values)
        self._check_unique(doctype, name, values)
        return self.put(doctype, name, **{key: value for key, value in values.items() if key != "modified"})

    def _check_links(self, values: dict[str, Any]) -> None:
        found = [(doctype, values[name]) for name, doctype in _LINKS.items() if values.get(name)]
        for row in values.get("items", ()):
            found += [(doctype, row[name]) for name, doctype in _ROW_LINKS.items() if row.get(name)]
        for doctype, name in found:
            if name not in self.documents.get(doctype, {}):
                raise FrappeError("LinkValidationError", f"Could not find {doctype}: {name}")

    def _check_unique(self, doctype: str, name: str, values: dict[str, Any]) -> None:
        for unique in self.documents.get("Custom Field", {}).values():
            mine = values.get(unique["fieldname"])
            if unique["dt"] != doctype or not unique["unique"] or not mine:
                continue
            for other in self.documents.get(doctype, {}).values():
                if other["name"] != name and other.get(unique["fieldname"]) == mine:
                    raise FrappeError("UniqueValidationError", f"{unique['fieldname']} must be unique")

    def _reconcile(self, values: dict[str, Any]) -> None:
        bins = self.documents.get("Bin", {})
        for row in values["items"]:
            if row["qty"] < 0:
                raise FrappeError("ValidationError", "Row # 1: Negative Quantity is not allowed")
        changed = [
            row
            for row in values["items"]
            if bins.get(f"{row['item_code']}@{row['warehouse']}", {}).get("actual_qty", 0) != row["qty"]
        ]
        if not changed:
            raise FrappeError(
                "EmptyStockReconciliationItemsError", "None of the items have any change in quantity or value."
            )
        for row in changed:
            self.put_bin(row["item_code"], row["warehouse"], row["qty"])

    def _local(self, instant: Any) -> str:
        return instant.astimezone(ZoneInfo(self.time_zone)).replace(tzinfo=None).isoformat(" ", "microseconds")
